//! Labels of measurements and the time at which they were received: every way in takes them and every way out shows them.
//! Without labels, ingest and queries send the same statements as before.

use perfgraph::{
    clock::Clock,
    db::StatementLog,
    ingest::Candidate,
    model::{Label, Scope},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    graphql::statement_counts::counted,
    harness::{
        Server, World, books,
        server::{NOW, send},
        wait,
    },
    ingest::batches::{ACME, Rig, candidate, submission},
    live::windows::subscriptions::{next, subscribe},
    on_both_databases,
};

async fn by_mutation(server: &Server, world: &World, metrics: Value) -> Value {
    let mutation = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) {
        accepted isDuplicate cursor rejected { index field message code } userErrors { code message }
    } }";
    let input = json!({ "projectId": world.id("project", 1), "metrics": metrics, "idempotencyKey": "one" });
    server.graphql(mutation, json!({ "input": input })).await.data()["ingestMetrics"].take()
}

async fn by_body(server: &Server, world: &World, content_type: &str, text: &str) -> Value {
    let path = format!("/ingest/v1/metrics?project={}", world.id("project", 1));
    let request = server.request(Method::POST, &path).header("content-type", content_type).body(text.to_owned());
    send(request).await.json()
}

const METRICS: &str = "{ metrics(
    first: 100, orderBy: { field: VALUE, direction: ASC },
    filter: { time: { between: { start: \"2026-11-01T11:00:00Z\", end: \"2026-11-01T13:00:00Z\" } } }
) { nodes { value labels { key value } } } }";

/// The labels of all measurements, in the order of their values.
async fn listed(server: &Server) -> Vec<Value> {
    let data = server.graphql(METRICS, json!({})).await.data();
    data["metrics"]["nodes"].as_array().unwrap().iter().map(|node| node["labels"].clone()).collect()
}

fn pairs(labels: &[(&str, &str)]) -> Value {
    labels.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

on_both_databases! {
    async fn every_way_in_takes_labels_and_they_come_back_in_the_order_of_keys(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let row = |value: i32, labels: Value| json!({ "type": "CUSTOM", "value": value, "endpoint": "a", "labels": labels });
        let metrics = json!([
            row(1, pairs(&[("region", "eu"), ("build", "17"), ("empty", "")])), row(2, json!([])), row(3, Value::Null),
            row(4, pairs(&[("Größe", "\"quoted\", {}")])),
        ]);
        let answer = by_mutation(&server, &world, metrics.clone()).await;
        assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(4), &json!([])));
        let first = [
            pairs(&[("build", "17"), ("empty", ""), ("region", "eu")]), json!([]), json!([]), pairs(&[("Größe", "\"quoted\", {}")]),
        ];
        assert_eq!(listed(&server).await, first);
        // The labels belong to what a key stands for, their order does not.
        let mut other = metrics.clone();
        other[0]["labels"] = pairs(&[("empty", ""), ("build", "17"), ("region", "eu")]);
        assert_eq!(by_mutation(&server, &world, other.clone()).await["isDuplicate"], true);
        other[0]["labels"] = pairs(&[("build", "17"), ("empty", ""), ("region", "us")]);
        assert_eq!(by_mutation(&server, &world, other).await["userErrors"][0]["code"], "CONFLICT");
        assert_eq!(books::count(&server.database, "metric_label").await, 2, "a row for each measurement with labels");

        let lines = "{\"type\":\"CUSTOM\",\"value\":5,\"endpoint\":\"a\",\"labels\":{\"z\":\"1\",\"a\":\"2\"}}\n\
                     {\"type\":\"CUSTOM\",\"value\":6,\"endpoint\":\"a\",\"labels\":{}}\n";
        assert_eq!(by_body(&server, &world, "application/x-ndjson", lines).await["accepted"], 2);
        let array = "[{\"type\":\"CUSTOM\",\"value\":7,\"endpoint\":\"a\",\"labels\":{\"z\":\"1\",\"a\":\"2\"}}]";
        assert_eq!(by_body(&server, &world, "application/json", array).await["accepted"], 1);
        let csv = "labels.z,type,value,endpoint,labels.a\n1,CUSTOM,8,a,2\n,CUSTOM,9,a,\n,CUSTOM,10,a,\"2\"\n";
        assert_eq!(by_body(&server, &world, "text/csv", csv).await["accepted"], 3);
        let both = pairs(&[("a", "2"), ("z", "1")]);
        let rest = [both.clone(), json!([]), both.clone(), both, json!([]), pairs(&[("a", "2")])];
        assert_eq!(listed(&server).await[4..], rest);
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn labels_beyond_a_limit_are_refused_by_name(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\ningest.labels_max = 2\ningest.label_key_bytes_max = 4\n\
                        ingest.label_value_bytes_max = 5";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let world = server.seed("organizations=1 projects=1").await;
        let cases = [
            (vec![("a", "1"), ("b", "2"), ("c", "3")], "has 3 labels; send at most 2"),
            (vec![("abcde", "1")], "has the key `abcde`, which is 5 bytes long; send at most 4"),
            (vec![("a", "123456")], "has a value of 6 bytes under `a`; send at most 5"),
            (vec![("", "1")], "has an empty key; send a name such as `region`"),
            (vec![("a", "1"), ("a", "2")], "has the key `a` twice; send each key once"),
            (vec![("a", "x\ny")], "contains control characters under `a`; send printable text"),
        ];
        let row = |labels: Value| json!({ "type": "CUSTOM", "value": 1, "endpoint": "a", "labels": labels });
        let metrics: Vec<_> = cases.iter().map(|(labels, _)| row(pairs(labels))).chain([row(pairs(&[("abcd", "12345")]))]).collect();
        let answer = by_mutation(&server, &world, json!(metrics)).await;
        let expected: Vec<_> = cases.iter().enumerate().map(|(index, (_, message))| {
            json!({ "index": index, "field": ["metrics", index.to_string(), "labels"], "message": message, "code": "INVALID" })
        }).collect();
        assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(1), &json!(expected)));
        let answer = by_body(&server, &world, "application/json", &json!([row(json!({ "abcde": "1" })), row(json!(["a"])), row(json!({ "a": 1 }))]).to_string()).await;
        // Rows that cannot be read are told before those that may not be stored.
        let mut errors = answer["errors"].as_array().unwrap().clone();
        errors.sort_by_key(|error| error["index"].as_u64());
        assert_eq!(errors[0], json!({ "index": 0, "field": "labels", "message": cases[1].1 }));
        assert_eq!((&errors[1]["field"], &errors[2]["field"]), (&json!("labels"), &json!("labels.a")));
        let answer = by_body(&server, &world, "text/csv", "type,value,endpoint,labels.a,labels.a\nCUSTOM,1,a,1,2\n").await;
        assert!(answer.to_string().contains("has the column `labels.a` twice"), "{answer}");
        let answer = by_body(&server, &world, "text/csv", "type,value,endpoint,label\nCUSTOM,1,a,1\n").await;
        assert!(answer.to_string().contains("labels.KEY"), "{answer}");
        assert_eq!(books::count(&server.database, "metric_label").await, 1);
    }
}

