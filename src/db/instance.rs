//! The node number of an instance: a number in its ids that no other instance on the same database uses.
//!
//! On PostgreSQL a number is held by an advisory lock on a connection of its own; an SQLite file is one instance's alone,
//! held by a lock on a file beside it. Both go with the process, however it ends.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

use crate::{
    config,
    error::{Error, Result},
    model::IdGenerator,
};

/// The first half of the advisory lock's key; the node is the second. An arbitrary number.
const LOCK_CLASS: i32 = 0x7065_7266;

/// The node of sample data, so that the same plan makes the same ids; a server takes it only when it is told to.
pub const SAMPLE_NODE: u8 = 0;

/// The interval at which a node that is held is retried.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The error for an SQLite file that another process uses.
const FILE_IS_TAKEN: &str = "another perfgraph process works on this SQLite file: stop it first, or use PostgreSQL, \
     which any number of instances can share";

/// The right to make ids on a database, held until it is released or dropped.
#[derive(Debug)]
pub struct Instance {
    node: u8,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// Open and locked; closing it unlocks.
    File {
        _locked: File,
    },
    Connection(Box<PgConnection>),
    /// Nobody else knows the database.
    Nothing,
}

impl Instance {
    /// Takes the node, or, where none is wished for, any that is free.
    ///
    /// # Errors
    /// Another instance holds the node or the SQLite file, or the database cannot be reached.
    pub async fn claim(settings: &config::Database, node: Option<u8>) -> Result<Self> {
        match sqlite_file(settings.url.reveal())? {
            // One process has the file, so its node needs no lock of its own.
            Some(file) => Ok(Self { node: node.unwrap_or(SAMPLE_NODE + 1), hold: lock_file(&file)? }),
            None => claim_node(settings, node).await,
        }
    }

    /// On a database that nobody else can know, such as a file that is still to get its name.
    pub const fn alone(node: u8) -> Self {
        Self { node, hold: Hold::Nothing }
    }

    /// The number that no other instance has.
    pub const fn node(&self) -> u8 {
        self.node
    }

    /// Makes this instance's ids.
    pub const fn id_generator(&self) -> IdGenerator {
        IdGenerator::new(self.node)
    }

    /// Lets the next one have it. Dropping does too, but then PostgreSQL learns of it a moment later.
    pub async fn release(self) {
        if let Hold::Connection(mut connection) = self.hold {
            // Closing alone lets go only when the server has noticed. A connection that fails is gone, and its lock too.
            let _ = sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut *connection).await;
            let _ = connection.close().await;
        }
    }
}

/// The file that an SQLite URL names; nothing for PostgreSQL.
///
/// # Errors
/// The URL is invalid.
pub fn sqlite_file(url: &str) -> Result<Option<PathBuf>> {
    if !url.starts_with("sqlite:") {
        return Ok(None);
    }
    let options =
        SqliteConnectOptions::from_str(url).map_err(|error| Error::input("database.url", error.to_string()))?;
    Ok(Some(options.get_filename().to_path_buf()))
}

/// A file beside the database's: `perfgraph.sqlite` and `.lock` make `perfgraph.sqlite.lock`.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn lock_file(file: &Path) -> Result<Hold> {
    // By its own name where it is reached through a link: two names must not make two locks.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let name = beside(&file, ".lock");
    let locked = File::create(&name).map_err(|error| {
        Error::input("database.url", format!("the lock file beside the database cannot be made: {error}"))
    })?;
    match locked.try_lock() {
        Ok(()) => Ok(Hold::File { _locked: locked }),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Unavailable { message: FILE_IS_TAKEN, retry_after_s: 1, source: None })
        }
        Err(TryLockError::Error(error)) => Err(Error::internal(error)),
    }
}

async fn claim_node(settings: &config::Database, node: Option<u8>) -> Result<Instance> {
    let connect = PgConnectOptions::from_str(settings.url.reveal())
        .map_err(|error| Error::input("database.url", error.to_string()))?
        .application_name("perfgraph node");
    let connecting = PgConnection::connect_with(&connect);
    let mut connection = tokio::time::timeout(settings.acquire_timeout, connecting)
        .await
        .map_err(|_| Error::from(sqlx::Error::PoolTimedOut))??;
    // It idles for the whole life of the instance; servers before 14 do not know the setting.
    sqlx::query(
        "SELECT set_config('idle_session_timeout', '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'",
    )
    .execute(&mut connection)
    .await?;
    // The sample data's node is nobody's by chance: seeding next to a running server must find it free.
    let wanted = node.map_or(SAMPLE_NODE + 1..=u8::MAX, |node| node..=node);
    // A process that has just ended holds its node until PostgreSQL has noticed.
    let patience = settings.acquire_timeout.as_millis() / LOCK_INTERVAL.as_millis();
    for attempt in 0..=patience {
        if attempt > 0 {
            tokio::time::sleep(LOCK_INTERVAL).await;
        }
        for node in wanted.clone() {
            let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
                .bind(LOCK_CLASS)
                .bind(i32::from(node))
                .fetch_one(&mut connection)
                .await?;
            if is_ours {
                return Ok(Instance { node, hold: Hold::Connection(Box::new(connection)) });
            }
        }
    }
    Err(Error::input(
        "server.node",
        node.map_or_else(
            || "255 instances on this database hold every node: stop one first".to_owned(),
            |node| {
                format!(
                    "node {node} is held by another instance on this database: give each its own, or leave it unset \
                     and a free one is taken"
                )
            },
        ),
    ))
}
