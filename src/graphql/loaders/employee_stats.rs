//! Figures about employees, of everybody together or of many organizations: one statement for all that ask with the same
//! filter.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use futures_util::future::BoxFuture;

use super::{Loader, Shared, Source, grouped, wanted};
use crate::{
    directory::{
        EmployeeFilter,
        employee::{self, EmployeeStatistics, StatisticsFields},
    },
    error::Result,
    model::OrganizationId,
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
pub type Figures<Parent> = Loader<AskedEmployeeStats<Parent>, Arc<EmployeeStatistics>>;

/// Figures about the employees of these parents who pass a filter.
type Load<Parent> = for<'a> fn(
    &'a Source,
    Vec<Parent>,
    Option<&'a EmployeeFilter>,
    StatisticsFields,
) -> BoxFuture<'a, Result<HashMap<Parent, EmployeeStatistics>>>;

pub(super) fn of_everybody(shared: &Arc<Shared<Source>>) -> Figures<()> {
    Loader::new(shared, |source, asked| {
        Box::pin(figures(source, asked, |Source { scope, db, departments_max, .. }, _, filter, fields| {
            Box::pin(async move {
                Ok(HashMap::from([((), employee::statistics(scope, db, filter, fields, *departments_max).await?)]))
            })
        }))
    })
}

pub(super) fn of_organizations(shared: &Arc<Shared<Source>>) -> Figures<OrganizationId> {
    Loader::new(shared, |source, asked| {
        Box::pin(figures(source, asked, |Source { scope, db, departments_max, .. }, parents, filter, fields| {
            Box::pin(async move {
                employee::statistics_by_organizations(scope, db, &parents, filter, fields, *departments_max).await
            })
        }))
    })
}

async fn figures<Parent: Copy + Ord + Hash>(
    source: &Source,
    asked: Vec<AskedEmployeeStats<Parent>>,
    load: Load<Parent>,
) -> Result<HashMap<AskedEmployeeStats<Parent>, Arc<EmployeeStatistics>>> {
    let mut answer = HashMap::new();
    for (filter, asked) in grouped(asked, |asked| asked.filter.clone()) {
        let (parents, fields) = wanted(asked.iter().map(|asked| (asked.parent, asked.fields)));
        let found = load(source, parents, filter.as_deref(), fields).await?;
        let found: HashMap<_, _> = found.into_iter().map(|(id, found)| (id, Arc::new(found))).collect();
        // An organization without such employees has figures too: none.
        let nobody = Arc::new(EmployeeStatistics::default());
        let figures = |asked: &AskedEmployeeStats<Parent>| Arc::clone(found.get(&asked.parent).unwrap_or(&nobody));
        answer.extend(asked.into_iter().map(|asked| (asked.clone(), figures(&asked))));
    }
    Ok(answer)
}
