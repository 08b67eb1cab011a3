//! Brings the schema up to date under a lock: of two processes that start together one migrates, the other waits.

use std::{fs::File, path::Path};

use perfgraph_migrations::Migrator;
use sea_orm_migration::{MigrationStatus, MigratorTrait};
use sqlx::{Connection, PgConnection};

use super::{Backend, Database};
use crate::error::{Error, Result};

/// The advisory lock that migrating processes share on PostgreSQL; any fixed number of ours does.
const LOCK_KEY: i64 = 0x7065_7266_6772_6170;

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
    Ok(answer?)
}

/// Reverts the last `steps` changes, or all of them.
///
/// # Errors
/// When a change cannot be reverted.
pub async fn down(database: &Database, steps: Option<u32>) -> Result<()> {
    let lock = Lock::take(database).await?;
    let answer = Migrator::down(&database.write, steps).await;
    lock.release().await?;
    Ok(answer?)
}

/// Every known change, oldest first.
///
/// # Errors
/// When the database cannot be read, or was migrated by a newer version whose changes this one does not know.
pub async fn status(database: &Database) -> Result<Vec<Change>> {
    let migrations = Migrator::get_migration_with_status_read_only(&database.write).await?;
    Ok(migrations
        .iter()
        .map(|migration| Change {
            name: migration.name().to_owned(),
            is_applied: migration.status() == MigrationStatus::Applied,
        })
        .collect())
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
                    let mut name = file.clone().into_os_string();
                    name.push(".migrate.lock");
                    let lock = File::create(name).map_err(Error::internal)?;
                    // Blocking on purpose, off the runtime's threads: the other process needs as long as it needs.
                    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
                        .await
                        .map_err(Error::internal)?
                        .map_err(Error::internal)?;
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
