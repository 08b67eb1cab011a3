//! A scan of the text of a document before it is parsed: tokens, nesting, lengths of names.

/// The figures of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannedText {
    /// Names, values and punctuators.
    pub tokens: usize,
    /// Levels of nested braces, brackets and parentheses.
    pub nesting: usize,
    /// Bytes of the longest name.
    pub name_bytes: usize,
}

/// Counts tokens and nesting without parsing. Skips strings and comments; the parser finds malformed text.
pub fn scan(text: &str) -> ScannedText {
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
    ScannedText { tokens: tokens_found, nesting, name_bytes }
}

/// The tokens of a text, without white space, commas and comments.
pub fn tokens(text: &str) -> impl Iterator<Item = &[u8]> {
    positioned_tokens(text).map(|(_, token)| token)
}

/// The tokens of a text, each after the number of bytes in front of it.
pub fn positioned_tokens(text: &str) -> impl Iterator<Item = (usize, &[u8])> {
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
            return bytes.get(start..at.min(bytes.len())).map(|token| (start, token));
        }
    })
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The end of the string that opens just before `at`.
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
            ScannedText { tokens: 11, nesting: 2, name_bytes: 1 }
        );
        assert_eq!(scan("\"\"\"").tokens, 1);
        assert_eq!(scan("\"\\").tokens, 1);
    }
}
