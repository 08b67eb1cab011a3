//! Media types in the headers `Accept` and `Content-Type`.

use axum::http::{HeaderMap, HeaderValue, header};

use super::header_list::{self, Item};

/// The `Content-Type` of JSON responses.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The parameter by which clients name the version of Apollo's subscription protocol. Other protocols share its media
/// type.
const SUBSCRIPTION_SPEC: &str = "subscriptionSpec";

/// The range that accepts any type.
const ANY: &str = "*/*";

/// The media type of a body in lower case and without parameters. `None` if it is missing, malformed, or its charset is
/// not UTF-8.
pub fn of_body(headers: &HeaderMap) -> Option<String> {
    let media_type = Item::read(headers.get(header::CONTENT_TYPE)?.to_str().ok()?);
    essence(media_type.value).filter(|_| is_utf8(&media_type))
}

/// One range of an `Accept` header.
#[derive(Debug, PartialEq, Eq)]
pub struct MediaRange {
    /// `type/subtype` in lower case. Both, or the subtype, may be `*`.
    pub essence: String,
    /// The quality value in thousandths, 0 to 1000.
    pub weight: u16,
    /// True if the parameter `subscriptionSpec` is 1.0.
    pub knows_subscriptions: bool,
}

/// The ranges of all `Accept` headers, without those whose charset is not UTF-8. A range that is no media type, such as the
/// `*` of old Java programs, stands for any type: its sender expects an answer.
pub fn accepted(headers: &HeaderMap) -> Vec<MediaRange> {
    let items = header_list::items(headers, &header::ACCEPT);
    items.iter().filter_map(|item| range(&Item::read(item))).collect()
}

fn range(item: &Item<'_>) -> Option<MediaRange> {
    let essence = essence(item.value).unwrap_or_else(|| ANY.to_owned());
    let knows_subscriptions = item.parameter(SUBSCRIPTION_SPEC) == Some("1.0");
    is_utf8(item).then(|| MediaRange { essence, weight: item.weight(), knows_subscriptions })
}

/// `type/subtype` in lower case. `None` if the text is no media type.
fn essence(text: &str) -> Option<String> {
    let (kind, subtype) = text.split_once('/')?;
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-*".contains(&byte))
    };
    (is_token(kind) && is_token(subtype)).then(|| text.to_ascii_lowercase())
}

/// The labels are those of the web: many programs leave out the hyphen.
fn is_utf8(item: &Item<'_>) -> bool {
    let is_label = |charset: &str| charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8");
    item.parameter("charset").is_none_or(|charset| charset.is_empty() || is_label(charset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_of_a_body_has_no_parameters_and_is_in_utf8() {
        for (value, expected) in [
            ("application/json", Some("application/json")),
            ("Application/JSON;charset=UTF-8", Some("application/json")),
            ("text/csv ; charset=\"utf-8\" ; header=present", Some("text/csv")),
            ("application/json;", Some("application/json")),
            ("application/json;charset=utf8", Some("application/json")),
            ("application/json; charset", Some("application/json")),
            ("application/json; charset=", Some("application/json")),
            ("application/json; charset=\"UTF8\"", Some("application/json")),
            ("application/json; charset=latin1", None),
            ("application/json; charset=utf-16", None),
            ("json", None),
            ("application/json, text/plain", None),
            ("/json", None),
            ("", None),
        ] {
            let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(of_body(&headers).as_deref(), expected, "{value}");
        }
        assert_eq!(of_body(&HeaderMap::new()), None);
    }
}
