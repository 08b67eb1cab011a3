//! Measurements over HTTP: the day that is read later, and two loads that are measured, large batches from a few clients
//! and single rows from many.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, LogNormal};
use serde_json::{Value, json};

use crate::{
    Outcome, client,
    databases::{Bench, Project},
    report::{Line, Report},
    round::{self, Expect, Load},
};

/// Rows of a batch of the day that is read.
const DAY_ROWS: u32 = 1_000;
const RNG_SEED: u64 = 1;
const ENDPOINTS: usize = 20;
const DAY: SignedDuration = SignedDuration::from_hours(24);
const DAY_BATCHES: u32 = 70;
/// The time span of the measurements in one request: seconds.
const SPAN: SignedDuration = SignedDuration::from_secs(10);
/// Different bodies, sent in turn.
const BODIES: u32 = 8;

const ROUNDS: usize = 3;
const ROUND_LIMIT: Duration = Duration::from_secs(6);

/// The ingest API of perfgraph that is used; the hand-written endpoint has only one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Mutation,
    /// `POST /ingest/v1/metrics`, one JSON object a line.
    Bulk,
}

/// The arrival of measurements.
struct Shape {
    name: &'static str,
    door: Door,
    /// Rows of a request.
    rows: u32,
    /// Clients that send at once, each waiting for its answer.
    connections: usize,
    /// Requests of a round.
    requests: usize,
    warm_up: usize,
    /// In an answer where every row was taken.
    all_taken: Expect,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "bulk",
        door: Door::Bulk,
        rows: 1_000,
        connections: 8,
        requests: 240,
        warm_up: 16,
        all_taken: Expect::Text("\"accepted\":1000"),
    },
    Shape {
        name: "ingest",
        door: Door::Mutation,
        rows: 1_000,
        connections: 8,
        requests: 240,
        warm_up: 16,
        all_taken: Expect::Text("\"accepted\":1000"),
    },
    Shape {
        name: "single",
        door: Door::Mutation,
        rows: 1,
        connections: 32,
        requests: 4_000,
        warm_up: 320,
        all_taken: Expect::Text("\"accepted\":1,"),
    },
];

const MUTATION: &str = "mutation Ingest($input: IngestMetricsInput!) { ingestMetrics(input: $input) { \
    accepted rejected { index message } userErrors { message } } }";

/// Measurements whose times go evenly through `from` and `to`.
fn measurements(rows: u32, (from, to): (Timestamp, Timestamp), random: &mut StdRng) -> Outcome<Vec<Value>> {
    let latency = LogNormal::new(4.0, 0.8)?;
    let step = to.duration_since(from) / i32::try_from(rows)?;
    let metric = |place: u32| -> Outcome<Value> {
        let endpoint = random.random_range(0..ENDPOINTS);
        let at = from.checked_add(step * i32::try_from(place)?)?;
        let value = (latency.sample(random) * 1_000.0_f64).round() / 1_000.0;
        let status = if random.random_bool(0.01) { 500 } else { 200 };
        Ok(json!({
            "type": "API_RESPONSE", "value": value, "endpoint": format!("GET /items/{endpoint}/details"),
            "statusCode": status, "timestamp": at.to_string(),
        }))
    };
    (0..rows).map(metric).collect()
}

/// A batch as the JSON body that both servers take.
fn body(project: Project, metrics: &[Value]) -> String {
    let input = json!({ "projectId": project.node_id(), "metrics": metrics });
    json!({ "query": MUTATION, "variables": { "input": input } }).to_string()
}

/// Stores 70,000 measurements of the last 24 hours through perfgraph, and answers the bounds of that day.
pub async fn fill_day(bench: &Bench) -> Outcome<(String, String)> {
    let mut random = StdRng::seed_from_u64(RNG_SEED);
    let to = Timestamp::now();
    let from = to.checked_sub(DAY)?;
    let step = DAY / i32::try_from(DAY_BATCHES)?;
    let (before, _) = bench.stored(bench.read).await?;
    let mut start = from;
    for _ in 0..DAY_BATCHES {
        let end = start.checked_add(step)?;
        let body = body(bench.read, &measurements(DAY_ROWS, (start, end), &mut random)?);
        let answer = client::ask(bench.perfgraph.address, &client::post("/graphql", &body, "")).await?;
        if answer["data"]["ingestMetrics"]["accepted"] != DAY_ROWS {
            return Err(format!("a batch was refused: {answer}").into());
        }
        start = end;
    }
    let (after, _) = bench.stored(bench.read).await?;
    if after - before != i64::from(DAY_BATCHES * DAY_ROWS) {
        return Err(format!("{} rows were stored, not {}", after - before, DAY_BATCHES * DAY_ROWS).into());
    }
    Ok((from.to_string(), to.to_string()))
}

