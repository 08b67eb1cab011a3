//! Subscriptions whose root field stands in a fragment, on every transport.

use serde_json::{Value, json};

use super::response_streams::{EVENTS, PARTS_ALONE, Reader, commit, posted, variables};
use crate::{
    harness::{
        Server, TestDatabase,
        socket::{Said, Socket},
    },
    on_both_databases,
};

/// The payload of the first response on each transport, and whether it was an error of the request.
async fn first(server: &Server, text: &str, variables: &Value) -> [Value; 3] {
    let mut events = Reader::open(posted(server, EVENTS, text, variables)).await;
    let mut parts = Reader::open(posted(server, PARTS_ALONE, text, variables)).await;
    let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
    socket.subscribe("1", text, variables).await.unwrap();
    let said = match socket.next().await {
        Said::Next(payload) => payload,
        Said::Error(errors) => json!({ "errors": errors }),
        other => panic!("{text}: {other:?}"),
    };
    [events.event().await.unwrap().1, parts.part().await.unwrap()["payload"].clone(), said]
}

/// A subscription with these selections and fragments, in which `STREAM` is its root field.
fn subscription(selections: &str, fragments: &str) -> String {
    let stream = "metricStream(filter: $filter, after: $after, maxDelay: \"PT0.001S\") { cursor metrics { value } }";
    let text = format!("subscription ($filter: StreamFilter!, $after: StreamCursor) {{ {selections} }} {fragments}");
    text.replace("STREAM", stream)
}

on_both_databases! {
    async fn a_root_field_in_a_fragment_is_watched(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let after = commit(&server, &world, 1).await;
        commit(&server, &world, 2).await;
        for (selections, fragments, key) in [
            ("STREAM", "", "metricStream"),
            ("...F", "fragment F on Subscription { STREAM }", "metricStream"),
            ("... on Subscription { STREAM }", "", "metricStream"),
            ("... { ...F }", "fragment F on Subscription { mine: STREAM }", "mine"),
        ] {
            let text = subscription(selections, fragments);
            for payload in first(&server, &text, &variables(&world, &after)).await {
                let event = &payload["data"][key];
                assert_eq!(event["metrics"], json!([{ "value": 2.0 }]), "{text}: {payload}");
                assert!(event["cursor"].is_string(), "{text}: {payload}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_root_fields_and_conditions_are_refused_in_fragments_too() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let world = server.seed("organizations=1 projects=1").await;
    let after = commit(&server, &world, 1).await;
    for (selections, fragments, code, message) in [
        ("STREAM two: STREAM", "", "COMPLEXITY_LIMIT", "fields at the top of a subscription is 2"),
        (
            "...F two: STREAM",
            "fragment F on Subscription { STREAM }",
            "COMPLEXITY_LIMIT",
            "fields at the top of a subscription is 2",
        ),
        (
            "...F",
            "fragment F on Subscription { ... { STREAM } two: STREAM }",
            "COMPLEXITY_LIMIT",
            "fields at the top of a subscription is 2",
        ),
        (
            "...F @include(if: true)",
            "fragment F on Subscription { STREAM }",
            "GRAPHQL_VALIDATION_FAILED",
            "must not have @skip or @include",
        ),
        ("... @skip(if: false) { STREAM }", "", "GRAPHQL_VALIDATION_FAILED", "must not have @skip or @include"),
    ] {
        let text = subscription(selections, fragments);
        for payload in first(&server, &text, &variables(&world, &after)).await {
            let error = &payload["errors"][0];
            assert_eq!(error["extensions"]["code"], code, "{text}: {payload}");
            assert!(error["message"].as_str().unwrap().contains(message), "{text}: {payload}");
        }
    }
}
