//! Route templates: replaces ids in paths by a placeholder, so that all orders are one endpoint. `GET /orders/123?full=1`
//! becomes `GET /orders/:id`. Pure and idempotent.
//!
//! Segments that are a number, a UUID or a hex string are replaced, and long ones of these within a segment
//! (`invoice-20260131.pdf` becomes `invoice-:id.pdf`). Percent-encoded and plain text have one spelling ([`escapes`]), and so
//! have the parameters of web frameworks ([`parameters`]). Text without `/` is not a path and stays unchanged.

pub mod escapes;
mod parameters;

use std::borrow::Cow;

use self::{
    escapes::{ESCAPE_LENGTH, decoded, escape},
    parameters::{is_optional_mark, parameter, without_patterns},
};
use crate::model::MetricType;

/// The replacement of an id.
const PLACEHOLDER: &str = ":id";

/// Minimum number of digits of an id within a segment. Shorter numbers are versions or sizes.
const NUMBER_DIGITS_MIN: usize = 6;

/// Minimum length of a hex string that is a whole segment. Shorter ones are words such as `cafe` or `b2b`.
const HEX_SEGMENT_MIN: usize = 8;

/// Minimum length of a hex string within a segment, where more words are hex by chance.
const HEX_PART_MIN: usize = 16;

/// Returns whether endpoints of this type are HTTP paths.
pub const fn is_path(kind: MetricType) -> bool {
    matches!(kind, MetricType::ApiResponse | MetricType::PageLoad)
}

/// Replaces every id by the placeholder, gives escapes and parameters one spelling, and removes the query string.
pub fn template(endpoint: &str) -> Cow<'_, str> {
    if !endpoint.contains('/') {
        return Cow::Borrowed(endpoint);
    }
    // Before the query string is looked for, and again where an escape or an id became the beginning of a pattern.
    changed(changed(without_patterns(endpoint), templated), without_patterns)
}

fn changed(text: Cow<'_, str>, change: fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => change(text),
        Cow::Owned(text) => match change(&text) {
            Cow::Borrowed(same) if same.len() == text.len() => Cow::Owned(text),
            other => Cow::Owned(other.into_owned()),
        },
    }
}

fn templated(endpoint: &str) -> Cow<'_, str> {
    let path = without_query(endpoint);
    if !path.contains('/') {
        return Cow::Borrowed(endpoint);
    }
    if !path.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'%' | b'{' | b'<' | b'[')) {
        return Cow::Borrowed(path);
    }
    let path = decoded(path);
    let mut made = String::with_capacity(path.len());
    for (place, segment) in path.split('/').enumerate() {
        if place > 0 {
            made.push('/');
            push_segment(&mut made, segment);
        } else {
            // The method and, in a path without leading slash, the first segment.
            let at = segment.rfind(' ').map_or(0, |space| space + 1);
            let (method, first) = segment.split_at(at);
            made.push_str(method);
            push_segment(&mut made, first);
        }
    }
    Cow::Owned(made)
}

/// Cuts at `?`, and at `#` unless the route of a single-page application follows (`#/`, `#!/`).
fn without_query(endpoint: &str) -> &str {
    let mut marks = endpoint.match_indices('?').map(|(at, _)| at);
    let path = marks.find(|at| !is_optional_mark(endpoint, *at)).map_or(endpoint, |at| &endpoint[..at]);
    match path.split_once('#') {
        Some((before, fragment)) if !fragment.starts_with('/') && !fragment.starts_with("!/") => before,
        _ => path,
    }
}

