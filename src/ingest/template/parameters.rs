//! Parameters in route templates of web frameworks: one spelling, `:name`, for `{name}`, `<name>` and `[name]`, with or
//! without a type (`{id:int}`, `<int:id>`) and the marks of optional and remaining segments (`{id?}`, `{*path}`,
//! `[...slug]`).

/// The name of the parameter at the start of `text`, and the length of the parameter in bytes. `None` if the brackets hold
/// anything else.
pub fn parameter(text: &str) -> Option<(&str, usize)> {
    let (inside, length) = match text.as_bytes().first()? {
        b'{' => enclosed(text, '{', '}')?,
        b'<' => enclosed(text, '<', '>')?,
        b'[' => match text.strip_prefix('[').filter(|rest| rest.starts_with('[')) {
            // Next.js writes an optional rest of the path as `[[...slug]]`.
            Some(rest) => {
                let (inside, length) = enclosed(rest, '[', ']')?;
                text[length + 1..].starts_with(']').then_some((inside, length + 2))?
            }
            None => enclosed(text, '[', ']')?,
        },
        _ => return None,
    };
    let name = match text.as_bytes()[0] {
        b'{' => inside.split(':').next()?,
        b'<' => match inside.rsplit_once(':') {
            Some((kind, name)) => kind.starts_with(|first: char| first.is_ascii_alphabetic()).then_some(name)?,
            None => inside,
        },
        _ => inside,
    };
    let name = name.trim_start_matches(['*', '.']).trim_end_matches(['*', '.', '?', '+']);
    // Glued to a word, the name would be read as another one.
    let ends_in_word = text[length..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
    (is_name(name) && !ends_in_word).then_some((name, length))
}

/// True if the question mark at `at` belongs to an optional parameter, `{id?}`, and begins no query string.
pub fn is_optional_mark(path: &str, at: usize) -> bool {
    let (before, behind) = path.split_at(at);
    let segment = &before[before.rfind('/').map_or(0, |slash| slash + 1)..];
    behind.starts_with("?}") && segment.rfind('{').is_some_and(|open| !segment[open..].contains('}'))
}

/// The text between a bracket and the one that closes it, and its length with both.
fn enclosed(text: &str, open: char, close: char) -> Option<(&str, usize)> {
    let mut depth = 0_usize;
    let end = text.find(|character| {
        if character == open {
            depth += 1;
        } else if character == close {
            depth -= 1;
        }
        depth == 0
    })?;
    Some((&text[1..end], end + 1))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_all_spellings() {
        for (text, expected) in [
            ("{id}", Some(("id", 4))),
            ("{id}.json", Some(("id", 4))),
            ("<id>", Some(("id", 4))),
            ("[id]", Some(("id", 4))),
            ("{order_id:[0-9]{4}}x", None),
            ("{order_id:[0-9]{4}}", Some(("order_id", 19))),
            ("{id:int?}", Some(("id", 9))),
            ("{id?}", Some(("id", 5))),
            ("{*path}", Some(("path", 7))),
            ("{path...}", Some(("path", 9))),
            ("<int:id>", Some(("id", 8))),
            ("<any(a, b):kind>", Some(("kind", 16))),
            ("[...slug]", Some(("slug", 9))),
            ("[[...slug]]", Some(("slug", 11))),
            ("[[...slug]", None),
            ("{}", None),
            ("{1}", None),
            ("{a b}", None),
            ("<:id>", None),
            ("[::1]:8080", None),
            ("{id", None),
            ("id}", None),
            ("", None),
        ] {
            assert_eq!(parameter(text), expected, "{text}");
        }
    }
}