/// Measures both servers, each on a project of its own, and counts the rows afterwards.
pub async fn run(bench: &Bench, report: &mut Report) -> Outcome<()> {
    for shape in &SHAPES {
        report.add(measure(bench, shape).await?);
    }
    Ok(())
}

async fn measure(bench: &Bench, shape: &Shape) -> Outcome<Line> {
    let ours = match shape.door {
        Door::Mutation => requests("/graphql", bench.written, shape, "")?,
        Door::Bulk => bulk_requests(bench.written, shape)?,
    };
    let theirs = requests("/ingest", bench.written_by_hand, shape, "")?;
    // A part is stored as a call of the mutation is.
    let statements = statements(bench, shape).await?;
    let sides = [(&bench.perfgraph, bench.written, ours), (&bench.handwritten, bench.written_by_hand, theirs)];
    let mut rounds = [Vec::new(), Vec::new()];
    for number in 0..=ROUNDS {
        let mut sums = Vec::new();
        for ((server, project, requests), rounds) in sides.iter().zip(&mut rounds) {
            let requested = if number == 0 { shape.warm_up } else { shape.requests };
            let load = Load { requests: requested, limit: ROUND_LIMIT, connections: shape.connections };
            let (rows, sum) = bench.stored(*project).await?;
            let (figures, sent) = round::run(server, bench.postmaster, requests, shape.all_taken, load).await?;
            let (rows_after, sum_after) = bench.stored(*project).await?;
            if rows_after - rows != i64::from(sent * shape.rows) {
                return Err(format!("{} of {} rows were stored", rows_after - rows, sent * shape.rows).into());
            }
            sums.push(sum_after - sum);
            if number > 0 {
                rounds.push(figures);
            }
        }
        // Both got the same batches while warming up, so they must have stored the same values.
        if number == 0 && sums.iter().any(|sum| (sum - sums[0]).abs() > 1e-6 * sum.abs()) {
            return Err(format!("the servers stored different values: {sums:?}").into());
        }
    }
    let [ours, theirs] = rounds.map(|rounds| round::median(&rounds));
    Ok(Line { database: bench.kind, workload: shape.name, statements, rows: shape.rows, ours, theirs })
}

/// The measurements sent to both servers, in the same order.
fn bodies(shape: &Shape) -> Outcome<Vec<Vec<Value>>> {
    let mut random = StdRng::seed_from_u64(RNG_SEED);
    let to = Timestamp::now();
    let span = (to.checked_sub(SPAN)?, to);
    (0..BODIES).map(|_| measurements(shape.rows, span, &mut random)).collect()
}

fn requests(path: &str, project: Project, shape: &Shape, headers: &str) -> Outcome<Vec<Vec<u8>>> {
    Ok(bodies(shape)?.iter().map(|metrics| client::post(path, &body(project, metrics), headers)).collect())
}

fn bulk_requests(project: Project, shape: &Shape) -> Outcome<Vec<Vec<u8>>> {
    let path = format!("/ingest/v1/metrics?project={}", project.node_id());
    let lines = |metrics: Vec<Value>| metrics.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    Ok(bodies(shape)?.into_iter().map(|metrics| client::post_lines(&path, &lines(metrics))).collect())
}

/// Statements of a batch whose endpoints are known.
async fn statements(bench: &Bench, shape: &Shape) -> Outcome<u64> {
    let requests = requests("/graphql", bench.written, shape, "perfgraph-explain: 1\r\n")?;
    let mut statements = None;
    for request in requests.iter().take(2) {
        let answer = client::ask(bench.perfgraph.address, request).await?;
        statements = answer["extensions"]["db"]["statements"].as_u64();
    }
    Ok(statements.ok_or("no statements in the answer")?)
}