fn push_segment(made: &mut String, segment: &str) {
    if is_id(segment) {
        made.push_str(PLACEHOLDER);
        return;
    }
    let mut rest = segment;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            'a'..='z' | 'A'..='Z' | '0'..='9' => part(rest),
            other => {
                let found = parameter(rest);
                let found = found.filter(|(name, length)| !has_long_id(name) && !is_word(&rest[*length..]));
                let length = if let Some((name, length)) = found {
                    made.push(':');
                    made.push_str(name);
                    length
                } else {
                    // The digits of an escape are no part of an id.
                    let length = escape(rest).map_or(other.len_utf8(), |_| ESCAPE_LENGTH);
                    made.push_str(&rest[..length]);
                    length
                };
                rest = &rest[length..];
                continue;
            }
        };
        let (part, behind) = rest.split_at(length);
        made.push_str(if is_uuid(part) || is_long_id(part) { PLACEHOLDER } else { part });
        rest = behind;
    }
}

/// The length of the UUID, or of the run of letters and digits, at the start of `rest`.
fn part(rest: &str) -> usize {
    let run = |text: &str| text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    match rest.get(..UUID_LENGTH) {
        Some(first) if is_uuid(first) && run(&rest[UUID_LENGTH..]) == 0 => UUID_LENGTH,
        _ => run(rest),
    }
}

/// True for text that begins with a word. Glued to it, the name of a parameter would be read as another one.
fn is_word(text: &str) -> bool {
    let first = &text[..part(text)];
    text.starts_with('_') || !(first.is_empty() || is_uuid(first) || is_long_id(first))
}

fn is_id(segment: &str) -> bool {
    let is_number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let hex = segment.strip_prefix("0x").unwrap_or(segment);
    is_number || is_uuid(segment) || (hex.len() >= HEX_SEGMENT_MIN && is_hex(hex))
}

fn is_long_id(part: &str) -> bool {
    let is_number = part.len() >= NUMBER_DIGITS_MIN && part.bytes().all(|byte| byte.is_ascii_digit());
    is_number || (part.len() >= HEX_PART_MIN && is_hex(part))
}

/// True if a part of a parameter's name would be replaced itself.
fn has_long_id(name: &str) -> bool {
    is_uuid(name) || name.split(|character: char| !character.is_ascii_alphanumeric()).any(is_long_id)
}

/// Hex digits, at least one of them not a letter: `facade` and `decade` are words.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.bytes().any(|byte| byte.is_ascii_digit())
}

