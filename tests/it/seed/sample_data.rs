//! The sample data of a first start: a company to look around in, with one slow release that the reports find, whatever the
//! random numbers and the time of day.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use perfgraph::{
    clock::Clock,
    model::{
        MetricType,
        timestamp::{HOUR_MICROS, MINUTE_MICROS},
    },
    sample::Sample,
    seed::{self, Plan, Size},
};
use serde_json::{Value, json};

use crate::{
    harness::{Server, TestDatabase, server::NOW},
    on_both_databases,
};

/// A server on sample data that ends at another time of day for each seed.
async fn filled(database: TestDatabase, rng_seed: u64) -> Server {
    let shift = i64::try_from(rng_seed).unwrap() * (HOUR_MICROS + 17 * MINUTE_MICROS + 7);
    let clock = Clock::fixed(NOW.plus_micros(shift));
    let server = Server::start(database, clock, "self_monitoring.enabled = false").await;
    let rows = seed::fill(server.app.core(), &Plan { size: Size::Small, rng_seed }, &mut |_| {}).await.unwrap();
    assert!((19_000..21_000).contains(&rows), "{rows} rows");
    server
}

async fn data(server: &Server, query: &str, variables: Value) -> Value {
    server.graphql(query, variables).await.data()
}

/// The verdicts of one seed.
#[derive(Default)]
struct Verdicts {
    /// The number of each, given to comparisons and to endpoints.
    counts: BTreeMap<String, usize>,
    /// The comparisons and endpoints that changed.
    changed: BTreeSet<String>,
}

/// Compares the latest release of every project with the one before, by each type of its measurements and each statistic.
async fn verdicts(server: &Server, statistics: &[&str]) -> Verdicts {
    let sample = Sample::bundled().unwrap();
    let projects =
        "{ projects(first: 30) { nodes { id slug organization { slug } releases(first: 1) { nodes { id } } } } }";
    let projects = data(server, projects, json!({})).await["projects"]["nodes"].take();
    let one = |kind: &str, statistic: &str| {
        format!(
            "{kind}_{statistic}: compareReleases(projectId: $project, candidateId: $release, type: {kind}, \
             statistic: {statistic}) {{ verdict endpoints(first: 20, verdicts: [REGRESSED, IMPROVED, NO_CHANGE]) {{ \
             endpoint verdict }} }} "
        )
    };
    let mut seen = Verdicts::default();
    for project in projects.as_array().unwrap() {
        let (organization, slug) = (&project["organization"]["slug"], project["slug"].as_str().unwrap());
        let endpoints = &sample.project(slug).unwrap().endpoints;
        let kinds: BTreeSet<_> = endpoints.iter().map(|endpoint| MetricType::from(endpoint.kind).name()).collect();
        let all: String =
            kinds.iter().flat_map(|kind| statistics.iter().map(move |statistic| one(kind, statistic))).collect();
        if all.is_empty() {
            continue;
        }
        let query = format!("query ($project: ID!, $release: ID!) {{ {all} }}");
        let variables = json!({ "project": project["id"], "release": project["releases"]["nodes"][0]["id"] });
        let compared = data(server, &query, variables).await;
        for (question, comparison) in compared.as_object().unwrap() {
            let whole = (&comparison["verdict"], "all");
            let endpoints = comparison["endpoints"].as_array().unwrap();
            let each = endpoints.iter().map(|one| (&one["verdict"], one["endpoint"].as_str().unwrap()));
            for (verdict, endpoint) in std::iter::once(whole).chain(each) {
                let verdict = verdict.as_str().unwrap();
                *seen.counts.entry(verdict.to_owned()).or_default() += 1;
                if matches!(verdict, "REGRESSED" | "IMPROVED") {
                    let organization = organization.as_str().unwrap();
                    seen.changed.insert(format!("{verdict} {organization}/{slug} {question} {endpoint}"));
                }
            }
        }
    }
    seen
}

