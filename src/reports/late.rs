//! How many measurements came too late to be taken in, per UTC day: of one parent or of many. One statement.
//!
//! They were never stored, so nothing but their project, their type and their day is known of them.

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
    filter::M,
    grouping::Group,
    parent::{Parent, batches},
};
use crate::{
    db::Session,
    error::Result,
    model::{Scope, TimeRange, Timestamp, timestamp::DAY_MICROS},
};

/// What came too late, per day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Late;

/// How many measurements came too late, by the day on which they happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateDays(BTreeMap<Timestamp, u64>);

impl LateDays {
    /// Those of every day that this window has a part of.
    pub fn touched_by(&self, window: TimeRange) -> u64 {
        let days = self.0.range(window.from().floor(DAY_MICROS)..window.to());
        days.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn add(&mut self, day: Timestamp, count: u64) {
        let known = self.0.entry(day).or_default();
        *known = known.saturating_add(count);
    }
}

/// As whose and about what late measurements are asked for where figures are about this: alike for all that differ in
/// nothing but what is not known of them.
pub fn about(parent: &Parent, question: &Question) -> (Parent, Question) {
    let projects = match &question.release {
        None => question.projects.clone(),
        // A version is one of a project.
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

/// The days of each parent. One statement for up to 500 of a kind. The window of the question must be of whole days.
///
/// # Errors
/// When a condition of the question cannot be judged, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
) -> Result<HashMap<Parent, Arc<LateDays>>> {
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let grouping = batch.grouping(&[], None);
        let narrowed = batch.narrowed_to_late(scope, session)?;
        let mut found = vec![LateDays::default(); batch.parents().len()];
        if !narrowed.is_empty() {
            let columns = || grouping.columns().chain(["bucket"]).map(|column| (M, column));
            let mut days = narrowed.late();
            days.columns(columns())
                // PostgreSQL adds integers up to a NUMERIC.
                .expr_as(Expr::col((M, "n")).sum().cast_as("BIGINT"), "n")
                .group_by_columns(columns());
            for row in session.query_all(&days).await? {
                let (group, first) = Group::of(&row, &grouping)?;
                let (day, count): (Timestamp, i64) = (row.try_get_by_index(first)?, row.try_get_by_index(first + 1)?);
                for place in batch.of(&group) {
                    if let Some(days) = found.get_mut(*place) {
                        days.add(day, u64::try_from(count).unwrap_or(0));
                    }
                }
            }
        }
        answers.extend(batch.parents().iter().cloned().zip(found.into_iter().map(Arc::new)));
    }
    Ok(answers)
}
