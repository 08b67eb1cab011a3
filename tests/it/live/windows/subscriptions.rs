//! The same windows as clients see them: what is pushed equals what the queries of the same figures answer.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use perfgraph::{
    auth,
    engine::{Request, watch::Event},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    harness::{Server, TestDatabase, builders, process::PATIENCE},
    on_both_databases,
};

/// What a subscription pushes, as JSON.
pub type Pushes = Pin<Box<dyn Stream<Item = Value> + Send>>;

pub fn subscribe(server: &Server, query: &str, variables: &Value) -> Pushes {
    let request = json!({ "query": query, "variables": variables });
    let request: Request = serde_json::from_value(request).unwrap();
    let operation = server.app.engine().subscribe(auth::development_viewer(), request);
    // Through text, as an answer of a query comes: numbers are read in the same way then.
    Box::pin(operation.events.filter_map(async |event| match event {
        Event::Response(frame) => Some(serde_json::from_str(&frame.payload).unwrap()),
        Event::Opened(_) => None,
        Event::Lagged(_) => panic!("nobody is slow here"),
    }))
}

pub async fn next(pushes: &mut Pushes) -> Value {
    let mut push = timeout(PATIENCE, pushes.next()).await.expect("something is pushed in time").unwrap();
    assert!(push.get("errors").is_none(), "{push}");
    push["data"].take()
}

const FIGURES: &str = "count average min max sum errorCount errorRate percentile(p: 50) \
    percentiles(p: [75, 90, 95, 99, 99.9]) { p value lower upper }";

on_both_databases! {
    async fn a_window_shows_the_figures_that_a_query_shows(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 projects=2 metrics=30").await;
        let query = format!(
            "subscription ($filter: StreamFilter!, $groupBy: [MetricGroupKey!]) {{
                metricWindow(filter: $filter, window: \"PT20M\", every: \"PT1M\", groupBy: $groupBy) {{
                    cursor start end revision isFinal
                    groups {{ keys {{ key value }} type endpoint project {{ name }} stats {{ {FIGURES} }} }}
                }}
            }}"
        );
        let organization = world.id("organization", 1);
        let variables = json!({ "filter": { "organizationId": organization }, "groupBy": ["PROJECT", "TYPE"] });
        let window = next(&mut subscribe(&server, &query, &variables)).await["metricWindow"].take();
        assert_eq!((&window["end"], &window["revision"], &window["isFinal"]), (&json!("2026-11-01T11:59:00Z"), &json!(0), &json!(true)));
        let groups = window["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 2 * 3);
        let query = format!("query ($filter: MetricFilter!) {{ metricStats(filter: $filter) {{ {FIGURES} }} }}");
        for group in groups {
            let (project, kind) = (&group["keys"][0], &group["keys"][1]);
            assert_eq!((&project["key"], &kind["key"], &kind["value"]), (&json!("PROJECT"), &json!("TYPE"), &group["type"]));
            assert!(group["project"]["name"].is_string() && group["endpoint"].is_null(), "{group}");
            let time = json!({ "between": { "from": window["start"], "to": window["end"] } });
            let filter = json!({ "time": time, "projectIds": [project["value"]], "types": [kind["value"]] });
            let asked = server.graphql(&query, json!({ "filter": filter })).await.data();
            assert_eq!(group["stats"], asked["metricStats"]);
        }
        // Together, and with what was just recorded. The values are whole, so no sum depends on its order.
        let variables = json!({ "filter": { "projectIds": [world.id("project", 1)], "types": ["DATABASE"] } });
        let mut pushes = subscribe(&server, &query_of_everything(), &variables);
        let first = next(&mut pushes).await;
        let count = |push: &Value| push["metricWindow"]["groups"][0]["stats"]["count"].as_u64().unwrap();
        builders::ingest(server.app.core(), world.projects[0].key, builders::metrics(server.app.core().clock.now(), 9)).await;
        server.app.core().clock.set(server.app.core().clock.now().plus_micros(60_250_000));
        let mut second = next(&mut pushes).await;
        while second["metricWindow"]["cursor"] == first["metricWindow"]["cursor"] {
            server.app.core().clock.set(server.app.core().clock.now().plus_micros(1_000_000));
            second = next(&mut pushes).await;
        }
        assert_eq!(count(&second) - count(&first), 3, "{second}");
    }
}

