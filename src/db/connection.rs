//! One connection to either database, with the means to stop what it executes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use sea_orm::{DbBackend, ExecResult, QueryResult};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor, IntoArguments, PgConnection, SqliteConnection,
    postgres::PgConnectOptions, query::Query, sqlite::SqliteConnectOptions,
};

use super::{
    bound_statement::BoundStatement,
    control::{Backend, Control},
    file::FileWatch,
    line::Line,
};

/// Number of instructions of SQLite's machine between two looks whether a statement shall stop: well below a millisecond.
const INSTRUCTIONS_PER_LOOK: i32 = 10_000;

/// The address of a database, with its password.
#[derive(Clone)]
pub enum Source {
    /// A file, which is looked at before connecting: the path may lead to another file by now.
    Sqlite(SqliteConnectOptions, FileWatch),
    /// A server.
    Postgres {
        /// Its address.
        address: PgConnectOptions,
        /// Stops statements.
        control: Arc<Control>,
        /// True if statements are prepared.
        are_prepared: bool,
    },
    /// A pooler in transaction mode.
    Pooler {
        /// Its address.
        address: PgConnectOptions,
        /// The statements that begin a transaction.
        begin: Arc<str>,
    },
}

/// A connection. The methods leave no statement behind if their futures are completed; if one is dropped, the connection
/// must be settled first: [`Connection::stop`], then [`Connection::settle`].
#[derive(Debug)]
pub struct Connection {
    driver: Driver,
    stop: Stop,
    /// Statements are prepared once for a connection, and found again by their text.
    are_prepared: bool,
}

#[derive(Debug)]
enum Driver {
    Sqlite(Box<SqliteConnection>),
    Postgres(PgConnection),
}

/// Stops the statement of a connection from outside of it.
#[derive(Clone, Debug)]
enum Stop {
    /// SQLite looks at it while it executes.
    Interrupt(Arc<AtomicBool>),
    /// PostgreSQL is told over another connection.
    Cancel(Backend),
    /// Behind a pooler, nobody knows which process of PostgreSQL executes it.
    Nothing,
}

