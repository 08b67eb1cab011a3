//! Figures about the employees of many organizations: one statement for all that ask with the same filter.

use std::{collections::HashMap, sync::Arc};

use super::{Loader, Pulse, grouped, wanted};
use crate::{
    db::Session,
    directory::{
        EmployeeFilter,
        employee::{self, Statistics, StatisticsFields},
    },
    model::{OrganizationId, Scope},
};

/// Figures about an organization's employees that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedEmployeeStats {
    /// Whose employees.
    pub organization: OrganizationId,
    /// Which of them; without a filter, all.
    pub filter: Option<Arc<EmployeeFilter>>,
    /// Which figures.
    pub fields: StatisticsFields,
}

pub(super) fn loader(scope: Scope, db: Session, pulse: &Pulse) -> Loader<AskedEmployeeStats, Arc<Statistics>> {
    Loader::new(pulse, move |asked: Vec<AskedEmployeeStats>| {
        let db = db.clone();
        async move {
            let mut answer = HashMap::new();
            for (filter, asked) in grouped(asked, |asked| asked.filter.clone()) {
                let (organizations, fields) = wanted(asked.iter().map(|asked| (asked.organization, asked.fields)));
                let found =
                    employee::statistics_by_organizations(&scope, &db, &organizations, filter.as_deref(), fields)
                        .await?;
                let found: HashMap<_, _> = found.into_iter().map(|(id, found)| (id, Arc::new(found))).collect();
                // An organization without such employees has figures too: none.
                let nobody = Arc::new(Statistics::default());
                let figures =
                    |asked: &AskedEmployeeStats| Arc::clone(found.get(&asked.organization).unwrap_or(&nobody));
                answer.extend(asked.into_iter().map(|asked| (asked.clone(), figures(&asked))));
            }
            Ok(answer)
        }
    })
}
