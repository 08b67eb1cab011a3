//! A migrated database per test: an SQLite file copied from a template, or a PostgreSQL database cloned from one.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use perfgraph::db::{Database, StatementLog, migrate, pool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;
use tokio::sync::OnceCell;

static SQLITE_TEMPLATE: OnceCell<(TempDir, PathBuf)> = OnceCell::const_new();
static POSTGRES_TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// An empty, migrated database that belongs to one test.
pub struct TestDatabase {
    pub database: Database,
    pub url: String,
    _folder: Option<TempDir>,
}

impl TestDatabase {
    pub async fn sqlite() -> Self {
        let (_, template) = SQLITE_TEMPLATE
            .get_or_init(|| async {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("template.sqlite");
                let database = Database::open(&options(&sqlite_url(&file))).await.unwrap();
                migrate::up(&database, None).await.unwrap();
                database.close().await;
                (folder, file)
            })
            .await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("perfgraph.sqlite");
        std::fs::copy(template, &file).unwrap();
        let url = sqlite_url(&file);
        Self { database: Database::open(&options(&url)).await.unwrap(), url, _folder: Some(folder) }
    }

    pub async fn postgres() -> Self {
        let template = POSTGRES_TEMPLATE
            .get_or_init(|| async {
                let name = format!("perfgraph_template_{}", std::process::id());
                admin(&format!("DROP DATABASE IF EXISTS {name}")).await;
                admin(&format!("CREATE DATABASE {name}")).await;
                let database = Database::open(&options(&postgres_url(&name))).await.unwrap();
                migrate::up(&database, None).await.unwrap();
                database.close().await;
                name
            })
            .await;
        let name = format!("perfgraph_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        admin(&format!("DROP DATABASE IF EXISTS {name}")).await;
        admin(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        let url = postgres_url(&name);
        Self { database: Database::open(&options(&url)).await.unwrap(), url, _folder: None }
    }

    /// An empty database without any table, for tests of the migrations themselves.
    pub async fn unmigrated_postgres() -> Self {
        let name = format!("perfgraph_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        admin(&format!("DROP DATABASE IF EXISTS {name}")).await;
        admin(&format!("CREATE DATABASE {name}")).await;
        let url = postgres_url(&name);
        Self { database: Database::open(&options(&url)).await.unwrap(), url, _folder: None }
    }

    /// The same on SQLite.
    pub async fn unmigrated_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite_url(&folder.path().join("perfgraph.sqlite"));
        Self { database: Database::open(&options(&url)).await.unwrap(), url, _folder: Some(folder) }
    }

    /// A second set of pools on the same database, as another process would have.
    pub async fn reopen(&self) -> Database {
        Database::open(&options(&self.url)).await.unwrap()
    }

    /// A session whose statements nobody counts.
    pub fn writer(&self) -> perfgraph::db::Session {
        self.database.writer(StatementLog::default())
    }

    /// A session that reads, and its log.
    pub fn reader(&self) -> perfgraph::db::Session {
        self.database.reader(StatementLog::default())
    }
}

pub fn options(url: &str) -> pool::Options {
    pool::Options {
        url: url.to_owned(),
        read_connections: 4,
        write_connections: 4,
        acquire_timeout: Duration::from_secs(10),
        busy_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(30),
    }
}

fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// The private PostgreSQL that `scripts/test-setup` started: a test without it fails, it never skips.
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

async fn admin(sql: &str) {
    let mut connection = PgConnection::connect_with(&server())
        .await
        .expect("the test PostgreSQL answers; run `scripts/test-setup` to start it");
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
