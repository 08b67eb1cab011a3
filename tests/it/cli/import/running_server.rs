//! `perfgraph import --url`: into the database of a server that runs, with the same results as without one.

use std::path::Path;

use perfgraph::clock::Clock;
use sea_orm::EntityTrait;
use tokio::process::Command;

use super::{PROJECT, log, stored};
use crate::{
    harness::{
        Server, TestDatabase, books,
        process::{Ended, Served, command, run},
    },
    ingest::http_api::{gzip, rows, until_stored},
    on_both_databases,
};

/// A server with two projects. Its parts are not those of the import.
async fn server(database: TestDatabase) -> Server {
    let settings = "self_monitoring.enabled = false\ningest.part_rows = 70";
    let server = Server::start(database, Clock::system(), settings).await;
    server.seed("organizations=1 projects=2").await;
    server
}

fn import(url: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, &[&["import", "--url", url], arguments].concat());
    command.env("PERFGRAPH_INGEST__PART_ROWS", "100");
    command
}

async fn imported(server: &Server, folder: &Path, arguments: &[&str]) -> Ended {
    run(import(&server.url(""), folder, arguments)).await
}

on_both_databases! {
    async fn a_log_of_months_ago_is_sent_once_while_the_server_runs(database: TestDatabase) {
        let server = server(database).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("access.log.gz"), gzip(log(1_250, 100).as_bytes()).await).unwrap();
        let arguments = ["access.log.gz", "--project", PROJECT];
        let first = imported(&server, folder.path(), &arguments).await;
        assert_eq!(first.code, Some(0), "{first:?}");
        assert!(first.stderr.contains("1250 metrics imported, 0 refused"), "{first:?}");
        let again = imported(&server, folder.path(), &arguments).await;
        assert!(again.stderr.contains("1250 metrics imported, 1250 of them by an earlier run"), "{again:?}");
        assert_eq!((again.code, stored(&server.database).await), (Some(0), 1_250));
        let endpoints = perfgraph::entity::endpoint::Entity::find().all(&server.database.reader()).await.unwrap();
        assert_eq!(endpoints.iter().map(|one| &*one.path).collect::<Vec<_>>(), ["GET /orders/:id"]);
        let other = imported(&server, folder.path(), &["access.log.gz", "--project", "organization-1/project-2"]).await;
        assert_eq!((other.code, stored(&server.database).await), (Some(0), 2_500), "{other:?}");
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn rows_that_the_server_refuses_come_back_beside_those_that_cannot_be_read(database: TestDatabase) {
        let server = server(database).await;
        let folder = tempfile::tempdir().unwrap();
        // More refused rows than a response lists by default, in rows of which the names and releases go along.
        let bad = (0..130).fold(String::new(), |text, number| text + &format!("\"b, {number}\",-1,CUSTOM,,,\n"));
        let head = "endpoint,value,type,name,release,projectSlug\n";
        let csv = format!("{head}a,1,CUSTOM,LCP,1.4,{PROJECT}\n{bad}d,x,CUSTOM,,,\nd,1,CUSTOM,,,organization-1/project-2\ne,2,CUSTOM,,,\n");
        std::fs::write(folder.path().join("a.csv"), csv).unwrap();
        for _ in 0..2 {
            let ended = imported(&server, folder.path(), &["a.csv", "--rejects", "bad.csv", "--project", PROJECT]).await;
            assert_eq!(ended.code, Some(65), "{ended:?}");
            assert!(ended.stderr.contains("2 metrics imported") && ended.stderr.contains(" 132 refused"), "{ended:?}");
            assert!(ended.stderr.contains("row 2: value: -1 is negative"), "{ended:?}");
            let rejects = std::fs::read_to_string(folder.path().join("bad.csv")).unwrap();
            assert_eq!(rejects, format!("{head}{bad}d,x,CUSTOM,,,\nd,1,CUSTOM,,,organization-1/project-2\n"));
        }
        let events = perfgraph::entity::metric_event::Entity::find().all(&server.database.reader()).await.unwrap();
        let mut tags: Vec<_> = events.iter().map(|event| (event.name.as_str(), event.release.as_str())).collect();
        tags.sort_unstable();
        assert_eq!(tags, [("", ""), ("LCP", "1.4")]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_the_server_have_the_exit_codes_of_an_import() {
    let server = server(TestDatabase::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.ndjson"), rows(0..3)).unwrap();
    std::fs::write(folder.path().join("old.log"), log(1, 500)).unwrap();
    for (arguments, code, part) in [
        (&["a.ndjson", "--project", "organization-1/nothing"][..], 65, "there is no project `organization-1/nothing`"),
        (&["a.ndjson", "--project", "nothing"], 65, "ORGANIZATION/PROJECT"),
        (&["a.ndjson", "--project", "Organization/x"], 65, "write ORGANIZATION/PROJECT"),
        (&["absent.log", "--project", PROJECT], 65, "cannot be read"),
        (&["old.log", "--project", PROJECT, "--since", "2020-01-01T00:00:00Z"], 65, "more than 400 days ago"),
        (&["old.log", "--project", PROJECT], 65, "a running server takes rows of the last 400 days"),
        (&["a.ndjson"], 2, "--project"),
        (&["a.ndjson", "--project", PROJECT, "--url", "ftp://x"], 2, "cannot be used multiple times"),
    ] {
        let ended = imported(&server, folder.path(), arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?} {ended:?}");
        assert!(ended.stderr.contains(part), "{part:?} is not in {ended:?}");
    }
    let nobody = import("http://127.0.0.1:9", folder.path(), &["a.ndjson", "--project", PROJECT]);
    let ended = run(nobody).await;
    assert!(ended.code == Some(69) && ended.stderr.contains("cannot import to http://127.0.0.1:9"), "{ended:?}");
    assert_eq!(stored(&server.database).await, 0);
}

on_both_databases! {
    async fn an_import_waits_for_a_server_that_is_killed_in_the_middle(database: TestDatabase) {
        let database = server(database).await.stop().await;
        let folder = tempfile::tempdir().unwrap();
        let served = Served::at("127.0.0.1:0", &database, folder.path()).await;
        let (url, address) = (served.url(""), served.address.clone());
        let text = log(4_000, 20);
        // The first half comes at once, the rest when the server is gone.
        let mut import = import(&url, folder.path(), &["-", "--format", "access-log", "--project", PROJECT]);
        let mut child = import.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let (first, rest) = text.split_at(text.len() / 2);
        tokio::io::AsyncWriteExt::write_all(&mut stdin, first.as_bytes()).await.unwrap();
        until_stored(&database, 500).await;
        served.signal("KILL").await;
        served.ended().await;
        let writing = async {
            tokio::io::AsyncWriteExt::write_all(&mut stdin, rest.as_bytes()).await.unwrap();
            drop(stdin);
        };
        let (again, ()) = tokio::join!(Served::at(&address, &database, folder.path()), writing);
        let ended = tokio::time::timeout(crate::harness::process::PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.success() && said.contains("4000 metrics imported"), "{said}");
        assert_eq!(stored(&database).await, 4_000);
        again.signal("TERM").await;
        assert_eq!(again.ended().await, Some(0));
        books::check(&database).await;
    }
}

on_both_databases! {
    async fn rows_long_before_since_are_refused_one_by_one_and_wide_rows_fit(database: TestDatabase) {
        let server = server(database).await;
        let folder = tempfile::tempdir().unwrap();
        let now = perfgraph::model::Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
        let [before, since, after] = [-24 * 12, -24 * 10, 0].map(|hours| now.plus_micros(hours * 3_600_000_000).to_string());
        let row = |time: &str, label: &str| format!("{{\"type\":\"CUSTOM\",\"value\":1,\"endpoint\":\"a\",\"timestamp\":\"{time}\",\"labels\":{{{label}}}}}\n");
        let wide: Vec<_> = (0..9).map(|number| format!("\"k{number}\":\"{}\"", "x".repeat(250))).collect();
        let twice = row(&after, "\"a\":\"1\",\"a\":\"2\"");
        let text = format!("{}{}{twice}{}", row(&before, ""), row(&since, ""), row(&after, &wide.join(",")).repeat(2_500));
        std::fs::write(folder.path().join("a.ndjson"), text).unwrap();
        let arguments = ["a.ndjson", "--since", &since, "--project", PROJECT];
        let mut import = import(&server.url(""), folder.path(), &arguments);
        // All of them are one part by their number.
        import.env("PERFGRAPH_INGEST__PART_ROWS", "10000");
        let ended = run(import).await;
        assert!(ended.stderr.contains("2501 metrics imported, 2 refused"), "{ended:?}");
        assert!(ended.stderr.contains("row 1: timestamp: ") && ended.stderr.contains(" is before the allowed window"), "{ended:?}");
        assert!(ended.stderr.contains("row 3: labels: has the key `a` twice"), "{ended:?}");
        let dry = imported(&server, folder.path(), &["a.ndjson", "--since", &since, "--dry-run"]).await;
        assert!(dry.stderr.contains("2501 metrics could be imported, 2 refused"), "{dry:?}");
    }
}
