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

/// Mistyped databases and addresses, each with the words of the message that name the fix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistyped_database_or_address_is_named_with_its_fix() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listening.local_addr().unwrap().to_string();
    let refused = async |arguments: &[&str], code: i32, parts: &[&str]| {
        let ended = run(command(folder.path(), arguments)).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{arguments:?}: {part:?} is not in {}", ended.stderr);
        }
    };
    let urls: [(&str, i32, &[&str]); 6] = [
        ("sqlite://nofolder/x.sqlite", 78, &["the folder nofolder", "does not exist", "mkdir -p nofolder"]),
        ("sqlite://file/x.sqlite", 78, &["file is a file, not a folder"]),
        ("sqlite://folder", 78, &["folder is a folder; add the name of a file"]),
        (
            "sqlite:///sys/perfgraph.sqlite",
            78,
            &["/sys/perfgraph.sqlite cannot be opened for writing", "the right to write"],
        ),
        ("postgres://me:hunter2@127.0.0.1:9/x", 69, &["check that it runs, and the host and the port", "127.0.0.1:9"]),
        ("mysql://127.0.0.1/x", 78, &["database.url must begin with sqlite:// or postgres://"]),
    ];
    for (url, code, parts) in urls {
        refused(&["serve", "--database-url", url], code, parts).await;
    }
    let port = ["another port with --listen", &*taken];
    refused(&["serve", "--no-demo", "--listen", &taken], 78, &port).await;
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("nofolder")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_database_that_does_not_exist_is_named_with_its_fix() {
    let database = TestDatabase::unmigrated_postgres().await;
    let absent = database.url.replacen("perfgraph_test_", "perfgraph_absent_", 1);
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate", "status"]] {
        let ended = run(command(folder.path(), &[arguments, &["--database-url", &absent]].concat())).await;
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains("PostgreSQL has no database") && ended.stderr.contains("createdb"), "{ended:?}");
    }
}
