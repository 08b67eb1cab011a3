//! `lateDropped` as clients see it: after every way in, beside every kind of figures, for as many statements whatever the
//! number of parents.

use std::fmt::Write as _;

use perfgraph::{clock::Clock, model::timestamp::HOUR_MICROS};
use reqwest::Method;
use serde_json::{Value, json};

use super::rows;
use crate::{
    cli::import::{PROJECT, import},
    graphql::statement_counts::counted,
    harness::{
        Server, TestDatabase, World, process,
        server::{NOW, send},
    },
    ingest::http_api::{NDJSON, PATH},
    live::windows::subscriptions,
    on_both_databases,
};

/// Takes nothing that is older than an hour, so that today has late measurements, too.
async fn strict(database: TestDatabase) -> Server {
    let settings = "self_monitoring.enabled = false\ningest.time_window_past_hours = 1";
    Server::start(database, Clock::fixed(NOW), settings).await
}

/// Sends so many measurements of so many hours ago.
async fn send_late(server: &Server, world: &World, project: usize, kind: &str, hours: i64, count: usize) {
    let at = NOW.plus_micros(-hours * HOUR_MICROS).to_string();
    let metric = json!({ "type": kind, "endpoint": "GET /late", "value": 1, "timestamp": at });
    let input = json!({ "projectId": world.id("project", project), "metrics": vec![metric; count] });
    let mutation = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted cursor } }";
    let answer = server.graphql(mutation, json!({ "input": input })).await.data();
    assert_eq!(answer["ingestMetrics"], json!({ "accepted": 0, "cursor": null }));
}

