//! Percent-encoding in paths (RFC 3986): one spelling for the escaped and the plain form of a character. Pure and idempotent.
//!
//! Escapes of printable characters are decoded: `/caf%C3%A9` and `/caf%c3%a9` become `/café`. Escapes whose character would
//! mean something else stay, in upper case: `%2F`, `%3F`, `%23`, `%25`, `%5C`, control characters, and bytes that are not
//! UTF-8. A percent sign that begins no escape stays as it is.

use std::{borrow::Cow, fmt::Write};

/// Decodes the escapes of a path.
pub fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut made = String::with_capacity(path.len());
    let mut run = Vec::new();
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        made.push_str(&rest[..at]);
        rest = &rest[at..];
        // A character may be several escapes, so a run of them is decoded as a whole.
        run.clear();
        while let Some(byte) = escape(rest) {
            run.push(byte);
            rest = &rest[ESCAPE_LENGTH..];
        }
        if run.is_empty() {
            made.push('%');
            rest = &rest[1..];
        } else {
            push_run(&mut made, &run);
        }
    }
    made.push_str(rest);
    Cow::Owned(made)
}

/// The length of an escape in bytes.
pub const ESCAPE_LENGTH: usize = 3;

/// The byte of the escape at the start of `text`.
pub fn escape(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('%')?.get(..ESCAPE_LENGTH - 1)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// Appends bytes as escapes.
pub fn push_escaped(made: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(made, "%{byte:02X}");
    }
}

fn push_run(made: &mut String, run: &[u8]) {
    for chunk in run.utf8_chunks() {
        for character in chunk.valid().chars() {
            if stays_encoded(character) || completes_escape(made, character) {
                push_escaped(made, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                made.push(character);
            }
        }
        push_escaped(made, chunk.invalid());
    }
}

/// Characters that separate parts of an address, begin an escape, or cannot be shown.
fn stays_encoded(character: char) -> bool {
    character.is_control() || matches!(character, '/' | '?' | '#' | '%' | '\\')
}

/// True if the text ends with a percent sign that begins no escape and would begin one with this digit: `%%34%31` must not
/// become `%41`.
fn completes_escape(made: &str, character: char) -> bool {
    let ends_open = match made.as_bytes() {
        [.., b'%'] => true,
        [.., b'%', digit] => digit.is_ascii_hexdigit(),
        _ => false,
    };
    ends_open && character.is_ascii_hexdigit()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_of_printable_characters_are_decoded_and_others_stay() {
        for (path, expected) in [
            ("/caf%C3%A9", "/café"),
            ("/caf%c3%a9", "/café"),
            ("/café", "/café"),
            ("/%E6%97%A5%E6%9C%AC/%F0%9F%98%80", "/日本/😀"),
            ("/my%20report.pdf", "/my report.pdf"),
            ("/%7Bid%7D/%5bid%5d/%3Cid%3E/%3aid", "/{id}/[id]/<id>/:id"),
            ("/%41%2d%7e%40", "/A-~@"),
            ("/a%2fb%3fc%23d%25e%5cf", "/a%2Fb%3Fc%23d%25e%5Cf"),
            ("/a%00b%0a%7f%C2%85", "/a%00b%0A%7F%C2%85"),
            ("/%e4/%ff%C3%A4%c3", "/%E4/%FFä%C3"),
            ("/%c0%af/%ed%a0%80", "/%C0%AF/%ED%A0%80"),
            ("/100%/%zz/%4/%", "/100%/%zz/%4/%"),
            ("/%2541/%25", "/%2541/%25"),
            ("/%%34%31/%4%31", "/%%341/%4%31"),
            ("/%ä%41", "/%äA"),
        ] {
            assert_eq!(decoded(path), expected, "{path}");
            assert_eq!(decoded(expected), expected);
        }
    }

    proptest! {
        #[test]
        fn decoding_is_idempotent_and_never_longer(path in "([%0-9a-fA-F/?ä]|%[0-9a-fA-F]{2}|%C3%[89aAbB][0-9a-f]){0,24}") {
            let once = decoded(&path).into_owned();
            prop_assert_eq!(decoded(&once), once.as_str());
            prop_assert!(once.len() <= path.len());
            let separators = |text: &str| text.matches(['/', '?', '#']).count();
            prop_assert_eq!(separators(&once), separators(&path), "no separator is made");
        }

        #[test]
        fn escaped_and_plain_text_are_equal(text in "[^%]{0,20}", is_lower in any::<bool>()) {
            let escaped = text.chars().fold(String::new(), |mut made, character| {
                if "/?#\\".contains(character) {
                    made.push(character);
                } else {
                    push_escaped(&mut made, character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                made
            });
            let escaped = if is_lower { escaped.to_lowercase() } else { escaped };
            let expected = text.chars().fold(String::new(), |mut made, character| {
                if character.is_control() {
                    push_escaped(&mut made, character.encode_utf8(&mut [0; 4]).as_bytes());
                } else {
                    made.push(character);
                }
                made
            });
            prop_assert_eq!(decoded(&escaped), expected);
        }
    }
}
