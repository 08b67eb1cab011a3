//! Labels of measurements, looked up by key.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;

use crate::{
    db::{Session, json_array},
    error::{Error, Result},
    model::{Key, Labels, MetricKey, MetricType, Scope},
};

// CROSS JOIN fixes the join order: the requested keys outside, the labels by their primary key inside.
const SQLITE: &str = "SELECT l.organization_id, l.project_id, l.kind, l.ts, l.id, l.labels FROM json_each($1) AS asked \
    CROSS JOIN metric_label AS l ON l.organization_id = asked.value->>0 AND l.project_id = asked.value->>1 \
    AND l.kind = asked.value->>2 AND l.ts = asked.value->>3 AND l.id = asked.value->>4";
// The limit keeps the planner from a join that reads whole partitions: each key is searched in the index of its own.
const POSTGRES: &str = "SELECT found.* FROM jsonb_array_elements($1::jsonb) AS asked(value) CROSS JOIN LATERAL \
    (SELECT organization_id, project_id, kind, ts, id, labels FROM metric_label \
    WHERE organization_id = (asked.value->>0)::bigint AND project_id = (asked.value->>1)::bigint \
    AND kind = (asked.value->>2)::smallint AND ts = (asked.value->>3)::bigint AND id = (asked.value->>4)::bigint \
    LIMIT 1) AS found";

/// Loads the labels of the measurements with these keys in one statement. Measurements without labels, that do not exist or
/// lie outside of the scope are left out.
///
/// # Errors
/// The database fails.
pub async fn by_keys(scope: &Scope, session: &Session, keys: &[MetricKey]) -> Result<HashMap<MetricKey, Labels>> {
    let visible = keys.iter().filter(|key| scope.sees(key.project.organization));
    let asked = visible.map(|MetricKey { project, kind, timestamp, id }| {
        json!([project.organization.0, project.id.0, kind.code(), timestamp.as_micros(), id.0])
    });
    let backend = session.get_database_backend();
    let sql = if backend == DbBackend::Sqlite { SQLITE } else { POSTGRES };
    let statement = Statement::from_sql_and_values(backend, sql, [json_array(asked).into()]);
    let mut found = HashMap::new();
    for row in session.query_all_raw(statement).await? {
        let Some(kind) = MetricType::from_code(row.try_get_by_index(2)?) else { continue };
        let project = Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let key = MetricKey { project, kind, timestamp: row.try_get_by_index(3)?, id: row.try_get_by_index(4)? };
        let text: String = row.try_get_by_index(5)?;
        let labels = Labels::from_stored(&text).ok_or_else(|| Error::internal("stored labels cannot be read"))?;
        found.insert(key, labels);
    }
    Ok(found)
}
