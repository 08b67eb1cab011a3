//! An empty list in a filter matches nothing, whatever it lists. Streams, which could never push anything then, refuse it.

use std::collections::BTreeSet;

use apollo_compiler::{Schema, schema::ExtendedType};
use serde_json::{Value, json};

use crate::{harness::Server, on_both_databases};

/// Lists of conditions, each with a filter in which it is empty; without one for those of streams (`live`) and the lists of
/// whole filters (`directory`).
fn lists() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("EmployeeFilter.and", None),
        ("EmployeeFilter.or", None),
        ("IntFilter.in", Some(json!({ "statusCode": { "in": [] } }))),
        ("MetricFilter.names", Some(json!({ "names": [] }))),
        ("MetricFilter.projectIds", Some(json!({ "projectIds": [] }))),
        ("MetricFilter.projectSlugs", Some(json!({ "projectSlugs": [] }))),
        ("MetricFilter.releaseVersions", Some(json!({ "releaseVersions": [] }))),
        ("MetricFilter.releases", Some(json!({ "releases": [] }))),
        ("MetricFilter.types", Some(json!({ "types": [] }))),
        ("OrganizationFilter.and", None),
        ("OrganizationFilter.or", None),
        ("ProjectFilter.and", None),
        ("ProjectFilter.or", None),
        ("StreamFilter.endpoints", None),
        ("StreamFilter.projectIds", None),
        ("StreamFilter.projectSlugs", None),
        ("StreamFilter.types", None),
        ("StringFilter.in", Some(json!({ "endpoint": { "in": [] } }))),
    ]
}

#[test]
fn every_list_of_conditions_is_known() {
    let schema = Schema::parse_and_validate(perfgraph::graphql::schema::sdl(), "schema.graphql").unwrap();
    let mut found = BTreeSet::new();
    for kind in schema.types.values() {
        let ExtendedType::InputObject(input) = kind else { continue };
        if input.directives.has("conditions") {
            let lists = input.fields.values().filter(|field| field.ty.is_list());
            found.extend(lists.map(|field| format!("{}.{}", input.name, field.name)));
        }
    }
    assert_eq!(found, lists().into_iter().map(|(name, _)| name.to_owned()).collect());
}

on_both_databases! {
    async fn an_empty_list_matches_nothing(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 projects=1 metrics=20").await;
        let query = "query ($filter: MetricFilter) {
            metricStats(filter: $filter) { count }
            metricSeries(filter: $filter, bucket: \"PT24H\", fill: ZERO) { stats { count } }
            metricGroups(filter: $filter, groupBy: [TYPE]) { type }
            slowestEndpoints(filter: $filter) { endpoint }
            metrics(filter: $filter) { nodes { id } }
        }";
        for filter in lists().into_iter().filter_map(|(_, filter)| filter) {
            let data = server.graphql(query, json!({ "filter": filter })).await.data();
            assert_eq!(data["metricStats"], json!({ "count": 0 }), "{filter}");
            for bucket in data["metricSeries"].as_array().unwrap() {
                assert_eq!(bucket["stats"]["count"], 0, "{filter}");
            }
            assert_eq!((&data["metricGroups"], &data["slowestEndpoints"]), (&json!([]), &json!([])), "{filter}");
            assert_eq!(data["metrics"], json!({ "nodes": [] }), "{filter}");
        }
        let query = "{ performanceSummary(type: DATABASE, filter: { types: [] }) { count } }";
        let body = server.graphql(query, Value::Null).await.json();
        assert_eq!(body["errors"][0]["extensions"], json!({ "code": "BAD_USER_INPUT", "field": "filter.types" }));
    }
}
