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

use futures_util::TryStreamExt;
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
use crate::{clock::Stopwatch, error};

/// Time for which a connection is reused before it returns to the pool, which closes old and dead connections.
const AT_HAND_MS: f64 = 60_000.0;

/// The pool for queries and the idle connections outside of it.
#[derive(Clone, Debug)]
pub struct Readers {
    inner: Arc<Inner>,
    /// The connections that the queries of one request may use at once; `None` for the server's own queries.
    turns: Option<Arc<Semaphore>>,
}

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
        Self::new(Inner { pool: SqlxSqliteConnector::from_sqlx_sqlite_pool(pool), at_hand, file })
    }

    /// The readers of a PostgreSQL server.
    pub fn postgres(pool: PgPool) -> Self {
        let file = FileWatch::default();
        let at_hand = Kind::Postgres(ConnectionStock::new(pool.clone(), file.clone()));
        Self::new(Inner { pool: SqlxPostgresConnector::from_sqlx_postgres_pool(pool), at_hand, file })
    }

    fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), turns: None }
    }

    /// The same connections for one request, whose queries take turns on half of them. Without turns, a request with twenty
    /// slow reports would wait for its own connections until the timeout, and so would everybody else.
    pub fn for_one_request(&self) -> Self {
        let connections = match &self.inner.at_hand {
            Kind::Sqlite(stock) => stock.connections(),
            Kind::Postgres(stock) => stock.connections(),
        };
        Self { inner: Arc::clone(&self.inner), turns: Some(Arc::new(Semaphore::new((connections / 2).max(1)))) }
    }

    /// Waits for the request's turn, in the order in which its queries came. The timeout of the request bounds the wait.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.turns.as_ref()?.acquire().await.ok()
    }

    /// The kind of the database.
    pub fn backend(&self) -> DbBackend {
        self.inner.pool.get_database_backend()
    }

    /// Executes a statement and returns all rows.
    pub async fn all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let _turn = self.turn().await;
        match &self.inner.at_hand {
            Kind::Sqlite(stock) => stock.all(statement).await,
            Kind::Postgres(stock) => stock.all(statement).await,
        }
    }

    /// Executes a statement and returns its first row, if there is one.
    pub async fn one(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let _turn = self.turn().await;
        match &self.inner.at_hand {
            Kind::Sqlite(stock) => stock.one(statement).await,
            Kind::Postgres(stock) => stock.one(statement).await,
        }
    }

    /// Passes the rows of an answer to `take` as they come, so that no more than one of them is in memory. An error of `take`
    /// ends the query.
    pub async fn each(
        &self,
        statement: Statement,
        take: impl FnMut(&QueryResult) -> error::Result<()> + Send,
    ) -> error::Result<()> {
        let _turn = self.turn().await;
        match &self.inner.at_hand {
            Kind::Sqlite(stock) => stock.each(statement, take).await,
            Kind::Postgres(stock) => stock.each(statement, take).await,
        }
    }

    /// Streams the rows of a statement, on a connection that no other query uses meanwhile.
    pub async fn stream(&self, statement: Statement) -> Result<QueryStream, DbErr> {
        self.inner.file.look()?;
        let _waiting = self.waiting();
        self.inner.pool.stream_raw(statement).await
    }

    /// The pool itself. While the guard is held, connections return to the pool after each query.
    pub fn pool(&self) -> (&DatabaseConnection, PoolWaiter<'_>) {
        (&self.inner.pool, self.waiting())
    }

    /// Closes the pool and waits until every connection is back.
    pub async fn close(&self) {
        match &self.inner.at_hand {
            Kind::Sqlite(stock) => stock.close().await,
            Kind::Postgres(stock) => stock.close().await,
        }
    }

    fn waiting(&self) -> PoolWaiter<'_> {
        match &self.inner.at_hand {
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
        let stock =
            Self { pool, room: Semaphore::new(0), at_hand: Mutex::default(), waiting: AtomicUsize::new(0), file };
        stock.room.add_permits(stock.connections());
        stock
    }

    fn connections(&self) -> usize {
        usize::try_from(self.pool.options().get_max_connections()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
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

    async fn each(
        &self,
        statement: Statement,
        mut take: impl FnMut(&QueryResult) -> error::Result<()> + Send,
    ) -> error::Result<()> {
        let noted = |error| {
            self.file.note_orm(&error);
            error
        };
        let mut taken = self.take().await.map_err(noted)?;
        let mut rows = query(statement).fetch(&mut *taken.connection);
        let ended = loop {
            match rows.try_next().await.map_err(failed).map_err(noted)? {
                None => break Ok(()),
                Some(row) => {
                    if let Err(error) = take(&QueryResult::from(row)) {
                        break Err(error);
                    }
                }
            }
        };
        drop(rows);
        match ended {
            Ok(()) => taken.put_back(),
            Err(_) => taken.break_off(),
        }
        ended
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
    /// Closes the connection in the middle of an answer. Before another query the driver would read the rest of the answer.
    fn break_off(self) {
        drop(self.connection.detach());
    }

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
