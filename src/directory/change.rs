//! What all changes of the directory share: who may make them, how a row is updated under an optimistic lock, and that a
//! transaction which lost to another one begins again.
//!
//! Locks are taken in one order, so that no two changes wait for each other: the organization, then employees by id,
//! then projects by id, then memberships.

use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::{
    ConnectionTrait,
    sea_query::{
        BinOper, CaseStatement, Condition, DynIden, Expr, ExprTrait, IntoIden, Query, SelectStatement, TableRef,
        UpdateStatement, Value,
    },
};

use crate::{
    db::{self, Session},
    error::{Error, Result},
    model::{OrganizationId, ProblemKind, Role, Scope, Timestamp},
};

/// How often a transaction that lost to others begins again.
const ATTEMPTS: usize = 5;

/// Refuses what is outside of the scope like what does not exist, and roles that do not reach. `field` names the id.
pub(super) fn authorise(scope: &Scope, organization: OrganizationId, least: Role, field: &str) -> Result<()> {
    if !scope.sees(organization) {
        return Err(absent(field));
    }
    if scope.role() < least {
        let who = match least {
            Role::Viewer | Role::Member => "a member",
            Role::Admin => "an administrator",
            Role::Owner => "an owner",
        };
        return Err(Error::Forbidden(format!("only {who} may do this")));
    }
    Ok(())
}

/// What a caller learns about an id that names nothing they may see.
pub(super) fn absent(field: impl Into<String>) -> Error {
    Error::refused(ProblemKind::NotFound, field, "names nothing that you may see")
}

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
    /// Which row.
    pub key: Condition,
    /// The new values, by column.
    pub values: Vec<(DynIden, Value)>,
    /// Only if the row was last changed then.
    pub if_updated_at: Option<Timestamp>,
}

const UPDATED_AT: &str = "updated_at";

impl Update {
    /// Updates the row, unless it already is as it shall be: then nothing is touched, not even `updated_at`. The lock is
    /// part of the statement, so nothing can come between the check and the change.
    ///
    /// A single statement can wait in a circle, too: people who exchange what must be unique wait for each other.
    pub(super) async fn run(self, db: &Session, now: Timestamp) -> Result<()> {
        retried(|| self.attempt(db, now).boxed()).await
    }

    async fn attempt(&self, db: &Session, now: Timestamp) -> Result<()> {
        if !self.values.is_empty() && db.execute(&self.statement(now)).await?.rows_affected() > 0 {
            return Ok(());
        }
        // Rare: the row is absent, or newer than the caller knows, or as it shall be.
        match db.query_one(&self.last_change()).await? {
            None => Err(absent("id")),
            Some(row) => {
                let updated_at: Timestamp = row.try_get_by_index(0)?;
                match self.if_updated_at {
                    Some(expected) if expected != updated_at => Err(conflict(
                        "ifUpdatedAt",
                        format!("it was changed at {updated_at}; read it again and decide anew"),
                    )),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The statement that changes what is not yet as it shall be.
    pub(super) fn statement(&self, now: Timestamp) -> UpdateStatement {
        let mut update = Query::update();
        update.table(self.table.clone()).cond_where(self.key.clone());
        let mut differs = Condition::any();
        for (column, value) in &self.values {
            update.value(column.clone(), Expr::val(value.clone()));
            let distinct = BinOper::Custom("IS DISTINCT FROM");
            differs = differs.add(Expr::col(column.clone()).binary(distinct, Expr::val(value.clone())));
        }
        update.cond_where(differs).value(UPDATED_AT.into_iden(), later(now));
        if let Some(expected) = self.if_updated_at {
            update.and_where(Expr::col(UPDATED_AT).eq(expected));
        }
        update
    }

    fn last_change(&self) -> SelectStatement {
        let mut select = Query::select();
        select.column(UPDATED_AT).from(self.table.clone()).cond_where(self.key.clone());
        select
    }
}

/// Now, but later than the last change even when the clock has not moved since: an optimistic lock compares these.
pub(super) fn later(now: Timestamp) -> Expr {
    let stands = Expr::col(UPDATED_AT).gte(now);
    CaseStatement::new().case(stands, Expr::col(UPDATED_AT).add(1)).finally(Expr::val(now)).into()
}
