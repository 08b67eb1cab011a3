//! Names and releases of measurements: every way in takes them, every way out shows them.

use perfgraph::{clock::Clock, entity::metric_event};
use reqwest::Method;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};

use crate::{
    harness::{
        Server, TestDatabase, World, books,
        server::{NOW, send},
    },
    ingest::batches::{ACME, Rig, candidate, submission},
    on_both_databases,
};

/// Name and release of every stored measurement, in the order in which they came in.
async fn stored(database: &TestDatabase) -> Vec<(String, String)> {
    let rows = metric_event::Entity::find().order_by_asc(metric_event::Column::Id).all(&database.reader()).await;
    rows.unwrap().into_iter().map(|row| (row.name, row.release)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, release)| ((*name).to_owned(), (*release).to_owned())).collect()
}

const EXPECTED: [(&str, &str); 3] = [("LCP", "1.4.2"), ("", ""), ("", "1.4, \"rc\"")];

async fn by_mutation(server: &Server, world: &World, metrics: Value) -> Value {
    let mutation = "mutation($input: IngestMetricsInput!) {
        ingestMetrics(input: $input) { accepted duplicate rejected { index message code } userErrors { code message } }
    }";
    let input = json!({ "projectId": world.id("project", 1), "metrics": metrics, "idempotencyKey": "one" });
    server.graphql(mutation, json!({ "input": input })).await.data()["ingestMetrics"].take()
}

async fn by_door(server: &Server, world: &World, content_type: &str, text: &str) -> Value {
    let path = format!("/ingest/v1/metrics?project={}", world.id("project", 1));
    let request = server.request(Method::POST, &path).header("content-type", content_type).body(text.to_owned());
    send(request).await.json()
}

