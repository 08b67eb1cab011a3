//! The grain of every series and day that is written: which rollup parts a commit makes of it. A bounded cache in front of the
//! database.
//!
//! The first measurements of a series on a day decide (`estimate`), or the series' earlier days do, and all instances read
//! what was decided. It is stored before the commit, in a statement of its own: a grain without rows does no harm.

mod estimate;
mod store;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use quick_cache::sync::Cache;

use self::estimate::Estimate;
use super::job::Job;
use crate::{
    db::Database,
    error::Result,
    model::{EndpointId, SeriesDay, SeriesGrain, timestamp::DAY_MICROS},
};

/// Maximum number of series and days in the cache.
const CACHED_MAX: usize = 16_384;

/// The grains of the series and days of a commit. Others have all rollups.
#[derive(Clone, Debug, Default)]
pub struct CommitGrains(HashMap<SeriesDay, SeriesGrain>);

impl CommitGrains {
    pub fn of(&self, series: SeriesDay) -> SeriesGrain {
        self.0.get(&series).copied().unwrap_or_default()
    }
}

#[cfg(test)]
impl FromIterator<(SeriesDay, SeriesGrain)> for CommitGrains {
    fn from_iter<I: IntoIterator<Item = (SeriesDay, SeriesGrain)>>(grains: I) -> Self {
        Self(grains.into_iter().collect())
    }
}

/// Decides grains, and knows those that were decided.
#[derive(Clone, Debug)]
pub struct Grains {
    database: Database,
    /// Maximum number of rollup rows per measurement.
    rows_max: f64,
    endpoints_max: usize,
    cache: Arc<Cache<SeriesDay, SeriesGrain>>,
}

impl Grains {
    pub fn new(database: Database, rows_max: f64, endpoints_max: usize) -> Self {
        Self { database, rows_max, endpoints_max, cache: Arc::new(Cache::new(CACHED_MAX)) }
    }

    /// The grains of all measurements of these jobs. At most one statement.
    pub async fn resolve(&self, jobs: &[&Job], endpoints: &[Vec<EndpointId>]) -> Result<CommitGrains> {
        // Single measurements of a day are about to be removed, and then rollups are all there is: parts have the finest buckets.
        let expiring = self.database.kept().raw.as_micros().saturating_add(DAY_MICROS);
        let mut grains = HashMap::new();
        let mut missing = BTreeMap::new();
        for job in jobs {
            let mut last = None;
            for measurement in &job.measurements {
                let series = SeriesDay::new(job.project, measurement.kind, measurement.timestamp);
                if series.day < expiring || last.replace(series) == Some(series) || grains.contains_key(&series) {
                    continue;
                }
                match self.cache.get(&series) {
                    Some(grain) => drop(grains.insert(series, grain)),
                    None => drop(missing.insert(series, None)),
                }
            }
        }
        if !missing.is_empty() {
            let estimate = Estimate::of(jobs, endpoints, self.endpoints_max);
            for (series, estimated) in &mut missing {
                *estimated = estimate.day(series).map(|counts| SeriesGrain::choose(&counts, self.rows_max));
            }
            let log = jobs.first().map(|job| job.log.clone()).unwrap_or_default();
            let missing: Vec<_> = missing.into_iter().collect();
            for (series, grain) in store::decide(self.database.bulk_writer(), &log, &missing).await? {
                self.cache.insert(series, grain);
                grains.insert(series, grain);
            }
        }
        Ok(CommitGrains(grains))
    }
}
