//! Brings the schema up to date under a lock: of two processes that start together one migrates, the other waits.

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

/// The advisory lock that migrating processes share on PostgreSQL; any fixed number of ours does.
const LOCK_KEY: i64 = 0x7065_7266_6772_6170;

/// How often a held lock is tried again: waiting must end with the task that waits, which a blocking lock does not.
const RETRY: Duration = Duration::from_millis(100);

/// A change and whether it has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name of the migration's file.
    pub name: String,
    /// Whether the database has it.
    pub is_applied: bool,
}

/// Applies the next `steps` changes, or all that are missing.
///
/// # Errors
/// When a change fails; it was rolled back then.
pub async fn up(database: &Database, steps: Option<u32>) -> Result<()> {
    let lock = Lock::take(database).await?;
    let answer = Migrator::up(&database.write, steps).await;
    lock.release().await?;
    answer.map_err(explain)
}

/// Reverts the last `steps` changes, or all of them.
///
/// # Errors
/// When a change cannot be reverted.
pub async fn down(database: &Database, steps: Option<u32>) -> Result<()> {
    let lock = Lock::take(database).await?;
    let answer = Migrator::down(&database.write, steps).await;
    lock.release().await?;
    answer.map_err(explain)
}

/// Every known change, oldest first.
///
/// # Errors
/// When the database cannot be read, or was migrated by a newer version whose changes this one does not know.
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

/// Refuses a database that is not up to date.
///
/// # Errors
/// When changes are missing, or there are some that this version does not know.
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

/// The migrator's own words for changes that it does not know name a missing file; to an operator it is the version.
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

/// Held while migrating, by this process alone.
enum Lock {
    File(File),
    Advisory(Box<PgConnection>),
    /// An in-memory database has no second process.
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
            // A connection of its own, so that the pool's are free for the migration and no statement timeout applies.
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

/// The other process needs as long as it needs.
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
