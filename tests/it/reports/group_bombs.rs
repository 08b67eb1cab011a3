//! Questions that make many groups or read many single measurements: memory stays within bounds, and limits act while rows
//! come.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use perfgraph::clock::Clock;
use sea_orm::{ConnectionTrait, DbBackend};
use serde_json::{Value, json};

use crate::{
    harness::{
        Server, TestDatabase,
        process::{PATIENCE, Served},
        server::client,
        wait::until,
    },
    on_both_databases,
};

/// Memory that all questions together may take beyond what an idle server has.
const ABOVE_IDLE_KIB: u64 = 64 * 1_024;
const P95: &str = "percentile(p: 95)";
/// Measurements, each with a name of its own. One of twenty has the status 500, a quarter 404. Sorted in memory by SQLite, they would take
/// more than [`ABOVE_IDLE_KIB`].
const ROWS: usize = 600_000;

/// Multiplies the only measurement: names are all different, releases have 120 measurements each.
async fn multiply(database: &TestDatabase) {
    let columns = "organization_id, project_id, kind, ts, id, value, endpoint_id, status, bin, name, release";
    let select = "m.organization_id, m.project_id, m.kind, m.ts - n.x, m.id + n.x, m.value + n.x % 1000, m.endpoint_id, \
                  CASE WHEN n.x % 20 = 0 THEN 500 WHEN n.x % 4 = 1 THEN 404 ELSE 200 END, m.bin + n.x % 300, 'name ' || n.x, 'release ' || (n.x / 120)";
    let session = database.writer();
    let sql = match session.get_database_backend() {
        DbBackend::Sqlite => format!(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {ROWS})
            INSERT INTO metric_event ({columns}) SELECT {select} FROM metric_event AS m CROSS JOIN n"
        ),
        _ => format!(
            "INSERT INTO metric_event ({columns})
            SELECT {select} FROM metric_event AS m CROSS JOIN generate_series(1, {ROWS}) AS n (x)"
        ),
    };
    session.execute_unprepared(&sql).await.unwrap();
}

/// Several reports of one operation, each about another window, because equal ones would be one.
fn reports(count: usize, report: impl Fn(&str) -> String) -> Value {
    let mut text = "{".to_owned();
    for number in 1..=count {
        write!(text, " a{number}: {}", report(&format!("time: {{ last: \"PT{number}H\" }}"))).unwrap();
    }
    json!({ "query": text + " }" })
}

on_both_databases! {
    async fn groups_take_little_memory_and_are_refused_while_they_are_made(database: TestDatabase) {
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        server.seed("organizations=1 projects=1 metrics=1").await;
        let database = server.stop().await;
        multiply(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let process = Served::patient(&database, folder.path()).await;
        let ask = async |body: Value| {
            let request = client().post(process.url("/graphql")).timeout(PATIENCE).json(&body);
            request.send().await.unwrap().text().await.unwrap()
        };
        until("the server answers", async || ask(json!({ "query": "{ metricStats { count } }" })).await.contains("count")).await;
        // Not what it has at the moment: the system may have taken memory back that was idle.
        let idle = process.peak_kib();

        let keys = "[PROJECT, TYPE, NAME, ENDPOINT, STATUS_CODE, RELEASE]";
        let groups = |by: &str, filter: &str, figures: &str| {
            format!("metricGroups(groupBy: {by}, filter: {{ {filter} }}, first: 5) {{ stats {{ {figures} }} }}")
        };
        let exact = |time: &str| format!("{time}, isExact: true, statusCode: {{ eq: 500 }}");
        let many = reports(20, |time| groups(keys, &exact(time), P95));
        let (refused, p95) = ("more than 10000 groups (limits.groups_max)", "\"percentile\":");
        let bombs = [
            ("six keys", reports(1, |time| groups(keys, time, "count")), refused),
            ("six keys with percentiles", reports(1, |time| groups(keys, time, P95)), refused),
            ("six keys, often", reports(3, |time| groups(keys, time, "count")), refused),
            ("releases", reports(3, |time| groups("RELEASE", time, P95)), p95),
            ("exact groups", reports(5, |time| groups("RELEASE", &exact(time), P95)), p95),
            (
                "exact answers",
                reports(3, |time| {
                    let quarter = "statusCode: { eq: 404 }";
                    format!("metricStats(filter: {{ {time}, {quarter}, isExact: true }}) {{ {P95} }}")
                }),
                p95,
            ),
            ("more exact groups", many.clone(), "COMPLEXITY_LIMIT"),
            ("a batch", Value::from(vec![many; 20]), "COMPLEXITY_LIMIT"),
        ];
        for (name, body, answer) in bombs {
            let start = Instant::now();
            let reply = ask(body).await;
            let (elapsed, peak) = (start.elapsed(), process.peak_kib());
            let shown: String = reply.chars().take(500).collect();
            assert!(reply.contains(answer), "{name}: {shown}");
            assert!(!reply.contains("UNAVAILABLE") && !reply.contains("TIMEOUT"), "{name}: {shown}");
            assert!(peak < idle + ABOVE_IDLE_KIB, "{name}: {idle} KiB idle, {peak} KiB at most");
            assert!(elapsed < Duration::from_secs(50), "{name}: {elapsed:?}");
        }
    }
}