on_both_databases! {
    async fn every_way_in_takes_them(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let metrics = json!([
            { "type": "PAGE_LOAD", "value": 1, "endpoint": "/a", "name": " LCP ", "release": "1.4.2" },
            { "type": "PAGE_LOAD", "value": 2, "endpoint": "/a" },
            { "type": "PAGE_LOAD", "value": 3, "endpoint": "/a", "name": "", "release": "1.4, \"rc\"" },
        ]);
        let answer = by_mutation(&server, &world, metrics.clone()).await;
        assert_eq!(answer["accepted"], 3, "{answer}");
        assert_eq!(by_mutation(&server, &world, metrics.clone()).await["duplicate"], true);
        let mut other = metrics.clone();
        other[1]["release"] = json!("1.4.2");
        assert_eq!(by_mutation(&server, &world, other).await["userErrors"][0]["code"], "CONFLICT");
        assert_eq!(stored(&server.database).await, pairs(&EXPECTED));

        let lines: String = metrics.as_array().unwrap().iter().map(|row| row.to_string() + "\n").collect();
        let csv = "release,type,value,endpoint,name\n1.4.2,PAGE_LOAD,1,/a, LCP\n,PAGE_LOAD,2,/a,\n\
                   \"1.4, \"\"rc\"\"\",PAGE_LOAD,3,/a,\n";
        let texts = [("application/json", metrics.to_string()), ("application/x-ndjson", lines), ("text/csv", csv.to_owned())];
        for (nth, (content_type, text)) in (2..).zip(texts) {
            let answer = by_door(&server, &world, content_type, &text).await;
            assert_eq!(answer["accepted"], 3, "{content_type}: {answer}");
            assert_eq!(stored(&server.database).await, pairs(&EXPECTED.repeat(nth)), "{content_type}");
        }
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn what_cannot_be_one_is_refused_by_name(database: TestDatabase) {
        let server = Server::start(
            database,
            Clock::fixed(NOW),
            "self_monitoring.enabled = false\ningest.tag_bytes_max = 8",
        )
        .await;
        let world = server.seed("organizations=1 projects=1").await;
        let row = |name: &str, release: &str| {
            json!({ "type": "CUSTOM", "value": 1, "endpoint": "a", "name": name, "release": release })
        };
        let metrics = json!([row("12345678", "ok"), row("123456789", ""), row("", "a\u{0}b")]);
        let answer = by_mutation(&server, &world, metrics.clone()).await;
        assert_eq!(answer["accepted"], 1);
        assert_eq!(answer["rejected"][0]["message"], "is 9 bytes long; send at most 8");
        assert_eq!(answer["rejected"][1]["message"], "contains control characters; send printable text");
        let answer = by_door(&server, &world, "application/json", &metrics.to_string()).await;
        assert_eq!(answer["accepted"], 1, "{answer}");
        assert_eq!(answer["errors"][0], json!({ "index": 1, "field": "name", "message": "is 9 bytes long; send at most 8" }));
        assert_eq!(answer["errors"][1]["field"], "release");
        let number = r#"[{"type":"CUSTOM","value":1,"endpoint":"a","release":1.4}]"#;
        let answer = by_door(&server, &world, "application/json", number).await;
        assert_eq!(answer["errors"][0]["field"], "release", "{answer}");
    }
}

on_both_databases! {
    async fn every_way_out_shows_them(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let before = NOW.plus_micros(-1_000_000).to_string();
        let metrics = json!([
            { "type": "PAGE_LOAD", "value": 9, "endpoint": "/a", "timestamp": before, "name": "LCP", "release": "1.4.2" },
            { "type": "PAGE_LOAD", "value": 2, "endpoint": "/a", "timestamp": before, "release": "1.4.3" },
            { "type": "PAGE_LOAD", "value": 4, "endpoint": "/b", "timestamp": before },
        ]);
        by_mutation(&server, &world, metrics).await;
        let query = "query($filter: MetricFilter!) {
            slowestEndpoints(filter: $filter, rankBy: MAX) {
                endpoint worstSample { id name releaseVersion }
            }
        }";
        let ask = async |conditions: Value| {
            let mut filter = json!({ "time": { "last": "PT1H" } });
            filter.as_object_mut().unwrap().extend(conditions.as_object().unwrap().clone());
            server.graphql(query, json!({ "filter": filter })).await.data()["slowestEndpoints"].take()
        };
        let all = ask(json!({})).await;
        let id = all[0]["worstSample"]["id"].clone();
        let tags = json!({ "id": id, "name": "LCP", "releaseVersion": "1.4.2" });
        assert_eq!(all[0]["worstSample"], tags, "{all}");
        assert_eq!(all[1]["worstSample"]["releaseVersion"], Value::Null, "{all}");
        let node = "query($id: ID!) { node(id: $id) { ... on Metric { id name releaseVersion } } }";
        assert_eq!(server.graphql(node, json!({ "id": id })).await.data()["node"], tags);

        let count = |answer: &Value| answer.as_array().unwrap().len();
        assert_eq!(count(&ask(json!({ "names": ["LCP"] })).await), 1);
        assert_eq!(ask(json!({ "releases": ["1.4.3"] })).await[0]["worstSample"]["releaseVersion"], "1.4.3");
        assert_eq!(count(&ask(json!({ "releases": ["1.4.3", "1.4.2"], "names": [""] })).await), 1);
        assert_eq!(ask(json!({ "releases": [""] })).await[0]["endpoint"], "/b");
        assert_eq!(count(&ask(json!({ "names": [] })).await), 0);
        let many: Vec<_> = (0..501).map(|number| number.to_string()).collect();
        let refused = server.graphql(query, json!({ "filter": { "time": { "last": "PT1H" }, "names": many } })).await;
        assert_eq!(refused.error().0, "BAD_USER_INPUT");
    }
}

on_both_databases! {
    async fn streams_carry_them_live_and_replayed(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let filter = perfgraph::live::Filter { organization: Some(ACME.organization), ..Default::default() };
        let first = rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap();
        let mut live = crate::live::streams::live(&database, &rig, filter.clone()).await;
        let mut tagged = candidate(2.0);
        tagged.name = Some("LCP".to_owned());
        tagged.release = Some("1.4.2".to_owned());
        rig.submit(submission(ACME, vec![tagged, candidate(3.0)])).await.unwrap();
        let mut replayed = crate::live::streams::resumed(&database, &rig, filter, &first.cursor.unwrap().into()).await;
        for events in [&mut live, &mut replayed] {
            let metrics = crate::live::streams::receive(events, 2).await;
            let tags: Vec<_> =
                metrics.iter().map(|one| (&*one.measurement.name, &*one.measurement.release)).collect();
            assert_eq!(tags, [("LCP", "1.4.2"), ("", "")]);
        }
    }
}
