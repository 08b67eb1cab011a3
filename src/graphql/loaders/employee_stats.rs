//! Figures about employees, of everybody together or of many organizations: one statement for all that ask with the same
//! filter.

use std::{collections::HashMap, fmt::Debug, hash::Hash, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};

use super::{Loader, Pulse, grouped, wanted};
use crate::{
    db::Session,
    directory::{
        EmployeeFilter,
        employee::{self, Statistics, StatisticsFields},
    },
    error::Result,
    model::{OrganizationId, Scope},
};

/// Figures about employees that are wanted; `()` is the parent of everybody whom the scope sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedEmployeeStats<Parent> {
    /// Whose employees.
    pub parent: Parent,
    /// Which of them; without a filter, all.
    pub filter: Option<Arc<EmployeeFilter>>,
    /// Which figures.
    pub fields: StatisticsFields,
}

/// Loads figures by whose employees they are about.
pub type Figures<Parent> = Loader<AskedEmployeeStats<Parent>, Arc<Statistics>>;

type Filter = Option<Arc<EmployeeFilter>>;

pub(super) fn of_everybody(scope: Scope, db: Session, departments_max: usize, pulse: &Pulse) -> Figures<()> {
    loader(pulse, move |_, filter, fields| {
        let db = db.clone();
        async move {
            let found = employee::statistics(&scope, &db, filter.as_deref(), fields, departments_max).await?;
            Ok(HashMap::from([((), found)]))
        }
        .boxed()
    })
}

pub(super) fn of_organizations(
    scope: Scope,
    db: Session,
    departments_max: usize,
    pulse: &Pulse,
) -> Figures<OrganizationId> {
    loader(pulse, move |parents: Vec<OrganizationId>, filter, fields| {
        let db = db.clone();
        async move {
            let filter = filter.as_deref();
            employee::statistics_by_organizations(&scope, &db, &parents, filter, fields, departments_max).await
        }
        .boxed()
    })
}

fn loader<Parent: Copy + Ord + Hash + Debug + Send + Sync + 'static>(
    pulse: &Pulse,
    load: impl Fn(Vec<Parent>, Filter, StatisticsFields) -> BoxFuture<'static, Result<HashMap<Parent, Statistics>>>
    + Send
    + Sync
    + 'static,
) -> Figures<Parent> {
    let load = Arc::new(load);
    Loader::new(pulse, move |asked: Vec<AskedEmployeeStats<Parent>>| {
        let load = Arc::clone(&load);
        async move {
            let mut answer = HashMap::new();
            for (filter, asked) in grouped(asked, |asked| asked.filter.clone()) {
                let (parents, fields) = wanted(asked.iter().map(|asked| (asked.parent, asked.fields)));
                let found = load(parents, filter, fields).await?;
                let found: HashMap<_, _> = found.into_iter().map(|(id, found)| (id, Arc::new(found))).collect();
                // An organization without such employees has figures too: none.
                let nobody = Arc::new(Statistics::default());
                let figures =
                    |asked: &AskedEmployeeStats<Parent>| Arc::clone(found.get(&asked.parent).unwrap_or(&nobody));
                answer.extend(asked.into_iter().map(|asked| (asked.clone(), figures(&asked))));
            }
            Ok(answer)
        }
    })
}
