//! The grain of every series and day that is written: which rollup parts a commit makes of it. A bounded cache in front of the
//! database.
//!
//! The first commit of a series on a day decides, by what was counted on its earlier days or by an estimate (`estimate`), and
//! all instances read what was decided. The decision is stored before the commit, in a statement of its own: a grain without
//! rows does no harm.

mod estimate;
mod store;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use quick_cache::sync::Cache;

use self::{estimate::Estimate, store::Undecided};
use super::job::Job;
use crate::{
    clock::Clock,
    config,
    db::Database,
    error::Result,
    model::{EndpointId, SeriesDay, SeriesGrain, timestamp::DAY_MICROS},
};

/// Maximum number of series and days in the cache.
const CACHED_MAX: usize = 32_768;

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
    clock: Clock,
    /// Days for which single measurements are kept.
    raw_days: u32,
    /// Maximum number of rollup rows per measurement.
    rows_max: f64,
    endpoints_max: usize,
    cache: Arc<Cache<SeriesDay, SeriesGrain>>,
    /// The bound of single measurements when the cache was filled.
    raw_since: Arc<AtomicI64>,
}

impl Grains {
    pub fn new(database: Database, clock: Clock, raw_days: u32, settings: &config::Ingest) -> Self {
        let (rows_max, endpoints_max) = (settings.rollup_rows_max(), settings.endpoints_max);
        let cache = Arc::new(Cache::new(CACHED_MAX));
        Self {
            database,
            clock,
            raw_days,
            rows_max,
            endpoints_max,
            cache,
            raw_since: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }

    /// The grains of all measurements of these jobs. At most one statement.
    pub async fn resolve(&self, jobs: &[&Job], endpoints: &[Vec<EndpointId>]) -> Result<CommitGrains> {
        // Retention removes rows; a clock that was wrong for a while may have made it remove those of days to come.
        let raw_since = self.database.kept().raw.as_micros();
        if self.raw_since.swap(raw_since, Ordering::Relaxed) != raw_since {
            self.cache.clear();
        }
        let expiring = self.expiring();
        let mut grains = HashMap::new();
        let mut missing = BTreeSet::new();
        for job in jobs {
            let mut last = None;
            for measurement in &job.measurements {
                let series = SeriesDay::new(job.project, measurement.kind, measurement.timestamp);
                if last.replace(series) == Some(series) || grains.contains_key(&series) {
                    continue;
                }
                match self.cache.get(&series) {
                    Some(grain) => drop(grains.insert(series, grain)),
                    None => drop(missing.insert(series)),
                }
            }
        }
        if !missing.is_empty() {
            let estimate = Estimate::of(jobs, endpoints, self.endpoints_max);
            let undecided = |series: SeriesDay| {
                let estimated = estimate.day(&series).map(|counts| SeriesGrain::choose(&counts, self.rows_max));
                Undecided { series, estimated, expires: series.day < expiring }
            };
            let log = jobs.first().map(|job| job.log.clone()).unwrap_or_default();
            let missing: Vec<_> = missing.into_iter().map(undecided).collect();
            for (series, grain) in store::decide(self.database.bulk_writer(), &log, &missing).await? {
                self.cache.insert(series, grain);
                grains.insert(series, grain);
            }
        }
        grains.retain(|series, _| series.day >= expiring);
        Ok(CommitGrains(grains))
    }

    /// The start of the first day that does not expire soon. When single measurements of a day are removed, rollups are all there
    /// is, so parts of the day before have the finest buckets, whatever was decided.
    fn expiring(&self) -> i64 {
        let removed = self.clock.now().plus_micros(-i64::from(self.raw_days) * DAY_MICROS).floor(DAY_MICROS);
        removed.max(self.database.kept().raw).as_micros().saturating_add(DAY_MICROS)
    }
}
