//! Media types in the headers `Accept` and `Content-Type`, parsed by the crate `mediatype`.

use axum::http::{HeaderMap, HeaderValue, header};
use mediatype::{
    MediaType, MediaTypeList, Name, ReadParams,
    names::{CHARSET, Q},
};

/// The `Content-Type` of JSON responses.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The parameter by which clients name the version of Apollo's subscription protocol. Other protocols share its media
/// type.
const SUBSCRIPTION_SPEC: Name<'_> = Name::new_unchecked("subscriptionSpec");

/// The media type of a body in lower case and without parameters. `None` if it is missing, malformed, or its charset is
/// not UTF-8.
pub fn of_body(headers: &HeaderMap) -> Option<String> {
    let media_type = MediaType::parse(headers.get(header::CONTENT_TYPE)?.to_str().ok()?).ok()?;
    is_utf8(&media_type).then(|| essence(&media_type))
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

/// The ranges of all `Accept` headers. Ranges that are malformed, or whose charset is not UTF-8, are left out.
pub fn accepted(headers: &HeaderMap) -> Vec<MediaRange> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(MediaTypeList::new).filter_map(|media_type| range(&media_type.ok()?)).collect()
}

fn range(media_type: &MediaType<'_>) -> Option<MediaRange> {
    if !is_utf8(media_type) {
        return None;
    }
    let weight = media_type.get_param(Q).map_or(Some(1_000), |value| thousandths(&value.unquoted_str()))?;
    let knows_subscriptions =
        media_type.get_param(SUBSCRIPTION_SPEC).is_some_and(|value| value.unquoted_str() == "1.0");
    Some(MediaRange { essence: essence(media_type), weight, knows_subscriptions })
}

fn essence(media_type: &MediaType<'_>) -> String {
    media_type.essence().to_string().to_ascii_lowercase()
}

fn is_utf8(media_type: &MediaType<'_>) -> bool {
    media_type.get_param(CHARSET).is_none_or(|charset| charset.unquoted_str().eq_ignore_ascii_case("utf-8"))
}

/// A quality value (`0`, `1`, `0.5`, `0.125`): at most 1, with at most three digits after the point.
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
            ("application/json; charset=latin1", None),
            ("json", None),
            ("", None),
        ] {
            let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(of_body(&headers).as_deref(), expected, "{value}");
        }
        assert_eq!(of_body(&HeaderMap::new()), None);
    }
}
