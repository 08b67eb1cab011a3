//! Rankings of many endpoints: the answer is that of brute force, and only what is shown of a ranking by a scalar gets its
//! distributions.

use std::{collections::BTreeMap, fmt::Write};

use perfgraph::clock::Clock;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    graphql::statement_counts::counted,
    harness::{Server, TestDatabase, server::send},
    ingest::http_api::{NDJSON, PATH},
    on_both_databases,
};

/// Endpoints of each of the three projects.
const ENDPOINTS: usize = 800;
const VALUES: usize = 5;
const PERCENTILES: [(&str, usize); 3] = [("P50", 3), ("P75", 4), ("P99", 5)];

/// The values of each endpoint, in ascending order, by project and name.
type Values = BTreeMap<(usize, String), Vec<u32>>;

/// Records values of which the largest of an endpoint tells much or nothing about its percentiles.
async fn record(server: &Server, projects: &[String], with_outliers: bool) -> Values {
    let mut random = StdRng::seed_from_u64(7);
    let mut all = Values::new();
    for (project, id) in projects.iter().enumerate() {
        let mut rows = String::new();
        for number in 0..ENDPOINTS {
            let name = format!("query q{number}");
            let mut values: Vec<u32> = (0..VALUES).map(|_| random.random_range(1..1_000)).collect();
            if with_outliers {
                values[0] = random.random_range(100_000..200_000);
            }
            for value in &values {
                writeln!(rows, r#"{{"type":"DATABASE","value":{value},"endpoint":"{name}"}}"#).unwrap();
            }
            values.sort_unstable();
            all.insert((project, name), values);
        }
        let request = server.request(Method::POST, &format!("{PATH}?project={id}")).header("content-type", NDJSON);
        let reply = send(request.body(rows)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    all
}

/// The worst values of the n-th rank, of all projects or of one.
fn by_force(all: &Values, rank: usize, limit: usize, project: Option<usize>) -> Vec<u32> {
    let of_project = all.iter().filter(|((of, _), _)| project.is_none_or(|project| project == *of));
    let mut found: Vec<u32> = of_project.map(|(_, values)| values[rank - 1]).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.truncate(limit);
    found
}

fn assert_values(ranking: &Value, expected: &[u32], what: &str) {
    let ranking = ranking.as_array().unwrap();
    assert_eq!(ranking.len(), expected.len(), "{what}");
    for (found, expected) in ranking.iter().zip(expected) {
        let (value, expected) = (found["value"].as_f64().unwrap(), f64::from(*expected));
        assert!((value - expected).abs() <= expected * 0.010_1, "{what}: {value} for {expected}");
    }
}

async fn assert_rankings(database: TestDatabase, with_outliers: bool) {
    let settings = "self_monitoring.enabled = false";
    let server = Server::start(database, Clock::system(), settings).await;
    let world = server.seed("organizations=1 employees=1 projects=3").await;
    let projects: Vec<_> = (1..=3).map(|number| world.id("project", number)).collect();
    let all = record(&server, &projects, with_outliers).await;
    for (percentile, rank) in PERCENTILES {
        for limit in [1, 10] {
            let what = format!("{percentile} {limit} {with_outliers}");
            let query = "query ($by: Statistic!, $first: Int!) { slowestEndpoints(first: $first, rankBy: $by) { endpoint value } }";
            let (data, statements) = counted(&server, query, json!({ "by": percentile, "first": limit })).await;
            assert_values(&data["slowestEndpoints"], &by_force(&all, rank, limit, None), &what);
            assert_eq!(statements, 1, "{what}");
            let query = "query ($by: Statistic!, $first: Int!) { projects(first: 3) { nodes { id slowestEndpoints(first: $first, rankBy: $by) { value } } } }";
            let (data, statements) = counted(&server, query, json!({ "by": percentile, "first": limit })).await;
            for node in data["projects"]["nodes"].as_array().unwrap() {
                let project = projects.iter().position(|id| node["id"] == *id.as_str());
                assert_values(&node["slowestEndpoints"], &by_force(&all, rank, limit, project), &what);
            }
            assert_eq!(statements, 2, "{what}");
        }
    }
    let query = "{ slowestEndpoints(first: 10, rankBy: MAX) { endpoint value stats { percentile(p: 50) average } } }";
    let (data, statements) = counted(&server, query, json!({})).await;
    assert_values(&data["slowestEndpoints"], &by_force(&all, VALUES, 10, None), "MAX");
    assert_eq!(statements, 2, "the ranking, and the distributions of ten endpoints");
}

on_both_databases! {
    async fn the_worst_of_many_endpoints_are_found_in_one_statement(database: TestDatabase) {
        assert_rankings(database, false).await;
    }
}

on_both_databases! {
    async fn outliers_change_nothing_but_the_largest_value(database: TestDatabase) {
        assert_rankings(database, true).await;
    }
}
