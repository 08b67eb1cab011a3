//! Requests that would take much memory: each is refused before anything is built from it.

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{
        process::{self, PATIENCE, Served},
        server::client,
    },
    ingest::http_api::{NDJSON, PATH, gzip},
};

/// Memory that bombs may take beyond what an idle server has.
const ABOVE_IDLE_KIB: u64 = 64 * 1_024;
/// Bytes of a body; the limit is 5 MiB.
const BYTES: usize = 5_200_000;
const PLAIN: &str = "{ viewer { role } }";
const FILTERED: &str = "query($f: EmployeeFilter) { employees(filter: $f) { totalCount } }";

/// A request, and a part of the answer to it.
struct Bomb {
    name: &'static str,
    path: &'static str,
    headers: Vec<(reqwest::header::HeaderName, &'static str)>,
    body: Vec<u8>,
    answer: &'static str,
}

fn graphql(name: &'static str, answer: &'static str, body: impl Into<Vec<u8>>) -> Bomb {
    let headers = vec![(CONTENT_TYPE, "application/json")];
    Bomb { name, path: "/graphql", headers, body: body.into(), answer }
}

/// A body of one operation that repeats an item as often as it fits.
fn full(query: &str, before: &str, item: &str, after: &str) -> String {
    let room = BYTES - query.len() - before.len() - after.len() - 100;
    let items = vec![item; room / (item.len() + 1)].join(",");
    format!("{{\"query\":{},{before}{items}{after}}}", json!(query))
}

/// Bodies that are refused by what they hold.
fn refused() -> Vec<Bomb> {
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let refused = |name, body: String| graphql(name, "COMPLEXITY_LIMIT", body);
    let stream = |accept| Bomb {
        headers: vec![(CONTENT_TYPE, "application/json"), (ACCEPT, accept)],
        ..refused("a stream", full(FILTERED, "\"variables\":{\"f\":{\"or\":[", "{}", "]}}"))
    };
    vec![
        refused("or", full(FILTERED, "\"variables\":{\"f\":{\"or\":[", "{}", "]}}")),
        refused("not", full(FILTERED, "\"variables\":{\"f\":{\"and\":[", "{\"not\":{\"not\":{}}}", "]}}")),
        refused("unused list", full(PLAIN, "\"variables\":{\"x\":[", "1", "]}")),
        refused("unused objects", full(PLAIN, "\"variables\":{\"x\":[", "{\"a\":[]}", "]}")),
        refused("deep", full(PLAIN, "\"variables\":{\"x\":[", &deep, "]}")),
        refused("extensions", full(PLAIN, "\"extensions\":{\"x\":[", "{\"a\":[]}", "]}")),
        refused("unknown property", full(PLAIN, "\"x\":[", "{\"a\":[]}", "]")),
        refused("operations", format!("[{}1]", "1,".repeat(BYTES / 2 - 2))),
        refused("batch", format!("[{}]", full(PLAIN, "\"variables\":{\"x\":[", "1", "]}"))),
        refused("not JSON at its end", full(FILTERED, "\"variables\":{\"f\":{\"or\":[", "{}", ",")),
        stream("text/event-stream"),
        stream("multipart/mixed;subscriptionSpec=1.0"),
    ]
}

/// Bodies with as many values as the limit on values lets pass.
fn counted() -> Vec<Bomb> {
    let one = |name, answer, query: &str, variables: Value| {
        graphql(name, answer, json!({ "query": query, "variables": variables }).to_string())
    };
    let texts: Vec<_> = (0..99_000).map(|number| format!("text {number}")).collect();
    let many = |field: &str| (0..20).map(|number| format!("a{number}: {field} ")).collect::<Vec<_>>().concat();
    let ids = format!("query($x: [ID!]!) {{ {} }}", many("nodes(ids: $x) { id }"));
    let values = format!(
        "query($x: [String!]) {{ {} }}",
        many("metricStats(filter: { endpoints: $x, time: { last: \"PT1H\" } }) { count }")
    );
    let row = json!({ "type": "CUSTOM", "value": 1, "endpoint": "a" });
    let rows = json!({ "input": { "projectId": "x", "metrics": vec![row; 24_000] } });
    let in_list = "query($f: [EmployeeFilter!]) { employees(filter: { or: $f }) { totalCount } }";
    let ingest = "mutation($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
    let plain = json!({ "query": PLAIN, "variables": { "x": vec![json!([1]); 2_400] } }).to_string();
    vec![
        one("filters", "limits.filter_conditions_max", FILTERED, json!({ "f": { "or": vec![json!({}); 99_000] } })),
        one("a list of filters", "limits.filter_conditions_max", in_list, json!({ "f": vec![json!({}); 99_000] })),
        one("unused lists", "role", PLAIN, json!({ "x": vec![json!([1]); 49_000] })),
        one("unused objects", "role", PLAIN, json!({ "x": vec![json!({ "a": 1 }); 49_000] })),
        one("ids used often", "errors", &ids, json!({ "x": &texts })),
        one("texts used often", "errors", &values, json!({ "x": &texts })),
        one("rows", "\"accepted\":0", ingest, rows),
        graphql("a batch", "role", format!("[{}]", vec![plain; 20].join(","))),
        one("one long text", "role", PLAIN, json!({ "x": "x".repeat(5_000_000) })),
    ]
}

/// Bodies of rows.
async fn rows() -> Vec<Bomb> {
    let ingest = |name, answer, body: Vec<u8>| {
        let headers = vec![(CONTENT_TYPE, NDJSON)];
        Bomb { name, path: PATH, headers, body, answer }
    };
    let zipped = |name, answer, body| {
        let bomb = ingest(name, answer, body);
        let headers = bomb.headers.iter().cloned().chain([(CONTENT_ENCODING, "gzip")]).collect();
        Bomb { headers, ..bomb }
    };
    let long = format!("{{\"{}\":1}}\n", "x".repeat(60_000));
    vec![
        ingest("refused rows", "limits.ingest_refused_rows_max", "{}\n".repeat(BYTES / 3).into_bytes()),
        ingest("long names", "\"rejected\":86,", long.repeat(86).into_bytes()),
        zipped("members", "limits.ingest_body_members_max", gzip(b"").await.repeat(200_000)),
        zipped("a bomb of one member", "limits.ingest_body_bytes_max", gzip(&vec![b' '; 500_000_000]).await),
    ]
}

/// A server, the folder with its database, and its memory.
async fn idle() -> (Served, TempDir, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = process::command(folder.path(), &["serve", "--no-demo"]);
    command.env("PERFGRAPH_SERVER__LISTEN", "127.0.0.1:0").env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
    let served = Served::start(command).await;
    let warm = client().post(served.url("/graphql")).json(&json!({ "query": PLAIN })).send().await.unwrap();
    assert_eq!(warm.status(), 200);
    // Not what it has at the moment: the system may have taken memory back that was idle.
    let idle = served.peak_kib();
    (served, folder, idle)
}

#[expect(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
async fn send(served: &Served, idle: u64, bomb: Bomb) {
    let Bomb { name, path, headers, body, answer } = bomb;
    let start = Instant::now();
    let request = client().post(served.url(path)).timeout(PATIENCE).body(body);
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let reply = request.send().await.unwrap().text().await.unwrap();
    let (elapsed, peak) = (start.elapsed(), served.peak_kib());
    println!("{name}: {} KiB above idle at most, {elapsed:?}", peak.saturating_sub(idle));
    let shown: String = reply.chars().take(500).collect();
    assert!(reply.contains(answer), "{name}: {shown}");
    assert!(reply.len() < 200_000, "{name}: an answer of {} bytes", reply.len());
    assert!(peak < idle + ABOVE_IDLE_KIB, "{name}: {idle} KiB idle, {peak} KiB at most");
    assert!(elapsed < Duration::from_secs(20), "{name}: {elapsed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_takes_much_memory_before_it_is_refused() {
    let (served, _folder, idle) = idle().await;
    for bomb in refused().into_iter().chain(rows().await) {
        send(&served, idle, bomb).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_as_many_values_as_the_limit_takes_little_memory() {
    for bomb in counted() {
        // Each on a server of its own, because what one leaves in the allocator would count for the next.
        let (served, _folder, idle) = idle().await;
        send(&served, idle, bomb).await;
    }
}
