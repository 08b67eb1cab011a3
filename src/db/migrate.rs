//! Migrates the schema under a lock: of two processes that start together, one migrates and the other waits.

mod loss;

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use perfgraph_migrations::Migration;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, SqlxSqliteConnector, Statement, TransactionTrait};
use sqlx::{
    Connection, PgConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

pub use loss::Loss;

use super::{
    file::beside::beside,
    instance::{require_file, sqlite_file},
    pool::{Backend, Database},
};
use crate::{
    config,
    error::{Error, Result},
};

/// The advisory lock of migrating processes on PostgreSQL. An arbitrary number.
const LOCK_KEY: i64 = 0x7065_7266_6772_6170;

/// The interval at which a held file lock is retried. A blocking lock could not be cancelled with its task.
const RETRY: Duration = Duration::from_millis(100);

/// A migration and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name that databases record.
    pub name: String,
    /// True if it has been applied to the database.
    pub is_applied: bool,
}

/// Applies the next `steps` migrations, or all pending ones.
///
/// # Errors
/// A migration fails and is rolled back, or a newer version has migrated the database.
pub async fn up(database: &Database, steps: Option<u32>) -> Result<()> {
    let lock = Lock::take(database).await?;
    let outcome = Box::pin(apply_pending(&database.pool, steps)).await;
    lock.release().await?;
    outcome
}

/// Reverts the last `steps` migrations, or all of them.
///
/// # Errors
/// A migration cannot be reverted, or a newer version has migrated the database.
pub async fn down(database: &Database, steps: Option<u32>) -> Result<()> {
    let lock = Lock::take(database).await?;
    let outcome = Box::pin(revert_applied(&database.pool, steps)).await;
    lock.release().await?;
    outcome
}

/// Every known migration, oldest first. It creates nothing, so it needs no right to create tables.
///
/// # Errors
/// The database cannot be read, or a newer version has migrated it.
pub async fn status(database: &Database) -> Result<Vec<Change>> {
    list(&database.pool).await
}

/// As [`status`], of a database that is not open. It creates no file, takes no lock and can be read beside a server.
///
/// # Errors
/// As [`status`], or there is no database.
pub async fn status_at(settings: &config::Database) -> Result<Vec<Change>> {
    require_file(settings)?;
    let Some(file) = sqlite_file(settings.url.reveal())? else {
        let database = Database::open(settings).await?;
        let changes = status(&database).await;
        database.close().await;
        return changes;
    };
    // Without a log nobody writes to the file, and SQLite need not create one to read it.
    let is_at_rest = ["-wal", "-journal"].iter().all(|ending| !beside(&file, ending).exists());
    let options = SqliteConnectOptions::new().filename(&file).read_only(true).immutable(is_at_rest);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options.busy_timeout(settings.busy_timeout));
    let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.await?);
    let changes = list(&connection).await;
    connection.close().await?;
    changes
}

/// The data that reverting the last `steps` migrations deletes, latest first.
///
/// # Errors
/// As [`status`].
pub async fn losses(database: &Database, steps: u32) -> Result<Vec<Loss>> {
    let connection = &database.pool;
    let mut losses = Vec::new();
    for migration in applied(connection).await?.into_iter().take(count(Some(steps))) {
        losses.push(Loss::of(connection, &migration).await?);
    }
    Ok(losses)
}

async fn list(connection: &DatabaseConnection) -> Result<Vec<Change>> {
    let recorded = recorded(connection).await?;
    Ok(perfgraph_migrations::all()
        .iter()
        .map(|migration| Change {
            name: migration.name.to_owned(),
            is_applied: recorded.iter().any(|name| name == migration.name),
        })
        .collect())
}

async fn apply_pending(connection: &DatabaseConnection, steps: Option<u32>) -> Result<()> {
    connection.execute_unprepared(&format!("CREATE TABLE IF NOT EXISTS {RECORD}")).await?;
    let recorded = recorded(connection).await?;
    let pending = perfgraph_migrations::all().into_iter().filter(|one| !recorded.iter().any(|name| name == one.name));
    for migration in pending.take(count(steps)) {
        let backend = connection.get_database_backend();
        let (statements, seconds) = match backend {
            DbBackend::Sqlite => (migration.sqlite, "unixepoch()"),
            _ => (migration.postgres, "EXTRACT(EPOCH FROM now())::BIGINT"),
        };
        let transaction = connection.begin().await?;
        for statement in statements {
            transaction.execute_unprepared(statement).await?;
        }
        let record = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ($1, {seconds})");
        transaction.execute_raw(Statement::from_sql_and_values(backend, record, [migration.name.into()])).await?;
        transaction.commit().await?;
        tracing::debug!(migration = migration.name, "migration applied");
    }
    Ok(())
}

