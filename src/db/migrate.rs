//! Migrates the schema under a lock: of two processes that start together, one migrates and the other waits.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use perfgraph_migrations::Migrator;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationStatus, MigratorTrait};
use sqlx::{Connection, PgConnection};

use super::{
    instance::beside,
    pool::{Backend, Database},
};
use crate::error::{Error, Result};

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
/// A migration fails and is rolled back.
pub async fn up(database: &Database, steps: Option<u32>) -> Result<()> {
    let lock = Lock::take(database).await?;
    let answer = Migrator::up(&database.write, steps).await;
    lock.release().await?;
    answer.map_err(explain)
}

/// Reverts the last `steps` migrations, or all of them.
///
/// # Errors
/// A migration cannot be reverted.
pub async fn down(database: &Database, steps: Option<u32>) -> Result<()> {
    let lock = Lock::take(database).await?;
    let answer = Migrator::down(&database.write, steps).await;
    lock.release().await?;
    answer.map_err(explain)
}

/// Every known migration, oldest first.
///
/// # Errors
/// The database cannot be read, or a newer version has migrated it.
pub async fn status(database: &Database) -> Result<Vec<Change>> {
    let migrations = Migrator::get_migration_with_status_read_only(&database.write).await.map_err(explain)?;
    Ok(migrations
        .iter()
        .map(|migration| Change {
            name: migration.name().to_owned(),
            is_applied: migration.status() == MigrationStatus::Applied,
        })
        .collect())
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

/// Translates the migrator's message about unknown migrations, which names a missing file, for operators.
fn explain(error: DbErr) -> Error {
    match &error {
        DbErr::Custom(text) if text.starts_with("Migration file of version") => Error::input(
            "database.url",
            "the database was migrated by a newer version of perfgraph, which this one does not understand: run that \
             version, or go back with its `perfgraph migrate down` first",
        ),
        _ => error.into(),
    }
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
