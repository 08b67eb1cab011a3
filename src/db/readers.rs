//! Connections for queries, which stay outside of the pool between two queries.
//!
//! The pool pings each connection that is returned to it. For a small query this is a second round trip, and on SQLite
//! a second wake-up of the connection's thread: an eighth of the cost of a small request. Here a connection is returned
//! to the pool once a minute, when a caller waits for the pool itself, and after a query that failed or was cancelled.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DbBackend, DbErr, QueryResult, QueryStream, RuntimeErr, SqlxPostgresConnector,
    SqlxSqliteConnector, Statement, StreamTrait, Values,
};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Executor, IntoArguments, PgPool, Pool, Postgres, Sqlite, SqlitePool, pool::PoolConnection,
    query::Query,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::file::FileWatch;
use crate::clock::Stopwatch;

/// Time for which a connection is reused before it returns to the pool, which closes old and dead connections.
const AT_HAND_MS: f64 = 60_000.0;

/// The pool for queries and the idle connections outside of it.
#[derive(Clone, Debug)]
pub struct Readers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: DatabaseConnection,
    at_hand: Kind,
    file: FileWatch,
}

#[derive(Debug)]
enum Kind {
    Sqlite(ConnectionStock<Sqlite>),
    Postgres(ConnectionStock<Postgres>),
}

impl Readers {
    /// The readers of an SQLite file.
    pub fn sqlite(pool: SqlitePool, file: FileWatch) -> Self {
        let at_hand = Kind::Sqlite(ConnectionStock::new(pool.clone(), file.clone()));
        Self(Arc::new(Inner { pool: SqlxSqliteConnector::from_sqlx_sqlite_pool(pool), at_hand, file }))
    }

    /// The readers of a PostgreSQL server.
    pub fn postgres(pool: PgPool) -> Self {
        let file = FileWatch::default();
        let at_hand = Kind::Postgres(ConnectionStock::new(pool.clone(), file.clone()));
        Self(Arc::new(Inner { pool: SqlxPostgresConnector::from_sqlx_postgres_pool(pool), at_hand, file }))
    }

    /// The kind of the database.
    pub fn backend(&self) -> DbBackend {
        self.0.pool.get_database_backend()
    }

    /// Executes a statement and returns all rows.
    pub async fn all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.0.at_hand {
            Kind::Sqlite(stock) => stock.all(statement).await,
            Kind::Postgres(stock) => stock.all(statement).await,
        }
    }

    /// Executes a statement and returns its first row, if there is one.
    pub async fn one(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.0.at_hand {
            Kind::Sqlite(stock) => stock.one(statement).await,
            Kind::Postgres(stock) => stock.one(statement).await,
        }
    }

    /// Streams the rows of a statement, on a connection that no other query uses meanwhile.
    pub async fn stream(&self, statement: Statement) -> Result<QueryStream, DbErr> {
        self.0.file.look()?;
        let _waiting = self.waiting();
        self.0.pool.stream_raw(statement).await
    }

    /// The pool itself. While the guard is held, connections return to the pool after each query.
    pub fn pool(&self) -> (&DatabaseConnection, PoolWaiter<'_>) {
        (&self.0.pool, self.waiting())
    }

    /// Closes the pool and waits until every connection is back.
    pub async fn close(&self) {
        match &self.0.at_hand {
            Kind::Sqlite(stock) => stock.close().await,
            Kind::Postgres(stock) => stock.close().await,
        }
    }

    fn waiting(&self) -> PoolWaiter<'_> {
        match &self.0.at_hand {
            Kind::Sqlite(stock) => stock.waiting(),
            Kind::Postgres(stock) => stock.waiting(),
        }
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

/// A pool and the idle connections outside of it.
struct ConnectionStock<DB: sqlx::Database> {
    pool: Pool<DB>,
    /// One permit for each connection. Its holder finds a connection in `at_hand` or in the pool.
    room: Semaphore,
    at_hand: Mutex<Vec<IdleConnection<DB>>>,
    /// Number of callers that wait for the pool. It changes before `at_hand` is read, so no connection that could serve
    /// a waiting caller stays in `at_hand`.
    waiting: AtomicUsize,
    /// Looked at before connecting: the path may lead to another file by now.
    file: FileWatch,
}

