//! The answers, in the form in which perfgraph gives them.

use perfgraph::model::Timestamp;
use serde::Serialize;

#[path = "../../load/handwritten/shape.rs"]
#[expect(dead_code, reason = "shared with another program, which asks more")]
pub mod shape;

/// Groups of measurements.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Groups<G> {
    metric_groups: Vec<G>,
}

impl<G> Groups<G> {
    pub fn new<R>(rows: Vec<R>) -> Self
    where
        G: From<R>,
    {
        Self { metric_groups: rows.into_iter().map(G::from).collect() }
    }
}

/// Kind, count, average, smallest, largest, three percentiles.
pub type TypeRow = (i16, i64, f64, f64, f64, Vec<f64>);

#[derive(Serialize)]
pub struct TypeGroup {
    r#type: &'static str,
    stats: Figures,
}

#[derive(Serialize)]
struct Figures {
    count: i64,
    average: f64,
    min: f64,
    max: f64,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

impl From<TypeRow> for TypeGroup {
    fn from((kind, count, average, min, max, percentiles): TypeRow) -> Self {
        const TYPES: [&str; 5] = ["PAGE_LOAD", "API_RESPONSE", "DATABASE", "CACHE_HIT", "CUSTOM"];
        let percentile = |place: usize| percentiles.get(place).copied();
        let [p50, p95, p99] = [0, 1, 2].map(percentile);
        let r#type = TYPES.get(usize::from(kind.unsigned_abs())).copied().unwrap_or("");
        Self { r#type, stats: Figures { count, average, min, max, p50, p95, p99 } }
    }
}

/// Key, count, average, 95th percentile.
pub type KeyRow = (String, i64, f64, f64);

#[derive(Serialize)]
pub struct KeyGroup {
    keys: [Key; 1],
    stats: Average,
}

#[derive(Serialize)]
struct Key {
    value: String,
}

#[derive(Serialize)]
struct Average {
    count: i64,
    average: Option<f64>,
    p95: Option<f64>,
}

impl From<KeyRow> for KeyGroup {
    fn from((value, count, average, p95): KeyRow) -> Self {
        Self { keys: [Key { value }], stats: Average { count, average: Some(average), p95: Some(p95) } }
    }
}

/// Hour since 1970, count, average, 95th percentile.
pub type HourRow = (i64, i64, f64, f64);

const HOUR: i64 = 3_600_000_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    metric_series: Vec<Bucket>,
}

#[derive(Serialize)]
struct Bucket {
    start: String,
    stats: Average,
}

impl Series {
    /// All hours of the window, also those without measurements.
    pub fn new(rows: Vec<HourRow>, from: i64, to: i64) -> Self {
        let mut rows = rows.into_iter().peekable();
        let bucket = |hour: i64| {
            let (count, average, p95) = match rows.next_if(|row| row.0 == hour) {
                Some((_, count, average, p95)) => (count, Some(average), Some(p95)),
                None => (0, None, None),
            };
            Bucket { start: Timestamp::from_micros(hour * HOUR).to_string(), stats: Average { count, average, p95 } }
        };
        Self { metric_series: (from / HOUR..=(to - 1) / HOUR).map(bucket).collect() }
    }
}

/// Path, name of the project, count, average, 95th percentile.
pub type SlowRow = (String, String, i64, f64, f64);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slowest {
    slowest_endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
struct Endpoint {
    endpoint: String,
    project: Project,
    stats: Average,
}

#[derive(Serialize)]
struct Project {
    name: String,
}

impl Slowest {
    pub fn new(rows: Vec<SlowRow>) -> Self {
        let endpoint = |(endpoint, name, count, average, p95): SlowRow| Endpoint {
            endpoint,
            project: Project { name },
            stats: Average { count, average: Some(average), p95: Some(p95) },
        };
        Self { slowest_endpoints: rows.into_iter().map(endpoint).collect() }
    }
}

#[derive(Serialize)]
pub struct Accepted {
    pub accepted: usize,
}
