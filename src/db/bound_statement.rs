//! Statements with their values. The driver and the log of the request share the text, so that it is not copied on the way.

use std::sync::Arc;

use sea_orm::{DbBackend, DbErr, ExecResult, QueryResult, Statement, Values};

/// A statement with the values of its placeholders.
#[derive(Clone, Debug)]
pub struct BoundStatement {
    /// The SQL with placeholders.
    pub sql: Arc<str>,
    /// The values of the placeholders.
    pub values: Values,
}

impl From<Statement> for BoundStatement {
    fn from(Statement { sql, values, .. }: Statement) -> Self {
        Self { sql: sql.into(), values: values.unwrap_or(Values(Vec::new())) }
    }
}

impl BoundStatement {
    /// The statement for a connection of the ORM.
    pub fn for_orm(self, backend: DbBackend) -> Statement {
        Statement { sql: String::from(&*self.sql), values: Some(self.values), db_backend: backend }
    }
}

/// Connections that take statements.
pub trait Executor: Send + Sync {
    /// The kind of the database.
    fn backend(&self) -> DbBackend;

    /// Executes a statement that changes rows.
    fn execute(&self, statement: BoundStatement) -> impl Future<Output = Result<ExecResult, DbErr>> + Send;

    /// Executes statements without values, which are not prepared.
    fn execute_text(&self, sql: &str) -> impl Future<Output = Result<ExecResult, DbErr>> + Send;

    /// Reads the first row of a query, if there is one.
    fn one(&self, query: BoundStatement) -> impl Future<Output = Result<Option<QueryResult>, DbErr>> + Send;

    /// Reads all rows of a query.
    fn all(&self, query: BoundStatement) -> impl Future<Output = Result<Vec<QueryResult>, DbErr>> + Send;
}
