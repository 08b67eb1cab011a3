//! The connections: some for reads and some for writes, so that a burst of writes cannot starve queries.
//!
//! SQLite allows one writer; its readers see the last commit (WAL).

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sea_orm::{DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, SqliteConnection, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{sync::Mutex, time::timeout};

use super::{
    bound_statement::Executor,
    commit_notices::CommitNotices,
    connection::Source,
    connections::Connections,
    control::Control,
    file::{FileWatch, beside::beside, fault::FileFault, idle_log::IdleLog},
    session::{Session, StatementCount},
    session_settings::{self, SessionSettings},
    statement::StatementLog,
    stock::Stock,
    temporary_files, tls, unreachable,
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

/// Connections to PostgreSQL for migrations.
const MIGRATION_CONNECTIONS: u32 = 2;
/// Time after `database.statement_timeout_ms` in which PostgreSQL must have said that it gave a statement up.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// Timeout of the ping of a connection of the driver's pool.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// The driver's pool, for migrations. Nobody else waits for PostgreSQL through it, because the driver has no deadline for a
/// connection that comes back.
#[derive(Clone, Debug)]
pub enum Backend {
    /// An embedded file.
    Sqlite(SqlitePool),
    /// A server.
    Postgres(PgPool),
}

/// The connections for writes that callers wait for.
#[derive(Clone, Debug)]
pub enum Writer {
    /// The only one to an embedded file, which jobs use too.
    Sqlite(SqlitePool),
    /// Several to a server, for transactions below the ORM too ([`super::Taken::in_transaction`]).
    Postgres(Arc<Stock>),
}

/// The number of read connections on SQLite. Reads use the CPU of this process, so reports on more connections than there are
/// processors only take memory. One more is left to other queries.
fn reader_count(configured: u32) -> u32 {
    let processors = std::thread::available_parallelism()
        .map_or(configured, |count| u32::try_from(count.get()).unwrap_or(configured));
    configured.min(processors.max(2).saturating_add(1))
}

/// A connection to an SQLite file that stays open for as long as the database. Without it, SQLite would remove the
/// write-ahead log whenever the pools have closed their idle connections, and make another one later.
type Keeper = Arc<Mutex<Option<SqliteConnection>>>;

/// The open database.
#[derive(Clone, Debug)]
pub struct Database {
    backend: Backend,
    read: Arc<Stock>,
    writer: Writer,
    /// The pool of `backend` for the ORM.
    pub(super) pool: DatabaseConnection,
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
        let temp_store = temporary_files::place(&mut keeper).await;
        let connect = connect
            .pragma("query_only", "ON")
            .pragma("cache_size", READ_CACHE)
            // A question may sort every measurement of its window.
            .pragma("temp_store", temp_store);
        let count = reader_count(settings.read_connections);
        let source = Source::Sqlite(connect, watch.clone());
        let read = Stock::new(source, count, settings.acquire_timeout, Duration::MAX);
        Ok(Self {
            backend: Backend::Sqlite(write.clone()),
            read,
            writer: Writer::Sqlite(write.clone()),
            pool: SqlxSqliteConnector::from_sqlx_sqlite_pool(write),
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
        let address = session_settings::address(settings.direct())?;
        let address = tls::preferred(settings.direct(), address, settings.acquire_timeout).await?;
        let connect = SessionSettings::reading(settings).at_start(address.clone());
        let pool = PgPoolOptions::new()
            .max_connections(MIGRATION_CONNECTIONS)
            .acquire_timeout(settings.acquire_timeout)
            // A connection that does not answer a ping is dropped, before its use and after it. The pool by itself would wait
            // forever.
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(is_alive(connection)))
            .after_release(|connection, _| Box::pin(is_alive(connection)))
            .connect_with(connect.clone());
        let pool = match pool.await {
            Ok(pool) => pool,
            Err(error) => return Err(unreachable::postgres(settings.direct(), &connect, error).await),
        };
        let answer_timeout = settings.statement_timeout.saturating_add(ANSWER_GRACE);
        let control = Arc::new(Control::new(connect.application_name("perfgraph control")));
        let pooler = if settings.transaction_pooling {
            let pooler = session_settings::pooler_address(&settings.url)?;
            Some(tls::preferred(&settings.url, pooler, settings.acquire_timeout).await?)
        } else {
            None
        };
        let are_prepared = session_settings::are_prepared(&settings.url);
        let stock = |with: SessionSettings, count| {
            let source = match &pooler {
                Some(pooler) => Source::Pooler { address: pooler.clone(), begin: with.begin() },
                None => Source::Postgres {
                    address: with.at_start(address.clone()),
                    control: Arc::clone(&control),
                    are_prepared,
                },
            };
            Stock::new(source, count, settings.acquire_timeout, answer_timeout)
        };
        Ok(Self {
            read: stock(SessionSettings::reading(settings), settings.read_connections),
            writer: Writer::Postgres(stock(SessionSettings::writing(settings), settings.write_connections)),
            pool: SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone()),
            backend: Backend::Postgres(pool),
            file: None,
            watch: FileWatch::default(),
            keeper: Keeper::default(),
            kept: Arc::new(RwLock::new(RetainedSince::EVERYTHING)),
            own_organization: Arc::new(AtomicI64::new(OrganizationId::OWN.0)),
            asked: StatementCount::default(),
            notices: CommitNotices::default(),
        })
    }

    /// The driver's pool.
    pub const fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The address of the PostgreSQL server itself, past a pooler, encrypted or not as was found at the start; `None` on
    /// SQLite.
    pub fn address(&self) -> Option<PgConnectOptions> {
        match &self.backend {
            Backend::Postgres(pool) => Some((*pool.connect_options()).clone()),
            Backend::Sqlite(_) => None,
        }
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

    /// Writes the log of the SQLite file back once nobody has written since the last call, so that the file is whole without
    /// it. This waits for no reader and holds up no writer; what a reader still needs is written back by a later call.
    ///
    /// # Errors
    /// The file cannot be written. The log is not tried again before its next change.
    pub async fn write_back_if_idle(&self, idle: &mut IdleLog) -> Result<()> {
        let Some(log) = self.file.as_deref().map(|file| beside(file, "-wal")) else { return Ok(()) };
        let Some(state) = idle.due(&log) else { return Ok(()) };
        let Some(keeper) = &mut *self.keeper.lock().await else { return Ok(()) };
        let checkpoint = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(keeper).await;
        if let Err(error) = &checkpoint {
            self.watch.note_driver(error);
        }
        // Whether another connection writes back at the moment, the pages in the log, and those of them in the file.
        if !matches!(checkpoint, Ok((is_busy, pages, written)) if is_busy != 0 || pages != written) {
            idle.written_back(state);
        }
        let _: (i64, i64, i64) = checkpoint?;
        Ok(())
    }

    /// A session for queries that logs to `log`.
    pub fn reader(&self, log: StatementLog) -> Session {
        self.session(Connections::read(Arc::clone(&self.read)), log)
    }

    /// A session for the queries of one request, which use half of the connections at once at most.
    pub fn reader_for_request(&self, log: StatementLog) -> Session {
        self.session(Connections::read_for_request(Arc::clone(&self.read)), log)
    }

    /// A session for writes that logs to `log`.
    pub fn writer(&self, log: StatementLog) -> Session {
        let connections = match &self.writer {
            Writer::Sqlite(_) => Connections::WriteFile(self.pool.clone()),
            Writer::Postgres(stock) => Connections::Write(Arc::clone(stock)),
        };
        self.session(connections, log)
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
        Connections::read(Arc::clone(&self.read)).execute_text("SELECT 1").await?;
        Ok(())
    }

    /// The connections for writes that callers wait for, below the ORM.
    pub const fn bulk_writer(&self) -> &Writer {
        &self.writer
    }

    /// Number of transactions that can write at the same time.
    pub fn writers(&self) -> u32 {
        match &self.writer {
            Writer::Sqlite(_) => 1,
            Writer::Postgres(stock) => stock.count(),
        }
    }

    /// Closes all connections and waits until every one is back.
    pub async fn close(&self) {
        self.read.close().await;
        if let Writer::Postgres(stock) = &self.writer {
            stock.close().await;
        }
        // A pool that fails to close ends with the process.
        let _ = self.pool.clone().close().await;
        // SQLite writes the log back when its last connection closes, but not if the file is away.
        self.look_after_file().await;
        if let Some(keeper) = self.keeper.lock().await.take() {
            let _ = keeper.close().await;
        }
    }
}

/// Returns whether a connection of the pool answers; an error makes the pool drop it without a farewell.
async fn is_alive(connection: &mut PgConnection) -> sqlx::Result<bool> {
    match timeout(PING_TIMEOUT, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
