//! The request in an access log: the request line as the client sent it, with the escapes that servers write.

use crate::ingest::{submission::FieldError, template::escapes::push_escaped};

/// Characters of a text that an error shows.
const SHOWN_MAX: usize = 64;

/// The endpoint of a request line: its method and its target, which may contain spaces.
///
/// # Errors
/// The text is no request line, such as the first bytes of a TLS connection.
pub fn endpoint(line: &str) -> Result<String, FieldError> {
    let text = unescaped(line);
    // A method has no escapes: binary bytes of another protocol are no request.
    let is_method = line.trim_start().split(' ').next().is_some_and(is_token);
    split(&text).filter(|_| is_method).map(|(method, target)| format!("{method} {target}")).ok_or_else(|| {
        let shown: String = line.chars().take(SHOWN_MAX).collect();
        FieldError::new("endpoint", format!("`{shown}` is not a request such as GET /orders HTTP/1.1"))
    })
}

/// The endpoint of a method and a target that are fields of their own. Without a method, it is the target alone.
///
/// # Errors
/// The method is no token, or the target is empty.
pub fn endpoint_of(method: Option<&str>, target: &str) -> Result<String, FieldError> {
    let target = unescaped(target);
    let target = target.trim();
    if target.is_empty() || target == "-" {
        return Err(FieldError::new("endpoint", "the line has no target of a request, such as /orders"));
    }
    match method.map(str::trim) {
        None => Ok(target.to_owned()),
        Some(method) if is_token(method) && method != "-" => Ok(format!("{method} {target}")),
        Some(method) => {
            let shown: String = method.chars().take(SHOWN_MAX).collect();
            Err(FieldError::new("endpoint", format!("`{shown}` is not a method such as GET")))
        }
    }
}

/// A status; `None` for `-` and for -1, which `HAProxy` writes if there was no response.
///
/// # Errors
/// The text is no whole number.
pub fn status(text: &str) -> Result<Option<i32>, FieldError> {
    if matches!(text, "" | "-" | "-1") {
        return Ok(None);
    }
    let whole = text.strip_suffix(".0").unwrap_or(text);
    whole.parse().map(Some).map_err(|_| {
        let shown: String = text.chars().take(16).collect();
        FieldError::new("statusCode", format!("`{shown}` is not an HTTP status"))
    })
}

/// The first word is the method and the last one the protocol. HTTP/0.9 has none, and its target begins with a slash.
fn split(text: &str) -> Option<(&str, &str)> {
    let (method, rest) = text.trim().split_once(' ')?;
    let target = match rest.rsplit_once(' ') {
        Some((target, protocol)) if protocol.starts_with("HTTP/") => target.trim(),
        None if rest.starts_with('/') => rest,
        _ => return None,
    };
    (is_token(method) && !target.is_empty()).then_some((method, target))
}

/// A token of RFC 9110, which may hold dashes and digits.
fn is_token(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=SHOWN_MAX).contains(&text.len()) && text.bytes().all(is_token)
}

/// Decodes what nginx (`\xC3`), Apache (`\"`, `\t`) and JSON (`\u00e9`) write for a byte or a character. Control characters
/// and bytes that are not UTF-8 become percent escapes, which are what the client must have meant.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let taken = escape(rest, &mut bytes).unwrap_or_else(|| {
            bytes.push(b'\\');
            1
        });
        rest = &rest[taken..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    let mut made = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                push_escaped(&mut made, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                made.push(character);
            }
        }
        push_escaped(&mut made, chunk.invalid());
    }
    made
}

/// Appends the bytes of the escape at the start of `text`, and returns its length.
fn escape(text: &str, bytes: &mut Vec<u8>) -> Option<usize> {
    let kind = *text.as_bytes().get(1)?;
    let byte = match kind {
        b'x' => {
            bytes.push(u8::try_from(hexadecimal(text, 2..4)?).ok()?);
            return Some(4);
        }
        b'u' => {
            let first = hexadecimal(text, 2..6)?;
            let second = || text.get(6..8).filter(|mark| *mark == "\\u").and_then(|_| hexadecimal(text, 8..12));
            let (code, length) = match (first, second()) {
                (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                    (0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00), 12)
                }
                _ => (first, 6),
            };
            bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(length);
        }
        b'"' | b'\\' | b'/' | b'\'' => kind,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'f' => 0x0C,
        b'v' => 0x0B,
        _ => return None,
    };
    bytes.push(byte);
    Some(2)
}

fn hexadecimal(text: &str, range: std::ops::Range<usize>) -> Option<u32> {
    let digits = text.get(range)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_are_split_at_the_first_and_the_last_word() {
        for (line, expected) in [
            ("GET /orders/1 HTTP/1.1", Some("GET /orders/1")),
            ("GET /search?q=a b HTTP/1.1", Some("GET /search?q=a b")),
            ("GET /files/my report.pdf HTTP/2.0", Some("GET /files/my report.pdf")),
            ("VERSION-CONTROL /repo HTTP/1.1", Some("VERSION-CONTROL /repo")),
            ("M-SEARCH * HTTP/1.1", Some("M-SEARCH *")),
            ("CONNECT example.com:443 HTTP/1.1", Some("CONNECT example.com:443")),
            ("get /a HTTP/1.0", Some("get /a")),
            ("GET /a", Some("GET /a")),
            ("GET  /a  HTTP/1.1", Some("GET /a")),
            ("GET /q?x=\\\"y\\\" HTTP/1.1", Some("GET /q?x=\"y\"")),
            ("GET /caf\\xC3\\xA9 HTTP/1.1", Some("GET /café")),
            ("GET /caf\\u00e9/\\ud83d\\ude00 HTTP/1.1", Some("GET /café/😀")),
            ("GET /\\xE9\\t\\x00 HTTP/1.1", Some("GET /%E9%09%00")),
            ("GET /a\\q\\x4 HTTP/1.1", Some("GET /a\\q\\x4")),
            ("-", None),
            ("", None),
            ("GET", None),
            ("GET /a b", None),
            ("t3 12.1.2", None),
            ("GET HTTP/1.1", None),
            ("\\x16\\x03\\x01 \\x02 HTTP/1.1", None),
            ("G(T /a HTTP/1.1", None),
        ] {
            assert_eq!(endpoint(line).ok().as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_method_and_a_target_are_an_endpoint() {
        assert_eq!(endpoint_of(Some("GET"), "/caf\\xc3\\xa9").unwrap(), "GET /café");
        assert_eq!(endpoint_of(None, "/a").unwrap(), "/a");
        for (method, target) in [(Some("-"), "/a"), (Some("G T"), "/a"), (None, "-"), (Some("GET"), "")] {
            assert!(endpoint_of(method, target).is_err(), "{method:?} {target}");
        }
    }
}
