//! Validation row by row: a candidate becomes a measurement, or a rejection with the field and the fix. Pure.

use std::borrow::Cow;

use super::{
    late::LateCounts,
    submission::{Candidate, Rejection, RejectionCode},
    template::{is_path, template},
};
use crate::{
    config,
    model::{
        Label, Labels, Measurement, MetricType, Timestamp,
        timestamp::{HOUR_MICROS, MINUTE_MICROS},
    },
};

/// The result of validation.
#[derive(Debug)]
pub struct Validated {
    /// The valid rows, in their order.
    pub measurements: Vec<Measurement>,
    /// The invalid rows, by index.
    pub rejected: Vec<Rejection>,
    /// The number of rejected rows that were too old.
    pub late: LateCounts,
}

/// Separates valid rows from rejections.
pub fn validate(candidates: Vec<Candidate>, now: Timestamp, settings: &config::Ingest) -> Validated {
    let window = TimeWindow::around(now, settings);
    let mut measurements = Vec::with_capacity(candidates.len());
    let mut rejected = Vec::new();
    let mut late = LateCounts::default();
    for (index, candidate) in (0_u32..).zip(candidates) {
        let (kind, timestamp) = (candidate.kind, candidate.timestamp);
        match check(candidate, &window, settings) {
            Ok(measurement) => measurements.push(measurement),
            Err((code, message)) => {
                if let (RejectionCode::TimestampTooOld, Some(happened)) = (code, timestamp) {
                    late.add(kind, happened, now);
                }
                rejected.push(Rejection::new(index, code, message));
            }
        }
    }
    Validated { measurements, rejected, late }
}

/// A reason without its row.
type Refusal = (RejectionCode, String);

/// The time window of accepted measurements.
struct TimeWindow {
    now: Timestamp,
    from: Timestamp,
    to: Timestamp,
}

impl TimeWindow {
    fn around(now: Timestamp, settings: &config::Ingest) -> Self {
        let past = i64::from(settings.time_window_past_hours).saturating_mul(HOUR_MICROS);
        let future = i64::from(settings.time_window_future_minutes).saturating_mul(MINUTE_MICROS);
        Self { now, from: now.plus_micros(-past), to: now.plus_micros(future) }
    }
}

fn check(candidate: Candidate, window: &TimeWindow, settings: &config::Ingest) -> Result<Measurement, Refusal> {
    let Candidate { kind, value, endpoint, status, timestamp, name, release, labels } = candidate;
    Ok(Measurement {
        kind,
        value: check_value(value, kind.value_max())?,
        endpoint: check_endpoint(templated(kind, endpoint, settings), settings.endpoint_bytes_max)?,
        status: check_status(status)?,
        timestamp: check_timestamp(timestamp, window)?,
        name: check_tag(name, &NAME, settings.tag_bytes_max)?,
        release: check_tag(release, &RELEASE, settings.tag_bytes_max)?,
        labels: check_labels(labels, settings)?,
    })
}

fn check_value(value: f64, max: f64) -> Result<f64, Refusal> {
    if !value.is_finite() {
        let message = format!("{} is not a number that can be averaged; send a finite number", shown(value));
        Err((RejectionCode::ValueNotFinite, message))
    } else if value < 0.0 {
        let message = format!("{} is negative; send a number from 0 to {max}", shown(value));
        Err((RejectionCode::ValueNegative, message))
    } else if value > max {
        let message =
            format!("{} is above the largest value of this type; send a number from 0 to {max}", shown(value));
        Err((RejectionCode::ValueTooLarge, message))
    } else {
        // Turns -0.0 into 0.0, which every engine sorts and prints alike.
        Ok(value + 0.0)
    }
}

