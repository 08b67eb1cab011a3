//! The program as it is started: what it prints, how it ends, and what it keeps when it is ended by force.

use std::{process::Stdio, time::Duration};

use perfgraph::{db::Backend, graphql::schema};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::{process::Command, time::timeout};

use crate::{
    harness::{
        TestDatabase, books,
        process::{Ended, PATIENCE, Served, command, run},
        server::{client, repository, send},
        wait,
    },
    on_both_databases,
    operations::crash::{assert_nothing_lost, prepared, serve, with_url, written_until},
};

async fn ask(served: &Served, query: &str, variables: Value) -> Value {
    let body = json!({ "query": query, "variables": variables });
    send(client().post(served.url("/graphql")).json(&body)).await.data()
}

async fn on(database: &TestDatabase, arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    run(with_url(database, folder.path(), arguments)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_in_an_empty_folder_has_something_to_show() {
    let folder = tempfile::tempdir().unwrap();
    let serve = || command(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let mut served = Served::start(serve()).await;

    // The printed curl, as a person would paste it.
    let talk = served.lines_until("-d '").await.join("\n");
    let curl = &talk[talk.find("curl ").expect("a curl line is printed")..];
    let shell = Command::new("sh").arg("-c").arg(format!("{curl} --noproxy '*'")).output().await.unwrap();
    let answer: Value = serde_json::from_slice(&shell.stdout)
        .unwrap_or_else(|error| panic!("{curl}\n{error}: {}", String::from_utf8_lossy(&shell.stderr)));
    let rows = answer["data"]["slowestEndpoints"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "{answer}");
    for part in ["Demo traffic: the sample projects get", "--no-demo"] {
        assert!(talk.contains(part), "{talk}");
    }
    // The sample projects move.
    let recent = "{ performanceSummary(type: API_RESPONSE, filter: { time: { last: \"PT1M\" } }) { count } }";
    let mut count = 0;
    for _ in 0..2 {
        count = wait::until_some("more measurements of the last minute", async || {
            let now = ask(&served, recent, json!({})).await["performanceSummary"]["count"].as_u64().unwrap();
            (now > count).then_some(now)
        })
        .await;
    }
    for row in rows {
        let has_owners = !row["owners"].as_array().unwrap().is_empty();
        assert!(row["value"].as_f64().unwrap() > 0.0 && row["project"]["name"].is_string() && has_owners, "{row}");
    }

    // It measures itself: what was just asked is in its own organization, as a metric like any other.
    for _ in 0..5 {
        ask(&served, "query Probe { viewer { role } }", json!({})).await;
    }
    let own = "query Own { organization(slug: \"perfgraph\") { id } organizations { totalCount } }";
    let own = ask(&served, own, json!({})).await;
    let filter = json!({ "filter": {
        "time": { "last": "PT10M" }, "organizationId": own["organization"]["id"], "endpoint": { "eq": "query Probe" }
    } });
    let stats = "query ($filter: MetricFilter!) { metricStats(filter: $filter) { count errorCount max } }";
    let recorded = async {
        loop {
            let stats = ask(&served, stats, filter.clone()).await["metricStats"].clone();
            if stats["count"] == 5 {
                return stats;
            }
        }
    };
    let stats = timeout(PATIENCE, recorded).await.expect("five requests are recorded as five metrics");
    assert!(stats["errorCount"] == 0 && stats["max"].as_f64().unwrap() > 0.0, "{stats}");
    let slowest = "query ($filter: MetricFilter!) { slowestEndpoints(filter: $filter) { endpoint project { slug } } }";
    let slowest = ask(&served, slowest, filter).await;
    assert_eq!(slowest["slowestEndpoints"], json!([{ "endpoint": "query Probe", "project": { "slug": "perfgraph" } }]));

    served.signal("INT").await;
    assert_eq!(served.ended().await, Some(0));

    // The second start finds its data and makes no more.
    let served = Served::start(serve()).await;
    let again = ask(&served, "{ organizations { totalCount } }", json!({})).await;
    assert_eq!(again["organizations"], own["organizations"]);
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_cannot_be_meant_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |command: Command, parts: &[&str]| {
        let ended = run(command).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(78), ""), "{ended:?}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{part:?} is not in: {}", ended.stderr);
        }
    };
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        refused(command(folder.path(), &["serve", "--listen", listen]), &["--listen", "authentication", "127.0.0.1"])
            .await;
    }
    let mut misspelt = command(folder.path(), &["serve"]);
    misspelt.env("PERFGRAPH_SERVER__LISEN", "127.0.0.1:1");
    refused(misspelt, &["PERFGRAPH_SERVER__LISEN", "did you mean PERFGRAPH_SERVER__LISTEN?"]).await;
    std::fs::write(folder.path().join("perfgraph.toml"), "[limits]\npage_size_maximum = 7\n").unwrap();
    refused(command(folder.path(), &["serve"]), &["perfgraph.toml", "did you mean `limits.page_size_max`?"]).await;
    let ended = run(command(folder.path(), &["serve", "--lisen", "x"])).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    // A database that is not there is unavailable, and the password stays out of the message.
    let mut absent = command(tempfile::tempdir().unwrap().path(), &["migrate", "status"]);
    absent.env("DATABASE_URL", "postgres://me:hunter2@127.0.0.1:9/none").current_dir(repository("tests"));
    let ended = run(absent).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
}

