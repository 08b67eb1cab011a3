//! Lists in headers such as `Accept` and `Accept-Encoding`: items separated by commas, each with parameters and a weight.
//!
//! Nothing here is an error. Programs send what their libraries taught them decades ago, so a part that cannot be read is
//! left out, and the rest of the item counts.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName};

/// The weight of an item without `q`, in thousandths.
pub const WEIGHT_MAX: u16 = 1_000;

/// An item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The text before the parameters.
    pub value: &'a str,
    parameters: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Item<'a> {
    /// Reads one item.
    pub fn read(text: &'a str) -> Self {
        let mut parts = split(text, ';').map(str::trim);
        let value = parts.next().unwrap_or_default();
        let pair = |part: &'a str| part.split_once('=').map(|(name, value)| (name.trim(), unquoted(value.trim())));
        Self { value, parameters: parts.filter_map(pair).collect() }
    }

    /// The value of the first parameter with this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// The quality value in thousandths, 0 to 1000. One that is no number counts as missing.
    pub fn weight(&self) -> u16 {
        self.parameter("q").and_then(thousandths).unwrap_or(WEIGHT_MAX)
    }
}

/// The items of all headers with this name, without empty ones.
pub fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<Cow<'a, str>> {
    let lines = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    lines
        .flat_map(|line| match line {
            Cow::Borrowed(line) => parts(line).map(Cow::Borrowed).collect::<Vec<_>>(),
            Cow::Owned(line) => parts(&line).map(|part| Cow::Owned(part.to_owned())).collect(),
        })
        .collect()
}

fn parts(line: &str) -> impl Iterator<Item = &str> {
    split(line, ',').map(str::trim).filter(|part| !part.is_empty())
}

/// Splits outside of quoted strings.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character: char| {
        if std::mem::take(&mut is_escaped) {
            return false;
        }
        match character {
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            other => return other == separator && !is_quoted,
        }
        false
    })
}

/// The text of a quoted string.
fn unquoted(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return text.into() };
    let mut is_escaped = false;
    let kept = inner.chars().filter(|character| {
        is_escaped = *character == '\\' && !is_escaped;
        !is_escaped
    });
    if inner.contains('\\') { kept.collect::<String>().into() } else { inner.into() }
}

/// A quality value such as `0`, `1`, `0.5`, `.8` or `1.0000`. More than 1 counts as 1.
fn thousandths(text: &str) -> Option<u16> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let weight: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    let rounded = (weight.min(1.0) * f64::from(WEIGHT_MAX)).round() as u16;
    // Only zero excludes.
    Some(rounded.max(u16::from(weight > 0.0)))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    #[test]
    fn quoted_strings_hold_separators() {
        let item = Item::read(r#"multipart/mixed ; boundary="a;b\",c" ;Q= "0.5";flag"#);
        assert_eq!((item.value, item.parameter("BOUNDARY"), item.weight()), ("multipart/mixed", Some("a;b\",c"), 500));
        assert_eq!(item.parameter("flag"), None);
        let mut headers = HeaderMap::new();
        for line in ["a, ,b;x=\"1,2\"", ",", "c"] {
            headers.append(header::ACCEPT, HeaderValue::from_static(line));
        }
        headers.append(header::ACCEPT, HeaderValue::from_bytes(b"\xff,d").unwrap());
        assert_eq!(items(&headers, &header::ACCEPT), ["a", "b;x=\"1,2\"", "c", "\u{fffd}", "d"]);
    }

    #[test]
    fn a_weight_that_cannot_be_read_is_as_good_as_none() {
        for (text, weight) in [
            ("", 1_000),
            ("q=0", 0),
            ("q=0.000", 0),
            ("q=.8", 800),
            ("q=.2", 200),
            ("q=0.5", 500),
            ("Q=0.125", 125),
            ("q=1.", 1_000),
            ("q=1.0000", 1_000),
            ("q=1.5", 1_000),
            ("q=0.1234", 123),
            ("q=0.56", 560),
            ("q=0.0001", 1),
            ("q = 0.3", 300),
            ("q=\"0.3\"", 300),
            ("q=", 1_000),
            ("q", 1_000),
            ("q=.", 1_000),
            ("q=high", 1_000),
            ("q=-1", 1_000),
            ("q=inf", 1_000),
            ("level=1", 1_000),
        ] {
            assert_eq!(Item::read(&format!("a;{text}")).weight(), weight, "{text}");
        }
    }
}