/// Formats a number for a message; very large and very small ones with an exponent.
fn shown(value: f64) -> String {
    if value.is_finite() && value != 0.0 && !(1e-6..1e16).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// Replaces ids in paths. Runs before the check of the length, because it also removes the query string.
fn templated(kind: MetricType, endpoint: String, settings: &config::Ingest) -> String {
    if !settings.endpoint_templates || !is_path(kind) {
        return endpoint;
    }
    match template(&endpoint) {
        Cow::Borrowed(same) if same.len() == endpoint.len() => endpoint,
        other => other.into_owned(),
    }
}

fn check_endpoint(endpoint: String, bytes_max: usize) -> Result<String, Refusal> {
    if endpoint.is_empty() {
        let message = "is empty; send the route, page, query or cache that was measured".to_owned();
        Err((RejectionCode::EndpointEmpty, message))
    } else if endpoint.len() > bytes_max {
        let message = format!(
            "is {} bytes long; send at most {bytes_max}, with ids in paths replaced by a placeholder",
            endpoint.len()
        );
        Err((RejectionCode::EndpointTooLong, message))
    } else if endpoint.chars().any(char::is_control) {
        let message = "contains control characters; send printable text".to_owned();
        Err((RejectionCode::EndpointInvalid, message))
    } else {
        Ok(endpoint)
    }
}

fn check_status(status: Option<i32>) -> Result<i16, Refusal> {
    match status {
        None | Some(0) => Ok(0),
        Some(code @ 100..=599) => Ok(i16::try_from(code).unwrap_or(0)),
        Some(code) => {
            let message = format!("{code} is not an HTTP status; send 100 to 599, or 0 or nothing for none");
            Err((RejectionCode::StatusOutOfRange, message))
        }
    }
}

fn check_timestamp(timestamp: Option<Timestamp>, window: &TimeWindow) -> Result<Timestamp, Refusal> {
    let timestamp = timestamp.unwrap_or(window.now);
    let refuse = |code, side| {
        let TimeWindow { from, to, .. } = window;
        let message = format!("{timestamp} is {side} the allowed window; send a time from {from} to {to}");
        Err((code, message))
    };
    if timestamp < window.from {
        refuse(RejectionCode::TimestampTooOld, "before")
    } else if timestamp > window.to {
        refuse(RejectionCode::TimestampTooNew, "after")
    } else {
        Ok(timestamp)
    }
}

/// The rejection codes of an optional short text.
struct Tag {
    too_long: RejectionCode,
    invalid: RejectionCode,
}

const NAME: Tag = Tag { too_long: RejectionCode::NameTooLong, invalid: RejectionCode::NameInvalid };
const RELEASE: Tag = Tag { too_long: RejectionCode::ReleaseTooLong, invalid: RejectionCode::ReleaseInvalid };

/// Trims surrounding whitespace, so that the same tag with and without it is one tag.
fn check_tag(text: Option<String>, tag: &Tag, bytes_max: usize) -> Result<String, Refusal> {
    let Some(text) = text else { return Ok(String::new()) };
    let trimmed = text.trim();
    if trimmed.len() > bytes_max {
        let message = format!("is {} bytes long; send at most {bytes_max}", trimmed.len());
        Err((tag.too_long, message))
    } else if trimmed.chars().any(char::is_control) {
        Err((tag.invalid, "contains control characters; send printable text".to_owned()))
    } else if trimmed.len() == text.len() {
        Ok(text)
    } else {
        Ok(trimmed.to_owned())
    }
}

fn check_labels(labels: Vec<Label>, settings: &config::Ingest) -> Result<Labels, Refusal> {
    let (most, key_max, value_max) =
        (settings.labels_max, settings.label_key_bytes_max, settings.label_value_bytes_max);
    if labels.len() > most {
        let message = format!("has {} labels; send at most {most}", labels.len());
        return Err((RejectionCode::LabelsTooMany, message));
    }
    for (index, Label { key, value }) in labels.iter().enumerate() {
        let short = || key.chars().take(LABEL_SHOWN_MAX).collect::<String>();
        if key.is_empty() {
            let message = "has an empty key; send a name such as `region`".to_owned();
            return Err((RejectionCode::LabelInvalid, message));
        }
        if key.len() > key_max {
            let message =
                format!("has the key `{}`, which is {} bytes long; send at most {key_max}", short(), key.len());
            return Err((RejectionCode::LabelTooLong, message));
        }
        if value.len() > value_max {
            let message = format!("has a value of {} bytes under `{}`; send at most {value_max}", value.len(), short());
            return Err((RejectionCode::LabelTooLong, message));
        }
        if key.chars().chain(value.chars()).any(char::is_control) {
            let message =
                format!("contains control characters under `{}`; send printable text", short().escape_debug());
            return Err((RejectionCode::LabelInvalid, message));
        }
        if labels[..index].iter().any(|earlier| earlier.key == *key) {
            let message = format!("has the key `{}` twice; send each key once", short());
            return Err((RejectionCode::LabelTwice, message));
        }
    }
    Ok(Labels::of(labels))
}

/// Characters of a key that a message quotes.
const LABEL_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn good() -> Candidate {
        Candidate {
            kind: MetricType::ApiResponse,
            value: 12.5,
            endpoint: "GET /orders".to_owned(),
            status: Some(200),
            timestamp: None,
            name: None,
            release: None,
            labels: Vec::new(),
        }
    }

    fn refusal(candidate: Candidate) -> (RejectionCode, String) {
        let Validated { measurements: kept, mut rejected, .. } =
            validate(vec![good(), candidate], NOW, &config::Ingest::default());
        assert_eq!(kept.len(), 1);
        let rejection = rejected.pop().unwrap();
        assert_eq!(rejection.index, 1);
        (rejection.code, rejection.error.to_string())
    }

    #[test]
    fn every_rejection_has_its_code_and_names_its_field() {
        let value = |value| refusal(Candidate { value, ..good() });
        assert_eq!(value(f64::NAN).0, RejectionCode::ValueNotFinite);
        assert_eq!(value(f64::INFINITY).0, RejectionCode::ValueNotFinite);
        assert_eq!(value(f64::NEG_INFINITY).0, RejectionCode::ValueNotFinite);
        assert_eq!(value(-1e-300).0, RejectionCode::ValueNegative);
        assert_eq!(value(1e308).0, RejectionCode::ValueTooLarge);
        let cache = Candidate { kind: MetricType::CacheHit, value: 100.1, ..good() };
        assert_eq!(refusal(cache).0, RejectionCode::ValueTooLarge);
        let endpoint = |text: &str| refusal(Candidate { endpoint: text.to_owned(), ..good() });
        assert_eq!(endpoint("").0, RejectionCode::EndpointEmpty);
        assert_eq!(endpoint("a\0b").0, RejectionCode::EndpointInvalid);
        assert_eq!(endpoint(&"ä".repeat(251)).0, RejectionCode::EndpointTooLong);
        for status in [-1, 1, 99, 600, i32::MAX] {
            let (code, message) = refusal(Candidate { status: Some(status), ..good() });
            assert_eq!(code, RejectionCode::StatusOutOfRange);
            assert!(message.starts_with("statusCode: "), "{message}");
        }
    }

    #[test]
    fn the_window_is_inclusive_and_part_of_the_message() {
        let at = |micros| Candidate { timestamp: Some(NOW.plus_micros(micros)), ..good() };
        let (past, future) = (-7 * 86_400_000_000, 600_000_000);
        let both = validate(vec![at(past), at(future)], NOW, &config::Ingest::default());
        assert_eq!((both.measurements.len(), both.rejected.len(), both.late.is_empty()), (2, 0, true));
        let (code, message) = refusal(at(past - 1));
        assert_eq!(code, RejectionCode::TimestampTooOld);
        let (from, to) = (NOW.plus_micros(past), NOW.plus_micros(future));
        assert!(message.contains(&from.to_string()) && message.contains(&to.to_string()), "{message}");
        assert_eq!(refusal(at(future + 1)).0, RejectionCode::TimestampTooNew);
        let mut late = LateCounts::default();
        late.add(good().kind, NOW.plus_micros(past - 1), NOW);
        assert_eq!(validate(vec![at(past - 1), at(future + 1)], NOW, &config::Ingest::default()).late, late);
    }

    #[test]
    fn negative_zero_becomes_zero_and_now_is_the_default() {
        let zero = Candidate { value: -0.0, status: None, ..good() };
        let kept = validate(vec![zero], NOW, &config::Ingest::default()).measurements;
        assert!(kept[0].value.is_sign_positive());
        assert_eq!((kept[0].timestamp, kept[0].status), (NOW, 0));
    }

    #[test]
    fn ids_in_paths_are_replaced_for_types_with_paths_if_the_setting_is_on() {
        let endpoint = |kind, is_on| {
            let settings = config::Ingest { endpoint_templates: is_on, ..config::Ingest::default() };
            let candidate = Candidate { kind, endpoint: "GET /orders/17?full=1".to_owned(), ..good() };
            validate(vec![candidate], NOW, &settings).measurements.remove(0).endpoint
        };
        assert_eq!(endpoint(MetricType::ApiResponse, true), "GET /orders/:id");
        assert_eq!(endpoint(MetricType::PageLoad, true), "GET /orders/:id");
        assert_eq!(endpoint(MetricType::Database, true), "GET /orders/17?full=1");
        assert_eq!(endpoint(MetricType::ApiResponse, false), "GET /orders/17?full=1");
        let long = Candidate { endpoint: format!("/search?q={}", "x".repeat(10_000)), ..good() };
        assert_eq!(validate(vec![long], NOW, &config::Ingest::default()).measurements[0].endpoint, "/search");
    }

    #[test]
    fn tags_are_trimmed_bounded_and_printable() {
        let tagged = |name: &str, release: &str| Candidate {
            name: Some(name.to_owned()),
            release: Some(release.to_owned()),
            ..good()
        };
        let three = vec![tagged(" LCP\n", "1.4.2"), tagged("", " \t"), good()];
        let kept = validate(three, NOW, &config::Ingest::default()).measurements;
        let tags: Vec<_> = kept.iter().map(|row| (&*row.name, &*row.release, row.is_tagged())).collect();
        assert_eq!(tags, [("LCP", "1.4.2", true), ("", "", false), ("", "", false)]);
        let (code, message) = refusal(tagged(&"x".repeat(201), ""));
        assert_eq!((code, &*message), (RejectionCode::NameTooLong, "name: is 201 bytes long; send at most 200"));
        assert_eq!(refusal(tagged("", &"ä".repeat(101))).0, RejectionCode::ReleaseTooLong);
        assert_eq!(refusal(tagged("a\0b", "")).0, RejectionCode::NameInvalid);
        let (code, message) = refusal(tagged("", "a\u{7f}b"));
        assert_eq!(code, RejectionCode::ReleaseInvalid);
        assert_eq!(message, "release: contains control characters; send printable text");
        assert_eq!(code.field(), "release");
    }

    #[test]
    fn labels_are_bounded_printable_and_distinct() {
        let label = |key: &str, value: &str| Label { key: key.to_owned(), value: value.to_owned() };
        let labelled = |labels: Vec<Label>| Candidate { labels, ..good() };
        let ten: Vec<_> =
            (0..10).map(|number| label(&format!("{number}{}", "k".repeat(63)), &"ä".repeat(128))).collect();
        let kept = validate(vec![labelled(ten.clone()), good()], NOW, &config::Ingest::default()).measurements;
        assert_eq!((kept[0].labels.as_slice(), &kept[1].labels), (&*ten, &Labels::None));
        let eleven = (0..11).map(|number| label(&number.to_string(), "")).collect();
        for (labels, code, message) in [
            (eleven, RejectionCode::LabelsTooMany, "labels: has 11 labels; send at most 10".to_owned()),
            (
                vec![label("", "x")],
                RejectionCode::LabelInvalid,
                "labels: has an empty key; send a name such as `region`".to_owned(),
            ),
            (
                vec![label(&"k".repeat(65), "x")],
                RejectionCode::LabelTooLong,
                format!("labels: has the key `{}`, which is 65 bytes long; send at most 64", "k".repeat(64)),
            ),
            (
                vec![label("a", &"ä".repeat(129))],
                RejectionCode::LabelTooLong,
                "labels: has a value of 258 bytes under `a`; send at most 256".to_owned(),
            ),
            (
                vec![label("a\0", "x")],
                RejectionCode::LabelInvalid,
                "labels: contains control characters under `a\\0`; send printable text".to_owned(),
            ),
            (
                vec![label("a", "1"), label("b", ""), label("a", "1")],
                RejectionCode::LabelTwice,
                "labels: has the key `a` twice; send each key once".to_owned(),
            ),
        ] {
            assert_eq!(refusal(labelled(labels)), (code, message));
        }
    }

    proptest! {
        #[test]
        fn every_row_is_stored_or_rejected_and_stored_rows_are_valid(
            rows in vec((any::<f64>(), ".{0,4}", any::<Option<i16>>(), any::<Option<i64>>(), 0_usize..5), 0..50)
        ) {
            let candidates: Vec<_> = rows
                .into_iter()
                .map(|(value, endpoint, status, at, kind)| Candidate {
                    kind: MetricType::ALL[kind],
                    value,
                    endpoint,
                    status: status.map(i32::from),
                    timestamp: at.map(|at| NOW.plus_micros(at % 1_000_000_000_000)),
                    name: None,
                    release: None,
                    labels: Vec::new(),
                })
                .collect();
            let settings = config::Ingest::default();
            let window = TimeWindow::around(NOW, &settings);
            let Validated { measurements: kept, rejected, .. } = validate(candidates.clone(), NOW, &settings);
            prop_assert_eq!(kept.len() + rejected.len(), candidates.len());
            prop_assert!(rejected.is_sorted_by_key(|rejection| rejection.index));
            for row in kept {
                prop_assert!(row.value >= 0.0 && row.value <= row.kind.value_max());
                prop_assert!(row.status == 0 || (100..=599).contains(&row.status));
                prop_assert!(!row.endpoint.is_empty() && !row.endpoint.chars().any(char::is_control));
                prop_assert!((window.from..=window.to).contains(&row.timestamp));
            }
        }
    }
}
