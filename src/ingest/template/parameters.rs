//! Parameters in route templates of web frameworks: one spelling, `:name`, for `{name}`, `<name>` and `[name]`, with or
//! without a type (`{id:int}`, `<int:id>`) and the marks of optional and remaining segments (`{id?}`, `{*path}`,
//! `[...slug]`), and for the patterns `(?P<name>..)` of Django and `:name(..)` of Express.

use std::borrow::Cow;

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
            Some((kind, name)) => is_kind(kind).then_some(name)?,
            None => inside,
        },
        _ => inside,
    };
    let name = name.trim_start_matches(['*', '.']).trim_end_matches(['*', '.', '?', '+']);
    is_name(name).then_some((name, length))
}

/// True if the question mark at `at` belongs to an optional parameter, `{id?}`, and begins no query string.
pub fn is_optional_mark(path: &str, at: usize) -> bool {
    let (before, behind) = path.split_at(at);
    let segment = &before[before.rfind('/').map_or(0, |slash| slash + 1)..];
    behind.starts_with("?}") && segment.rfind('{').is_some_and(|open| !segment[open..].contains('}'))
}

/// The path with its patterns as `:name`. A pattern may contain what elsewhere ends a segment or begins a query string.
pub fn without_patterns(path: &str) -> Cow<'_, str> {
    if !path.contains('(') {
        return Cow::Borrowed(path);
    }
    let mut made = String::with_capacity(path.len());
    let (mut rest, mut may_begin) = (path, true);
    while let Some(first) = rest.chars().next() {
        let length = if let Some((name, length)) = pattern(rest, may_begin) {
            made.push(':');
            made.push_str(name);
            may_begin = false;
            length
        } else {
            made.push(first);
            may_begin = matches!(first, '/' | '-' | '.' | ' ');
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    Cow::Owned(made)
}

/// The name of the pattern at the start of `text`, and the length of the pattern with the groups behind it.
fn pattern(text: &str, may_begin: bool) -> Option<(&str, usize)> {
    let (name, start) = if let Some(named) = named_group(text) {
        named
    } else {
        let behind = text.strip_prefix(':').filter(|_| may_begin)?;
        let name = &behind[..behind.bytes().take_while(|byte| is_of_name(*byte)).count()];
        (name, ':'.len_utf8() + name.len())
    };
    let mut length = start;
    while text[length..].starts_with('(') && named_group(&text[length..]).is_none() {
        let Some((_, group)) = enclosed(&text[length..], '(', ')') else { break };
        length += group;
    }
    let is_pattern = text.starts_with('(') || length > start;
    // Glued to a word, the name would be read as another one.
    let ends_in_word = text.as_bytes().get(length).is_some_and(|byte| is_of_name(*byte));
    (is_name(name) && is_pattern && !ends_in_word).then_some((name, length))
}

/// The name and the length of the group `(?P<name>..)`, or `(?<name>..)`, at the start of `text`.
fn named_group(text: &str) -> Option<(&str, usize)> {
    let inside = text.strip_prefix("(?P<").or_else(|| text.strip_prefix("(?<"))?;
    let (name, _) = inside.split_once('>')?;
    let (_, length) = enclosed(text, '(', ')')?;
    is_name(name).then_some((name, length))
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

/// True for the type of a parameter, such as `int` or `any(a, b)`.
fn is_kind(text: &str) -> bool {
    let arguments = text.trim_start_matches(|character: char| u8::try_from(character).is_ok_and(is_of_name));
    let is_call = arguments.is_empty() || (arguments.starts_with('(') && arguments.ends_with(')'));
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && is_call
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| is_of_name(byte) || byte == b'-')
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
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
            ("{order_id:[0-9]{4}}x", Some(("order_id", 19))),
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

    #[test]
    fn patterns_are_read_with_everything_in_them() {
        for (path, expected) in [
            ("^orders/(?P<pk>[^/.]+)/$", "^orders/:pk/$"),
            ("orders/(?P<year>[0-9]{4})-(?P<month>\\d+?)/", "orders/:year-:month/"),
            ("/orders/(?<id>a(b|c)/?d)", "/orders/:id"),
            ("/orders/:id(\\d+)/items/:item([^/?]+)?", "/orders/:id/items/:item?"),
            ("/flights/:from-:to([A-Z]{3})(x)", "/flights/:from-:to"),
            ("/a/(?P<b>c)(?P<d>e)", "/a/:b:d"),
            ("/files/report (1).pdf", "/files/report (1).pdf"),
            ("/odata/Products(7)/(x)", "/odata/Products(7)/(x)"),
            ("/a/(?P<1>b)/:1(c)/x:id(d)", "/a/(?P<1>b)/:1(c)/x:id(d)"),
            ("/a/:id(b", "/a/:id(b"),
            ("/a/:id(b)c", "/a/:id(b)c"),
            ("/a/b", "/a/b"),
        ] {
            assert_eq!(without_patterns(path), expected, "{path}");
            assert_eq!(without_patterns(expected), expected, "{path}");
        }
    }
}
