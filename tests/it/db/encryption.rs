//! Encrypted connections to PostgreSQL: what `sslmode=prefer`, the default, and stricter modes do with certificates that the server's
//! own implementation of TLS refuses.

use std::time::Duration;

use perfgraph::{
    config,
    db::{Database, StatementLog},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sqlx::{Connection, PgConnection};

use crate::harness::{
    TestDatabase,
    cluster::{Certificate, Cluster},
    process::{Served, command, run},
    wait,
};

/// Whether each connection of an application is encrypted.
async fn encrypted(cluster: &Cluster, application: &str) -> Vec<bool> {
    let mut asks = PgConnection::connect(&format!("{}?sslmode=disable", cluster.url)).await.unwrap();
    let found = sqlx::query_scalar(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1 AND pid <> pg_backend_pid()",
    );
    found.bind(application).fetch_all(&mut asks).await.unwrap()
}

async fn opened(url: String) -> Result<Database, String> {
    let settings = config::Database {
        url: url.as_str().into(),
        acquire_timeout: Duration::from_secs(5),
        ..config::Database::default()
    };
    Database::open(&settings).await.map_err(|error| format!("{error:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_cannot_be_read_costs_the_encryption_and_a_warning() {
    let cluster = Cluster::encrypting(Certificate::Version1).await;
    let database = TestDatabase::at(&cluster.url).await;
    let folder = tempfile::tempdir().unwrap();
    let server = Served::at("127.0.0.1:0", &database, folder.path()).await;
    let said = server.start.join("\n");
    assert!(said.contains("are not encrypted, because its encryption cannot be used"), "{said}");
    assert!(said.contains("sslmode=disable in database.url says that this is intended"), "{said}");
    let answer = reqwest::get(server.url("/readyz")).await.unwrap();
    assert_eq!(answer.status(), 200);
    // The bus connects by itself, later.
    wait::until("the bus listens", async || encrypted(&cluster, "perfgraph bus").await.contains(&false)).await;
    assert!(!encrypted(&cluster, "perfgraph").await.contains(&true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_insists_on_encryption_gets_it_or_is_told_what_is_wrong() {
    let cluster = Cluster::encrypting(Certificate::Version1).await;
    let folder = tempfile::tempdir().unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let mut serve = command(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        serve.env("DATABASE_URL", format!("{}?sslmode={mode}", cluster.url));
        let ended = run(serve).await;
        assert_ne!(ended.code, Some(0), "{mode}");
        let said = &ended.stderr;
        assert!(said.contains("database.url") && said.contains("cannot be encrypted"), "{mode}: {said}");
        assert!(said.contains("X.509 version 3"), "{mode}: {said}");
    }
    assert!(opened(format!("{}?sslmode=disable", cluster.url)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_can_be_read_is_used() {
    let cluster = Cluster::encrypting(Certificate::SelfSigned).await;
    for mode in ["", "?sslmode=prefer", "?sslmode=require"] {
        let database = opened(format!("{}{mode}", cluster.url)).await.unwrap();
        let session = database.reader(StatementLog::default());
        let asks = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let row = session.query_one_raw(Statement::from_string(DbBackend::Postgres, asks)).await.unwrap().unwrap();
        assert!(row.try_get_by_index::<bool>(0).unwrap(), "{mode}");
        database.close().await;
    }
    // Nobody whom this machine knows has signed it.
    let error = opened(format!("{}?sslmode=verify-full", cluster.url)).await.unwrap_err();
    assert!(error.contains("signed by sslrootcert"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_apart_from_one_that_cannot_encrypt() {
    let error = opened("postgres://perfgraph@127.0.0.1:1/none".to_owned()).await.unwrap_err();
    assert!(error.contains("cannot be reached") && !error.contains("encrypted"), "{error}");
}
