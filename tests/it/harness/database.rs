//! A migrated database per test: an SQLite file copied from a template, or a PostgreSQL database cloned from one.
//!
//! A PostgreSQL database is dropped when the next test creates one. Databases that a run leaves behind are dropped when
//! the next run starts.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use perfgraph::{
    clock::Clock,
    config,
    db::{Database, StatementLog, migrate},
    jobs::partitions::{self, Days},
};
use sea_orm::{ConnectionTrait, DbBackend};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{pooler::Pooler, server::NOW, timer::Timer};

static SQLITE_TEMPLATE: OnceCell<(TempDir, PathBuf)> = OnceCell::const_new();
static POSTGRES_TEMPLATE: OnceCell<String> = OnceCell::const_new();
static PARTITIONED_TEMPLATE: OnceCell<String> = OnceCell::const_new();
/// Runs once, before any database is created: a database with the id of this process was left behind by an earlier
/// process with the same id.
static SWEPT: OnceCell<()> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);
/// PostgreSQL databases whose test is over.
static FINISHED: Mutex<Vec<String>> = Mutex::new(Vec::new());
const PREFIX: &str = "perfgraph_test_";

/// The storage of a database, which is removed with the test.
enum Home {
    Folder(#[expect(dead_code, reason = "removes the folder when it is dropped")] TempDir),
    Server(String),
    /// A server that the test stops itself.
    Elsewhere,
}

impl Drop for Home {
    fn drop(&mut self) {
        // Dropping a database needs a connection, and this code may run inside of a runtime: the next test drops it.
        if let Self::Server(name) = self {
            FINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(name));
        }
    }
}

/// An empty, migrated database that belongs to one test.
pub struct TestDatabase {
    pub database: Database,
    pub url: String,
    /// The address of the server itself, if `url` leads to a pooler.
    pub direct_url: Option<String>,
    _home: Home,
    _timer: Timer,
}

impl TestDatabase {
    pub async fn sqlite() -> Self {
        let (_, template) = SQLITE_TEMPLATE
            .get_or_init(|| async {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("template.sqlite");
                let database = Database::open(&options(&sqlite_url(&file))).await.unwrap();
                migrate::up(&database, None).await.unwrap();
                know_secret(&database).await;
                database.close().await;
                (folder, file)
            })
            .await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("perfgraph.sqlite");
        std::fs::copy(template, &file).unwrap();
        let url = sqlite_url(&file);
        Self {
            database: Database::open(&options(&url)).await.unwrap(),
            url,
            direct_url: None,
            _home: Home::Folder(folder),
            _timer: Timer::start(),
        }
    }

    pub async fn postgres() -> Self {
        Self::created(&format!("TEMPLATE {}", template().await)).await
    }

    /// A migrated database with the partitions that a server whose clock is at [`NOW`] would create first.
    pub async fn postgres_with_partitions() -> Self {
        let template = PARTITIONED_TEMPLATE
            .get_or_init(|| async {
                let name = format!("{PREFIX}{}_partitioned", std::process::id());
                admin(&[format!("CREATE DATABASE {name} TEMPLATE {}", template().await)]).await;
                let database = Database::open(&options(&postgres_url(&name))).await.unwrap();
                let days = Days { past: 7, future: 3 };
                partitions::ensure(&database, &Clock::fixed(NOW), days).await.unwrap();
                database.close().await;
                name
            })
            .await;
        Self::created(&format!("TEMPLATE {template}")).await
    }

    /// An empty database without any table, for tests of the migrations themselves.
    pub async fn unmigrated_postgres() -> Self {
        Self::created("").await
    }

    async fn created(how: &str) -> Self {
        SWEPT.get_or_init(sweep).await;
        let finished = std::mem::take(&mut *FINISHED.lock().unwrap_or_else(PoisonError::into_inner));
        let mut statements: Vec<_> = finished.iter().map(drop_database).collect();
        let name = format!("{PREFIX}{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        statements.push(format!("CREATE DATABASE {name} {how}"));
        admin(&statements).await;
        let url = postgres_url(&name);
        Self {
            database: Database::open(&options(&url)).await.unwrap(),
            url,
            direct_url: None,
            _home: Home::Server(name),
            _timer: Timer::start(),
        }
    }

    /// An empty SQLite database without any table, for tests of the migrations themselves.
    pub async fn unmigrated_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite_url(&folder.path().join("perfgraph.sqlite"));
        Self {
            database: Database::open(&options(&url)).await.unwrap(),
            url,
            direct_url: None,
            _home: Home::Folder(folder),
            _timer: Timer::start(),
        }
    }

