//! The comparison of two answers to the same question.

use serde_json::Value;

/// Relative error of perfgraph's percentiles, with room for rounding. Both sides use the nearest rank.
const PERCENTILE_TOLERANCE: f64 = 0.010_1;
/// Sums are added up in another order.
const SUM_TOLERANCE: f64 = 1e-9;

/// True when two answers agree: texts and counts are equal, percentiles within the documented error.
pub fn same(ours: &Value, theirs: &Value, is_percentile: bool) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, ours)| {
                    let is_percentile = matches!(name.as_str(), "p50" | "p95" | "p99");
                    theirs.get(name).is_some_and(|theirs| same(ours, theirs, is_percentile))
                })
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs, false))
        }
        (Value::Number(ours), Value::Number(theirs)) => {
            let tolerance = if is_percentile { PERCENTILE_TOLERANCE } else { SUM_TOLERANCE };
            ours.as_f64().zip(theirs.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= tolerance * b.abs())
        }
        (ours, theirs) => ours == theirs,
    }
}
