//! Reports about measurements: one for all parents that are asked the same.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Loader, Pulse};
use crate::{
    db::Session,
    model::Scope,
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
pub(super) fn report<R: Report>(scope: Scope, db: &Session, pulse: &Pulse) -> Reported<R> {
    let db = db.clone();
    Loader::new(pulse, move |asked: Vec<AskedReport<R>>| {
        let db = db.clone();
        async move {
            let mut same: HashMap<(Arc<Question>, R), HashSet<Parent>> = HashMap::new();
            for AskedReport { parent, question, report } in asked {
                same.entry((question, report)).or_default().insert(parent);
            }
            let mut answers = HashMap::new();
            for ((question, report), parents) in same {
                let parents: Vec<_> = parents.into_iter().collect();
                let found = report.run(&scope, &db, &question, &parents).await?;
                answers.extend(found.into_iter().map(|(parent, answer)| {
                    (AskedReport { parent, question: Arc::clone(&question), report: report.clone() }, answer)
                }));
            }
            Ok(answers)
        }
    })
}