/// The names of the migrations, and whether all are applied.
fn migrations(ended: &Ended) -> Vec<(bool, String)> {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = |line: &str| {
        let (state, name) = line.split_once(' ').unwrap();
        assert!(["applied", "missing"].contains(&state), "{line}");
        (state == "applied", name.to_owned())
    };
    ended.stdout.lines().map(line).collect()
}

async fn migrate(database: TestDatabase) {
    let states = async |arguments: &[&str]| {
        let states = migrations(&on(&database, arguments).await);
        states.into_iter().map(|(is_applied, _)| is_applied).collect::<Vec<_>>()
    };
    let count = states(&["migrate", "status"]).await.len();
    assert!(count >= 6);
    assert_eq!(states(&["migrate", "status"]).await, vec![false; count]);
    assert_eq!(states(&["migrate", "up", "--steps", "2"]).await, [vec![true; 2], vec![false; count - 2]].concat());
    assert_eq!(states(&["migrate", "up"]).await, vec![true; count]);
    assert_eq!(states(&["migrate", "down", "--yes"]).await, [vec![true; count - 1], vec![false]].concat());
    assert_eq!(states(&["migrate", "down", "--steps", "100", "--yes"]).await, vec![false; count]);
    assert_eq!(states(&["migrate", "up"]).await, vec![true; count]);
    assert_eq!(states(&["migrate", "status"]).await, vec![true; count]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_up_status_and_down_on_sqlite() {
    migrate(TestDatabase::unmigrated_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_up_status_and_down_on_postgres() {
    migrate(TestDatabase::unmigrated_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schema_check_tells_a_file_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run(command(folder.path(), &["schema", "print"])).await;
    assert_eq!((printed.code, &*printed.stdout), (Some(0), &*schema::sdl()));
    let check = || run(command(folder.path(), &["schema", "check"]));
    let absent = check().await;
    assert!(absent.code == Some(65) && absent.stderr.contains("schema.graphql"), "{absent:?}");
    std::fs::write(folder.path().join("schema.graphql"), &printed.stdout).unwrap();
    assert_eq!(check().await.code, Some(0));
    std::fs::write(folder.path().join("schema.graphql"), printed.stdout.replacen("Employee", "Person", 1)).unwrap();
    let differs = check().await;
    assert!(differs.code == Some(65) && differs.stderr.contains("perfgraph schema print"), "{differs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_print_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run(command(folder.path(), &["config", "print"])).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    std::fs::write(folder.path().join("perfgraph.toml"), &printed.stdout).unwrap();
    let ended = run(command(folder.path(), &["migrate", "up"])).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// The writing end of a pipe whose reader has gone.
fn unread() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// The exit code of a command, and its messages if standard error is a pipe that is read.
async fn ended(mut command: Command, stdout: Stdio, stderr: Stdio) -> (Option<i32>, String) {
    let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("the command ends in time").unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_has_gone_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let printing =
        [&["migrate", "up"][..], &["migrate", "status"], &["config", "print"], &["schema", "print"], &["--help"]];
    for arguments in printing {
        let ended = ended(command(folder.path(), arguments), unread(), Stdio::piped()).await;
        assert_eq!((ended.0, ended.1.contains("panic")), (Some(0), false), "{arguments:?}: {}", ended.1);
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (code, said) = ended(command(folder.path(), &["schema", "print"]), full.into(), Stdio::piped()).await;
    assert!(code == Some(1) && said.contains("standard output cannot be written"), "{code:?} {said}");
    // Messages that nobody reads.
    let seed = command(folder.path(), &["seed", "--size", "small", "--until", "2026-11-01T12:00:00Z"]);
    assert_eq!(ended(seed, Stdio::null(), unread()).await.0, Some(0));
}

const TABLES: [&str; 9] = [
    "organization",
    "employee",
    "project",
    "project_member",
    "endpoint",
    "ingest_batch",
    "metric_event",
    "metric_rollup_part",
    "organization_stream",
];

/// A hash over every row of every table, and the number of rows.
async fn content(database: &TestDatabase) -> (String, usize) {
    let (mut hasher, mut count) = (blake3::Hasher::new(), 0);
    for table in TABLES {
        let rows: Vec<String> = match database.database.backend() {
            Backend::Postgres(pool) => {
                let sql = format!("SELECT t::text AS line FROM {table} t ORDER BY 1");
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap()
            }
            Backend::Sqlite(pool) => {
                let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)")
                    .bind(table)
                    .fetch_all(pool)
                    .await
                    .unwrap();
                let line: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
                let sql = format!("SELECT {} FROM {table} ORDER BY 1", line.join(" || ',' || "));
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap()
            }
        };
        assert!(!rows.is_empty(), "{table} is empty");
        count += rows.len();
        hasher.update(table.as_bytes());
        for row in &rows {
            hasher.update(row.as_bytes()).update(b"\n");
        }
    }
    (hasher.finalize().to_hex().to_string(), count)
}

async fn seed_is_deterministic(make: impl AsyncFn() -> TestDatabase) {
    let seeded = async |rng_seed: &str| {
        let database = make().await;
        let until = "2026-11-01T12:00:00Z";
        let arguments = ["seed", "--size", "small", "--rng-seed", rng_seed, "--until", until];
        let ended = on(&database, &arguments).await;
        assert!(ended.code == Some(0) && ended.stderr.contains("a second"), "{ended:?}");
        let again = on(&database, &arguments).await;
        assert!(again.code == Some(65) && again.stderr.contains("not empty"), "{again:?}");
        books::check(&database).await;
        content(&database).await
    };
    let first = seeded("7").await;
    assert!(first.1 > 20_000, "only {} rows", first.1);
    assert_eq!(first, seeded("7").await);
    assert_ne!(first, seeded("8").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_seed_makes_the_same_rows_on_sqlite() {
    seed_is_deterministic(TestDatabase::unmigrated_sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_seed_makes_the_same_rows_on_postgres() {
    seed_is_deterministic(TestDatabase::unmigrated_postgres).await;
}

on_both_databases! {
    async fn a_signal_under_load_loses_nothing_that_was_acknowledged(database: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let (database, mut writers) = prepared(database).await;
        for signal in ["TERM", "INT"] {
            let served = serve(&database, folder.path()).await;
            let code;
            (writers, code) = written_until(served, writers, 30, signal).await;
            assert_eq!(code, Some(0), "after SIG{signal}");
            assert_nothing_lost(&database, &writers).await;
        }
        let acknowledged: usize = writers.iter().map(|writer| writer.acknowledged.len()).sum();
        assert!(acknowledged >= 60);
    }
}

/// A start that is interrupted ends like a stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_server_stops_at_once() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let (database, _) = prepared(database).await;
    let served = serve(&database, folder.path()).await;
    // A connection that is kept open and idle must not hold it.
    let client = client();
    assert!(client.get(served.url("/readyz")).send().await.unwrap().status().is_success());
    served.signal("TERM").await;
    let code = timeout(Duration::from_secs(5), served.ended()).await.expect("an idle connection holds nobody");
    assert_eq!(code, Some(0));
}
