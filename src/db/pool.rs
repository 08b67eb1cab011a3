//! The connection pools: one for reads and one for writes, so that a burst of writes cannot starve queries.
//!
//! SQLite allows one writer; its readers see the last commit (WAL).

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use sea_orm::{ConnectionTrait, DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector};
use sqlx::{
    ConnectOptions, Connection, PgPool, SqliteConnection, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::sync::Mutex;

use super::{
    commit_notices::CommitNotices,
    file::{FileWatch, fault::FileFault},
    readers::Readers,
    session::{Connections, Session, StatementCount},
    statement::StatementLog,
};
use crate::{
    config,
    error::{Error, Result},
    model::{OrganizationId, RetainedSince, change::LogPosition},
};

/// The page cache of each SQLite connection, in KiB (negative numbers). Small, because the page cache of the system serves
/// readers too, and all of them together determine the memory use of the server.
const WRITE_CACHE: &str = "-2048";
const READ_CACHE: &str = "-1024";
/// Number of pages in the write-ahead log (32 MiB) before a checkpoint. Pages that change often, such as those of the last
/// minutes, are written to the file once per checkpoint.
const CHECKPOINT_PAGES: &str = "8192";
/// Number of rows that the thread of an SQLite connection reads ahead. Whole list pages fit, so that it is woken once and not
/// every 50 rows.
const ROWS_AHEAD: usize = 512;

/// The pool for writes below the ORM, for bulk statements.
#[derive(Clone, Debug)]
pub enum Backend {
    /// An embedded file.
    Sqlite(SqlitePool),
    /// A server.
    Postgres(PgPool),
}

/// The number of read connections on SQLite. Reads use the CPU of this process, so more than there are processors only take
/// memory.
fn reader_count(configured: u32) -> u32 {
    let processors = std::thread::available_parallelism()
        .map_or(configured, |count| u32::try_from(count.get()).unwrap_or(configured));
    configured.min(processors.max(2))
}

/// A connection to an SQLite file that stays open for as long as the database. Without it, SQLite would remove the
/// write-ahead log whenever the pools have closed their idle connections, and make another one later.
type Keeper = Arc<Mutex<Option<SqliteConnection>>>;

/// The open database.
#[derive(Clone, Debug)]
pub struct Database {
    backend: Backend,
    read: Readers,
    pub(super) write: DatabaseConnection,
    file: Option<PathBuf>,
    watch: FileWatch,
    keeper: Keeper,
    kept: Arc<RwLock<RetainedSince>>,
    own_organization: Arc<AtomicI64>,
    asked: StatementCount,
    notices: CommitNotices<LogPosition>,
}

impl Database {
    /// Opens both pools. Creates a missing SQLite file.
    ///
    /// # Errors
    /// The database cannot be reached, or the URL is invalid.
    pub async fn open(settings: &config::Database) -> Result<Self> {
        if settings.url.is_sqlite() { Self::open_sqlite(settings).await } else { Self::open_postgres(settings).await }
    }

    async fn open_sqlite(settings: &config::Database) -> Result<Self> {
        let connect = SqliteConnectOptions::from_str(settings.url.reveal())
            .map_err(|error| Error::input("database.url", error.to_string()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: an acknowledged metric survives a power cut; with batched commits it costs nothing visible.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(settings.busy_timeout)
            .statement_cache_capacity(256)
            .row_buffer_size(ROWS_AHEAD)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", WRITE_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        let file = connect.get_filename().to_path_buf();
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(settings.acquire_timeout)
            // Connecting anew could find another file at this path.
            .idle_timeout(None)
            .max_lifetime(None)
            // No network can have failed in between, and a ping would wake the connection's thread.
            .test_before_acquire(false)
            // On a full disk SQLite rolls back by itself. The driver's own ROLLBACK then fails, and the driver would refuse
            // every later BEGIN on this connection.
            .before_acquire(|connection, _| {
                let is_usable = !connection.is_in_transaction();
                Box::pin(async move { Ok(is_usable) })
            })
            .connect_with(connect.clone())
            .await?;
        // A file that is taken away is not made anew.
        let connect = connect.create_if_missing(false);
        write.set_connect_options(connect.clone());
        let mut keeper = connect.clone().pragma("cache_size", READ_CACHE).connect().await?;
        // A connection opens the log with its first query.
        sqlx::query("SELECT count(*) FROM sqlite_master").fetch_one(&mut keeper).await?;
        let watch = FileWatch::begin(&file)?;
        let read = SqlitePoolOptions::new()
            .max_connections(reader_count(settings.read_connections))
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire(false)
            .connect_with(connect.pragma("query_only", "ON").pragma("cache_size", READ_CACHE))
            .await?;
        Ok(Self {
            backend: Backend::Sqlite(write.clone()),
            read: Readers::sqlite(read, watch.clone()),
            write: SqlxSqliteConnector::from_sqlx_sqlite_pool(write),
            file: Some(file),
            watch,
            keeper: Arc::new(Mutex::new(Some(keeper))),
            kept: Arc::new(RwLock::new(RetainedSince::EVERYTHING)),
            own_organization: Arc::new(AtomicI64::new(OrganizationId::OWN.0)),
            asked: StatementCount::default(),
            notices: CommitNotices::default(),
        })
    }

    async fn open_postgres(settings: &config::Database) -> Result<Self> {
        let statement_timeout = settings.statement_timeout.as_millis().to_string();
        let connect = PgConnectOptions::from_str(settings.url.reveal())
            .map_err(|error| Error::input("database.url", error.to_string()))?
            .application_name("perfgraph")
            .statement_cache_capacity(256)
            // Reports read thousands of rows, not millions: starting parallel workers would take longer than the query.
            .options([("statement_timeout", statement_timeout.as_str()), ("max_parallel_workers_per_gather", "0")]);
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(settings.acquire_timeout)
                // The round trip of a ping before every use would double the cost of a small query.
                .test_before_acquire(false)
                .connect_with(connect.clone())
        };
        let (read, write) = (pool(settings.read_connections).await?, pool(settings.write_connections).await?);
        Ok(Self {
            backend: Backend::Postgres(write.clone()),
            read: Readers::postgres(read),
            write: SqlxPostgresConnector::from_sqlx_postgres_pool(write),
            file: None,
            watch: FileWatch::default(),
            keeper: Keeper::default(),
            kept: Arc::new(RwLock::new(RetainedSince::EVERYTHING)),
            own_organization: Arc::new(AtomicI64::new(OrganizationId::OWN.0)),
            asked: StatementCount::default(),
            notices: CommitNotices::default(),
        })
    }

    /// The pool for writes below the ORM.
    pub const fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The SQLite file; `None` on PostgreSQL.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The state of the SQLite file; on PostgreSQL it finds nothing.
    pub const fn file_watch(&self) -> &FileWatch {
        &self.watch
    }

    /// Looks whether the SQLite file is where it was opened. If not, writes the log back: all that was acknowledged is then
    /// in the file itself, wherever it is now, and a copy in its place finds no log that belongs to another file.
    pub async fn look_after_file(&self) {
        if !matches!(self.watch.look(), Err(FileFault::Away { .. })) {
            return;
        }
        if let Some(keeper) = &mut *self.keeper.lock().await
            && let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_optional(keeper).await
        {
            tracing::warn!(%error, "the write-ahead log could not be written back");
        }
    }

    /// A session for queries that logs to `log`.
    pub fn reader(&self, log: StatementLog) -> Session {
        self.session(Connections::Read(self.read.clone()), log)
    }

    /// A session for the queries of one request, which use half of the connections at once at most.
    pub fn reader_for_request(&self, log: StatementLog) -> Session {
        self.session(Connections::Read(self.read.for_one_request()), log)
    }

    /// A session for writes that logs to `log`.
    pub fn writer(&self, log: StatementLog) -> Session {
        self.session(Connections::Write(self.write.clone()), log)
    }

    fn session(&self, connections: Connections, log: StatementLog) -> Session {
        let (asked, notices, watch) = (self.asked.clone(), self.notices.clone(), self.watch.clone());
        Session::new(connections, log, self.kept(), self.own_organization(), asked, notices, watch)
    }

    /// The positions of change logs that transactions of this process announce from now on.
    pub fn log_positions(&self) -> tokio::sync::broadcast::Receiver<LogPosition> {
        self.notices.listen()
    }

    /// The bounds of retention that new sessions carry.
    pub fn kept(&self) -> RetainedSince {
        *self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The organization for the server's own metrics, whether it was created already or not.
    pub fn own_organization(&self) -> OrganizationId {
        OrganizationId(self.own_organization.load(Ordering::Relaxed))
    }

    /// Sets the organization for the server's own metrics, where it has another id than [`OrganizationId::OWN`].
    pub fn set_own_organization(&self, id: OrganizationId) {
        self.own_organization.store(id.0, Ordering::Relaxed);
    }

    /// Number of statements that all sessions of this database have sent.
    pub fn statements(&self) -> u64 {
        self.asked.count()
    }

    /// Sets the bounds of retention for new sessions.
    pub fn set_kept(&self, kept: RetainedSince) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// Checks that the database is reachable, and an SQLite file where it was opened.
    ///
    /// # Errors
    /// The database cannot be reached, or the file is away or damaged.
    pub async fn ping(&self) -> Result<()> {
        self.watch.look()?;
        let (pool, _waiting) = self.read.pool();
        pool.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Closes both pools and waits until every connection is back.
    pub async fn close(&self) {
        self.read.close().await;
        // A pool that fails to close ends with the process.
        let _ = self.write.clone().close().await;
        // SQLite writes the log back when its last connection closes, but not if the file is away.
        self.look_after_file().await;
        if let Some(keeper) = self.keeper.lock().await.take() {
            let _ = keeper.close().await;
        }
    }
}
