//! Sends the statement of a report and adds up its rows per group while they come. The limits on groups and rows end the
//! query at the first row too many.

use std::collections::HashMap;

use sea_orm::sea_query::SelectStatement;

use super::{
    StatisticsNeeded, Stats,
    endpoint_path::{PathGroup, has_path},
    grouping::{DimensionValues, Grouping},
    scoped::ScopedQuery,
    sql,
};
use crate::{
    db::Session,
    error::{Error, Result},
};

/// The statistics of each group of a question.
///
/// # Errors
/// An exact answer would be read from too many rows, or the database fails.
pub(super) async fn by_group(
    session: &Session,
    scoped: &ScopedQuery<'_>,
    grouping: &Grouping,
    want: StatisticsNeeded,
) -> Result<HashMap<DimensionValues, Stats>> {
    let (mut groups, mut rows) = (HashMap::new(), 0);
    let statement = sql::statement(scoped, grouping, want);
    let add = |row: &_| {
        rows += 1;
        scoped.check_rows(rows)?;
        let (group, first) = DimensionValues::of(row, grouping)?;
        let stats = groups.entry(group).or_insert_with(|| scoped.empty_stats(want));
        sql::add(stats, row, first, want)
    };
    session.each(&statement, add).await?;
    groups.values_mut().for_each(Stats::sort);
    Ok(groups)
}

/// The groups of a statement of [`with_path`](super::endpoint_path::with_path), each with the path of its endpoint.
///
/// # Errors
/// There are more than `groups_max` groups; otherwise as [`by_group`].
pub(super) async fn by_path(
    session: &Session,
    statement: &SelectStatement,
    scoped: &ScopedQuery<'_>,
    grouping: &Grouping,
    want: StatisticsNeeded,
    groups_max: Option<usize>,
) -> Result<Vec<PathGroup>> {
    let figures = match want {
        StatisticsNeeded::Scalars => sql::TOTALS.len(),
        StatisticsNeeded::Percentiles => sql::CELLS.len(),
    };
    let mut indexes: HashMap<DimensionValues, usize> = HashMap::new();
    let (mut found, mut rows): (Vec<PathGroup>, _) = (Vec::new(), 0);
    let add = |row: &sea_orm::QueryResult| {
        rows += 1;
        scoped.check_rows(rows)?;
        let (group, first) = DimensionValues::of(row, grouping)?;
        let index = indexes.get(&group).copied().unwrap_or(found.len());
        if index == found.len() {
            if let Some(most) = groups_max.filter(|most| index >= *most) {
                return Err(too_many(most));
            }
            let path = if has_path(grouping) { row.try_get_by_index(first + figures)? } else { String::new() };
            indexes.insert(group.clone(), index);
            found.push(PathGroup { group, path, stats: scoped.empty_stats(want) });
        }
        match found.get_mut(index) {
            Some(known) => sql::add(&mut known.stats, row, first, want),
            None => Ok(()),
        }
    };
    session.each(statement, add).await?;
    for known in &mut found {
        known.stats.sort();
    }
    Ok(found)
}

fn too_many(groups_max: usize) -> Error {
    let message = format!(
        "makes more than {groups_max} groups (limits.groups_max); group by less, or ask about fewer measurements"
    );
    Error::input("groupBy", message)
}