async fn revert_applied(connection: &DatabaseConnection, steps: Option<u32>) -> Result<()> {
    for migration in applied(connection).await?.into_iter().take(count(steps)) {
        let transaction = connection.begin().await?;
        for statement in migration.revert {
            transaction.execute_unprepared(statement).await?;
        }
        for table in migration.tables {
            transaction.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}")).await?;
        }
        let remove = "DELETE FROM seaql_migrations WHERE version = $1";
        let backend = connection.get_database_backend();
        transaction.execute_raw(Statement::from_sql_and_values(backend, remove, [migration.name.into()])).await?;
        transaction.commit().await?;
        tracing::debug!(migration = migration.name, "migration reverted");
    }
    Ok(())
}

/// The applied migrations, latest first.
async fn applied(connection: &DatabaseConnection) -> Result<Vec<Migration>> {
    let recorded = recorded(connection).await?;
    let is_applied = |one: &Migration| recorded.iter().any(|name| name == one.name);
    Ok(perfgraph_migrations::all().into_iter().rev().filter(is_applied).collect())
}

/// The table that records applied migrations, as earlier versions of perfgraph created it with SeaORM's migrator.
const RECORD: &str = "seaql_migrations (version VARCHAR NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)";

/// The names of the migrations that the database has recorded.
async fn recorded(connection: &DatabaseConnection) -> Result<Vec<String>> {
    let exists = match connection.get_database_backend() {
        DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'",
        _ => "SELECT CAST(name AS TEXT) FROM to_regclass('seaql_migrations') AS name WHERE name IS NOT NULL",
    };
    if connection.query_one_raw(statement(connection, exists)).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = connection.query_all_raw(statement(connection, "SELECT version FROM seaql_migrations")).await?;
    let names = rows.iter().map(|row| row.try_get_by_index(0)).collect::<std::result::Result<Vec<String>, _>>()?;
    let known = perfgraph_migrations::all();
    if names.iter().any(|name| !known.iter().any(|migration| migration.name == name)) {
        return Err(Error::input(
            "database.url",
            "the database was migrated by a newer version of perfgraph, which this one does not understand: run that \
             version, or go back with its `perfgraph migrate down` first",
        ));
    }
    Ok(names)
}

fn statement(connection: &DatabaseConnection, text: &str) -> Statement {
    Statement::from_string(connection.get_database_backend(), text.to_owned())
}

fn count(steps: Option<u32>) -> usize {
    steps.and_then(|steps| usize::try_from(steps).ok()).unwrap_or(usize::MAX)
}

/// Checks that the database is up to date.
///
/// # Errors
/// Migrations are pending, or the database has unknown ones.
pub async fn require(database: &Database) -> Result<()> {
    let missing = status(database).await?.iter().filter(|change| !change.is_applied).count();
    if missing == 0 {
        return Ok(());
    }
    Err(Error::input(
        "database.migrate_on_start",
        format!("it is off and the database lacks {missing} migrations: run `perfgraph migrate up`"),
    ))
}

/// The lock of the migrating process.
enum Lock {
    File(File),
    Advisory(Box<PgConnection>),
    /// An in-memory database belongs to one process.
    Private,
}

impl Lock {
    async fn take(database: &Database) -> Result<Self> {
        match database.backend() {
            Backend::Sqlite(_) => match database.file() {
                Some(file) if file.file_name().is_some() && file != Path::new(":memory:") => {
                    let lock = File::create(beside(file, ".migrate.lock")).map_err(Error::internal)?;
                    wait_for(&lock).await?;
                    Ok(Self::File(lock))
                }
                _ => Ok(Self::Private),
            },
            // A separate connection, so that the pool stays free for the migration and no statement timeout applies.
            Backend::Postgres(pool) => {
                let options = (*pool.connect_options()).clone().options([("statement_timeout", "0")]);
                let mut connection = PgConnection::connect_with(&options).await?;
                sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK_KEY).execute(&mut connection).await?;
                Ok(Self::Advisory(Box::new(connection)))
            }
        }
    }

    async fn release(self) -> Result<()> {
        match self {
            Self::File(file) => file.unlock().map_err(Error::internal),
            Self::Advisory(connection) => Ok(connection.close().await?),
            Self::Private => Ok(()),
        }
    }
}

/// Waits without a limit, because a migration may take long.
async fn wait_for(lock: &File) -> Result<()> {
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if is_told => {}
            Err(TryLockError::WouldBlock) => {
                tracing::info!("waiting for another process that migrates this database");
                is_told = true;
            }
            Err(TryLockError::Error(error)) => return Err(Error::internal(error)),
        }
        tokio::time::sleep(RETRY).await;
    }
}