/// The slow release is found, and nothing else looks changed.
async fn one_release_is_slow(database: TestDatabase, rng_seed: u64, statistics: &[&str]) {
    let server = filled(database, rng_seed).await;
    let seen = verdicts(&server, statistics).await;
    let slow = |statistic: &&str| {
        let question = format!("REGRESSED northwind/checkout API_RESPONSE_{statistic}");
        [format!("{question} all"), format!("{question} POST /payments")]
    };
    let expected: BTreeSet<String> =
        statistics.iter().filter(|statistic| **statistic != "ERROR_RATE").flat_map(slow).collect();
    assert_eq!(seen.changed, expected, "seed {rng_seed}");
    // Silence means something only where there was enough data for a verdict.
    assert!(seen.counts["NO_CHANGE"] >= 30, "seed {rng_seed}: {:?}", seen.counts);

    let slowest =
        "{ slowestEndpoints(first: 2) { endpoint value project { slug organization { slug } } owners { name } } }";
    let slowest = data(&server, slowest, json!({})).await["slowestEndpoints"].take();
    let first = &slowest[0];
    let project = json!({ "slug": "checkout", "organization": { "slug": "northwind" } });
    assert_eq!((&first["endpoint"], &first["project"]), (&json!("POST /payments"), &project), "{rng_seed}: {slowest}");
    assert!(first["owners"].as_array().unwrap().len() >= 3, "seed {rng_seed}: {slowest}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slow_release_and_nothing_else_is_found_with_each_of_twenty_seeds() {
    let seeds = stream::iter(1..=20);
    seeds
        .for_each_concurrent(4, async |rng_seed| {
            one_release_is_slow(TestDatabase::sqlite().await, rng_seed, &["P95", "P50"]).await;
        })
        .await;
}

on_both_databases! {
    async fn every_statistic_finds_the_slow_release(database: TestDatabase) {
        one_release_is_slow(database, 1, &["P95", "P50", "AVERAGE", "ERROR_RATE"]).await;
    }
}

on_both_databases! {
    async fn the_sample_data_show_people_teams_releases_names_and_versions(database: TestDatabase) {
        let server = filled(database, 1).await;
        let query = r#"{
            employeeStats { count activeCount inactiveCount byDepartment { department } }
            organizations { nodes { slug employeeCount } }
            projects(first: 30) { nodes {
                slug status members(first: 10) { nodes { isActive } }
                releases(first: 5) { nodes { version commit author { name } } }
            } }
            named: metricStats(filter: { types: [PAGE_LOAD], names: ["LCP", "FCP", "TTFB"] }) { count }
            pages: metricStats(filter: { types: [PAGE_LOAD] }) { count }
            untagged: metricStats(filter: { releaseVersions: [""] }) { count }
            slow: metricStats(filter: { releaseVersions: ["2.5.0"] }) { count }
        }"#;
        let seen = data(&server, query, json!({})).await;
        let people = &seen["employeeStats"];
        assert_eq!((&people["count"], &people["inactiveCount"]), (&json!(60), &json!(6)), "{people}");
        assert_eq!(people["byDepartment"].as_array().unwrap().len(), 5, "{people}");
        let projects = seen["projects"]["nodes"].as_array().unwrap();
        let of = |status: &str| projects.iter().filter(|project| project["status"] == status).count();
        assert_eq!((of("ACTIVE"), of("PAUSED"), of("ARCHIVED")), (22, 1, 1));
        for project in projects {
            let members = project["members"]["nodes"].as_array().unwrap();
            assert!(members.len() >= 3 && members.iter().all(|member| member["isActive"] == true), "{project}");
            let releases = project["releases"]["nodes"].as_array().unwrap();
            let is_active = project["status"] == "ACTIVE";
            assert!(releases.len() >= if is_active { 2 } else { 1 }, "{project}");
            assert!(releases.iter().all(|release| release["commit"].as_str().unwrap().len() == 40), "{project}");
            assert!(releases.iter().all(|release| release["author"]["name"].is_string()), "{project}");
        }
        assert!(seen["pages"]["count"].as_u64() > Some(1_000), "{seen}");
        assert_eq!(seen["named"], seen["pages"]);
        assert_eq!(seen["untagged"]["count"], 0);
        assert!(seen["slow"]["count"].as_u64() > Some(1_000), "{seen}");
        server.stop().await;
    }
}
