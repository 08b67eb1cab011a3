//! Unicode escapes of strings that the library's parser does not read: `\u{1F980}`, and a pair of surrogates.

use std::{borrow::Cow, fmt::Write};

/// The token is a string that may have such an escape.
pub fn are_in(token: &[u8]) -> bool {
    let is_foreign = |escape: &[u8]| matches!(escape, [b'\\', b'u', b'{', ..] | [b'\\', b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'b' | b'A'..=b'B', ..]);
    is_string(token) && token.windows(4).any(is_foreign)
}

/// A string, and not a block string, which has no escapes.
fn is_string(token: &[u8]) -> bool {
    token.starts_with(b"\"") && !token.starts_with(b"\"\"\"")
}

/// The token with these escapes replaced by the character, or by an escape of four digits. An escape that names no character
/// remains, and the parser refuses it.
pub fn decode(token: &[u8]) -> Cow<'_, [u8]> {
    let Some(mut rest) = std::str::from_utf8(token).ok().filter(|_| are_in(token)) else { return Cow::Borrowed(token) };
    let mut decoded = String::with_capacity(rest.len());
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        decoded.push_str(before);
        rest = if let Some((character, after)) = character(escape) {
            push(&mut decoded, character);
            after
        } else {
            // The backslash and the character that it escapes.
            let length = escape.chars().take(2).map(char::len_utf8).sum();
            let (kept, after) = escape.split_at(length);
            decoded.push_str(kept);
            after
        };
    }
    decoded.push_str(rest);
    Cow::Owned(decoded.into_bytes())
}

/// The character of an escape, and the text after it.
fn character(escape: &str) -> Option<(char, &str)> {
    let digits = escape.strip_prefix("\\u")?;
    if let Some(braced) = digits.strip_prefix('{') {
        let (digits, after) = braced.split_once('}')?;
        return Some((char::from_u32(hexadecimal(digits)?)?, after));
    }
    let high = u16::try_from(hexadecimal(digits.get(..4)?)?).ok()?;
    let after = digits.get(4..)?.strip_prefix("\\u")?;
    let low = u16::try_from(hexadecimal(after.get(..4)?)?).ok()?;
    let is_pair = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    let character = char::decode_utf16([high, low]).next()?.ok().filter(|_| is_pair)?;
    Some((character, after.get(4..)?))
}

fn hexadecimal(digits: &str) -> Option<u32> {
    // The standard library also reads a sign.
    if !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

fn push(decoded: &mut String, character: char) {
    match u16::try_from(u32::from(character)) {
        // A quote or a line break stays an escape.
        Ok(code) => {
            let written = write!(decoded, "\\u{code:04X}");
            debug_assert!(written.is_ok(), "a String takes any text");
        }
        Err(_) => decoded.push(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_characters() {
        for (token, expected) in [
            (r#""a \u{1F980} b""#, "\"a \u{1F980} b\""),
            (r#""\u{22}\u{0000A}\u{e9}""#, r#""\u0022\u000A\u00E9""#),
            (r#""\uD83E\uDD80!""#, "\"\u{1F980}!\""),
            (r#""\\u{1} \u{1}""#, r#""\\u{1} \u0001""#),
            // No characters.
            (
                r#""\u{110000} \u{D800} \u{} \u{+1} \uD83E \uDD80\uD83E""#,
                r#""\u{110000} \u{D800} \u{} \u{+1} \uD83E \uDD80\uD83E""#,
            ),
            (r#""""\u{1F980}""""#, r#""""\u{1F980}""""#),
            (r#""\n \u0041""#, r#""\n \u0041""#),
            (r#""\u{1""#, r#""\u{1""#),
            ("\"\\u{1}\\ü\"", "\"\\u0001\\ü\""),
        ] {
            assert_eq!(String::from_utf8_lossy(&decode(token.as_bytes())), expected, "{token}");
        }
    }
}
