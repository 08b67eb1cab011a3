//! The five reads: first the answers are compared, then rounds alternate between the two servers.

use std::time::Duration;

use serde_json::Value;

use crate::{
    Outcome, client,
    databases::Bench,
    ingest,
    report::{Line, Report},
    round::{self, Expect, Load},
    same,
    workload::{self, Workload},
};

const ROUNDS: usize = 5;
const CONNECTIONS: usize = 4;
const ROUND_LIMIT: Duration = Duration::from_secs(3);
const WARM_UP: Load = Load { requests: 200, limit: Duration::from_millis(300), connections: CONNECTIONS };

/// Fills a day of one project, then measures.
pub async fn run(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let (from, to) = ingest::fill_day(bench).await?;
    bench.analyze().await?;
    for workload in workload::reads(bench, &from, &to) {
        report.add(measure(bench, &workload).await?);
    }
    Ok(())
}

async fn measure(bench: &Bench, workload: &Workload) -> Outcome<Line> {
    let (statements, ours) = explain(bench, workload).await?;
    let theirs = client::ask(bench.handwritten.address, &workload.by_hand).await?;
    if !same::same(&ours, &theirs, false) {
        return Err(format!("{}: the answers differ:\n{ours}\n{theirs}", workload.name).into());
    }
    let sides = [
        (&bench.perfgraph, client::post("/graphql", &workload.body, ""), workload.requests),
        (&bench.handwritten, workload.by_hand.clone(), workload.requests_by_hand),
    ];
    let mut rounds = [Vec::new(), Vec::new()];
    for number in 0..=ROUNDS {
        for ((server, request, requests), rounds) in sides.iter().zip(&mut rounds) {
            let length = client::Connection::open(server.address).await?.send(request).await?.len();
            let timed = Load { requests: *requests, limit: ROUND_LIMIT, connections: CONNECTIONS };
            let load = if number == 0 { WARM_UP } else { timed };
            let requests = std::slice::from_ref(request);
            let (figures, _) = round::run(server, bench.postmaster, requests, Expect::Bytes(length), load).await?;
            if number > 0 {
                rounds.push(figures);
            }
        }
    }
    let [ours, theirs] = rounds.map(|rounds| round::median(&rounds));
    Ok(Line { database: bench.kind, workload: workload.name, statements, rows: 1, ours, theirs })
}

/// Asks perfgraph how many statements the answer cost. The answer comes without that remark.
async fn explain(bench: &Bench, workload: &Workload) -> Outcome<(u64, Value)> {
    let request = client::post("/graphql", &workload.body, "perfgraph-explain: 1\r\n");
    let mut answer = client::ask(bench.perfgraph.address, &request).await?;
    let statements = answer["extensions"]["db"]["statements"].as_u64().ok_or("no statements in the answer")?;
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("extensions");
    }
    Ok((statements, answer))
}
