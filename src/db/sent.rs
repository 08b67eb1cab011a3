//! Statements on their way to the database. The driver and the log of the request share the text, which is never copied.

use std::sync::Arc;

use sea_orm::{DbBackend, DbErr, ExecResult, QueryResult, Statement, Values};

/// A statement to send.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The SQL with placeholders.
    pub sql: Arc<str>,
    /// The values of the placeholders.
    pub values: Values,
}

impl From<Statement> for Sent {
    fn from(Statement { sql, values, .. }: Statement) -> Self {
        Self { sql: sql.into(), values: values.unwrap_or(Values(Vec::new())) }
    }
}

impl Sent {
    /// The statement for a connection of the ORM.
    pub fn for_orm(self, backend: DbBackend) -> Statement {
        Statement { sql: String::from(&*self.sql), values: Some(self.values), db_backend: backend }
    }
}

/// Connections that take statements.
pub trait Sends: Send + Sync {
    /// The kind of the database.
    fn backend(&self) -> DbBackend;

    /// Executes a statement that changes rows.
    fn execute(&self, statement: Sent) -> impl Future<Output = Result<ExecResult, DbErr>> + Send;

    /// Executes statements without values, which are not prepared.
    fn execute_text(&self, sql: &str) -> impl Future<Output = Result<ExecResult, DbErr>> + Send;

    /// Reads the first row of a query, if there is one.
    fn one(&self, query: Sent) -> impl Future<Output = Result<Option<QueryResult>, DbErr>> + Send;

    /// Reads all rows of a query.
    fn all(&self, query: Sent) -> impl Future<Output = Result<Vec<QueryResult>, DbErr>> + Send;
}
