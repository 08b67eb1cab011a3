//! Rows that are written as text say what the library says field by field: every question is asked both ways.
//!
//! A field that stands twice in a document has answers to merge, and then nothing is written as text. So the second way is
//! the same selection in two fragments.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{Server, server::send},
    on_both_databases,
};

const SELECTIONS: [&str; 19] = [
    "employees { nodes { id name email department isActive createdAt updatedAt salary __typename } }",
    "employees { nodes { organization { id name slug isActive employeeCount createdAt updatedAt } name } }",
    "employees { nodes { a: name b: name organization { __typename } organization2: organization { slug } } }",
    "employees(first: 3) { edges { cursor node { id name organization { name } } } pageInfo { endCursor } totalCount }",
    "employees { nodes { name projects(first: 2) { nodes { name status teamSize } totalCount } } }",
    "employees { nodes { ... on Node { id } ... on Employee { name ...More } } }",
    "projects { nodes { id name slug status teamSize createdAt updatedAt organization { name } } }",
    "projects { nodes { name team(first: 2) { nodes { name organization { name } } edges { role joinedAt cursor } } } }",
    "projects { nodes { name metricStats(filter: { time: { last: \"PT1H\" } }) { count max } } }",
    "organizations(first: 2) { nodes { name employees(first: 2) { nodes { name organization { name projects { nodes { id } } } } } } }",
    "organizations(first: 2) { edges { node { name projects(first: 3) { edges { node { team(first: 2) { edges { node { email } } } } } } } } }",
    "employees(filter: { name: { eq: \"nobody\" } }) { nodes { name organization { name } } edges { cursor } }",
    "metricStats { count unit average min max sum errorCount errorRate stddev p95: percentile(p: 95) percentile(p: 0) __typename }",
    "metricSeries(bucket: \"PT20M\", filter: { time: { last: \"PT2H\" } }) { start end isComplete isFilled __typename stats { \
     count average sum percentile(p: 50) percentiles(ps: [1, 99]) { p value lower upper } histogram(maxBuckets: 3) { lower count } \
     apdex(threshold: \"PT0.1S\") { value } accuracy { source isExact start } } }",
    "metricSeries(bucket: \"PT1H\", fill: ZERO) { ... on MetricBucket { start stats { count max ... on MetricAggregate { min p: unit } } } }",
    "metricGroups(groupBy: [PROJECT, TYPE, ENDPOINT], bucket: \"PT6H\") { keys { key value } type endpoint project { name } stats { \
     count percentile(p: 99) } buckets(fill: PREVIOUS) { start stats { count average } } __typename }",
    "metricGroups(groupBy: [STATUS_CODE, NAME], first: 3) { keys { value __typename } type endpoint project { id } stats { unit count } }",
    "slowestEndpoints(first: 5, rankBy: AVERAGE) { endpoint value unit project { name status } stats { count average p95: percentile(p: 95) } \
     owners(first: 1) { name } worstSample { value } trend(bucket: \"PT12H\") { start stats { count } } }",
    "slowestEndpoints(rankBy: COUNT) { project { name organization { name } } a: endpoint b: endpoint stats { stddev } }",
];

const MORE: &str = "fragment More on Employee { email organization { name } }";

async fn ask(server: &Server, document: String) -> (String, u64) {
    let request = server.request(reqwest::Method::POST, "/graphql").header("perfgraph-explain", "1");
    let reply = send(request.json(&json!({ "query": document })).timeout(Duration::from_secs(20))).await;
    let body: Value = reply.json();
    assert!(body.get("errors").is_none(), "{document}: {}", reply.text);
    // The text, so that the order of keys and the spelling of numbers count.
    let (_, data) = reply.text.split_once("\"data\":").unwrap();
    let (data, _) = data.rsplit_once(",\"extensions\":").unwrap();
    (data.to_owned(), body["extensions"]["db"]["statements"].as_u64().unwrap())
}

on_both_databases! {
    async fn text_and_fields_say_the_same(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=2 employees=6 projects=4 members=3 metrics=9").await;
        for selection in SELECTIONS {
            let more = if selection.contains("...More") { MORE } else { "" };
            let written = ask(&server, format!("{{ {selection} }} {more}")).await;
            let twice = format!(
                "{{ ...A ...B }} fragment A on Query {{ {selection} }} fragment B on Query {{ {selection} }} {more}"
            );
            let (data, statements) = ask(&server, twice).await;
            assert_eq!(written.0, data, "{selection}");
            // The same is loaded once, however often it is asked for.
            assert_eq!(statements, written.1, "{selection}");
        }
    }
}

/// With a field that fails below each kind of relation.
const FAILING: [&str; 7] = [
    "employees(first: 2) { nodes { name organization { name employees(first: 1000) { totalCount } } } }",
    "employees(first: 2) { edges { node { name organization { name employees(first: 1000) { totalCount } } } } }",
    "employees(first: 2) { nodes { projects(first: 1000) { nodes { name } } } }",
    "projects(first: 2) { edges { node { team(first: 1000) { nodes { name } } } } }",
    "metricSeries(bucket: \"PT12H\") { start stats { count percentile(p: 0.5) } }",
    "metricSeries(bucket: \"PT12H\") { start stats { count histogram(maxBuckets: 0) { count } } }",
    "slowestEndpoints { endpoint stats { a: percentile(p: -1) percentile(p: 9) } }",
];

/// The data of an answer, and the paths of its errors.
async fn failures(server: &Server, document: String) -> (Value, BTreeSet<String>) {
    let body = server.graphql(&document, json!({})).await.json();
    let paths = body["errors"].as_array().unwrap().iter().map(|error| error["path"].to_string()).collect();
    (body["data"].clone(), paths)
}

on_both_databases! {
    async fn failures_reach_as_far_and_are_found_at_the_same_place(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 employees=2 projects=2 members=1 metrics=9").await;
        for selection in FAILING {
            let written = failures(&server, format!("{{ {selection} }}")).await;
            let twice = format!("{{ ...A ...B }} fragment A on Query {{ {selection} }} fragment B on Query {{ {selection} }}");
            let resolved = failures(&server, twice).await;
            assert_eq!(written.0, resolved.0, "{selection}");
            // Of a failure that takes the whole list with it, the first is told: which that is may differ. The library ends its path
            // one level earlier at times.
            if written.0.is_null() {
                let depth = |paths: &BTreeSet<String>| paths.iter().map(|path| path.matches(',').count()).min();
                assert!(depth(&written.1) >= Some(3) && depth(&resolved.1) >= Some(2), "{written:?} {resolved:?}");
            } else {
                assert_eq!(written.1, resolved.1, "{selection}");
            }
        }
        let (data, paths) = failures(&server, format!("{{ {} }}", FAILING[0])).await;
        assert_eq!(data["employees"]["nodes"][1], json!({ "name": "Employee 002", "organization": null }));
        assert!(paths.contains(r#"["employees","nodes",1,"organization","employees"]"#), "{paths:?}");
    }
}