struct IdleConnection<DB: sqlx::Database> {
    connection: PoolConnection<DB>,
    since: Stopwatch,
}

/// A connection in use. If it is dropped without [`LentConnection::put_back`], it returns to the pool, which checks
/// that it still works.
struct LentConnection<'a, DB: sqlx::Database> {
    stock: &'a ConnectionStock<DB>,
    connection: PoolConnection<DB>,
    since: Stopwatch,
    _permit: SemaphorePermit<'a>,
}

/// A caller that waits for the pool.
pub struct PoolWaiter<'a>(&'a AtomicUsize);

impl Drop for PoolWaiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<DB: sqlx::Database> ConnectionStock<DB> {
    fn new(pool: Pool<DB>, file: FileWatch) -> Self {
        let connections = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        let room = Semaphore::new(connections.min(Semaphore::MAX_PERMITS));
        Self { pool, room, at_hand: Mutex::default(), waiting: AtomicUsize::new(0), file }
    }

    fn at_hand(&self) -> MutexGuard<'_, Vec<IdleConnection<DB>>> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self) -> Result<LentConnection<'_, DB>, DbErr> {
        let permit = match self.room.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self.permit().await.map_err(not_acquired)?,
        };
        // A connection that was idle for longer may be dead. Dropping it returns it to the pool, which checks it.
        let at_hand = self.at_hand().pop().filter(|held| held.since.elapsed_ms() < AT_HAND_MS);
        let IdleConnection { connection, since } = match at_hand {
            Some(held) => held,
            // Boxed: connecting is rare and would make the future of every query ten times as large.
            None => Box::pin(self.acquire()).await.map_err(not_acquired)?,
        };
        Ok(LentConnection { stock: self, connection, since, _permit: permit })
    }

    async fn permit(&self) -> sqlx::Result<SemaphorePermit<'_>> {
        let waited = timeout(self.pool.options().get_acquire_timeout(), self.room.acquire()).await;
        waited.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)
    }

    async fn acquire(&self) -> sqlx::Result<IdleConnection<DB>> {
        self.file.look()?;
        let _waiting = self.waiting();
        Ok(IdleConnection { connection: self.pool.acquire().await?, since: Stopwatch::start() })
    }

    /// Registers a caller that waits for the pool, and returns an idle connection to the pool for it.
    fn waiting(&self) -> PoolWaiter<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = PoolWaiter(&self.waiting);
        drop(self.at_hand().pop());
        waiting
    }

    async fn close(&self) {
        self.room.close();
        let closing = self.pool.close();
        self.at_hand().clear();
        closing.await;
    }
}

impl<DB: sqlx::Database> ConnectionStock<DB>
where
    SqlxValues: IntoArguments<DB>,
    QueryResult: From<DB::Row>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    async fn all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut taken = self.take().await?;
        let rows = query(statement).fetch_all(&mut *taken.connection).await.map_err(failed)?;
        taken.put_back();
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    async fn one(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut taken = self.take().await?;
        let row = query(statement).fetch_optional(&mut *taken.connection).await.map_err(failed)?;
        taken.put_back();
        Ok(row.map(QueryResult::from))
    }
}

/// Converts a statement for the driver.
fn query<DB: sqlx::Database>(statement: Statement) -> Query<'static, DB, SqlxValues>
where
    SqlxValues: IntoArguments<DB>,
{
    let values = statement.values.unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

impl<DB: sqlx::Database> LentConnection<'_, DB> {
    /// Keeps the connection for the next query, after a query that succeeded.
    fn put_back(self) {
        let Self { stock, connection, since, _permit: permit } = self;
        let mut at_hand = stock.at_hand();
        let is_wanted = stock.waiting.load(Ordering::SeqCst) > 0;
        if !is_wanted && since.elapsed_ms() < AT_HAND_MS && !stock.pool.is_closed() {
            at_hand.push(IdleConnection { connection, since });
        }
        drop(at_hand);
        drop(permit);
    }
}

fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        other => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(other))),
    }
}

impl<DB: sqlx::Database> fmt::Debug for ConnectionStock<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionStock").field("at_hand", &self.at_hand().len()).finish_non_exhaustive()
    }
}
