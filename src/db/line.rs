//! A connection to PostgreSQL below the ORM, on which statements are prepared or not, whatever they say themselves.

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// A connection for statements of the driver.
#[derive(Debug)]
pub struct Line<'c> {
    connection: &'c mut PgConnection,
    are_prepared: bool,
}

impl<'c> Line<'c> {
    pub(super) const fn new(connection: &'c mut PgConnection, are_prepared: bool) -> Self {
        Self { connection, are_prepared }
    }

    /// The same connection, for one of several statements.
    pub const fn again(&mut self) -> Line<'_> {
        Line { connection: self.connection, are_prepared: self.are_prepared }
    }
}

impl<'c> Executor<'c> for Line<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.connection.fetch_many(Stated { query, is_prepared: self.are_prepared })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.connection.fetch_optional(Stated { query, is_prepared: self.are_prepared })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.connection.prepare_with(sql, parameters)
    }
}

/// A statement that is prepared only where statements are.
struct Stated<E> {
    query: E,
    is_prepared: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Stated<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.is_prepared && self.query.persistent()
    }
}
