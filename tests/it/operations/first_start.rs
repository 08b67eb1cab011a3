//! Databases that hold no data: which of them the server fills with sample data, and which it leaves empty.

use std::path::Path;

use perfgraph::db::Backend;
use serde_json::json;
use tokio::process::Command;

use super::crash::with_url;
use crate::{
    harness::{
        TestDatabase,
        process::{Served, command, run},
        server::{client, send},
    },
    on_both_databases,
};

fn serve(folder: &Path, arguments: &[&str]) -> Command {
    command(folder, &[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
}

/// The slugs of the organizations, without the server's own, and the lines of the start.
async fn organizations(command: Command) -> (Vec<String>, String) {
    let mut served = Served::start(command).await;
    let query = json!({ "query": "{ organizations { nodes { slug } } }" });
    let data = send(client().post(served.url("/graphql")).json(&query)).await.data();
    let nodes = data["organizations"]["nodes"].as_array().unwrap();
    let slugs = nodes.iter().map(|node| node["slug"].as_str().unwrap().to_owned());
    let slugs = slugs.filter(|slug| slug != "perfgraph").collect();
    served.signal("TERM").await;
    let said = [served.start.clone(), served.lines_until("SIGTERM received").await].concat().join("\n");
    assert_eq!(served.ended().await, Some(0));
    (slugs, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_default_file_is_filled_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let sample = organizations(serve(folder.path(), &[])).await.0;
    assert!(sample.len() >= 3 && folder.path().join("perfgraph.sqlite").exists(), "{sample:?}");

    // A name of one's own, such as one with a typing error.
    let typo = ["--database-url", "sqlite:typo.sqlite"];
    let (slugs, said) = organizations(serve(folder.path(), &typo)).await;
    assert!(slugs.is_empty(), "{slugs:?}");
    assert!(said.contains("sqlite:typo.sqlite holds no data yet") && said.contains("--demo"), "{said}");
    // The server's own organization is in it by now.
    assert!(organizations(serve(folder.path(), &typo)).await.0.is_empty());
    assert_eq!(organizations(serve(folder.path(), &[&typo[..], &["--demo"]].concat())).await.0, sample);

    // The same file by another name.
    let other = tempfile::tempdir().unwrap();
    assert!(organizations(serve(other.path(), &["--no-demo"])).await.0.is_empty());
    assert!(organizations(serve(other.path(), &[])).await.0.is_empty(), "it holds the server's own organization");
    let url = format!("sqlite://{}", other.path().join("new.sqlite").display());
    assert_eq!(organizations(serve(other.path(), &["--database-url", &url, "--demo"])).await.0, sample);
    let both = run(serve(other.path(), &["--demo", "--no-demo"])).await;
    assert_eq!(both.code, Some(2), "{both:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_is_named_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(serve(folder.path(), &["--database-url", "sqlite:typo.sqlite"])).await;
    let said = served.start.join("\n");
    for part in ["typo.sqlite", "did not exist and is created, without data", "--demo", "perfgraph seed"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
    // With migrations by hand the server creates no file at all.
    let mut manual = serve(folder.path(), &["--database-url", "sqlite:other.sqlite"]);
    manual.env("PERFGRAPH_DATABASE__MIGRATE_ON_START", "false");
    let refused = run(manual).await;
    assert!(refused.code == Some(78) && refused.stderr.contains("there is no SQLite file other.sqlite"), "{refused:?}");
    assert!(!folder.path().join("other.sqlite").exists());
}

async fn has_no_sample_data(database: &TestDatabase) -> bool {
    let count = "SELECT COUNT(*) FROM organization WHERE slug IN ('northwind', 'contoso', 'fabrikam')";
    let count: i64 = match database.database.backend() {
        Backend::Sqlite(pool) => sqlx::query_scalar(count).fetch_one(pool).await.unwrap(),
        Backend::Postgres(pool) => sqlx::query_scalar(count).fetch_one(pool).await.unwrap(),
    };
    count == 0
}

on_both_databases! {
    async fn a_database_of_ones_own_is_filled_on_demand_and_only_while_it_is_empty(database: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let serve = |arguments: &[&str]| {
            with_url(&database, folder.path(), &[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
        };
        let (slugs, said) = organizations(serve(&[])).await;
        assert!(slugs.is_empty() && !said.contains("did not exist"), "{said}");
        let served = Served::start(serve(&["--no-demo"])).await;
        let create = json!({ "query": "mutation { createOrganization(input: { name: \"Mine\" }) { organization { slug } } }" });
        send(client().post(served.url("/graphql")).json(&create)).await.data();
        served.signal("TERM").await;
        assert_eq!(served.ended().await, Some(0));
        assert_eq!(organizations(serve(&["--demo"])).await.0, ["mine"]);
        assert!(has_no_sample_data(&database).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_start_together_fill_a_postgres_database_once() {
    let database = TestDatabase::unmigrated_postgres().await;
    let folder = tempfile::tempdir().unwrap();
    let serve = || with_url(&database, folder.path(), &["serve", "--listen", "127.0.0.1:0", "--demo"]);
    let (first, second) = tokio::join!(Served::start(serve()), Served::start(serve()));
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let found: (i64, i64) =
        sqlx::query_as("SELECT COUNT(*), COUNT(DISTINCT name) FROM organization").fetch_one(pool).await.unwrap();
    assert!(found.0 == found.1 && found.0 > 3, "{found:?}");
    for served in [first, second] {
        served.signal("TERM").await;
        assert_eq!(served.ended().await, Some(0));
    }
}
