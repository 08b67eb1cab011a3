//! The report on a whole set of measurements: one [`Stats`] per parent. One statement.
//!
//! The summary of one metric type is this report with one type in the question.

use std::{collections::HashMap, sync::Arc};

use super::{
    Question, Report, StatisticsNeeded, Stats, gather,
    parent::{Parent, batches},
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::Scope,
};

/// The statistics of all measurements of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Totals {
    /// The statistics that are fetched.
    pub want: StatisticsNeeded,
}

impl Report for Totals {
    type Answer = Arc<Stats>;

    async fn run(
        &self,
        scope: &Scope,
        session: &Session,
        question: &Question,
        parents: &[Parent],
    ) -> Result<HashMap<Parent, Self::Answer>> {
        let answers = by_parent(scope, session, question, parents, self.want).await?;
        Ok(answers.into_iter().map(|(parent, stats)| (parent, Arc::new(stats))).collect())
    }
}

/// The statistics of all measurements of the question. One statement.
///
/// # Errors
/// A condition of the question is invalid, or the database fails.
pub async fn run(scope: &Scope, session: &Session, question: &Question, want: StatisticsNeeded) -> Result<Stats> {
    let mut answers = by_parent(scope, session, question, &[Parent::Question], want).await?;
    answers.remove(&Parent::Question).ok_or_else(|| Error::internal("a report left out its only parent"))
}

/// The statistics of each parent. One statement for up to 500 parents of a kind.
///
/// Every parent has an answer. A parent without measurements, one that does not exist and one outside of the scope have the
/// same empty answer.
///
/// # Errors
/// A condition of the question is invalid, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    want: StatisticsNeeded,
) -> Result<HashMap<Parent, Stats>> {
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let grouping = batch.grouping(&[], None);
        let scoped = batch.scoped(scope, &grouping, want, session)?;
        let mut found = vec![scoped.empty_stats(want); batch.parents().len()];
        if !scoped.is_empty() {
            for (group, stats) in gather::by_group(session, &scoped, &grouping, want).await? {
                for index in batch.of(&group) {
                    if let Some(known) = found.get_mut(*index) {
                        known.merge(&stats);
                    }
                }
            }
        }
        answers.extend(batch.parents().iter().cloned().zip(found));
    }
    Ok(answers)
}
