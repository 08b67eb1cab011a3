//! Figures over time: one row of figures per bucket, for one parent or many. One statement each.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use super::{
    Question, Report, Stats, Want,
    grid::Buckets,
    parent::{Parent, batches},
    sql,
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{Scope, TimeRange},
};

/// Figures per bucket of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// How long a bucket is.
    pub buckets: Buckets,
    /// Which figures.
    pub want: Want,
}

/// The figures of one bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// From when until when the bucket goes; the window may begin later or end earlier.
    pub range: TimeRange,
    /// Whether the window has all of it.
    pub is_whole: bool,
    /// What was measured in it.
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
        by_parent(scope, session, question, parents, *self).await
    }
}

/// The buckets that the answered window touches, each with figures, in order of time. One statement for up to 500
/// parents of a kind; one without measurements has empty buckets.
///
/// # Errors
/// When there would be too many buckets, a condition of the question cannot be judged, nothing is kept any more from
/// which buckets of that length could be answered, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    series: Series,
) -> Result<HashMap<Parent, Arc<[Bucket]>>> {
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let grouping = batch.grouping(&[], Some(series.buckets));
        let narrowed = batch.narrowed(scope, &grouping, series.want, session)?;
        let slots = narrowed.slots().ok_or_else(|| Error::internal("a series without buckets"))?;
        let mut found: HashMap<(usize, i64), Stats> = HashMap::new();
        for (group, stats) in sql::fetch(session, &narrowed, &grouping, series.want).await? {
            for place in batch.of(&group) {
                match found.entry((*place, group.slot)) {
                    Entry::Occupied(mut known) => known.get_mut().merge(&stats),
                    Entry::Vacant(free) => drop(free.insert(stats.clone())),
                }
            }
        }
        for (place, parent) in batch.parents().iter().enumerate() {
            let buckets = (0..).zip(slots.ranges()).map(|(slot, range)| Bucket {
                range,
                is_whole: narrowed.asked_for_all_of(range),
                stats: Arc::new(Stats {
                    accuracy: narrowed.accuracy_in(range, series.want),
                    ..found.remove(&(place, slot)).unwrap_or_else(|| Stats::empty(&narrowed, series.want))
                }),
            });
            answers.insert(parent.clone(), buckets.collect());
        }
    }
    Ok(answers)
}
