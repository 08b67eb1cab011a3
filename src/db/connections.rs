//! The connections of a session: those of a stock, or the one that writes to an SQLite file.

use std::sync::Arc;

use futures_util::{Stream, TryStreamExt, future::Either};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, RuntimeErr, SqliteTransactionMode, StreamTrait, TransactionOptions, TransactionTrait,
};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::{
    bound_statement::{BoundStatement, Executor},
    stock::Stock,
    taken::Taken,
};

/// The connections that one request uses.
#[derive(Clone, Debug)]
pub enum Connections {
    /// For queries.
    Read {
        /// Shared by all requests.
        stock: Arc<Stock>,
        /// One permit for each connection that the queries of one request may use at once; `None` for the server's own
        /// queries.
        turns: Option<Arc<Semaphore>>,
    },
    /// For writes to PostgreSQL.
    Write(Arc<Stock>),
    /// For writes to an SQLite file, which has one writer: the driver's pool, because jobs use the same connection.
    WriteFile(DatabaseConnection),
}

/// A transaction on one of these connections. Dropped, it is rolled back.
#[derive(Debug)]
pub enum OpenTransaction {
    /// On a connection of a stock, to this database.
    Taken(DbBackend, Mutex<Taken>),
    /// On the connection that writes to an SQLite file.
    File(DatabaseTransaction),
}

impl Connections {
    /// For the server's own queries.
    pub const fn read(stock: Arc<Stock>) -> Self {
        Self::Read { stock, turns: None }
    }

    /// For the queries of one request, which take turns on half of the connections. Without turns, a request with twenty slow
    /// reports would wait for its own connections until the timeout, and so would everybody else.
    pub fn read_for_request(stock: Arc<Stock>) -> Self {
        let turns = usize::try_from(stock.count() / 2).unwrap_or(1).max(1);
        Self::Read { stock, turns: Some(Arc::new(Semaphore::new(turns))) }
    }

    /// Starts a transaction. `writes` takes the write lock of an SQLite file at once.
    pub async fn begin(&self, writes: bool) -> Result<OpenTransaction, DbErr> {
        match self {
            Self::Read { stock, .. } | Self::Write(stock) => {
                let taken = Taken::in_transaction(stock).await.map_err(not_acquired)?;
                Ok(OpenTransaction::Taken(stock.backend(), Mutex::new(taken)))
            }
            Self::WriteFile(pool) => {
                let options = TransactionOptions {
                    sqlite_transaction_mode: writes.then_some(SqliteTransactionMode::Immediate),
                    ..TransactionOptions::default()
                };
                pool.begin_with_options(options).await.map(OpenTransaction::File)
            }
        }
    }

    /// Streams the rows of a query.
    pub async fn stream(
        &self,
        query: BoundStatement,
    ) -> Result<impl Stream<Item = Result<QueryResult, DbErr>> + Send, DbErr> {
        match self {
            Self::Read { stock, .. } | Self::Write(stock) => {
                Ok(Either::Left(stock.take().await.map_err(not_acquired)?.rows(query).map_err(query_error)))
            }
            Self::WriteFile(pool) => {
                Ok(Either::Right(pool.stream_raw(query.for_orm(pool.get_database_backend())).await?))
            }
        }
    }

    /// Waits for the request's turn, in the order in which its queries came. The timeout of the request bounds the wait.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let Self::Read { turns: Some(turns), .. } = self else { return None };
        // The semaphore is never closed.
        turns.acquire().await.ok()
    }

    /// Waits for the turn of a query that may take long, such as a report: first that of the request, then one among all such
    /// queries. The timeout of the request bounds the wait: a burst of reports is answered one after the other instead of being
    /// refused, and the connections that are left serve everybody else.
    pub async fn long_turn(&self) -> Option<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        let Self::Read { stock, turns: Some(_) } = self else { return None };
        let own = self.turn().await?;
        Some((own, stock.long.acquire().await.ok()?))
    }
}

