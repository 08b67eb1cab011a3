//! Loaders of reports about measurements: parents that are asked for the same report share one execution.

use std::sync::Arc;

use super::{Loader, Shared, Source, group, in_order, place};
use crate::{
    error::{Error, Result},
    reports::{Parent, Question, Report},
};

/// A report about the measurements of a parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedReport<R> {
    /// The parent.
    pub parent: Parent,
    /// The measurements that the report covers.
    pub question: Arc<Question>,
    /// The report.
    pub report: R,
}

/// A loader of a report's answers.
pub type Reported<R> = Loader<AskedReport<R>, <R as Report>::Answer>;

/// The answer of a report about a parent.
///
/// # Errors
/// The report cannot answer.
pub async fn answer<R: Report>(
    loader: &Reported<R>,
    parent: Parent,
    question: Arc<Question>,
    report: R,
) -> Result<R::Answer> {
    let answer = loader.load(AskedReport { parent, question, report }).await?;
    answer.ok_or_else(|| Error::internal("a report left out one of those it was asked about"))
}

pub(super) fn report<R: Report>(shared: &Arc<Shared<Source>>) -> Reported<R> {
    Loader::new(shared, |source, asked| Box::pin(run(source, asked)))
}

async fn run<R: Report>(
    Source { scope, db, .. }: &Source,
    asked: Vec<AskedReport<R>>,
) -> Result<Vec<Option<R::Answer>>> {
    let mut answers = vec![None; asked.len()];
    for ((question, report), positions) in group(asked.iter().map(|asked| (&asked.question, &asked.report))) {
        let parents: Vec<_> = positions.iter().map(|position| asked[*position].parent.clone()).collect();
        let found = report.run(scope, db, question, &parents).await?;
        place(&mut answers, &positions, in_order(&parents, found));
    }
    Ok(answers)
}
