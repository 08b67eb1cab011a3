//! A batch of measurements: the body as it comes, the columns as they are stored, the endpoints by path.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

/// Far above what perfgraph hands out, so that both can write into one table.
static NEXT_ID: AtomicI64 = AtomicI64::new(1 << 62);

/// The request body of perfgraph; its document is ignored.
#[derive(Deserialize)]
pub struct Body {
    pub variables: Variables,
}

#[derive(Deserialize)]
pub struct Variables {
    pub input: Input,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    pub project_id: String,
    pub metrics: Vec<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    #[serde(rename = "type")]
    kind: Kind,
    value: f64,
    endpoint: String,
    status_code: Option<i16>,
    timestamp: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    PageLoad,
    ApiResponse,
    Database,
    CacheHit,
    Custom,
}

/// Ids of one project's endpoints by path.
type Known = Arc<HashMap<String, i64>>;

/// Ids of endpoints that were seen before.
#[derive(Clone, Default)]
pub struct Endpoints(Arc<Mutex<HashMap<i64, Known>>>);

impl Endpoints {
    /// The known endpoints of a project, and the paths that are unknown.
    pub fn of<'a>(&self, project: i64, metrics: &'a [Metric]) -> (Known, HashSet<&'a str>) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&project).cloned().unwrap_or_default();
        let paths = metrics.iter().map(|metric| metric.endpoint.as_str());
        let missing = paths.filter(|path| !known.contains_key(*path)).collect();
        (known, missing)
    }

    /// Adds what was found, and answers all that is known then.
    pub fn remember(&self, project: i64, found: Vec<(String, i64)>) -> Known {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(project).or_default();
        Arc::make_mut(known).extend(found);
        Arc::clone(known)
    }
}

/// A new id.
pub fn next_id() -> i64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A batch as columns.
pub struct Batch {
    pub organization: i64,
    pub project: i64,
    pub ids: Vec<i64>,
    pub times: Vec<i64>,
    pub values: Vec<f64>,
    pub endpoints: Vec<i64>,
    pub kinds: Vec<i16>,
    pub statuses: Vec<i16>,
}

impl Batch {
    /// Checks and converts; the first bad row refuses all.
    pub fn new(organization: i64, project: i64, metrics: &[Metric], known: &Known) -> Result<Self, String> {
        let columns = || Vec::with_capacity(metrics.len());
        let mut batch = Self {
            organization,
            project,
            ids: columns(),
            times: columns(),
            values: Vec::with_capacity(metrics.len()),
            endpoints: columns(),
            kinds: Vec::with_capacity(metrics.len()),
            statuses: Vec::with_capacity(metrics.len()),
        };
        for metric in metrics {
            if !metric.value.is_finite() || metric.value < 0.0 {
                return Err("a value is negative or infinite".to_owned());
            }
            let at: jiff::Timestamp = metric.timestamp.parse().map_err(|error: jiff::Error| error.to_string())?;
            batch.ids.push(next_id());
            batch.times.push(at.as_microsecond());
            batch.values.push(metric.value);
            batch.endpoints.push(*known.get(&metric.endpoint).ok_or("an endpoint without id")?);
            batch.kinds.push(metric.kind as i16);
            batch.statuses.push(metric.status_code.unwrap_or(0));
        }
        Ok(batch)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngestData {
    ingest_metrics: Counts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    accepted: usize,
    rejected: [(); 0],
    user_errors: [(); 0],
}

impl IngestData {
    pub fn new(accepted: usize) -> Self {
        Self { ingest_metrics: Counts { accepted, rejected: [], user_errors: [] } }
    }
}