on_both_databases! {
    async fn every_way_out_shows_labels_and_the_time_of_arrival(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let before = NOW.plus_micros(-1_000_000).to_string();
        let labels = pairs(&[("region", "eu")]);
        let metrics: Vec<_> = (0..50).map(|value| {
            let labels = if value == 49 { labels.clone() } else { json!([]) };
            json!({ "type": "PAGE_LOAD", "value": value, "endpoint": "/a", "timestamp": before, "labels": labels })
        }).collect();
        by_mutation(&server, &world, json!(metrics)).await;
        let query = "{ slowestEndpoints { worstSample { id timestamp receivedAt labels { key value } } } }";
        let worst = server.graphql(query, json!({})).await.data()["slowestEndpoints"][0]["worstSample"].take();
        let expected = json!({ "id": worst["id"], "timestamp": before, "receivedAt": NOW.to_string(), "labels": labels });
        assert_eq!(worst, expected);
        let node = "query ($id: ID!) { node(id: $id) { ... on Metric { id timestamp receivedAt labels { key value } } } }";
        assert_eq!(server.graphql(node, json!({ "id": worst["id"] })).await.data()["node"], expected);
        // One statement for the labels of all, and none for who does not ask for them.
        let (_, without) = counted(&server, "{ metrics(first: 50) { nodes { value receivedAt } } }", json!({})).await;
        let (data, with) = counted(&server, "{ metrics(first: 50) { nodes { value labels { key } } } }", json!({})).await;
        assert_eq!((data["metrics"]["nodes"].as_array().unwrap().len(), with), (50, without + 1));
    }
}