impl Source {
    /// Opens a connection. The caller bounds the time.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn connect(&self) -> sqlx::Result<Connection> {
        match self {
            Self::Sqlite(options, file) => {
                file.look()?;
                let mut connection = SqliteConnection::connect_with(options).await?;
                let is_stopped = Arc::new(AtomicBool::new(false));
                let seen = Arc::clone(&is_stopped);
                let mut handle = connection.lock_handle().await?;
                handle.set_progress_handler(INSTRUCTIONS_PER_LOOK, move || !seen.load(Ordering::Relaxed));
                drop(handle);
                let (driver, stop) = (Driver::Sqlite(Box::new(connection)), Stop::Interrupt(is_stopped));
                Ok(Connection { driver, stop, are_prepared: true })
            }
            Self::Postgres { address, control, are_prepared } => {
                let mut connection = PgConnection::connect_with(address).await?;
                let stop = Stop::Cancel(control.backend_of(&mut connection).await?);
                Ok(Connection { driver: Driver::Postgres(connection), stop, are_prepared: *are_prepared })
            }
            Self::Pooler { address, .. } => {
                let driver = Driver::Postgres(PgConnection::connect_with(address).await?);
                Ok(Connection { driver, stop: Stop::Nothing, are_prepared: false })
            }
        }
    }

    /// The kind of the database.
    pub const fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(..) => DbBackend::Sqlite,
            Self::Postgres { .. } | Self::Pooler { .. } => DbBackend::Postgres,
        }
    }

    /// The statements that begin a transaction, if every statement needs one.
    pub const fn pooled_begin(&self) -> Option<&Arc<str>> {
        match self {
            Self::Pooler { begin, .. } => Some(begin),
            Self::Sqlite(..) | Self::Postgres { .. } => None,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("backend", &self.backend()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Executes a statement and returns all rows.
    pub fn all(&mut self, statement: BoundStatement) -> BoxFuture<'_, sqlx::Result<Vec<QueryResult>>> {
        let are_prepared = self.are_prepared;
        match &mut self.driver {
            Driver::Sqlite(connection) => Box::pin(async move {
                let rows = query(statement).fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }),
            Driver::Postgres(connection) => Box::pin(async move {
                let rows = query(statement).fetch_all(Line::new(connection, are_prepared)).await?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }),
        }
    }

    /// Executes a statement and returns its first row, if there is one.
    pub fn one(&mut self, statement: BoundStatement) -> BoxFuture<'_, sqlx::Result<Option<QueryResult>>> {
        let are_prepared = self.are_prepared;
        match &mut self.driver {
            Driver::Sqlite(connection) => {
                Box::pin(
                    async move { Ok(query(statement).fetch_optional(&mut **connection).await?.map(QueryResult::from)) },
                )
            }
            Driver::Postgres(connection) => Box::pin(async move {
                Ok(query(statement).fetch_optional(Line::new(connection, are_prepared)).await?.map(QueryResult::from))
            }),
        }
    }

    /// Streams the rows of a statement.
    pub fn rows(&mut self, statement: BoundStatement) -> BoxStream<'_, sqlx::Result<QueryResult>> {
        let are_prepared = self.are_prepared;
        match &mut self.driver {
            Driver::Sqlite(connection) => {
                query(statement).fetch(&mut **connection).map(|row| row.map(QueryResult::from)).boxed()
            }
            Driver::Postgres(connection) => query(statement)
                .fetch(Line::new(connection, are_prepared))
                .map(|row| row.map(QueryResult::from))
                .boxed(),
        }
    }

    /// Executes a statement with values.
    pub fn execute(&mut self, statement: BoundStatement) -> BoxFuture<'_, sqlx::Result<ExecResult>> {
        let are_prepared = self.are_prepared;
        match &mut self.driver {
            Driver::Sqlite(connection) => {
                Box::pin(async move { Ok(query::<sqlx::Sqlite>(statement).execute(&mut **connection).await?.into()) })
            }
            Driver::Postgres(connection) => Box::pin(async move {
                Ok(query::<sqlx::Postgres>(statement).execute(Line::new(connection, are_prepared)).await?.into())
            }),
        }
    }

    /// Executes statements without values, which are not prepared.
    pub fn execute_text(&mut self, sql: String) -> BoxFuture<'_, sqlx::Result<ExecResult>> {
        match &mut self.driver {
            Driver::Sqlite(connection) => {
                Box::pin(async move { Ok(connection.execute(AssertSqlSafe(sql)).await?.into()) })
            }
            Driver::Postgres(connection) => {
                Box::pin(async move { Ok(connection.execute(AssertSqlSafe(sql)).await?.into()) })
            }
        }
    }

    /// Sends a ping and waits for the answer. Answers of earlier statements are read and dropped.
    pub async fn ping(&mut self) -> sqlx::Result<()> {
        match &mut self.driver {
            Driver::Sqlite(connection) => connection.ping().await,
            Driver::Postgres(connection) => connection.ping().await,
        }
    }

    /// Closes the connection and waits for it.
    pub async fn close(self) -> sqlx::Result<()> {
        match self.driver {
            Driver::Sqlite(connection) => connection.close().await,
            Driver::Postgres(connection) => connection.close().await,
        }
    }

    /// Stops the statement that is executed.
    ///
    /// # Errors
    /// PostgreSQL cannot be asked.
    pub async fn stop(&self) -> sqlx::Result<()> {
        match &self.stop {
            Stop::Interrupt(is_stopped) => {
                is_stopped.store(true, Ordering::Relaxed);
                Ok(())
            }
            Stop::Cancel(backend) => backend.cancel().await,
            Stop::Nothing => Err(sqlx::Error::PoolClosed),
        }
    }

    /// Waits until a stopped statement has ended, so that the connection takes the next one.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn settle(&mut self) -> sqlx::Result<()> {
        loop {
            match self.ping().await {
                // The statement says that it was cancelled; the connection goes on after that.
                Err(sqlx::Error::Database(_)) => {}
                settled => {
                    if let Stop::Interrupt(is_stopped) = &self.stop {
                        is_stopped.store(false, Ordering::Relaxed);
                    }
                    return settled;
                }
            }
        }
    }

    /// The driver's connection, if it is one to PostgreSQL.
    pub const fn postgres(&mut self) -> Option<Line<'_>> {
        match &mut self.driver {
            Driver::Sqlite(_) => None,
            Driver::Postgres(connection) => Some(Line::new(connection, self.are_prepared)),
        }
    }

    /// True if the connection may die without a word.
    pub const fn is_remote(&self) -> bool {
        matches!(self.driver, Driver::Postgres(_))
    }

    /// True if what it executes can be stopped.
    pub const fn can_stop(&self) -> bool {
        !matches!(self.stop, Stop::Nothing)
    }

    /// The server's process behind the connection; SQLite has none.
    pub const fn server_process(&self) -> Option<&Backend> {
        match &self.stop {
            Stop::Interrupt(_) | Stop::Nothing => None,
            Stop::Cancel(backend) => Some(backend),
        }
    }
}

/// Converts a statement for the driver.
fn query<DB: sqlx::Database>(statement: BoundStatement) -> Query<'static, DB, SqlxValues>
where
    SqlxValues: IntoArguments<DB>,
{
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(statement.values))
}
