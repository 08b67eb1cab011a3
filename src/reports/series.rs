//! The report on measurements over time: one [`Stats`] per bucket. One statement.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use super::{
    Question, Report, StatisticsNeeded, Stats, gather,
    grid::Buckets,
    parent::{Parent, batches},
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{Scope, TimeRange},
};

/// The statistics of each bucket of time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// The buckets.
    pub buckets: Buckets,
    /// The statistics that are fetched.
    pub want: StatisticsNeeded,
}

/// The statistics of one bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// The range of the bucket; the window may begin later or end earlier.
    pub range: TimeRange,
    /// True when the window contains all of the bucket.
    pub is_whole: bool,
    /// The measurements of the bucket.
    pub stats: Arc<Stats>,
}

impl Report for Series {
    type Answer = Arc<[Bucket]>;

    async fn run(
        &self,
        scope: &Scope,
        session: &Session,
        question: &Question,
        parents: &[Parent],
    ) -> Result<HashMap<Parent, Self::Answer>> {
        by_parent(scope, session, question, parents, self).await
    }
}

/// The buckets of each parent that overlap the answered window, in order of time. One statement for up to 500 parents of a
/// kind. A parent without measurements has empty buckets.
///
/// # Errors
/// There would be too many buckets, a condition of the question is invalid, no table is retained that could answer
/// buckets of that length, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    series: &Series,
) -> Result<HashMap<Parent, Arc<[Bucket]>>> {
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let grouping = batch.grouping(&[], Some(series.buckets.clone()));
        let scoped = batch.scoped(scope, &grouping, series.want, session)?;
        let grid = scoped.grid().ok_or_else(|| Error::internal("a series without buckets"))?;
        let mut found: HashMap<(usize, i64), Stats> = HashMap::new();
        if !scoped.is_empty() {
            for (group, stats) in gather::by_group(session, &scoped, &grouping, series.want).await? {
                for index in batch.of(&group) {
                    match found.entry((*index, group.slot)) {
                        Entry::Occupied(mut known) => known.get_mut().merge(&stats),
                        Entry::Vacant(free) => drop(free.insert(stats.clone())),
                    }
                }
            }
        }
        for (index, parent) in batch.parents().iter().enumerate() {
            let buckets = (0..).zip(grid.buckets()).map(|(slot, bucket)| Bucket {
                range: bucket.asked,
                is_whole: scoped.asked_for_all_of(bucket.asked),
                stats: Arc::new(Stats {
                    accuracy: scoped.accuracy_in(bucket, series.want),
                    ..found.remove(&(index, slot)).unwrap_or_else(|| scoped.empty_stats(series.want))
                }),
            });
            answers.insert(parent.clone(), buckets.collect());
        }
    }
    Ok(answers)
}
