//! Endpoints that are spelt differently are one endpoint, whichever way the measurement came: mutation, ingest API, import.

use std::fmt::Write as _;

use perfgraph::{clock::Clock, entity::endpoint};
use reqwest::Method;
use sea_orm::EntityTrait;
use serde_json::json;

use super::http_api::{NDJSON, PATH};
use crate::{
    cli::import::{PROJECT, import},
    harness::{Server, process::run, server::send},
    on_both_databases,
};

/// Pairs of the endpoint that is stored and its spellings.
const ENDPOINTS: [(&str, &[&str]); 4] = [
    ("GET /café", &["GET /café", "GET /caf%C3%A9", "GET /caf%c3%a9", "GET /%63af%C3%A9?page=2"]),
    (
        "GET /orders/:id",
        &[
            "GET /orders/:id",
            "GET /orders/{id}",
            "GET /orders/<int:id>",
            "GET /orders/(?P<id>[^/.]+)",
            "GET /orders/[id]",
            "GET /orders/%7Bid%7d",
            "GET /orders/%31%37",
        ],
    ),
    ("GET /a%2Fb", &["GET /a%2Fb", "GET /a%2fb"]),
    ("GET /my report.pdf", &["GET /my report.pdf", "GET /my%20report.pdf"]),
];

on_both_databases! {
    async fn spellings_of_an_endpoint_are_one_endpoint_everywhere(database: TestDatabase) {
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 projects=1").await;
        let spellings: Vec<&str> = ENDPOINTS.iter().flat_map(|(_, spellings)| spellings.iter().copied()).collect();
        let rows: Vec<_> =
            spellings.iter().map(|endpoint| json!({ "type": "API_RESPONSE", "value": 1, "endpoint": endpoint })).collect();
        let query = "mutation($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
        let input = json!({ "input": { "projectId": world.id("project", 1), "metrics": rows } });
        let accepted = server.graphql(query, input).await.data();
        assert_eq!(accepted["ingestMetrics"]["accepted"], spellings.len());
        let lines = rows.iter().fold(String::new(), |text, row| text + &row.to_string() + "\n");
        let mut csv = "type,value,endpoint\n".to_owned();
        for endpoint in &spellings {
            writeln!(csv, "API_RESPONSE,1,{endpoint}").unwrap();
        }
        for (content_type, body) in [(NDJSON, &lines), ("text/csv", &csv)] {
            let path = format!("{PATH}?project={}", world.id("project", 1));
            let request = server.request(Method::POST, &path).header("content-type", content_type);
            let reply = send(request.body(body.clone())).await;
            assert_eq!(reply.json()["accepted"], spellings.len(), "{}", reply.text);
        }
        let stats = "query($filter: MetricFilter!) { metricStats(filter: $filter) { count } }";
        for (stored, spellings) in ENDPOINTS {
            for spelling in spellings {
                for filter in [
                    json!({ "endpoint": { "eq": spelling } }),
                    json!({ "endpoint": { "in": [spelling, "GET /nothing"] }, "types": ["API_RESPONSE"] }),
                ] {
                    let found = server.graphql(stats, json!({ "filter": filter })).await.data();
                    assert_eq!(found["metricStats"]["count"], 3 * spellings.len(), "{stored}: {filter}");
                }
            }
        }
        let database = server.stop().await;
        let folder = tempfile::tempdir().unwrap();
        let log = spellings.iter().fold(String::new(), |text, endpoint| {
            let now = Clock::system().now();
            text + &format!("::1 - - [{now}] \"{endpoint} HTTP/1.1\" 200 1 \"-\" \"-\" 0.001\n")
        });
        // nginx writes bytes outside of ASCII as \x and two digits.
        let escaped = log.replace('é', "\\xC3\\xA9");
        for (name, text) in [("a.csv", &csv), ("a.log", &log), ("b.log", &escaped)] {
            std::fs::write(folder.path().join(name), text).unwrap();
            let imported = run(import(&database, folder.path(), &[name, "--project", PROJECT])).await;
            assert_eq!(imported.code, Some(0), "{imported:?}");
        }
        let stored = endpoint::Entity::find().all(&database.reader()).await.unwrap();
        let mut stored: Vec<_> = stored.iter().map(|one| &*one.path).collect();
        stored.sort_unstable();
        let mut expected: Vec<_> = ENDPOINTS.iter().map(|(stored, _)| *stored).collect();
        expected.sort_unstable();
        assert_eq!(stored, expected);
    }
}
