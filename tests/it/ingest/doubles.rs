//! Values are stored as they were sent, to the last bit, whatever the door, and answers print them so that they read back.

use std::{collections::HashMap, fmt::Write as _};

use perfgraph::{clock::Clock, entity::metric_event};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use sea_orm::EntityTrait;
use serde_json::json;

use crate::{
    cli::import::{PROJECT, import},
    harness::{
        Server, World,
        process::run,
        server::{NOW, send},
    },
    ingest::http_api::{NDJSON, PATH},
    on_both_databases,
};

const DOUBLES: usize = 1_000;

/// Numbers as text with the double that they name: the shortest texts that read back, texts of many digits, and decimals
/// near the middle of two doubles.
fn texts() -> Vec<(String, f64)> {
    let mut rng = StdRng::seed_from_u64(16);
    let mut texts = vec![
        "0".to_owned(),
        "0.1".to_owned(),
        "1e12".to_owned(),
        "5e-324".to_owned(),
        "1.7976931348623157e-308".to_owned(),
    ];
    while texts.len() < DOUBLES {
        let exponent =
            if rng.random_range(0..4) == 0 { rng.random_range(-320.0..12.0) } else { rng.random_range(-4.0..12.0) };
        let value = 10_f64.powf(exponent) * rng.random_range(0.1..1.0);
        let text = match texts.len() % 5 {
            0 => format!("{value:e}"),
            1 => format!("{value:.24e}"),
            2 => format!("{value}{}{}", if value.fract() == 0.0 { "." } else { "" }, rng.random_range(1..u32::MAX)),
            3 => format!("{:.20}", f64::midpoint(value, value.next_up())),
            _ => value.to_string(),
        };
        // Longer literals of GraphQL are refused, like names.
        texts.push(if text.len() <= 250 { text } else { format!("{value:e}") });
    }
    // The standard library rounds to the nearest double.
    let value = |text: String| (text.parse().unwrap(), text);
    texts.into_iter().map(value).map(|(value, text)| (text, value)).collect()
}

fn objects(texts: &[(String, f64)], door: &str, separator: &str) -> String {
    let object = |(number, (text, _)): (usize, &(String, f64))| {
        format!(r#"{{"type":"CUSTOM","value":{text},"endpoint":"{door}","name":"n{number}"}}"#)
    };
    texts.iter().enumerate().map(object).collect::<Vec<_>>().join(separator)
}

fn csv(texts: &[(String, f64)], door: &str) -> String {
    let mut csv = "type,value,endpoint,name\n".to_owned();
    for (number, (text, _)) in texts.iter().enumerate() {
        writeln!(csv, "CUSTOM,{text},{door},n{number}").unwrap();
    }
    csv
}

/// Sends every text through every door of a server.
async fn sent(server: &Server, world: &World, texts: &[(String, f64)]) {
    let project = world.id("project", 1);
    let path = format!("{PATH}?project={project}");
    for (content_type, body) in [
        (NDJSON, objects(texts, "ndjson", "\n")),
        ("application/json", format!("[{}]", objects(texts, "json", ","))),
        ("text/csv", csv(texts, "csv")),
    ] {
        let request = server.request(Method::POST, &path).header("content-type", content_type);
        let reply = send(request.body(body)).await;
        assert_eq!(reply.status, 200, "{content_type}: {}", reply.text);
    }
    let mutation = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
    let rows = objects(texts, "variables", ",");
    let body =
        format!(r#"{{"query":"{mutation}","variables":{{"input":{{"projectId":"{project}","metrics":[{rows}]}}}}}}"#);
    assert_eq!(server.post("application/json", body).await.data()["ingestMetrics"]["accepted"], DOUBLES);
    for (part, texts) in texts.chunks(50).enumerate() {
        let row = |(number, (text, _)): (usize, &(String, f64))| {
            format!("{{ type: CUSTOM, value: {text}, endpoint: \"literals\", name: \"n{}\" }}", part * 50 + number)
        };
        let rows: Vec<_> = texts.iter().enumerate().map(row).collect();
        let mutation = format!(
            "mutation {{ ingestMetrics(input: {{ projectId: \"{project}\", metrics: [{}] }}) {{ accepted }} }}",
            rows.join(", ")
        );
        assert_eq!(server.graphql(&mutation, json!({})).await.data()["ingestMetrics"]["accepted"], texts.len());
    }
}

/// Follows a list to its end and returns the printed values by name, as they stand in the text.
async fn printed(server: &Server, project: &str) -> HashMap<String, String> {
    let query = "query ($ids: [ID!], $after: String) {
        metrics(first: 100, after: $after, filter: { projectIds: $ids, endpoint: { eq: \"variables\" },
            time: { between: { start: \"2026-11-01T11:00:00Z\", end: \"2026-11-01T13:00:00Z\" } } }) {
            nodes { name value } pageInfo { endCursor hasNextPage }
        }
    }";
    let (mut printed, mut after) = (HashMap::new(), json!(null));
    loop {
        let reply = server.graphql(query, json!({ "ids": [project], "after": after })).await;
        // Not by the JSON library, which is under test.
        for node in reply.text.split("{\"name\":\"").skip(1) {
            let (name, rest) = node.split_once("\",\"value\":").unwrap();
            printed.insert(name.to_owned(), rest.split_once('}').unwrap().0.to_owned());
        }
        let page = reply.data()["metrics"]["pageInfo"].clone();
        if page["hasNextPage"] == false {
            return printed;
        }
        after = page["endCursor"].clone();
    }
}

on_both_databases! {
    async fn values_are_stored_as_sent_at_every_door(database: TestDatabase) {
        let texts = texts();
        let server = Server::start(database, Clock::fixed(NOW), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 projects=1").await;
        sent(&server, &world, &texts).await;
        let printed = printed(&server, &world.id("project", 1)).await;
        for (number, (text, value)) in texts.iter().enumerate() {
            let answer = &printed[&format!("n{number}")];
            assert_eq!(answer.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{text} is answered as {answer}");
        }
        let database = server.stop().await;
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [("a.ndjson", objects(&texts, "import ndjson", "\n")), ("a.csv", csv(&texts, "import csv"))] {
            std::fs::write(folder.path().join(file), text).unwrap();
            let ended = run(import(&database, folder.path(), &[file, "--project", PROJECT])).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        let endpoints = perfgraph::entity::endpoint::Entity::find().all(&database.reader()).await.unwrap();
        let doors: HashMap<_, _> = endpoints.iter().map(|endpoint| (endpoint.id, endpoint.path.as_str())).collect();
        let rows = metric_event::Entity::find().all(&database.reader()).await.unwrap();
        assert_eq!((doors.len(), rows.len()), (7, 7 * DOUBLES));
        for row in rows {
            let (text, value) = &texts[row.name[1..].parse::<usize>().unwrap()];
            assert_eq!(row.value.to_bits(), value.to_bits(), "{}: {text} is stored as {}", doors[&row.endpoint_id], row.value);
        }
    }
}
