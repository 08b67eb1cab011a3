//! The shape of a document's text, without parsing it: how many tokens, how deeply nested.

/// What a scan finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Names, values and punctuation.
    pub tokens: usize,
    /// Braces, brackets and parentheses inside each other.
    pub nesting: usize,
    /// Bytes of the longest name.
    pub name_bytes: usize,
}

/// Counts tokens and nesting without parsing. Strings and comments are skipped; what is malformed is the parser's.
pub fn scan(text: &str) -> Shape {
    let (mut tokens_found, mut depth, mut nesting, mut name_bytes) = (0, 0_usize, 0, 0);
    for token in tokens(text) {
        tokens_found += 1;
        match token {
            [b'{' | b'(' | b'[', ..] => {
                depth += 1;
                nesting = nesting.max(depth);
            }
            [b'}' | b')' | b']', ..] => depth = depth.saturating_sub(1),
            [first, ..] if is_name_byte(*first) => name_bytes = name_bytes.max(token.len()),
            _ => {}
        }
    }
    Shape { tokens: tokens_found, nesting, name_bytes }
}

/// The tokens of a text one by one, without what may stand between them.
pub fn tokens(text: &str) -> impl Iterator<Item = &[u8]> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at;
            let byte = *bytes.get(at)?;
            at += 1;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' => continue,
                b'#' => {
                    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'\n' | b'\r')) {
                        at += 1;
                    }
                    continue;
                }
                b'"' => at = end_of_string(bytes, at),
                _ if is_name_byte(byte) => {
                    while bytes.get(at).is_some_and(|byte| is_name_byte(*byte)) {
                        at += 1;
                    }
                }
                _ => {}
            }
            return bytes.get(start..at.min(bytes.len()));
        }
    })
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the string that opened just before `at` ends.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    let rest = |at: usize| bytes.get(at..).unwrap_or_default();
    if rest(at).starts_with(b"\"\"") {
        at += 2;
        while !rest(at).is_empty() {
            if rest(at).starts_with(b"\\\"\"\"") {
                at += 4;
            } else if rest(at).starts_with(b"\"\"\"") {
                return at + 3;
            } else {
                at += 1;
            }
        }
        return at;
    }
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'"' | b'\n' => break,
            _ => {}
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_one_token_or_none() {
        assert_eq!(
            scan("{ a(x: \"{{{ \\\" }\", y: \"\"\"{ \\\"\"\" {\"\"\") } # {{{"),
            Shape { tokens: 11, nesting: 2, name_bytes: 1 }
        );
        assert_eq!(scan("\"\"\"").tokens, 1);
        assert_eq!(scan("\"\\").tokens, 1);
    }
}