impl Executor for Connections {
    fn backend(&self) -> DbBackend {
        match self {
            Self::Read { stock, .. } | Self::Write(stock) => stock.backend(),
            Self::WriteFile(pool) => pool.get_database_backend(),
        }
    }

    async fn execute(&self, statement: BoundStatement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Read { stock, .. } | Self::Write(stock) => {
                stock.take().await.map_err(not_acquired)?.execute(statement).await.map_err(exec_error)
            }
            Self::WriteFile(pool) => pool.execute_raw(statement.for_orm(pool.get_database_backend())).await,
        }
    }

    async fn execute_text(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Read { stock, .. } | Self::Write(stock) => {
                stock.take().await.map_err(not_acquired)?.execute_text(sql.to_owned()).await.map_err(exec_error)
            }
            Self::WriteFile(pool) => pool.execute_unprepared(sql).await,
        }
    }

    async fn one(&self, query: BoundStatement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Read { stock, .. } => {
                let _turn = self.turn().await;
                let mut taken = stock.take().await.map_err(not_acquired)?;
                match taken.one(query.clone()).await {
                    // A query changes nothing, so that another connection may answer it.
                    Err(_) if taken.was_dead() => {
                        drop(taken);
                        stock.take().await.map_err(not_acquired)?.one(query).await.map_err(query_error)
                    }
                    answer => answer.map_err(query_error),
                }
            }
            Self::Write(stock) => stock.take().await.map_err(not_acquired)?.one(query).await.map_err(query_error),
            Self::WriteFile(pool) => pool.query_one_raw(query.for_orm(pool.get_database_backend())).await,
        }
    }

    async fn all(&self, query: BoundStatement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Read { stock, .. } => {
                let _turn = self.turn().await;
                let mut taken = stock.take().await.map_err(not_acquired)?;
                match taken.all(query.clone()).await {
                    Err(_) if taken.was_dead() => {
                        drop(taken);
                        stock.take().await.map_err(not_acquired)?.all(query).await.map_err(query_error)
                    }
                    answer => answer.map_err(query_error),
                }
            }
            Self::Write(stock) => stock.take().await.map_err(not_acquired)?.all(query).await.map_err(query_error),
            Self::WriteFile(pool) => pool.query_all_raw(query.for_orm(pool.get_database_backend())).await,
        }
    }
}

impl OpenTransaction {
    /// Makes everything done in this transaction durable.
    pub async fn commit(self) -> Result<(), DbErr> {
        match self {
            Self::Taken(_, taken) => taken.into_inner().commit().await.map_err(exec_error),
            Self::File(transaction) => transaction.commit().await,
        }
    }
}

impl Executor for OpenTransaction {
    fn backend(&self) -> DbBackend {
        match self {
            Self::Taken(backend, _) => *backend,
            Self::File(transaction) => ConnectionTrait::get_database_backend(transaction),
        }
    }

    async fn execute(&self, statement: BoundStatement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Taken(_, taken) => taken.lock().await.execute(statement).await.map_err(exec_error),
            Self::File(transaction) => transaction.execute_raw(statement.for_orm(self.backend())).await,
        }
    }

    async fn execute_text(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Taken(_, taken) => taken.lock().await.execute_text(sql.to_owned()).await.map_err(exec_error),
            Self::File(transaction) => transaction.execute_unprepared(sql).await,
        }
    }

    async fn one(&self, query: BoundStatement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Taken(_, taken) => taken.lock().await.one(query).await.map_err(query_error),
            Self::File(transaction) => transaction.query_one_raw(query.for_orm(self.backend())).await,
        }
    }

    async fn all(&self, query: BoundStatement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Taken(_, taken) => taken.lock().await.all(query).await.map_err(query_error),
            Self::File(transaction) => transaction.query_all_raw(query.for_orm(self.backend())).await,
        }
    }
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        other => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(other))),
    }
}
