//! Rankings of many endpoints: the answer is that of brute force. Only what is shown of a ranking by a scalar gets its
//! distributions, and of one by a percentile only what could be shown.

use std::{collections::BTreeMap, fmt::Write};

use perfgraph::clock::Clock;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
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

/// An answer with the numbers of its statements and of the rows that they read.
async fn read(server: &Server, query: &str, variables: Value) -> (Value, u64, u64) {
    let body = json!({ "query": query, "variables": variables });
    let request = server.request(Method::POST, "/graphql").header("perfgraph-explain", "1").json(&body);
    let reply = send(request).await;
    let work = &reply.json()["extensions"]["db"];
    (reply.data(), work["statements"].as_u64().unwrap(), work["rows"].as_u64().unwrap())
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
            let (data, statements, rows) = read(&server, query, json!({ "by": percentile, "first": limit })).await;
            assert_values(&data["slowestEndpoints"], &by_force(&all, rank, limit, None), &what);
            // The sum of few values says little about those in the middle, and the largest one says all about itself.
            let is_decided = rank == VALUES;
            assert!(statements == 1 || (statements == 2 && !is_decided), "{what}: {statements}");
            // Up to two rows each, because the minute may have changed.
            assert!(!is_decided || rows <= 2 * 100, "{what}: {rows} rows of 2400 endpoints");
            let query = "query ($by: Statistic!, $first: Int!) { projects(first: 3) { nodes { id slowestEndpoints(first: $first, rankBy: $by) { value } } } }";
            let (data, statements, _) = read(&server, query, json!({ "by": percentile, "first": limit })).await;
            for node in data["projects"]["nodes"].as_array().unwrap() {
                let project = projects.iter().position(|id| node["id"] == *id.as_str());
                assert_values(&node["slowestEndpoints"], &by_force(&all, rank, limit, project), &what);
            }
            assert!(statements == 2 || (statements == 3 && !is_decided), "{what}: {statements}");
        }
    }
    let query = "{ slowestEndpoints(first: 10, rankBy: MAX) { endpoint value stats { percentile(p: 50) average } } }";
    let (data, statements, _) = read(&server, query, json!({})).await;
    assert_values(&data["slowestEndpoints"], &by_force(&all, VALUES, 10, None), "MAX");
    assert_eq!(statements, 2, "the ranking, and the distributions of ten endpoints");
}

on_both_databases! {
    async fn the_worst_of_many_endpoints_are_found_without_all_distributions(database: TestDatabase) {
        assert_rankings(database, false).await;
    }
}

on_both_databases! {
    async fn outliers_change_nothing_but_the_largest_value(database: TestDatabase) {
        assert_rankings(database, true).await;
    }
}

on_both_databases! {
    async fn the_lowest_hit_rates_come_first_whatever_they_are_ranked_by(database: TestDatabase) {
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 employees=1 projects=1").await;
        let mut random = StdRng::seed_from_u64(11);
        let mut rows = String::new();
        let mut all: Vec<Vec<u32>> = Vec::new();
        for number in 0..ENDPOINTS {
            let mut rates: Vec<u32> = (0..VALUES).map(|_| random.random_range(1..100)).collect();
            for rate in &rates {
                writeln!(rows, r#"{{"type":"CACHE_HIT","value":{rate},"endpoint":"cache c{number}"}}"#).unwrap();
            }
            rates.sort_unstable();
            all.push(rates);
        }
        let request = server.request(Method::POST, &format!("{PATH}?project={}", world.id("project", 1)));
        let reply = send(request.header("content-type", NDJSON).body(rows)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        for (percentile, rank) in PERCENTILES {
            let query = "query ($by: Statistic!) { slowestEndpoints(first: 10, rankBy: $by, filter: { types: [CACHE_HIT] }) { value } }";
            let (data, statements, _) = read(&server, query, json!({ "by": percentile })).await;
            let mut lowest: Vec<u32> = all.iter().map(|rates| rates[rank - 1]).collect();
            lowest.sort_unstable();
            assert_values(&data["slowestEndpoints"], &lowest[..10], percentile);
            assert!(statements <= 2, "{percentile}: {statements}");
        }
    }
}

on_both_databases! {
    async fn of_equal_endpoints_the_first_by_path_are_shown(database: TestDatabase) {
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 employees=1 projects=1").await;
        // In an order that is neither that of paths nor that of ids, and one that is worse.
        let mut rows = String::new();
        for index in 0..100 {
            let (number, is_worse) = (index * 37 % 100, index == 66);
            let value = if is_worse { 9 } else { 7 };
            writeln!(rows, r#"{{"type":"DATABASE","value":{value},"endpoint":"query q{number:02}"}}"#).unwrap();
        }
        let request = server.request(Method::POST, &format!("{PATH}?project={}", world.id("project", 1)));
        let reply = send(request.header("content-type", NDJSON).body(rows)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let expected = ["query q42", "query q00", "query q01", "query q02", "query q03"];
        for (by, statements) in [("AVERAGE", 2), ("MAX", 2), ("P95", 2)] {
            let query = "query ($by: Statistic!) { slowestEndpoints(first: 5, rankBy: $by) { endpoint } }";
            let (data, asked, _) = read(&server, query, json!({ "by": by })).await;
            let ranking = data["slowestEndpoints"].as_array().unwrap();
            let paths: Vec<_> = ranking.iter().map(|row| row["endpoint"].as_str().unwrap()).collect();
            assert_eq!(paths, expected, "{by}");
            assert_eq!(asked, statements, "{by}: with all that are equal");
        }
    }
}
