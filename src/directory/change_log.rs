//! The change log, written in the transaction of the change: two statements, whatever the number of changes.
//!
//! The count of an organization's changes is taken last, after every other lock. The next transaction waits for it, so the
//! order of changes is the order of commits, without gaps.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement, sea_query::Expr};
use serde_json::{Value, json};

use crate::{
    db::Transaction,
    error::{Error, Result},
    model::{Key, OrganizationId, Timestamp, change::Change},
};

/// Appends changes in their order.
pub(super) async fn append(transaction: &Transaction, changes: &[Change], now: Timestamp) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for change in changes {
        *counts.entry(change.entity.organization().0).or_default() += 1;
    }
    let mut last = advance(transaction, &counts).await?;
    transaction.notify_on_commit(last.iter().map(|(organization, last)| (OrganizationId(*organization), *last)));
    // Back from the last number of each organization to the one before its first change here.
    for (organization, count) in &counts {
        last.entry(*organization).and_modify(|last| *last -= count);
    }
    let mut rows = Vec::with_capacity(changes.len());
    for change in changes {
        let organization = change.entity.organization().0;
        let sequence = last.get_mut(&organization).ok_or_else(|| Error::internal("a change was not counted"))?;
        *sequence += 1;
        let (noun, id) = change.entity.code();
        let fields = json!(change.fields).to_string();
        rows.push(json!([organization, *sequence, noun, id, change.kind.code(), fields, now.as_micros()]));
    }
    insert(transaction, rows).await
}

/// The condition for rows with one of these keys: one parameter, whatever their number.
pub(super) fn among<Id: Copy + Into<i64>>(backend: DbBackend, keys: &[Key<Id>]) -> Expr {
    let keys = keys.iter().map(|key| json!([key.organization.0, key.id.into()])).collect();
    let [organization, id] = columns(backend, [("BIGINT", 0), ("BIGINT", 1)]);
    // The query builder expects the database's own placeholder.
    let rows = if backend == DbBackend::Sqlite { "json_each(?)" } else { rows_of(backend) };
    let sql = format!("(organization_id, id) IN (SELECT {organization}, {id} FROM {rows})");
    Expr::cust_with_values(sql, [Value::Array(keys).to_string()])
}

/// Advances the counts, in ascending order of organizations, and returns the new ones.
async fn advance(transaction: &Transaction, counts: &BTreeMap<i64, i64>) -> Result<BTreeMap<i64, i64>> {
    let backend = transaction.get_database_backend();
    let [organization, count] = columns(backend, [("BIGINT", 0), ("BIGINT", 1)]);
    let sql = format!(
        "INSERT INTO organization_stream (organization_id, last_change) SELECT {organization}, {count} FROM {} \
         WHERE true ON CONFLICT (organization_id) DO UPDATE \
         SET last_change = organization_stream.last_change + excluded.last_change RETURNING organization_id, last_change",
        rows_of(backend)
    );
    let rows = counts.iter().map(|(organization, count)| json!([organization, count])).collect();
    let found = transaction.query_all_raw(statement(backend, sql, rows)).await?;
    let mut last = BTreeMap::new();
    for row in found {
        last.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    }
    Ok(last)
}

async fn insert(transaction: &Transaction, rows: Vec<Value>) -> Result<()> {
    let backend = transaction.get_database_backend();
    let [small, long, text] = ["SMALLINT", "BIGINT", "TEXT"];
    let kinds = [(long, 0), (long, 1), (small, 2), (long, 3), (small, 4), (text, 5), (long, 6)];
    let sql = format!(
        "INSERT INTO entity_change (organization_id, seq, noun, entity_id, kind, changed_fields, changed_at) \
         SELECT {} FROM {}",
        columns(backend, kinds).join(", "),
        rows_of(backend)
    );
    transaction.execute_raw(statement(backend, sql, rows)).await?;
    Ok(())
}

/// A statement with one parameter, whatever the number of rows.
fn statement(backend: DbBackend, sql: String, rows: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(backend, sql, [Value::Array(rows).to_string().into()])
}

const fn rows_of(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "json_each($1)",
        _ => "jsonb_array_elements($1::jsonb) AS given(value)",
    }
}

fn columns<const N: usize>(backend: DbBackend, columns: [(&str, usize); N]) -> [String; N] {
    columns.map(|(kind, index)| match backend {
        DbBackend::Sqlite => format!("value->>{index}"),
        _ => format!("(value->>{index})::{kind}"),
    })
}