on_both_databases! {
    async fn the_interval_follows_the_window_if_none_is_requested(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1 metrics=3").await;
        let filter = json!({ "organizationId": world.id("organization", 1) });
        for length in ["PT0.5S", "PT10M", "PT1H", "PT1H0.5S", "PT7H13M", "PT24H"] {
            for field in ["metricWindow(filter: $filter, window: $length) { end }",
                "slowestEndpoints(filter: $filter, window: $length) { value }"] {
                let query = format!("subscription ($filter: StreamFilter!, $length: Duration!) {{ {field} }}");
                let variables = json!({ "filter": filter, "length": length });
                next(&mut subscribe(&server, &query, &variables)).await;
            }
        }
    }
}

fn query_of_everything() -> String {
    "subscription ($filter: StreamFilter!) {
        metricWindow(filter: $filter, window: \"PT1H\", every: \"PT1M\") { cursor groups { keys { value } stats { count } } }
    }"
    .to_owned()
}

on_both_databases! {
    async fn the_live_ranking_is_that_of_the_query(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 projects=2 employees=3 members=2 metrics=40").await;
        let fields = "endpoint value project { name } owners { name } statusCode timestamp worstSample { value }";
        let live = format!(
            "subscription ($filter: StreamFilter!, $rankBy: Statistic!) {{
                slowestEndpoints(filter: $filter, window: \"PT30M\", every: \"PT1M\", limit: 4, rankBy: $rankBy) {{
                    {fields} stats {{ count percentile(p: 95) accuracy {{ from to }} }}
                }}
            }}"
        );
        let asked = format!(
            "query ($filter: MetricFilter!, $rankBy: Statistic!) {{
                slowestEndpoints(filter: $filter, limit: 4, rankBy: $rankBy) {{
                    {fields} stats {{ count percentile(p: 95) accuracy {{ from to }} }}
                }}
            }}"
        );
        let organization = world.id("organization", 2);
        for (rank_by, types) in [("P95", None), ("COUNT", None), ("ERROR_RATE", Some(["API_RESPONSE"]))] {
            let mut filter = json!({ "organizationId": organization });
            if let Some(types) = types {
                filter["types"] = json!(types);
            }
            let variables = json!({ "filter": filter, "rankBy": rank_by });
            let ranking = next(&mut subscribe(&server, &live, &variables)).await["slowestEndpoints"].take();
            let accuracy = &ranking[0]["stats"]["accuracy"];
            filter["time"] = json!({ "between": { "from": accuracy["from"], "to": accuracy["to"] } });
            let answer = server.graphql(&asked, json!({ "filter": filter, "rankBy": rank_by })).await.data();
            assert_eq!(ranking, answer["slowestEndpoints"], "{rank_by}");
            assert!(ranking[0]["owners"].as_array().is_some_and(|owners| owners.len() == 2), "{ranking}");
        }
    }
}

#[tokio::test]
async fn invalid_window_subscriptions_are_refused_with_a_code() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let world = server.seed("organizations=1 projects=1").await;
    let organization = world.id("organization", 1);
    let of = |arguments: &str| {
        format!("metricWindow(filter: {{ organizationId: \"{organization}\" }}, {arguments}) {{ end }}")
    };
    let cases = [
        (of("window: \"P3650D\", every: \"PT1H\""), "BAD_USER_INPUT"),
        (of("window: \"PT1M\", every: \"PT0.001S\""), "BAD_USER_INPUT"),
        (of("window: \"PT1H\", every: \"PT1S\""), "BAD_USER_INPUT"),
        (of("window: \"PT1M\", groupBy: [COLOUR]"), "BAD_USER_INPUT"),
        ("metricWindow(filter: {}, window: \"PT1M\") { end }".to_owned(), "BAD_USER_INPUT"),
        (
            "metricWindow(filter: { organizationId: \"T3JnYW5pemF0aW9uOjc3\" }, window: \"PT1M\") { end }".to_owned(),
            "NOT_FOUND",
        ),
        (
            format!("slowestEndpoints(filter: {{ organizationId: \"{organization}\" }}, limit: 101) {{ value }}"),
            "BAD_USER_INPUT",
        ),
        ("slowestEndpoints(filter: { projectIds: [\"UHJvamVjdDo3Nzo3Nw\"] }) { value }".to_owned(), "NOT_FOUND"),
    ];
    for (field, code) in cases {
        let push =
            timeout(PATIENCE, subscribe(&server, &format!("subscription {{ {field} }}"), &json!({})).next()).await;
        let push = push.unwrap().unwrap();
        assert_eq!(push["errors"][0]["extensions"]["code"], *code, "{field}: {push}");
    }
}
