//! Which media type a client wants its answer in, by the rules of RFC 9110: the most specific range decides, its weight
//! ranks, zero excludes.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::http::streams::Framing;

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

/// What a client takes, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// For one answer.
    pub media_type: Option<MediaType>,
    /// For a stream of answers.
    framing: Option<Framing>,
    /// Whether it would rather have a stream, also of one answer.
    prefers_stream: bool,
}

impl Wish {
    /// How to stream an operation: always if it is a subscription, otherwise when that was asked for in the first place.
    pub fn framing(self, is_subscription: bool) -> Option<Framing> {
        self.framing.filter(|_| is_subscription || self.prefers_stream)
    }
}

/// Reads the `Accept` headers; `None` when the client takes nothing of what is served here.
pub fn negotiate(headers: &HeaderMap) -> Option<Wish> {
    let ranges = ranges(headers);
    if ranges.is_empty() && is_silent(headers) {
        return Some(Wish { media_type: Some(MediaType::Json), framing: None, prefers_stream: false });
    }
    let modern = weight(&ranges, MediaType::GraphqlResponse);
    let json = weight(&ranges, MediaType::Json);
    // A client that names the modern type knows it; one that takes anything gets what every client can read.
    let knows_modern = ranges.iter().any(|range| range.essence == MediaType::GraphqlResponse.essence());
    let media_type = match (modern, json) {
        (0, 0) => None,
        _ if modern > json || (modern == json && knows_modern) => Some(MediaType::GraphqlResponse),
        _ => Some(MediaType::Json),
    };
    // Streams have to be named: who takes anything does not mean an endless answer.
    let events = named_weight(&ranges, |range| range.essence == "text/event-stream");
    let parts = named_weight(&ranges, |range| range.essence == "multipart/mixed" && range.knows_subscriptions);
    let framing = match (events, parts) {
        (0, 0) => None,
        _ if parts > events => Some(Framing::Multipart),
        _ => Some(Framing::EventStream),
    };
    let prefers_stream = events.max(parts) > modern.max(json);
    (media_type.is_some() || framing.is_some()).then_some(Wish { media_type, framing, prefers_stream })
}

fn named_weight(ranges: &[Range], is_it: impl Fn(&Range) -> bool) -> u16 {
    ranges.iter().filter(|range| is_it(range)).map(|range| range.weight).max().unwrap_or(0)
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
    /// Whether it says that it means Apollo's protocol for subscriptions; other protocols share its media type.
    knows_subscriptions: bool,
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
    let mut knows_subscriptions = false;
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => weight = thousandths(value.trim())?,
            "charset" if !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8") => return None,
            "subscriptionspec" => knows_subscriptions = value.trim().trim_matches('"') == "1.0",
            _ => {}
        }
    }
    Some(Range { essence, weight, knows_subscriptions })
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

    fn wish(accept: &[&'static str]) -> Option<Wish> {
        let values = accept.iter().map(|value| (header::ACCEPT, HeaderValue::from_static(value)));
        negotiate(&values.collect())
    }

    fn negotiated(accept: &[&'static str]) -> Option<MediaType> {
        wish(accept).and_then(|wish| wish.media_type)
    }

    #[test]
    fn streams_are_for_those_who_name_them() {
        let (events, parts) = (Some(Framing::EventStream), Some(Framing::Multipart));
        for (accept, subscription, query) in [
            ("text/event-stream", events, events),
            ("multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"", parts, parts),
            ("multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json", parts, None),
            ("multipart/mixed;subscriptionSpec=1.0, application/json;q=0.9", parts, parts),
            ("multipart/mixed;deferSpec=20220824,application/json", None, None),
            ("multipart/mixed;subscriptionSpec=2.0,application/json", None, None),
            ("application/graphql-response+json, application/json, text/event-stream, multipart/mixed", events, None),
            ("text/event-stream, multipart/mixed;subscriptionSpec=1.0", events, events),
            ("text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0", parts, parts),
            ("text/event-stream;q=0, application/json", None, None),
            ("application/json, text/event-stream;q=0.1", events, None),
            ("*/*", None, None),
            ("text/*, application/json", None, None),
        ] {
            let wish = wish(&[accept]).unwrap();
            assert_eq!((wish.framing(true), wish.framing(false)), (subscription, query), "{accept}");
        }
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
