//! `compareReleases` over the minutes of a day of each release: in little memory, and in time.

use std::time::{Duration, Instant};

use perfgraph::{
    clock::Clock,
    ingest::Candidate,
    jobs::compaction,
    model::{
        Key, MetricType, ProjectId, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
};
use sea_orm::{ConnectionTrait, DbBackend};
use serde_json::{Value, json};

use super::markers::create;
use crate::{
    harness::{
        Server, TestDatabase, builders,
        process::{PATIENCE, Served},
        server::client,
    },
    on_both_databases,
};

/// Memory that comparisons may take beyond what an idle server has: a quarter of 64 MiB, for a quarter of the endpoints that one
/// comparison reads, and the caches of the first requests.
const ABOVE_IDLE_KIB: u64 = (16 + 8) * 1_024;
const ENDPOINTS: usize = 50;
/// Measurements of an endpoint in a minute: 360,000 in each release.
const PER_MINUTE: usize = 5;
/// The default of `limits.comparison_minutes_max`, which is a day, for each release.
const MINUTES: i64 = 2 * 1_440;

/// A path of letters: numbers would become one path with `:id`.
fn path(number: usize) -> String {
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 20).unwrap());
    format!("GET /{}{}", letter(number / 20), letter(number))
}

/// Measurements of all endpoints in the minute that begins at `start`.
async fn one_minute(server: &Server, project: Key<ProjectId>, start: Timestamp) {
    let rows = (0..ENDPOINTS * PER_MINUTE).map(|number| Candidate {
        kind: MetricType::ApiResponse,
        value: 50.0 + f64::from(u32::try_from(number * 7_919 % 400).unwrap()),
        endpoint: path(number % ENDPOINTS),
        status: Some(200),
        timestamp: Some(start.plus_micros(MINUTE_MICROS / 2)),
        name: None,
        release: None,
        labels: Vec::new(),
    });
    builders::ingest(server.app.core(), project, rows.collect()).await;
}

/// Repeats the only minute, as it is stored, over the minutes before it.
async fn repeat(database: &TestDatabase) {
    let columns = "organization_id, project_id, kind, bucket, endpoint_id, part, n, n_err, sum, min, max, sketch";
    let select = "m.organization_id, m.project_id, m.kind, m.bucket - n.x * CAST(60000000 AS BIGINT), m.endpoint_id, m.part, m.n, m.n_err, \
                  m.sum, m.min, m.max, m.sketch";
    let session = database.writer();
    let last = MINUTES - 1;
    let numbers = match session.get_database_backend() {
        DbBackend::Sqlite => format!(
            "(WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {last}) SELECT x FROM n)"
        ),
        _ => format!("(SELECT x FROM generate_series(1, {last}) AS s (x))"),
    };
    let sql = format!(
        "INSERT INTO metric_rollup_1m ({columns}) SELECT {select} FROM metric_rollup_1m AS m CROSS JOIN {numbers} AS n"
    );
    session.execute_unprepared(&sql).await.unwrap();
}

on_both_databases! {
    async fn a_day_of_fifty_endpoints_takes_little_memory(database: TestDatabase) {
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 projects=1").await;
        let start = Clock::system().now().floor(MINUTE_MICROS).plus_micros(-HOUR_MICROS);
        one_minute(&server, world.projects[0].key, start).await;
        compaction::round(&server.database.database, start.plus_micros(HOUR_MICROS)).await.unwrap();
        let mut releases = Vec::new();
        for (version, days) in [("1.0", 2), ("1.1", 1)] {
            let at = start.plus_micros(MINUTE_MICROS - days * DAY_MICROS).to_string();
            let input = json!({ "projectId": world.id("project", 1), "version": version, "deployedAt": at });
            releases.push(create(&server, input).await["release"]["id"].clone());
        }
        let project = world.id("project", 1);
        let database = server.stop().await;
        repeat(&database).await;

        let folder = tempfile::tempdir().unwrap();
        let process = Served::patient(&database, folder.path()).await;
        let ask = async |statistic: &str| -> Value {
            let query = "query($project: ID!, $candidate: ID!, $statistic: Statistic) {
                compareReleases(projectId: $project, candidateId: $candidate, type: API_RESPONSE, statistic: $statistic) {
                    verdict endpoints(first: 200, verdicts: [NO_CHANGE]) { endpoint baseline { count } candidate { count percentile(p: 99) } }
                }
            }";
            let variables = json!({ "project": project, "candidate": releases[1], "statistic": statistic });
            let request = client().post(process.url("/graphql")).timeout(PATIENCE);
            let answer = request.json(&json!({ "query": query, "variables": variables })).send().await.unwrap();
            answer.json().await.unwrap()
        };
        // Not what it has at the moment: the system may have taken memory back that was idle.
        let idle = process.peak_kib();
        for statistic in ["P95", "AVERAGE", "ERROR_RATE"] {
            let start = Instant::now();
            let answer = ask(statistic).await;
            let (elapsed, peak) = (start.elapsed(), process.peak_kib());
            let compared = &answer["data"]["compareReleases"];
            assert_eq!(compared["verdict"], "NO_CHANGE", "{answer}");
            let endpoints = compared["endpoints"].as_array().unwrap();
            assert_eq!(endpoints.len(), ENDPOINTS, "{}", answer.to_string().chars().take(300).collect::<String>());
            let count = 1_440 * PER_MINUTE;
            assert_eq!(endpoints[0]["candidate"]["count"], count);
            assert_eq!(endpoints[ENDPOINTS - 1]["baseline"]["count"], count);
            assert!(peak < idle + ABOVE_IDLE_KIB, "{statistic}: {idle} KiB idle, {peak} KiB at most");
            // 3 s in a release build on a quiet machine, with much to spare.
            assert!(elapsed < Duration::from_secs(40), "{statistic}: {elapsed:?}");
        }
    }
}
