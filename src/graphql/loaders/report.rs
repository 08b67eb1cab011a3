//! Reports about measurements: one for all parents that are asked the same.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Loader, Shared, Source};
use crate::{
    error::Result,
    reports::{Parent, Question, Report},
};

/// A report that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedReport<R> {
    /// About whose measurements.
    pub parent: Parent,
    /// About which of them.
    pub question: Arc<Question>,
    /// What about them.
    pub report: R,
}

/// Answers of a report.
pub type Reported<R> = Loader<AskedReport<R>, <R as Report>::Answer>;

/// One report for all parents that are asked the same.
pub(super) fn report<R: Report>(shared: &Arc<Shared<Source>>) -> Reported<R> {
    Loader::new(shared, |source, asked| Box::pin(run(source, asked)))
}

async fn run<R: Report>(
    Source { scope, db, .. }: &Source,
    asked: Vec<AskedReport<R>>,
) -> Result<HashMap<AskedReport<R>, R::Answer>> {
    let mut same: HashMap<(Arc<Question>, R), HashSet<Parent>> = HashMap::new();
    for AskedReport { parent, question, report } in asked {
        same.entry((question, report)).or_default().insert(parent);
    }
    let mut answers = HashMap::new();
    for ((question, report), parents) in same {
        let parents: Vec<_> = parents.into_iter().collect();
        let found = report.run(scope, db, &question, &parents).await?;
        answers.extend(found.into_iter().map(|(parent, answer)| {
            (AskedReport { parent, question: Arc::clone(&question), report: report.clone() }, answer)
        }));
    }
    Ok(answers)
}
