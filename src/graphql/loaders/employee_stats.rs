//! Loaders of employee statistics: parents with the same filter share one statement.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use futures_util::future::BoxFuture;

use super::{Loader, Shared, Source, group, place, share, union};
use crate::{
    directory::{
        EmployeeFilter,
        employee::{self, EmployeeStatistics, StatisticsFields},
    },
    error::Result,
    model::OrganizationId,
};

/// Statistics of a parent's employees. The parent `()` has all employees within the scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedEmployeeStats<Parent> {
    /// The parent.
    pub parent: Parent,
    /// Covers only employees that match; all if absent.
    pub filter: Option<Arc<EmployeeFilter>>,
    /// The statistics to compute.
    pub fields: StatisticsFields,
}

/// A loader of employee statistics by parent.
pub type StatisticsLoader<Parent> = Loader<AskedEmployeeStats<Parent>, Arc<EmployeeStatistics>>;

/// Computes statistics of the employees of parents that match a filter.
type Load<Parent> = for<'a> fn(
    &'a Source,
    Vec<Parent>,
    Option<&'a EmployeeFilter>,
    StatisticsFields,
) -> BoxFuture<'a, Result<HashMap<Parent, EmployeeStatistics>>>;

pub(super) fn of_all(shared: &Arc<Shared<Source>>) -> StatisticsLoader<()> {
    Loader::new(shared, |source, asked| {
        Box::pin(load(source, asked, |Source { scope, db, departments_max, .. }, _, filter, fields| {
            Box::pin(async move {
                Ok(HashMap::from([((), employee::statistics(scope, db, filter, fields, *departments_max).await?)]))
            })
        }))
    })
}

pub(super) fn of_organizations(shared: &Arc<Shared<Source>>) -> StatisticsLoader<OrganizationId> {
    Loader::new(shared, |source, asked| {
        Box::pin(load(source, asked, |Source { scope, db, departments_max, .. }, parents, filter, fields| {
            Box::pin(async move {
                employee::statistics_by_organizations(scope, db, &parents, filter, fields, *departments_max).await
            })
        }))
    })
}

async fn load<Parent: Copy + Ord + Hash>(
    source: &Source,
    asked: Vec<AskedEmployeeStats<Parent>>,
    load: Load<Parent>,
) -> Result<Vec<Option<Arc<EmployeeStatistics>>>> {
    let mut statistics = vec![None; asked.len()];
    for (filter, positions) in group(asked.iter().map(|asked| &asked.filter)) {
        let members = || positions.iter().map(|position| &asked[*position]);
        let (parents, fields) = union(members().map(|asked| (&asked.parent, asked.fields)));
        let found = load(source, parents.clone(), filter.as_deref(), fields).await?;
        let mut shared = share(&parents, found, members().map(|asked| &asked.parent));
        // An organization without matching employees has statistics too: empty ones.
        for missing in shared.iter_mut().filter(|found| found.is_none()) {
            *missing = Some(Arc::default());
        }
        place(&mut statistics, &positions, shared);
    }
    Ok(statistics)
}
