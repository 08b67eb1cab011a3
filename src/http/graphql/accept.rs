//! Content negotiation by the rules of RFC 9110: the most specific range decides, the quality value ranks, zero excludes.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::http::{
    header_list,
    media_type::{self, MediaRange},
    streams::Framing,
};

/// The media type of a single response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: the status tells whether the request was valid.
    GraphqlResponse,
    /// `application/json`: any GraphQL response has status 200, as older clients expect.
    Json,
}

impl MediaType {
    const fn essence(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json",
            Self::Json => "application/json",
        }
    }

    /// The value of the response's `Content-Type`.
    pub const fn header(self) -> HeaderValue {
        match self {
            Self::GraphqlResponse => HeaderValue::from_static("application/graphql-response+json; charset=utf-8"),
            Self::Json => media_type::JSON,
        }
    }
}

/// The formats that a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedFormats {
    /// For a single response.
    pub media_type: Option<MediaType>,
    /// For a stream of responses.
    framing: Option<Framing>,
    /// True if the client prefers a stream to a single response.
    prefers_stream: bool,
}

impl AcceptedFormats {
    /// The framing of an operation's stream. A subscription is streamed if the client accepts a stream; a query or mutation
    /// only if the client prefers one.
    pub fn framing(self, is_subscription: bool) -> Option<Framing> {
        self.framing.filter(|_| is_subscription || self.prefers_stream)
    }
}

/// Evaluates the `Accept` headers. `None` if the client accepts none of the formats.
pub fn negotiate(headers: &HeaderMap) -> Option<AcceptedFormats> {
    let ranges = media_type::accepted(headers);
    if ranges.is_empty() && has_no_accept(headers) {
        return Some(AcceptedFormats { media_type: Some(MediaType::Json), framing: None, prefers_stream: false });
    }
    let modern = weight(&ranges, MediaType::GraphqlResponse);
    let json = weight(&ranges, MediaType::Json);
    // A client that names the modern type knows it. One that accepts any type gets the type that every client can read.
    let knows_modern = ranges.iter().any(|range| range.essence == MediaType::GraphqlResponse.essence());
    let media_type = match (modern, json) {
        (0, 0) => None,
        _ if modern > json || (modern == json && knows_modern) => Some(MediaType::GraphqlResponse),
        _ => Some(MediaType::Json),
    };
    // Wildcards do not select a stream: a client that accepts any type does not expect an endless response.
    let events = stream_weight(&ranges, |range| range.essence == "text/event-stream");
    let parts = stream_weight(&ranges, |range| range.essence == "multipart/mixed" && range.knows_subscriptions);
    let framing = match (events, parts) {
        (0, 0) => None,
        _ if parts > events => Some(Framing::Multipart),
        _ => Some(Framing::EventStream),
    };
    let prefers_stream = events.max(parts) > modern.max(json);
    (media_type.is_some() || framing.is_some()).then_some(AcceptedFormats { media_type, framing, prefers_stream })
}

fn stream_weight(ranges: &[MediaRange], matches: impl Fn(&MediaRange) -> bool) -> u16 {
    ranges.iter().filter(|range| matches(range)).map(|range| range.weight).max().unwrap_or(0)
}

/// True if `Accept` is missing or empty, which means that the client accepts any type.
fn has_no_accept(headers: &HeaderMap) -> bool {
    header_list::items(headers, &header::ACCEPT).is_empty()
}

/// The weight of the most specific range that matches the media type; 0 if none does.
fn weight(ranges: &[MediaRange], media_type: MediaType) -> u16 {
    let matching = ranges.iter().filter_map(|range| {
        let specificity = match range.essence.as_str() {
            "*/*" => 0,
            "application/*" => 1,
            essence if essence == media_type.essence() => 2,
            _ => return None,
        };
        Some((specificity, range.weight))
    });
    matching.max().map_or(0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(accept: &[&'static str]) -> Option<AcceptedFormats> {
        let values = accept.iter().map(|value| (header::ACCEPT, HeaderValue::from_static(value)));
        negotiate(&values.collect())
    }

    fn negotiated(accept: &[&'static str]) -> Option<MediaType> {
        formats(accept).and_then(|formats| formats.media_type)
    }

    #[test]
    fn a_stream_is_selected_only_by_its_name() {
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
            let formats = formats(&[accept]).unwrap();
            assert_eq!((formats.framing(true), formats.framing(false)), (subscription, query), "{accept}");
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
            // The weight decides, not the position.
            ("application/json, application/graphql-response+json;q=0.5", json),
            ("application/json;q=0.500, application/graphql-response+json;q=0.501", modern),
            // Zero excludes a type, even if a wildcard includes it.
            ("application/graphql-response+json;q=0, application/json", json),
            ("*/*, application/json;q=0", modern),
            ("application/*;q=0, */*", None),
            ("application/json;q=0.000", None),
            // The most specific range decides, even if a wider one has more weight.
            ("*/*;q=1, application/json;q=0.1, application/graphql-response+json;q=0.2", modern),
            ("application/*;q=0.9, application/json;q=0.1", modern),
            // What cannot be read is left out.
            ("application/json;q=high", json),
            ("application/json;q=1.5, */*;q=0.1", json),
            ("application/json;q=0.1234", json),
            ("application/json;q=-1", json),
            ("application/json;q", json),
            ("application/json; q=.8", json),
            ("application/json;q=1.0000, application/graphql-response+json;q=.9", json),
            ("application/json;q=.1, application/graphql-response+json;q=.2", modern),
            ("json", json),
            ("*", json),
            ("*;q=0", None),
            ("text/html, json", json),
            // Java up to JDK 18, if the program sets nothing.
            ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", json),
            ("text/html", None),
            ("application/json; charset=utf8", json),
            ("application/json; charset=\"UTF8\"", json),
            ("application/json; charset=latin1", None),
            // Quoted strings may contain separators.
            ("multipart/mixed;boundary=\",application/json,\"", None),
            ("multipart/mixed;boundary=\"a\\\",b\", application/json", json),
            (", ,application/json,,", json),
        ] {
            assert_eq!(negotiated(&[accept]), expected, "{accept}");
        }
        assert_eq!(negotiated(&[]), json);
        assert_eq!(
            negotiated(&["text/html", "application/graphql-response+json"]),
            modern,
            "repeated headers form one list"
        );
    }
}
