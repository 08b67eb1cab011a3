//! What all changes of the directory share: how a row is updated under an optimistic lock, and that a
//! transaction which lost to another one begins again.
//!
//! Locks are taken in one order, so that no two changes wait for each other: the organization, then employees by id,
//! then projects by id, then memberships, and last the count of the organization's changes (`journal`).

use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::{
    ConnectionTrait, QueryResult,
    sea_query::{
        BinOper, CaseStatement, Condition, DynIden, Expr, ExprTrait, IntoIden, LockType, Query, SelectStatement,
        TableRef, UpdateStatement, Value,
    },
};

use super::{journal, reach::absent};
use crate::{
    db::{self, Session},
    error::{Error, Result},
    model::{
        ProblemKind, Timestamp,
        change::{Change, EntityKey},
    },
};

/// How often a transaction that lost to others begins again.
const ATTEMPTS: usize = 5;

/// What contradicts what is stored.
pub(super) fn conflict(field: &str, message: impl Into<String>) -> Error {
    Error::refused(ProblemKind::Conflict, field, message)
}

/// Runs a transaction, and again from its beginning when the database ended it for the sake of another one.
pub(super) async fn retried<'a, T>(run: impl Fn() -> BoxFuture<'a, Result<T>> + Send) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match run().await {
            Err(error) if db::is_rolled_back(&error) => {
                tracing::debug!("a change lost to another one; it begins again");
            }
            other => return other,
        }
    }
    run().await
}

/// One row and what is to become of it.
pub(super) struct Update {
    /// The table.
    pub table: TableRef,
    /// What the row is about, for the log of changes.
    pub entity: EntityKey,
    /// Which row.
    pub key: Condition,
    /// The new values, by column.
    pub values: Vec<(DynIden, Value)>,
    /// Only if the row was last changed then.
    pub if_updated_at: Option<Timestamp>,
}

const UPDATED_AT: &str = "updated_at";

impl Update {
    /// Updates the row and logs which columns that changes. One that already is as it shall be is not touched, not even
    /// its `updated_at`. The row is locked before it is looked at, so nothing can come between the check and the change.
    ///
    /// A single update can wait in a circle, too: people who exchange what must be unique wait for each other.
    pub(super) async fn run(self, db: &Session, now: Timestamp) -> Result<()> {
        retried(|| self.attempt(db, now).boxed()).await
    }

    async fn attempt(&self, db: &Session, now: Timestamp) -> Result<()> {
        let transaction = db.begin_write().await?;
        let row = transaction.query_one(&self.lock()).await?.ok_or_else(|| absent("id"))?;
        let updated_at: Timestamp = row.try_get_by_index(0)?;
        if self.if_updated_at.is_some_and(|expected| expected != updated_at) {
            let message = format!("it was changed at {updated_at}; read it again and decide anew");
            return Err(conflict("ifUpdatedAt", message));
        }
        let changed = changed_columns(&self.values, &row, 1)?;
        if changed.is_empty() {
            return Ok(());
        }
        transaction.execute(&self.statement(now)).await?;
        journal::record(&transaction, &[Change::updated(self.entity, changed)], now).await?;
        transaction.commit().await
    }

    /// When the row was last changed, and which columns are not yet as they shall be.
    fn lock(&self) -> SelectStatement {
        let mut select = Query::select();
        select
            .column(UPDATED_AT)
            .exprs(differences(&self.values))
            .from(self.table.clone())
            .cond_where(self.key.clone());
        select.lock(LockType::NoKeyUpdate);
        select
    }

    fn statement(&self, now: Timestamp) -> UpdateStatement {
        let mut update = Query::update();
        update.table(self.table.clone()).cond_where(self.key.clone());
        assign(&mut update, &self.values, now);
        update
    }
}

/// Sets new values, and when that was.
pub(super) fn assign(update: &mut UpdateStatement, values: &[(DynIden, Value)], now: Timestamp) {
    for (column, value) in values {
        update.value(column.clone(), Expr::val(value.clone()));
    }
    update.value(UPDATED_AT.into_iden(), later(now));
}

/// Whether a column is not yet as it shall be.
pub(super) fn differs((column, value): &(DynIden, Value)) -> Expr {
    Expr::col(column.clone()).binary(BinOper::Custom("IS DISTINCT FROM"), Expr::val(value.clone()))
}

/// One number for each value: 1 where its column is not yet as it shall be.
pub(super) fn differences(values: &[(DynIden, Value)]) -> impl Iterator<Item = Expr> + '_ {
    let number = |value| CaseStatement::new().case(differs(value), Expr::cust("1")).finally(Expr::cust("0")).into();
    values.iter().map(number)
}

/// The columns that [`differences`] told apart, from a row that has them from `first` on.
pub(super) fn changed_columns(values: &[(DynIden, Value)], row: &QueryResult, first: usize) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for (place, (column, _)) in (first..).zip(values) {
        if row.try_get_by_index::<i32>(place)? != 0 {
            changed.push(column.to_string());
        }
    }
    Ok(changed)
}

/// Now, but later than the last change even when the clock has not moved since: an optimistic lock compares these.
pub(super) fn later(now: Timestamp) -> Expr {
    let stands = Expr::col(UPDATED_AT).gte(now);
    CaseStatement::new().case(stands, Expr::col(UPDATED_AT).add(1)).finally(Expr::val(now)).into()
}
