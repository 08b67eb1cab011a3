//! Tables and times as other programs write them, at the ingest API and in GraphQL: read if they have one meaning, refused
//! with the reason if not.

use perfgraph::{clock::Clock, entity::metric_event};
use reqwest::Method;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use super::http_api::{NDJSON, PATH};
use crate::{
    harness::{
        Reply, Server, TestDatabase, World,
        server::{NOW, send},
    },
    on_both_databases,
};

async fn server(database: TestDatabase) -> (Server, World) {
    let server = Server::start(database, Clock::fixed(NOW), "self_monitoring.enabled = false").await;
    let world = server.seed("organizations=1 projects=1").await;
    (server, world)
}

async fn post(server: &Server, world: &World, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    let request = server.request(Method::POST, &format!("{PATH}?project={}", world.id("project", 1)));
    send(request.header("content-type", content_type).body(body.into())).await
}

/// Value, endpoint and time of the stored rows, which are then removed.
async fn take_rows(server: &Server) -> Vec<(f64, i64)> {
    let rows = metric_event::Entity::find().all(&server.database.reader()).await.unwrap();
    metric_event::Entity::delete_many().exec(&server.database.writer()).await.unwrap();
    rows.iter().map(|row| (row.value, row.ts.as_micros())).collect()
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

on_both_databases! {
    async fn tables_are_read_with_every_separator_and_encoding(database: TestDatabase) {
        let (server, world) = server(database).await;
        let commas = "type,value,endpoint,timestamp\nCUSTOM,12.5,a,2026-11-01 12:00:00+00\n";
        let marked = format!("\u{feff}{commas}");
        for (name, body) in [
            ("commas", commas.as_bytes().to_vec()),
            ("a byte order mark", marked.clone().into_bytes()),
            ("UTF-16, little endian", utf16(&marked, u16::to_le_bytes)),
            ("UTF-16, big endian", utf16(&marked, u16::to_be_bytes)),
            ("CR alone", commas.replace('\n', "\r").into_bytes()),
            ("CRLF and empty lines", commas.replace('\n', "\r\n\r\n").into_bytes()),
            ("no last line break", commas.trim_end().as_bytes().to_vec()),
            ("semicolons", commas.replace(',', ";").replace("12.5", "12,5").into_bytes()),
            ("semicolons and points", commas.replace(',', ";").into_bytes()),
            ("tabs", commas.replace(',', "\t").into_bytes()),
            ("bars", commas.replace(',', "|").into_bytes()),
            ("sep", format!("sep=;\r\n{}", commas.replace(',', ";")).into_bytes()),
            ("sep in quotes", format!("\"sep=,\"\n{commas}").into_bytes()),
            ("sep with a tab", format!("sep=\t\n{}", commas.replace(',', "\t")).into_bytes()),
            ("quoted names", commas.replace("type,value", "\"type\",\"value\"").into_bytes()),
            ("quoted values", commas.replace("CUSTOM,12.5", "\"CUSTOM\",\"12,5\"").into_bytes()),
            ("an index", commas.replace("type", ",type").replace("CUSTOM", "0,CUSTOM").into_bytes()),
            ("an index read again", commas.replace("type", "Unnamed: 0,type").replace("CUSTOM", "0,CUSTOM").into_bytes()),
            ("a separator at the end", commas.replace('\n', ",\n").into_bytes()),
        ] {
            let reply = post(&server, &world, "text/csv", body).await;
            assert_eq!((reply.status.as_u16(), reply.json()["accepted"].as_u64()), (200, Some(1)), "{name}: {}", reply.text);
            assert_eq!(take_rows(&server).await, [(12.5, NOW.as_micros())], "{name}");
        }
        let lines = utf16("\u{feff}{\"type\":\"CUSTOM\",\"value\":1,\"endpoint\":\"ä🙂\"}\r\n", u16::to_le_bytes);
        let reply = post(&server, &world, NDJSON, lines).await;
        assert_eq!(reply.json()["accepted"], 1, "{}", reply.text);
        let reply = post(&server, &world, "text/tab-separated-values", commas.replace(',', "\t")).await;
        assert_eq!(reply.json()["accepted"], 1, "{}", reply.text);
    }
}

on_both_databases! {
    async fn tables_that_cannot_be_read_are_refused_by_name(database: TestDatabase) {
        let (server, world) = server(database).await;
        let plain = "type,value,endpoint\nCUSTOM,1,a\n";
        for (body, words) in [
            (utf16(plain, u16::to_le_bytes), "UTF-16 without a byte order mark"),
            (b"sep=:\ntype:value:endpoint\n".to_vec(), "sep= and an unknown separator"),
            (b"type;value;endpoint;colour\n".to_vec(), "has the column `colour`, which is not known"),
            (b"type;value;value;endpoint\n".to_vec(), "has the column `value` twice"),
            (b"type,value,endpoint,release,releaseVersion\n".to_vec(), "has the version of the release twice"),
            (b"type;value\n".to_vec(), "has no column `endpoint`"),
            (b"sep=;\n".to_vec(), "is empty"),
            (b"\r\n\r".to_vec(), "is empty"),
        ] {
            let reply = post(&server, &world, "text/csv", body).await;
            let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
            assert!(reply.status.as_u16() == 400 && message.contains(words), "{words}: {}", reply.text);
        }
        for (body, field, words) in [
            ("type;value;endpoint\nCUSTOM;1.234;a\n", "value", "may be 1.234 or 1234, because"),
            ("type,value,endpoint\nCUSTOM,\"1,234\",a\n", "value", "may be 1.234 or 1234; write"),
            ("type,value,endpoint\nCUSTOM,1,a\0b\n", "endpoint", "control characters"),
            ("type,value,endpoint\nCUSTOM,1\0,a\n", "value", "is not a number"),
        ] {
            let reply = post(&server, &world, "text/csv", body).await;
            let error = &reply.json()["errors"][0];
            assert!(error["field"] == field && error["message"].as_str().unwrap().contains(words), "{body}: {}", reply.text);
        }
        assert_eq!(take_rows(&server).await, []);
    }
}

/// The result of a time at each door: the microseconds of the stored row, or the reason why it is refused.
async fn sent(server: &Server, world: &World, timestamp: &Value) -> [Result<i64, String>; 3] {
    let text = timestamp.as_str().map_or_else(|| timestamp.to_string(), str::to_owned);
    let csv = format!("type,value,endpoint,timestamp\nCUSTOM,1,a,{text}\n");
    let row = json!({ "type": "CUSTOM", "value": 1, "endpoint": "a", "timestamp": timestamp });
    let reply = post(server, world, "text/csv", csv).await.json();
    let by_csv = outcome(server, &reply["errors"][0]).await;
    let reply = post(server, world, NDJSON, row.to_string()).await.json();
    let by_json = outcome(server, &reply["errors"][0]).await;
    let query =
        "mutation($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted rejected { message } } }";
    let variables = json!({ "input": { "projectId": world.id("project", 1), "metrics": [row] } });
    let reply = server.graphql(query, variables).await.json();
    let refused = &reply["data"]["ingestMetrics"]["rejected"][0];
    let by_mutation = outcome(server, if refused.is_null() { &reply["errors"][0] } else { refused }).await;
    [by_csv, by_json, by_mutation]
}

async fn outcome(server: &Server, error: &Value) -> Result<i64, String> {
    match take_rows(server).await.first() {
        Some((_, at)) => Ok(*at),
        None => Err(error["message"].as_str().unwrap_or_default().to_owned()),
    }
}

on_both_databases! {
    async fn times_of_databases_are_read_and_other_units_are_told_at_every_door(database: TestDatabase) {
        let (server, world) = server(database).await;
        let micros = NOW.as_micros();
        for text in [
            "2026-11-01 12:00:00+00", "2026-11-01T17:30:00+0530", "2026-11-01 17:30:00.000+05:30",
            "2026-11-01T04:00:00-08", "2026-11-01 12:00:00 UTC", "2026-11-01 13:00:00 +0100",
        ] {
            assert_eq!(sent(&server, &world, &json!(text)).await, [Ok(micros), Ok(micros), Ok(micros)], "{text}");
        }
        let millis = NOW.as_millis();
        for number in [json!(millis), json!(format!("{millis}")), json!(format!("{millis}.0")), json!(1.793_534_4e12)] {
            let [csv, json, mutation] = sent(&server, &world, &number).await;
            assert_eq!((csv, json), (Ok(micros), Ok(micros)), "{number}");
            assert!(mutation.unwrap_err().contains("looks like milliseconds since 1970"), "{number}");
        }
        for (number, unit) in [
            (json!(millis / 1_000), "seconds"),
            (json!((millis / 1_000).to_string()), "seconds"),
            (json!(1_793_534_400.25), "seconds"),
            (json!(millis * 1_000), "microseconds"),
            (json!(millis * 1_000_000), "nanoseconds"),
        ] {
            for refused in sent(&server, &world, &number).await {
                let words = refused.unwrap_err();
                assert!(words.contains(&format!("looks like {unit} since 1970")), "{number}: {words}");
                assert!(words.contains("2026-11-01T12:00:00Z"), "{number}: {words}");
            }
        }
        for refused in sent(&server, &world, &json!("2026-11-01 12:00:00")).await {
            assert!(refused.as_ref().is_err_and(|words| words.contains("append Z for UTC")), "{refused:?}");
        }
        let query = "{ metricStats(filter: { time: { between: { from: 1793534400, to: \"2026-11-01 13:00:00+00\" } } }) { count } }";
        let message = server.graphql(query, json!({})).await.json()["errors"][0]["message"].to_string();
        assert!(message.contains("looks like seconds since 1970") || message.contains("RFC 3339"), "{message}");
        let query = "{ metricStats(filter: { time: { between: { from: \"2026-11-01 17:30:00+0530\", to: \"2026-11-01 13:00:00+00\" } } }) { count } }";
        // Rollups keep the rows that the test took away: six times at three doors, four at two.
        assert_eq!(server.graphql(query, json!({})).await.data()["metricStats"]["count"], 26);
    }
}
