//! The number of measurements rejected as too old, per UTC day. One statement.
//!
//! They were never stored: only their project, type and day are known.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Projects, Question, Report,
    conditions::M,
    grouping::DimensionValues,
    parent::{Parent, batches},
};
use crate::{
    db::Session,
    error::Result,
    model::{Scope, TimeRange, Timestamp, timestamp::DAY_MICROS},
};

/// The report on measurements that were rejected as too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Late;

/// The number of rejected measurements by the UTC day of their timestamp.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateDays(BTreeMap<Timestamp, u64>);

impl LateDays {
    /// The number of rejected measurements on all days that overlap a window.
    pub fn touched_by(&self, window: TimeRange) -> u64 {
        let days = self.0.range(window.from().floor(DAY_MICROS)..window.to());
        days.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn add(&mut self, day: Timestamp, count: u64) {
        let known = self.0.entry(day).or_default();
        *known = known.saturating_add(count);
    }
}

/// The parent and the question of the late measurements that belong to an answer. Questions that differ only in conditions
/// unknown for late measurements become equal, so that they share a statement.
pub fn about(parent: &Parent, question: &Question) -> (Parent, Question) {
    let projects = match &question.release {
        None => question.projects.clone(),
        // A release version belongs to one project.
        Some((project, _)) => Projects::Keys(Vec::from_iter(question.projects.contains(*project).then_some(*project))),
    };
    let whole_days = TimeRange::new(question.window.from().floor(DAY_MICROS), question.window.to().ceil(DAY_MICROS));
    let window = whole_days.unwrap_or(question.window);
    (parent.by_project_and_type(), Question { projects, kinds: question.kinds.clone(), ..Question::over(window) })
}

impl Report for Late {
    type Answer = Arc<LateDays>;

    async fn run(
        &self,
        scope: &Scope,
        session: &Session,
        question: &Question,
        parents: &[Parent],
    ) -> Result<HashMap<Parent, Self::Answer>> {
        by_parent(scope, session, question, parents).await
    }
}

/// The late measurements of each parent. One statement for up to 500 parents of a kind. The window of the question must
/// consist of whole days.
///
/// # Errors
/// A condition of the question cannot be judged, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
) -> Result<HashMap<Parent, Arc<LateDays>>> {
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let grouping = batch.grouping(&[], None);
        let scoped = batch.scoped_to_late(scope, session)?;
        let mut found = vec![LateDays::default(); batch.parents().len()];
        if !scoped.is_empty() {
            let columns = || grouping.columns().chain(["bucket"]).map(|column| (M, column));
            let mut days = scoped.late();
            days.columns(columns())
                // PostgreSQL adds integers up to a NUMERIC.
                .expr_as(Expr::col((M, "n")).sum().cast_as("BIGINT"), "n")
                .group_by_columns(columns());
            for row in session.query_all(&days).await? {
                let (group, first) = DimensionValues::of(&row, &grouping)?;
                let (day, count): (Timestamp, i64) = (row.try_get_by_index(first)?, row.try_get_by_index(first + 1)?);
                for index in batch.of(&group) {
                    if let Some(days) = found.get_mut(*index) {
                        days.add(day, u64::try_from(count).unwrap_or(0));
                    }
                }
            }
        }
        answers.extend(batch.parents().iter().cloned().zip(found.into_iter().map(Arc::new)));
    }
    Ok(answers)
}
