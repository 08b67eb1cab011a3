//! Single measurements, looked up by key.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ConnectionTrait, JoinType,
    sea_query::{Alias, Expr, ExprTrait, Query},
};

use crate::{
    db::Session,
    entity::{endpoint, metric_event},
    error::Result,
    model::{Key, Labels, Measurement, MetricKey, MetricType, Scope, Timestamp, VisibleOrganizations},
};

const EVENT: &str = "e";
const ENDPOINT: &str = "p";

/// Loads the measurements with these keys in one statement. Measurements that do not exist, are no longer retained, or lie
/// outside of the scope are left out.
///
/// # Errors
/// The database fails.
pub async fn by_keys(scope: &Scope, session: &Session, keys: &[MetricKey]) -> Result<HashMap<MetricKey, Measurement>> {
    use metric_event::Column;
    let event = |column: Column| (Alias::new(EVENT), column);
    let path = |column: endpoint::Column| (Alias::new(ENDPOINT), column);
    let mut select = Query::select();
    select
        .columns([Column::OrganizationId, Column::ProjectId, Column::Kind, Column::Ts, Column::Id].map(event))
        .columns([Column::Value, Column::Status, Column::Name, Column::Release].map(event))
        .column(path(endpoint::Column::Path))
        .from_as(metric_event::Entity, Alias::new(EVENT))
        .join_as(
            JoinType::InnerJoin,
            endpoint::Entity,
            Alias::new(ENDPOINT),
            Expr::col(path(endpoint::Column::OrganizationId))
                .equals(event(Column::OrganizationId))
                .and(Expr::col(path(endpoint::Column::Id)).equals(event(Column::EndpointId))),
        )
        // Column by column: SQLite does not look up tuples in the primary key.
        .and_where(Expr::col(event(Column::OrganizationId)).is_in(distinct(keys, |key| key.project.organization)))
        .and_where(Expr::col(event(Column::ProjectId)).is_in(distinct(keys, |key| key.project.id)))
        .and_where(Expr::col(event(Column::Kind)).is_in(distinct(keys, |key| key.kind.code())))
        .and_where(Expr::col(event(Column::Ts)).is_in(distinct(keys, |key| key.timestamp)))
        .and_where(Expr::col(event(Column::Id)).is_in(distinct(keys, |key| key.id)));
    if let VisibleOrganizations::Organization(own) = scope.organizations() {
        select.and_where(Expr::col(event(Column::OrganizationId)).eq(own));
    }
    let mut found = HashMap::new();
    for row in session.query_all(&select).await? {
        let timestamp: Timestamp = row.try_get_by_index(3)?;
        let Some(kind) = MetricType::from_code(row.try_get_by_index(2)?) else {
            continue;
        };
        let project = Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let key = MetricKey { project, kind, timestamp, id: row.try_get_by_index(4)? };
        let measurement = Measurement {
            kind,
            value: row.try_get_by_index(5)?,
            endpoint: row.try_get_by_index(9)?,
            status: row.try_get_by_index(6)?,
            timestamp,
            name: row.try_get_by_index(7)?,
            release: row.try_get_by_index(8)?,
            labels: Labels::Unread,
        };
        found.insert(key, measurement);
    }
    Ok(found)
}

fn distinct<T: Eq + std::hash::Hash>(keys: &[MetricKey], part: impl Fn(&MetricKey) -> T) -> HashSet<T> {
    keys.iter().map(part).collect()
}
