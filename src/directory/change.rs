//! Shared steps of all changes of the directory: updates of a row under an optimistic lock, and retries of transactions
//! that the database rolled back.
//!
//! Locks are taken in one order, so that no two changes deadlock: the organization, then employees by id, then projects
//! by id, then memberships, and last the count of the organization's changes (`change_log`).

use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::{
    ConnectionTrait, QueryResult,
    sea_query::{
        BinOper, CaseStatement, Condition, DynIden, Expr, ExprTrait, IntoIden, LockType, Query, SelectStatement,
        TableRef, UpdateStatement, Value,
    },
};

use super::{change_log, reach::absent};
use crate::{
    db::{self, Session},
    error::{Error, Result},
    model::{
        ProblemKind, Scope, Timestamp,
        change::{Change, EntityKey},
    },
};

/// Microseconds of a millisecond.
const MILLIS_MICROS: i64 = 1_000;
/// Attempts of a transaction that the database keeps rolling back.
const ATTEMPTS: usize = 5;

/// The error for a change that contradicts stored data.
pub(super) fn conflict(field: &str, message: impl Into<String>) -> Error {
    Error::refused(ProblemKind::Conflict, field, message)
}

/// Runs a transaction, and restarts it when the database rolled it back in favour of another one.
pub(super) async fn retried<'a, T>(run: impl Fn() -> BoxFuture<'a, Result<T>> + Send) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match run().await {
            Err(error) if db::is_rolled_back(&error) => {
                tracing::debug!("the database rolled a change back in favour of another one; retrying");
            }
            other => return other,
        }
    }
    run().await
}

/// The state of a row that the caller has read. The row is not changed if it has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptimisticLock {
    /// The time of the last change, from `ifUpdatedAt`.
    pub updated_at: Option<Timestamp>,
    /// The time of the last change, from the opaque version in `ifVersion`.
    pub version: Option<Timestamp>,
}

impl OptimisticLock {
    /// Compares with the time of the last change.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the input that differs.
    fn check(self, updated_at: Timestamp) -> Result<()> {
        if self.version.is_some_and(|version| version != updated_at) {
            return Err(conflict("ifVersion", "is not the current version; read the record again"));
        }
        let Some(expected) = self.updated_at.filter(|expected| *expected != updated_at) else { return Ok(()) };
        let message = if expected.floor(MILLIS_MICROS) == updated_at.floor(MILLIS_MICROS) {
            format!(
                "is {expected}, and the last change was at {updated_at}: only digits below the millisecond differ, which \
                 a `Date` of JavaScript loses. Pass `updatedAt` as the text that was read, or `version` as `ifVersion`"
            )
        } else {
            format!("is {expected}, but the last change was at {updated_at}; read the record again")
        };
        Err(conflict("ifUpdatedAt", message))
    }
}

/// An update of one row.
pub(super) struct RowUpdate {
    /// The table.
    pub table: TableRef,
    /// The entity of the row, for the change log.
    pub entity: EntityKey,
    /// The condition for the row's key.
    pub key: Condition,
    /// The new values, by column.
    pub values: Vec<(DynIden, Value)>,
    /// The state that the caller expects.
    pub lock: OptimisticLock,
}

const UPDATED_AT: &str = "updated_at";

impl RowUpdate {
    /// Updates the row and logs the columns that changed. An update that changes nothing leaves the row, including
    /// `updated_at`, unmodified. The row is locked before it is compared, so no other change comes in between.
    ///
    /// A single update can deadlock, too: two transactions that exchange unique values wait for each other.
    ///
    /// # Errors
    /// [`Error::Refused`] when the row does not exist in the scope or the optimistic lock was lost.
    pub(super) async fn run(self, scope: &Scope, db: &Session, now: Timestamp) -> Result<()> {
        if !scope.sees(self.entity.organization()) {
            return Err(absent("id"));
        }
        retried(|| self.attempt(db, now).boxed()).await
    }

    async fn attempt(&self, db: &Session, now: Timestamp) -> Result<()> {
        let transaction = db.begin_write().await?;
        let row = transaction.query_one(&self.locking_read()).await?.ok_or_else(|| absent("id"))?;
        let updated_at: Timestamp = row.try_get_by_index(0)?;
        self.lock.check(updated_at)?;
        let changed = changed_columns(&self.values, &row, 1)?;
        if changed.is_empty() {
            return Ok(());
        }
        transaction.execute(&self.statement(now)).await?;
        change_log::append(&transaction, &[Change::updated(self.entity, changed)], now).await?;
        transaction.commit().await
    }

    /// Locks the row and reads the time of its last change and the columns that differ.
    fn locking_read(&self) -> SelectStatement {
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

/// Sets new values and the time of the change.
pub(super) fn assign(update: &mut UpdateStatement, values: &[(DynIden, Value)], now: Timestamp) {
    for (column, value) in values {
        update.value(column.clone(), Expr::val(value.clone()));
    }
    update.value(UPDATED_AT.into_iden(), later(now));
}

/// The condition for rows whose column differs from the new value.
pub(super) fn differs((column, value): &(DynIden, Value)) -> Expr {
    Expr::col(column.clone()).binary(BinOper::Custom("IS DISTINCT FROM"), Expr::val(value.clone()))
}

/// One number per value: 1 if its column differs.
pub(super) fn differences(values: &[(DynIden, Value)]) -> impl Iterator<Item = Expr> + '_ {
    let number = |value| CaseStatement::new().case(differs(value), Expr::cust("1")).finally(Expr::cust("0")).into();
    values.iter().map(number)
}

/// The columns that [`differences`] found, read from a row that has them from `first` on.
pub(super) fn changed_columns(values: &[(DynIden, Value)], row: &QueryResult, first: usize) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for (index, (column, _)) in (first..).zip(values) {
        if row.try_get_by_index::<i32>(index)? != 0 {
            changed.push(column.to_string());
        }
    }
    Ok(changed)
}

/// The current time, or one microsecond after the last change if that is later. Optimistic locks compare these times, so
/// they must increase even while the clock stands still.
pub(super) fn later(now: Timestamp) -> Expr {
    let is_behind = Expr::col(UPDATED_AT).gte(now);
    CaseStatement::new().case(is_behind, Expr::col(UPDATED_AT).add(1)).finally(Expr::val(now)).into()
}