on_both_databases! {
    async fn streams_carry_labels_live_and_replayed(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1 metrics=1").await;
        let query = "subscription ($filter: StreamFilter!, $after: StreamCursor) {
            metricStream(filter: $filter, after: $after) { cursor metrics { id value receivedAt labels { key value } } }
        }";
        let filter = json!({ "organizationId": world.id("organization", 1) });
        let before = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { cursor } }";
        let input = json!({ "projectId": world.id("project", 1), "metrics": [{ "type": "CUSTOM", "value": 0, "endpoint": "a" }] });
        let start = server.graphql(before, json!({ "input": input })).await.data()["ingestMetrics"]["cursor"].clone();
        let labels = pairs(&[("build", "17"), ("region", "eu")]);
        let row = |value: i32, labels: &Value| json!({ "type": "CUSTOM", "value": value, "endpoint": "a", "labels": labels });
        let mut live = subscribe(&server, query, &json!({ "filter": filter }));
        let receive = async {
            let mut pushed = Vec::new();
            while pushed.len() < 2 {
                pushed.extend(next(&mut live).await["metricStream"]["metrics"].as_array().unwrap().clone());
            }
            pushed
        };
        let send = async {
            wait::until("the stream runs", async || server.app.engine().subscriptions_running() == 1).await;
            by_mutation(&server, &world, json!([row(1, &labels), row(2, &json!([]))])).await;
        };
        let (pushed, ()) = tokio::join!(receive, send);
        let shown: Vec<_> = pushed.iter().map(|one| (&one["labels"], &one["receivedAt"])).collect();
        let (none, now) = (json!([]), json!(NOW.to_string()));
        assert_eq!(shown, [(&labels, &now), (&none, &now)]);
        let mut replayed = Vec::new();
        let mut resumed = subscribe(&server, query, &json!({ "filter": filter, "after": start }));
        while replayed.len() < 2 {
            replayed.extend(next(&mut resumed).await["metricStream"]["metrics"].as_array().unwrap().clone());
        }
        assert_eq!(replayed, pushed);
    }
}

on_both_databases! {
    async fn a_commit_without_labels_sends_no_statement_for_them(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let statements = async |labels: Vec<Label>| {
            let log = StatementLog::default();
            let row = Candidate { labels, ..candidate(1.0) };
            rig.ingest.submit(&Scope::everything(), submission(ACME, vec![row]), &log).await.unwrap();
            log.statements().into_iter().map(|statement| statement.sql).collect::<Vec<_>>()
        };
        let label = Label { key: "a".to_owned(), value: "b".to_owned() };
        // The first of an endpoint looks it up.
        statements(Vec::new()).await;
        let (without, with) = (statements(Vec::new()).await, statements(vec![label]).await);
        assert!(!without.iter().any(|sql| sql.contains("metric_label")), "{without:#?}");
        assert_eq!(with.iter().filter(|sql| sql.contains("metric_label")).count(), 1, "{with:#?}");
        assert_eq!(with.len(), without.len() + 1);
    }
}
