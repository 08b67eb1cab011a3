//! How many buckets of time a field answers with: as many as its window holds.

use async_graphql::Value;

use crate::{
    model::{
        Timestamp,
        timestamp::{DAY_MICROS, duration_micros},
    },
    reports::until_now,
};

/// Fields that answer a list with one item for each bucket.
const LISTS: [&str; 3] = ["metricSeries", "trend", "buckets"];
/// Fields about measurements, whose filter says of which time.
const REPORTS: [&str; 4] = ["metricSeries", "metricColumns", "slowestEndpoints", "metricGroups"];
/// How long the window of a live ranking is that is not told.
const LIVE_MICROS: i64 = 300_000_000;
/// Points of a column that cost as much as one row: they are written without being resolved one by one.
pub const POINTS_PER_ROW: u64 = 20;

/// Whether a field answers with one item for each bucket.
pub fn is_list(field: &str) -> bool {
    LISTS.contains(&field)
}

/// Whether a field has a window of its own.
pub fn has_window(field: &str) -> bool {
    REPORTS.contains(&field)
}

/// How long the window of a field is that has one, in microseconds: its length, or that of the filter's time; without a
/// filter, the window of the reports that need none. `None` for what makes no sense, which is refused later.
pub fn window(filter: Option<&Value>, length: Option<&Value>) -> Option<i64> {
    let inside = |of: Option<&Value>, name: &str| match of {
        Some(Value::Object(fields)) => fields.get(name).cloned(),
        _ => None,
    };
    if let Some(Value::String(length)) = length {
        return duration_micros(length).ok();
    }
    let Some(filter) = filter.filter(|filter| **filter != Value::Null) else { return Some(DAY_MICROS) };
    let Some(time) = inside(Some(filter), "time") else { return Some(LIVE_MICROS) };
    let time = Some(time);
    if let Some(Value::String(last)) = inside(time.as_ref(), "last") {
        let now = Timestamp::from_micros(0);
        return duration_micros(&last).ok().map(|micros| until_now(micros, now).length_micros());
    }
    let between = inside(time.as_ref(), "between");
    let moment = |name| match inside(between.as_ref(), name) {
        Some(Value::String(text)) => text.parse::<Timestamp>().ok().map(Timestamp::as_micros),
        _ => None,
    };
    Some(moment("to")?.saturating_sub(moment("from")?))
}

/// How many buckets a window may touch; `None` where that makes no sense.
pub fn count(window: Option<i64>, bucket: Option<&Value>) -> Option<u64> {
    let Some(Value::String(bucket)) = bucket else { return None };
    let buckets = window? / duration_micros(bucket).ok()?;
    // A ragged window touches one more.
    u64::try_from(buckets.saturating_add(1)).ok()
}