const UUID_LENGTH: usize = 36;

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_LENGTH
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_become_placeholders_and_words_stay() {
        for (endpoint, expected) in [
            ("GET /orders/123", "GET /orders/:id"),
            ("/orders/123/items/4?full=1&q=/9", "/orders/:id/items/:id"),
            ("PUT /users/0190f3c2-7d0a-7c3e-8d52-2f1f6a3b9c11", "PUT /users/:id"),
            ("/files/report-0190f3c2-7d0a-7c3e-8d52-2f1f6a3b9c11.pdf", "/files/report-:id.pdf"),
            ("/commits/9fceb02", "/commits/9fceb02"),
            ("/commits/9fceb02d", "/commits/:id"),
            ("/blobs/0xDEADBEEF01", "/blobs/:id"),
            ("/objects/507f1f77bcf86cd799439011", "/objects/:id"),
            ("/invoices/invoice-20260131.pdf", "/invoices/invoice-:id.pdf"),
            ("https://shop.example/cart/17#top", "https://shop.example/cart/:id"),
            ("/app#/orders/17?tab=2", "/app#/orders/:id"),
            ("/api/v2/b2b/facade/decade", "/api/v2/b2b/facade/decade"),
            ("/sizes/640x480/page-2", "/sizes/640x480/page-2"),
            ("/straße/12", "/straße/:id"),
            ("/stra%C3%9fe/%31%32", "/straße/:id"),
            ("GET /caf%C3%A9?q=%20", "GET /café"),
            ("GET /files/my%20report.pdf", "GET /files/my report.pdf"),
            ("/groups/a%2fb/%3F", "/groups/a%2Fb/%3F"),
            ("/files/x%2F0123456789abcdef", "/files/x%2F:id"),
            ("/%e4/%zz/100%", "/%E4/%zz/100%"),
            ("GET /orders/{id}", "GET /orders/:id"),
            ("GET /orders/<id>", "GET /orders/:id"),
            ("GET /orders/[id]", "GET /orders/:id"),
            ("GET /orders/%7Bid%7D/%5bid%5d/%3Cint:id%3e/%3aid", "GET /orders/:id/:id/:id/:id"),
            ("/orders/{orderId:[0-9]+}/items/<uuid:item_id>?x={y}", "/orders/:orderId/items/:item_id"),
            ("/orders/{id?}", "/orders/:id"),
            ("/orders/:id?", "/orders/:id"),
            ("/docs/[[...slug]]", "/docs/:slug"),
            ("/a/{id}x/{id}_x/{id}-x/{id}1234567", "/a/{id}x/{id}_x/:id-x/:id:id"),
            ("/invoices/invoice-{id}.pdf", "/invoices/invoice-:id.pdf"),
            ("http://[::1]:8080/orders/7", "http://[::1]:8080/orders/:id"),
            ("^orders/(?P<pk>[^/.]+)/$", "^orders/:pk/$"),
            ("/orders/(?P<id>\\d+)?x=(?P<y>z)", "/orders/:id"),
            ("GET /orders/:id(\\d{6,})?", "GET /orders/:id"),
            ("/orders/:id%28x%29/7", "/orders/:id/:id"),
            ("/files/report-20260131 (1).pdf", "/files/report-:id (1).pdf"),
            ("select f(1) / 2", "select f(1) / 2"),
            ("/a/{}/{1}/[a b]/{0123456789abcdef}", "/a/{}/{1}/[a b]/{:id}"),
            ("/orders/:id", "/orders/:id"),
            ("orders/7", "orders/:id"),
            ("/", "/"),
            ("/?page=2", "/"),
            ("query Orders?", "query Orders?"),
            ("select 1", "select 1"),
            ("", ""),
        ] {
            assert_eq!(template(endpoint), expected, "{endpoint}");
        }
    }

    proptest! {
        #[test]
        fn templates_are_idempotent_and_bounded_in_length(
            endpoint in "([A-Z]{3,6} )?(/?([a-f0-9]{1,20}|[a-z]{1,8}|[0-9]{1,12}|[-._~%:ä?#<>\\[\\]]{1,2}|%[0-9a-fA-F]{2}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})){0,8}"
        ) {
            let once = template(&endpoint).into_owned();
            prop_assert_eq!(template(&once), once.as_str());
            let segments = endpoint.matches('/').count();
            prop_assert!(once.matches('/').count() <= segments);
            prop_assert!(once.len() <= endpoint.len() + 2 * (segments + 1));
            if without_query(&endpoint).contains('/') {
                prop_assert!(!once.contains('?'));
                prop_assert!(!once.split('/').skip(1).any(is_id), "{}", once);
            }
        }

        #[test]
        fn templates_of_escapes_and_parameters_are_idempotent(
            endpoint in "/([{}<>()\\[\\]%:/?]|\\(\\?P<id>|:id\\(|%[0-9a-fA-F]{2}|%7[bBdD]|%5[bBdD]|%2[89]|[a-f0-9]{1,17}|id){0,12}"
        ) {
            let once = template(&endpoint).into_owned();
            prop_assert_eq!(template(&once), once.as_str());
        }

        #[test]
        fn templates_of_any_text_are_idempotent(endpoint in ".{0,40}") {
            let once = template(&endpoint).into_owned();
            prop_assert_eq!(template(&once), once.as_str());
        }

        #[test]
        fn ids_of_the_same_kind_have_the_same_template(a in 0_u64.., b in 0_u64.., x in any::<u128>(), y in any::<u128>()) {
            let of = |id: String| template(&format!("/a/{id}")).into_owned();
            prop_assert_eq!(of(a.to_string()), of(b.to_string()));
            let uuid = |bits: u128| {
                let hex = format!("{bits:032x}");
                [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
            };
            prop_assert_eq!(of(uuid(x)), of(uuid(y)));
        }
    }
}
