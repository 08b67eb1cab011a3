//! Unknown names are answered with the nearest ones, as a reader of other APIs or of an older description types them.

use serde_json::{Value, json};

use crate::{
    harness::{Server, TestDatabase},
    on_both_databases,
};

/// A document with a wrong name, its variables, and texts of the answer.
type Typed<'a> = (&'a str, Value, &'a [&'a str]);

async fn told(server: &Server, typed: &[Typed<'_>]) {
    for (text, variables, expected) in typed {
        let reply = server.graphql(text, variables.clone()).await;
        let (code, message) = reply.error();
        assert!(["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"].contains(&&*code), "{text}: {code} {message}");
        for part in *expected {
            assert!(message.contains(part), "{text}: {message}\nlacks {part}");
        }
    }
}

on_both_databases! {
    async fn metric_types_of_any_spelling_are_told(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let all = "must be one of PAGE_LOAD, API_RESPONSE, DATABASE, CACHE_HIT, CUSTOM";
        let quoted: &[&str] = &[all, "without quotes; did you mean API_RESPONSE?"];
        told(&server, &[
            ("{ performanceSummary(metricType: \"api_response\") { averageValue } }", json!({}), quoted),
            ("{ performanceSummary(type: \"API_RESPONSE\") { average } }", json!({}), quoted),
            ("{ performanceSummary(type: \"apiResponse\") { average } }", json!({}), quoted),
            ("{ performanceSummary(type: api_response) { average } }", json!({}), &[all, "; did you mean API_RESPONSE?"]),
            ("{ performanceSummary(type: pageLoad) { average } }", json!({}), &[all, "; did you mean PAGE_LOAD?"]),
            ("{ metricStats(filter: { types: [\"page_load\"] }) { count } }", json!({}), &["filter.types[0]: ", "mean PAGE_LOAD?"]),
            ("{ performanceSummary(type: 3) { average } }", json!({}), &[all]),
        ])
        .await;
        let by_variable = "query ($t: MetricType!) { performanceSummary(type: $t) { average } }";
        for (given, meant) in
            [("api_response", "API_RESPONSE"), ("pageLoad", "PAGE_LOAD"), ("page-load", "PAGE_LOAD"), ("Cache Hit", "CACHE_HIT")]
        {
            let advice = format!("not {given:?}; did you mean {meant}?");
            told(&server, &[(by_variable, json!({ "t": given }), &["variables.t: ", all, &advice])]).await;
        }
        let filter = "query ($f: MetricFilter) { metricStats(filter: $f) { count } }";
        told(&server, &[
            (filter, json!({ "f": { "types": ["page_load"] } }), &["variables.f.types[0]: ", "did you mean PAGE_LOAD?"][..]),
            (filter, json!({ "f": { "metricType": "PAGE_LOAD" } }), &["variables.f.metricType: ", "did you mean types?"]),
            ("query ($t: [String!]) { metricStats(filter: { types: $t }) { count } }", json!({}), &["declared as [String!]"][..]),
        ])
        .await;
    }
}

#[tokio::test]
async fn unknown_names_come_with_the_nearest() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    told(
        &server,
        &[
            ("{ employees { id } }", json!({}), &["nodes { id }", "The items of the list are in \"nodes\""][..]),
            ("{ organizations { name } }", json!({}), &["nodes { name }"]),
            ("{ employees(skip: 10) { totalCount } }", json!({}), &["Did you mean \"after\"?"]),
            ("{ employees(limit: 10) { totalCount } }", json!({}), &["Did you mean \"first\"?"]),
            ("{ employees(sort_by: \"name\") { totalCount } }", json!({}), &["Did you mean \"orderBy\"?"]),
            ("{ employees(is_active: true) { totalCount } }", json!({}), &["filter: { isActive }"]),
            (
                "{ employees(filter: { is_active: true }) { totalCount } }",
                json!({}),
                &["filter.is_active: ", "did you mean isActive?"],
            ),
            (
                "{ employees(orderBy: { field: \"name\" }) { totalCount } }",
                json!({}),
                &["without quotes; did you mean NAME?"],
            ),
            ("{ employees(orderBy: { name: ASC }) { totalCount } }", json!({}), &["did you mean field: NAME?"]),
            ("{ employees { nodes { is_active } } }", json!({}), &["Did you mean \"isActive\"?"]),
            ("{ employees { nodes { organization { nmae } } } }", json!({}), &["Did you mean \"name\"?"]),
            (
                "{ projects { nodes { members(filter: { nam: { eq: \"x\" } }) { totalCount } } } }",
                json!({}),
                &["did you mean name?"],
            ),
            ("{ zzz }", json!({}), &["\"Query\" has the fields "]),
            ("{ employees(zzz: 1) { totalCount } }", json!({}), &["\"employees\" has the arguments after, before"]),
            ("{ employees(filter: { zzz: 1 }) { totalCount } }", json!({}), &["its fields are and, department, email"]),
            (
                "query ($f: EmployeFilter) { employees(filter: $f) { totalCount } }",
                json!({}),
                &["Did you mean \"EmployeeFilter\""],
            ),
            ("{ node(id: \"x\") { ... on Employe { name } } }", json!({}), &["Did you mean \"Employee\""]),
            ("mutation { createEmploye(input: {}) { __typename } }", json!({}), &["Did you mean \"createEmployee\""]),
            ("subscription { metricsStream { cursor } }", json!({}), &["Did you mean \"metricStream\"?"]),
            (
                "query ($f: EmployeeFilter) { employees(filter: $f) { totalCount } }",
                json!({ "f": { "not": { "and": [{ "is_active": true }] } } }),
                &["variables.f.not.and[0].is_active: ", "did you mean isActive?"],
            ),
            (
                "query ($o: [EmployeeOrder!]) { employees(orderBy: $o) { totalCount } }",
                json!({ "o": { "field": "name" } }),
                &["variables.o.field: ", "did you mean NAME?"],
            ),
            (
                "query ($o: [EmployeeOrder!]) { employees(orderBy: $o) { totalCount } }",
                json!({ "o": [{ "sort": "name" }] }),
                &["variables.o[0].sort: ", "its fields are direction, field"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_mistake_of_a_document_is_told_in_the_order_of_the_document() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let text =
        "{ employees(first: \"ten\", orderBy: { field: name }) { totalcount } projects(skip: 1) { nodes { nam } } }";
    let body = server.graphql(text, json!({})).await.json();
    let errors: Vec<_> =
        body["errors"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap()).collect();
    let parts = ["first: must be", "orderBy.field: must be", "\"totalcount\"", "Unknown argument \"skip\"", "\"nam\""];
    assert_eq!(errors.len(), parts.len(), "{errors:#?}");
    for (error, part) in errors.iter().zip(parts) {
        assert!(error.contains(part), "{error} lacks {part}");
    }
}
