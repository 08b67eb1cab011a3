//! Which media type a client wants its answer in, by the rules of RFC 9110: the most specific range decides, its weight
//! ranks, zero excludes.

use axum::http::{HeaderMap, HeaderValue, header};

/// The media types that answers come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: the status tells whether the request was sound.
    GraphqlResponse,
    /// `application/json`: 200 for everything that is a GraphQL answer, as older clients expect.
    Json,
}

impl MediaType {
    const fn essence(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json",
            Self::Json => "application/json",
        }
    }

    /// As the answer's `Content-Type`.
    pub const fn header(self) -> HeaderValue {
        match self {
            Self::GraphqlResponse => HeaderValue::from_static("application/graphql-response+json; charset=utf-8"),
            Self::Json => HeaderValue::from_static("application/json; charset=utf-8"),
        }
    }
}

/// The better liked of the two; `None` when the client takes neither.
pub fn negotiate(headers: &HeaderMap) -> Option<MediaType> {
    let ranges = ranges(headers);
    if ranges.is_empty() && is_silent(headers) {
        return Some(MediaType::Json);
    }
    let modern = weight(&ranges, MediaType::GraphqlResponse);
    let json = weight(&ranges, MediaType::Json);
    // A client that names the modern type knows it; one that takes anything gets what every client can read.
    let knows_modern = ranges.iter().any(|range| range.essence == MediaType::GraphqlResponse.essence());
    match (modern, json) {
        (0, 0) => None,
        _ if modern > json || (modern == json && knows_modern) => Some(MediaType::GraphqlResponse),
        _ => Some(MediaType::Json),
    }
}

/// Without the header, or with an empty one, a client takes anything.
fn is_silent(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().all(|value| value.as_bytes().trim_ascii().is_empty())
}

/// One of the ranges of an `Accept` header.
struct Range {
    /// `type/subtype`, in lower case.
    essence: String,
    /// Thousandths, 0 to 1000.
    weight: u16,
}

/// All ranges of all `Accept` headers; what cannot be read, or asks for another charset than UTF-8, is left out.
fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| split(value, ',')).filter_map(range).collect()
}

fn range(text: &str) -> Option<Range> {
    let mut parts = split(text, ';').into_iter();
    let essence = parts.next()?.to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/')?;
    if kind.is_empty() || subtype.is_empty() {
        return None;
    }
    let mut weight = 1_000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => weight = thousandths(value.trim())?,
            "charset" if !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8") => return None,
            _ => {}
        }
    }
    Some(Range { essence, weight })
}

/// `0`, `1`, `0.5`, `0.125`: at most three digits, at most one.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u16 = if is_digits { format!("{fraction:0<3}").parse().ok()? } else { return None };
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

/// What the most specific range that covers the media type gives it; 0 where none does.
fn weight(ranges: &[Range], media_type: MediaType) -> u16 {
    let covering = ranges.iter().filter_map(|range| {
        let specificity = match range.essence.as_str() {
            "*/*" => 0,
            "application/*" => 1,
            essence if essence == media_type.essence() => 2,
            _ => return None,
        };
        Some((specificity, range.weight))
    });
    covering.max().map_or(0, |(_, weight)| weight)
}

/// Splits at a separator that does not stand in a quoted string.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let parts = text.split(|character| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return character == separator && !is_quoted,
        }
        false
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(accept: &[&'static str]) -> Option<MediaType> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        negotiate(&headers)
    }

    #[test]
    fn accept_decides_the_media_type() {
        let (modern, json) = (Some(MediaType::GraphqlResponse), Some(MediaType::Json));
        for (accept, expected) in [
            ("", json),
            ("application/json", json),
            ("*/*", json),
            ("application/*", json),
            ("APPLICATION/JSON", json),
            ("application/json; charset=utf-8", json),
            ("application/json; charset=\"UTF-8\"", json),
            ("application/graphql-response+json", modern),
            ("application/graphql-response+json, application/json;q=0.9", modern),
            ("application/json, application/graphql-response+json", modern),
            ("text/html, */*;q=0.1", json),
            // The weight ranks, not the place.
            ("application/json, application/graphql-response+json;q=0.5", json),
            ("application/json;q=0.500, application/graphql-response+json;q=0.501", modern),
            // Zero excludes, also against a wildcard that includes.
            ("application/graphql-response+json;q=0, application/json", json),
            ("*/*, application/json;q=0", modern),
            ("application/*;q=0, */*", None),
            ("application/json;q=0.000", None),
            // The most specific range decides, though a wider one weighs more.
            ("*/*;q=1, application/json;q=0.1, application/graphql-response+json;q=0.2", modern),
            ("application/*;q=0.9, application/json;q=0.1", modern),
            // What cannot be read is as if it were not there.
            ("application/json;q=high", None),
            ("application/json;q=1.5, */*;q=0.1", json),
            ("application/json;q=0.1234", None),
            ("application/json;q=-1", None),
            ("application/json;q", None),
            ("json", None),
            ("text/html", None),
            ("application/json; charset=latin1", None),
            // Quoted strings may hold separators.
            ("multipart/mixed;boundary=\",application/json,\"", None),
            ("multipart/mixed;boundary=\"a\\\",b\", application/json", json),
            (", ,application/json,,", json),
        ] {
            assert_eq!(negotiated(&[accept]), expected, "{accept}");
        }
        assert_eq!(negotiated(&[]), json);
        assert_eq!(negotiated(&["text/html", "application/graphql-response+json"]), modern, "repeated headers are one");
    }
}