on_both_databases! {
    async fn every_way_in_counts(database: TestDatabase) {
        let server = strict(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        send_late(&server, &world, 1, "API_RESPONSE", 3, 2).await;
        let line = |hours: i64| {
            let at = NOW.plus_micros(-hours * HOUR_MICROS);
            format!("{{\"type\":\"API_RESPONSE\",\"value\":1,\"endpoint\":\"GET /a\",\"timestamp\":\"{at}\"}}\n")
        };
        let body = format!("{}{}not a row\n{}", line(3), line(0), line(4));
        for (mode, key) in [("partial", "one"), ("partial", "one"), ("atomic", "two")] {
            let path = format!("{PATH}?project={}&mode={mode}", world.id("project", 1));
            let request = server.request(Method::POST, &path).header("content-type", NDJSON);
            let reply = send(request.header("idempotency-key", key).body(body.clone())).await;
            assert_eq!(reply.json()["rejected"], 3, "{}", reply.text);
        }
        let query = "{ metricStats(filter: { time: { last: \"PT1M\" } }) { accuracy { lateDropped } } }";
        let answer = server.graphql(query, json!({})).await.data();
        assert_eq!(answer["metricStats"]["accuracy"]["lateDropped"], 4);

        // What is imported is as old as its command says. The clock of the command is that of the machine.
        let database = server.stop().await;
        let folder = tempfile::tempdir().unwrap();
        let now = Clock::system().now();
        let mut text = "value,type,endpoint,timestamp\n".to_owned();
        for days in [0, 10, 11, 11] {
            writeln!(text, "1,CUSTOM,a,{}", now.plus_micros(-days * 24 * HOUR_MICROS)).unwrap();
        }
        std::fs::write(folder.path().join("a.csv"), text).unwrap();
        let since = now.plus_micros(-5 * 24 * HOUR_MICROS).to_string();
        for _ in 0..2 {
            let arguments = ["a.csv", "--project", PROJECT, "--since", &since];
            let ended = process::run(import(&database, folder.path(), &arguments)).await;
            assert!(ended.stderr.contains(" 3 refused, "), "{ended:?}");
        }
        let mut imported: Vec<_> = rows(&database).await.into_iter().filter(|row| row.kind == 4).map(|row| row.n).collect();
        imported.sort_unstable();
        assert_eq!(imported, [1, 2]);
    }
}

const EVERYWHERE: &str = "query ($first: Int!) {
    projects(first: $first) { nodes {
        metricStats(filter: { time: { last: \"PT30M\" } }) { count accuracy { lateDropped } }
        metricSeries(filter: { time: { last: \"P2D\" } }, bucket: \"P1D\") { stats { accuracy { lateDropped } } }
    } }
}";

on_both_databases! {
    async fn many_parents_are_as_many_statements_as_one(database: TestDatabase) {
        let server = strict(database).await;
        let world = server.seed("organizations=1 projects=20 metrics=3").await;
        for project in 1..=20 {
            send_late(&server, &world, project, "CUSTOM", 3, project).await;
            send_late(&server, &world, project, "DATABASE", 27, 1).await;
        }
        for first in [1, 20] {
            let (data, statements) = counted(&server, EVERYWHERE, json!({ "first": first })).await;
            // The projects, two reports, and the late ones of two windows.
            assert_eq!(statements, 5, "{first}");
            let (without, fewer) =
                counted(&server, &EVERYWHERE.replace("lateDropped", "isExact"), json!({ "first": first })).await;
            assert_eq!(fewer, 3, "{without}");
            let projects = data["projects"]["nodes"].as_array().unwrap();
            assert_eq!(projects.len(), first);
            for (number, project) in (1..).zip(projects) {
                assert_eq!(project["metricStats"], json!({ "count": 3, "accuracy": { "lateDropped": number } }));
                let days: Vec<_> = project["metricSeries"].as_array().unwrap().iter().map(late).collect();
                // The day before yesterday from noon, yesterday, today.
                assert_eq!(days, [json!(0), json!(1), json!(number)], "{project}");
            }
        }
    }
}

/// Of something that has `stats`.
fn late(of: &Value) -> Value {
    of["stats"]["accuracy"]["lateDropped"].clone()
}

fn all(list: &Value) -> Vec<Value> {
    list.as_array().unwrap().iter().map(late).collect()
}

on_both_databases! {
    async fn all_figures_say_it(database: TestDatabase) {
        let server = strict(database).await;
        let world = server.seed("organizations=1 projects=2 metrics=30").await;
        send_late(&server, &world, 1, "API_RESPONSE", 3, 2).await;
        send_late(&server, &world, 2, "API_RESPONSE", 3, 3).await;
        send_late(&server, &world, 2, "CACHE_HIT", 3, 5).await;
        send_late(&server, &world, 2, "API_RESPONSE", 30, 7).await;
        let query = "query ($project: ID!) {
            project(id: $project) { metricStats(filter: { time: { last: \"PT1H\" } }) { accuracy { lateDropped } } }
            metricStats(filter: { time: { last: \"PT1H\" }, endpoint: { eq: \"GET /nothing\" } }) {
                count accuracy { lateDropped }
            }
            both: metricStats(filter: { time: { last: \"P1D\" }, statusCode: { eq: 599 }, names: [] }) {
                count accuracy { lateDropped }
            }
            performanceSummary(metricType: CACHE_HIT) { stats { accuracy { lateDropped } } }
            byProject: metricGroups(filter: { time: { last: \"PT1H\" } }, groupBy: [PROJECT]) {
                project { name } stats { accuracy { lateDropped } }
                buckets { stats { accuracy { lateDropped } } }
            }
            byEndpoint: metricGroups(filter: { time: { last: \"PT1H\" } }, groupBy: [ENDPOINT, STATUS_CODE], first: 1) {
                stats { accuracy { lateDropped } }
            }
            metricColumns(filter: { time: { last: \"PT1H\" } }, bucket: \"PT30M\", groupBy: [TYPE]) {
                keys { value } accuracy { lateDropped }
            }
            slowestEndpoints(filter: { time: { last: \"PT1H\" } }, limit: 1) {
                project { name } stats { accuracy { lateDropped } } trend(bucket: \"PT1H\") { stats { accuracy { lateDropped } } }
            }
        }";
        let query = query.replacen("groupBy: [PROJECT]", "groupBy: [PROJECT], bucket: \"PT1H\"", 1);
        let data = server.graphql(&query, json!({ "project": world.id("project", 1) })).await.data();
        assert_eq!(data["project"]["metricStats"]["accuracy"]["lateDropped"], 2);
        assert_eq!(data["metricStats"], json!({ "count": 0, "accuracy": { "lateDropped": 10 } }));
        assert_eq!(data["both"], json!({ "count": 0, "accuracy": { "lateDropped": 17 } }));
        assert_eq!(late(&data["performanceSummary"]), 5);
        for group in data["byProject"].as_array().unwrap() {
            let expected = if group["project"]["name"] == "Project 001" { 2 } else { 8 };
            assert_eq!(late(group), expected, "{group}");
            assert!(all(&group["buckets"]).iter().all(|late| *late == expected), "{group}");
        }
        assert_eq!(all(&data["byEndpoint"]), [10]);
        for series in data["metricColumns"].as_array().unwrap() {
            let expected = if series["keys"][0]["value"] == "API_RESPONSE" { 5 } else { 0 };
            assert_eq!(series["accuracy"]["lateDropped"], expected, "{series}");
        }
        let slowest = &data["slowestEndpoints"][0];
        // Only the types that measure time are ranked, and so only they are looked for.
        let expected = if slowest["project"]["name"] == "Project 001" { 2 } else { 3 };
        assert_eq!((late(slowest), all(&slowest["trend"])[0].clone()), (json!(expected), json!(expected)), "{data}");
    }
}

on_both_databases! {
    async fn live_windows_and_comparisons_say_it(database: TestDatabase) {
        let server = strict(database).await;
        let world = server.seed("organizations=1 projects=2 metrics=50").await;
        send_late(&server, &world, 1, "API_RESPONSE", 3, 2).await;
        send_late(&server, &world, 1, "CUSTOM", 3, 4).await;
        send_late(&server, &world, 2, "API_RESPONSE", 3, 8).await;
        let variables = json!({ "filter": { "projectIds": [world.id("project", 1)] } });
        let live = |group_by: &str| format!(
            "subscription ($filter: StreamFilter!) {{
                metricWindow(filter: $filter, window: \"PT20M\", every: \"PT1M\", groupBy: [{group_by}]) {{
                    groups {{ type stats {{ count accuracy {{ lateDropped }} }} }}
                }}
            }}"
        );
        for (group_by, expected) in [("", 6), ("PROJECT", 6), ("TYPE", 2), ("PROJECT, TYPE", 2)] {
            let push = subscriptions::next(&mut subscriptions::subscribe(&server, &live(group_by), &variables)).await;
            let groups = push["metricWindow"]["groups"].as_array().unwrap();
            let group = groups.iter().find(|group| group["type"].is_null() || group["type"] == "API_RESPONSE").unwrap();
            assert_eq!(late(group), expected, "{group_by} {push}");
        }
        let live = "subscription ($filter: StreamFilter!) {
            slowestEndpoints(filter: $filter, window: \"PT20M\", every: \"PT1M\", limit: 1) { stats { accuracy { lateDropped } } }
        }";
        let push = subscriptions::next(&mut subscriptions::subscribe(&server, live, &variables)).await;
        assert_eq!(all(&push["slowestEndpoints"]), [2]);

        let project = world.id("project", 1);
        for (version, minutes) in [("1.0", 60), ("1.1", 30)] {
            let at = NOW.plus_micros(-minutes * HOUR_MICROS / 60).to_string();
            let create = "mutation ($input: CreateReleaseInput!) { createRelease(input: $input) { release { id } } }";
            let input = json!({ "projectId": project, "version": version, "deployedAt": at });
            server.graphql(create, json!({ "input": input })).await.data();
        }
        let query = "query ($project: ID!) { project(id: $project) { releases { nodes { id } } } }";
        let releases = server.graphql(query, json!({ "project": project })).await.data();
        let latest = releases["project"]["releases"]["nodes"][0]["id"].clone();
        let query = "query ($project: ID!, $candidate: ID!) {
            compareReleases(projectId: $project, candidateId: $candidate, type: API_RESPONSE) {
                endpoints(verdicts: [REGRESSED, IMPROVED, NO_CHANGE, INSUFFICIENT_DATA]) {
                    baseline { accuracy { lateDropped } } candidate { accuracy { lateDropped } }
                }
            }
        }";
        let data = server.graphql(query, json!({ "project": project, "candidate": latest })).await.data();
        let endpoints = data["compareReleases"]["endpoints"].as_array().unwrap();
        assert!(!endpoints.is_empty());
        for (endpoint, side) in endpoints.iter().flat_map(|one| [(one, "baseline"), (one, "candidate")]) {
            assert_eq!(endpoint[side]["accuracy"]["lateDropped"], 2, "{endpoint}");
        }
    }
}

on_both_databases! {
    async fn a_project_takes_its_counts_with_it(database: TestDatabase) {
        let server = strict(database).await;
        let world = server.seed("organizations=1 projects=2").await;
        send_late(&server, &world, 1, "CUSTOM", 3, 1).await;
        send_late(&server, &world, 2, "CUSTOM", 3, 1).await;
        let delete = "mutation ($id: ID!) { deleteProject(id: $id) { deletedId userErrors { message } } }";
        let gone = server.graphql(delete, json!({ "id": world.id("project", 1) })).await.data();
        assert_eq!(gone["deleteProject"]["userErrors"], json!([]), "{gone}");
        let left: Vec<_> = rows(&server.database).await.into_iter().map(|row| row.project_id).collect();
        assert_eq!(left, [world.projects[1].key.id]);
    }
}
