//! Log formats as they are written in the configuration of nginx, Apache and Envoy, and by the names of well-known formats.

mod apache;
mod envoy;
pub mod known;
mod nginx;
mod part;

pub use self::part::{FormatError, Meaning, NamedField, Part};

/// Bytes of a format, at most.
const FORMAT_BYTES_MAX: usize = 8_192;

/// The parts of a format. A well-known name may stand for a format or begin one.
///
/// # Errors
/// The format is too long, or is neither a known name nor a format string.
pub fn parse(format: &str) -> Result<Vec<Part>, FormatError> {
    if format.len() > FORMAT_BYTES_MAX {
        return Err(FormatError(format!("is longer than {FORMAT_BYTES_MAX} bytes")));
    }
    let format = unwrapped(format.trim());
    let format = format.trim();
    let name_length = format.find(char::is_whitespace).unwrap_or(format.len());
    let (name, rest) = format.split_at(name_length);
    match known::text(name) {
        Some(known) => Ok(merged([parse_string(known)?, parse_string(rest)?].concat())),
        None if format.contains(['$', '%']) => parse_string(format),
        None => {
            let names: Vec<_> = known::names().collect();
            let shown: String = format.chars().take(64).collect();
            let message = format!(
                "`{shown}` is neither a format, such as '$remote_addr ... $request_time' or '%h ... %D', nor one of the \
                 names {}",
                names.join(", ")
            );
            Err(FormatError(message))
        }
    }
}

fn parse_string(format: &str) -> Result<Vec<Part>, FormatError> {
    let parts = if envoy::is_format(format) {
        envoy::parse(format)
    } else if format.contains('$') {
        Ok(nginx::parse(format))
    } else {
        apache::parse(format)
    };
    parts.map(merged)
}

/// Joins texts that follow each other.
fn merged(parts: Vec<Part>) -> Vec<Part> {
    let mut made: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match (made.last_mut(), part) {
            (Some(Part::Literal(text)), Part::Literal(more)) => text.push_str(&more),
            (_, Part::Literal(text)) if text.is_empty() => {}
            (_, part) => made.push(part),
        }
    }
    made
}

/// The format in a line of configuration, `log_format NAME '...' '...';` or `LogFormat "..." NAME`, else the text itself.
/// Quotes and tabs in it may be escaped.
fn unwrapped(text: &str) -> String {
    let is_directive = ["log_format", "LogFormat"].iter().any(|name| text.starts_with(name));
    if !is_directive && !text.starts_with('\'') {
        return unescaped(text);
    }
    let mut made = String::new();
    let mut characters = text.chars();
    while let Some(open) = characters.find(|character| matches!(character, '\'' | '"')) {
        let mut is_escaped = false;
        for character in characters.by_ref() {
            if character == open && !is_escaped {
                break;
            }
            is_escaped = character == '\\' && !is_escaped;
            made.push(character);
        }
    }
    unescaped(&made)
}

fn unescaped(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            made.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => made.push('\t'),
            Some('n') | None => {}
            Some(other) => made.push(other),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(format: &str) -> String {
        let parts = parse(format).unwrap();
        parts.iter().fold(String::new(), |text, part| match part {
            Part::Literal(literal) => text + literal,
            Part::Field(field) => text + "<" + &field.name + ">",
        })
    }

    #[test]
    fn formats_are_taken_from_configuration_as_they_stand() {
        for (format, expected) in [
            (r#"$remote_addr "$request" ${status}s"#, r#"<$remote_addr> "<$request>" <$status>s"#),
            ("log_format main escape=json '$status '\n  '\"$request\"';", r#"<$status> "<$request>""#),
            (r#"'$status "$request"'"#, r#"<$status> "<$request>""#),
            (r#"LogFormat "%h %t \"%r\" %>s" nick"#, r#"<%h> [<%t>] "<%r>" <%>s>"#),
            (r"%h\t%{X-Real-IP}i %400,501{Referer}i %!200s %%", "<%h>\t<%{X-Real-IP}i> <%{Referer}i> <%s> %"),
            (r"%{[%d/%b/%Y:%T %z]}t", "[<%{[%d/%b/%Y:%T %z]}t>]"),
            ("%m %U%q %H", "<%m> <%U> <%H>"),
            ("common %D", r#"<%h> <%l> <%u> [<%t>] "<%r>" <%>s> <%b> <%D>"#),
            (r#"common "$any" $request_time"#, r#"<%h> <%l> <%u> [<%t>] "<%r>" <%>s> <%b> "<$any>" <$request_time>"#),
            (
                r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-A?:PATH)%" %DURATION%\n"#,
                r#"[<%START_TIME%>] "<%REQ(:METHOD)%> <%REQ(X-A?:PATH)%>" <%DURATION%>"#,
            ),
            ("100% $status", "100% <$status>"),
        ] {
            assert_eq!(names(format), expected, "{format}");
        }
    }

    #[test]
    fn a_format_that_is_none_is_refused() {
        for (format, words) in [
            ("", "neither"),
            ("combind", "combined"),
            ("combined %Y", "%Y"),
            ("%h %{X", "}"),
            ("%h %", "%"),
            ("%h %{days}T", "days"),
            (&"%h".repeat(5_000), "8192"),
        ] {
            let FormatError(message) = parse(format).unwrap_err();
            assert!(message.contains(words), "{format}: {message}");
        }
    }
}