    /// A migrated database on a server that belongs to the test.
    pub async fn at(url: &str) -> Self {
        let database = Database::open(&options(url)).await.unwrap();
        migrate::up(&database, None).await.unwrap();
        Self { database, url: url.to_owned(), direct_url: None, _home: Home::Elsewhere, _timer: Timer::start() }
    }

    /// A PostgreSQL database behind a pooler with `connections` connections.
    pub async fn pooled(connections: u32) -> (Self, Pooler) {
        let pooler = Pooler::start(&server(), connections).await;
        let direct = Self::postgres().await;
        direct.database.close().await;
        let url = PgConnectOptions::from_str(&direct.url).unwrap().port(pooler.port()).to_url_lossy().to_string();
        let direct_url = Some(direct.url.clone());
        let database = Database::open(&pooled_options(&url, &direct.url)).await.unwrap();
        (Self { database, url, direct_url, ..direct }, pooler)
    }

    /// A second set of pools on the same database, as another process would have.
    pub async fn reopen(&self) -> Database {
        let options = match &self.direct_url {
            Some(direct) => pooled_options(&self.url, direct),
            None => options(&self.url),
        };
        Database::open(&options).await.unwrap()
    }

    /// The same database for another server.
    pub async fn beside(&self) -> Self {
        let (url, direct_url) = (self.url.clone(), self.direct_url.clone());
        Self { database: self.reopen().await, url, direct_url, _home: Home::Elsewhere, _timer: Timer::start() }
    }

    /// A session for writing. Its log of statements is not read.
    pub fn writer(&self) -> perfgraph::db::Session {
        self.database.writer(StatementLog::default())
    }

    /// A session for reading.
    pub fn reader(&self) -> perfgraph::db::Session {
        self.database.reader(StatementLog::default())
    }
}

/// The same for a pooler in transaction mode.
pub fn pooled_options(url: &str, direct: &str) -> config::Database {
    config::Database { transaction_pooling: true, direct_url: direct.into(), ..options(url) }
}

/// The defaults with longer timeouts, because tests share a busy machine.
pub fn options(url: &str) -> config::Database {
    config::Database {
        url: url.into(),
        acquire_timeout: Duration::from_secs(30),
        statement_timeout: Duration::from_mins(3),
        ..config::Database::default()
    }
}

fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// The private PostgreSQL that `scripts/test-setup` started. Without it a test fails and is never skipped.
fn server() -> PgConnectOptions {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-postgres.url");
    let url = std::env::var("TEST_POSTGRES_URL").or_else(|_| std::fs::read_to_string(&file)).unwrap_or_else(|_| {
        panic!("no test PostgreSQL: run `make test`, or `scripts/test-setup` once before `cargo test`")
    });
    PgConnectOptions::from_str(url.trim()).expect("the test PostgreSQL's URL is valid")
}

fn postgres_url(database: &str) -> String {
    server().database(database).to_url_lossy().to_string()
}

async fn template() -> &'static str {
    POSTGRES_TEMPLATE
        .get_or_init(|| async {
            SWEPT.get_or_init(sweep).await;
            let name = format!("{PREFIX}{}_template", std::process::id());
            admin(&[format!("CREATE DATABASE {name}")]).await;
            let database = Database::open(&options(&postgres_url(&name))).await.unwrap();
            migrate::up(&database, None).await.unwrap();
            know_secret(&database).await;
            database.close().await;
            name
        })
        .await
}

/// The same secret in every test database makes the cursors of streams equal, so that snapshots can show them.
async fn know_secret(database: &Database) {
    let session = database.writer(StatementLog::default());
    let zero = if session.get_database_backend() == DbBackend::Postgres { "'\\x00'" } else { "x'00'" };
    let insert = format!("INSERT INTO stream_secret (id, secret) VALUES (1, {zero})");
    session.execute_unprepared(&insert).await.unwrap();
}

/// FORCE ends connections that a test left open.
fn drop_database(name: &String) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

async fn connect() -> PgConnection {
    PgConnection::connect_with(&server())
        .await
        .expect("the test PostgreSQL answers; run `scripts/test-setup` to start it")
}

async fn admin(statements: &[String]) {
    let mut connection = connect().await;
    for sql in statements {
        sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Drops the databases of processes that have ended. Another run on the same server keeps its own.
async fn sweep() {
    let mut connection = connect().await;
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname FROM pg_database WHERE starts_with(datname, 'perfgraph_te')")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    connection.close().await.unwrap();
    let is_left = |name: &&String| {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next());
        process.is_none_or(|process| {
            !Path::new("/proc").join(process).exists() || process == std::process::id().to_string()
        })
    };
    admin(&names.iter().filter(is_left).map(drop_database).collect::<Vec<_>>()).await;
}
