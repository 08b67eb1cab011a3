//! `POST /ingest/v1/metrics`: formats and encodings, rows that are refused, bodies that break, keys that make it all
//! repeatable.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use perfgraph::{clock::Clock, entity::metric_event, graphql::node::NodeId};
use reqwest::Method;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    harness::{
        Reply, Server, TestDatabase, World, books,
        process::{PATIENCE, Served, command},
        server::{NOW, client, send},
    },
    on_both_databases,
};

pub const PATH: &str = "/ingest/v1/metrics";
pub const NDJSON: &str = "application/x-ndjson";

/// A server that stores a hundred rows at a time.
async fn server(database: TestDatabase, settings: &str) -> (Server, World) {
    let settings = format!("self_monitoring.enabled = false\ningest.part_rows = 100\n{settings}");
    let server = Server::start(database, Clock::fixed(NOW), &settings).await;
    let world = server.seed("organizations=2 projects=2").await;
    (server, world)
}

/// A body for the first project.
struct Body<'a> {
    content_type: &'a str,
    encoding: Option<&'a str>,
    key: Option<&'a str>,
    mode: &'a str,
    bytes: Vec<u8>,
}

fn ndjson(text: impl Into<Vec<u8>>) -> Body<'static> {
    Body { content_type: NDJSON, encoding: None, key: None, mode: "partial", bytes: text.into() }
}

impl<'a> Body<'a> {
    fn keyed(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }

    async fn send(self, server: &Server, world: &World) -> Reply {
        let path = format!("{PATH}?project={}&mode={}", world.id("project", 1), self.mode);
        let mut request = server.request(Method::POST, &path).header("content-type", self.content_type);
        for (name, value) in [("content-encoding", self.encoding), ("idempotency-key", self.key)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        send(request.body(self.bytes)).await
    }
}

pub fn rows(range: std::ops::Range<usize>) -> String {
    range.fold(String::new(), |mut text, number| {
        writeln!(text, r#"{{"type":"API_RESPONSE","value":{number},"endpoint":"GET /a","statusCode":200}}"#).unwrap();
        text
    })
}

pub async fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(bytes).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

pub async fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZstdEncoder::new(Vec::new());
    encoder.write_all(bytes).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

pub async fn stored(database: &TestDatabase) -> usize {
    metric_event::Entity::find().all(&database.reader()).await.unwrap().len()
}

/// Status, accepted, rejected.
#[track_caller]
fn counts(reply: &Reply) -> (u16, u64, u64) {
    let body = reply.json();
    let number = |name: &str| body[name].as_u64().unwrap_or_else(|| panic!("{}", reply.text));
    (reply.status.as_u16(), number("accepted"), number("rejected"))
}

on_both_databases! {
    async fn every_format_and_encoding_says_the_same(database: TestDatabase) {
        let (server, world) = server(database, "").await;
        let moment = NOW.plus_micros(-60_000_000);
        let millis = moment.as_millis();
        let array = format!(
            r#" [ {{"type":"PAGE_LOAD","value":1.5,"endpoint":"/a, \"b\"]\\","timestamp":"{moment}"}}
               ,{{"type":"PAGE_LOAD","value":2,"endpoint":"/two","timestamp":{millis},"statusCode":404}} ] "#
        );
        let lines = format!(
            "\u{feff}{{\"type\":\"PAGE_LOAD\",\"value\":1.5,\"endpoint\":\"/a, \\\"b\\\"]\\\\\",\"timestamp\":\"{moment}\"}}\r\n\n\
             {{\"type\":\"PAGE_LOAD\",\"value\":2,\"endpoint\":\"/two\",\"timestamp\":{millis},\"statusCode\":404}}"
        );
        let csv = format!(
            "\u{feff}value,type,timestamp,endpoint,statusCode\r\n\
             1.5,PAGE_LOAD,{moment},\"/a, \"\"b\"\"]\\\",\r\n2,PAGE_LOAD,{millis},/two,404"
        );
        let mut sent = 0;
        for (content_type, text) in [
            ("application/json; charset=utf-8", array), (NDJSON, lines), ("text/csv; header=present", csv),
        ] {
            for (encoding, bytes) in [
                (None, text.clone().into_bytes()),
                (Some("gzip"), gzip(text.as_bytes()).await),
                (Some("zstd"), zstd(text.as_bytes()).await),
            ] {
                let reply = Body { content_type, encoding, key: None, mode: "partial", bytes }.send(&server, &world).await;
                assert_eq!(counts(&reply), (200, 2, 0), "{content_type} {encoding:?} {}", reply.text);
                assert!(reply.json()["cursor"].is_string() && reply.json()["duplicate"] == false);
                sent += 2;
            }
        }
        let query = "query ($filter: MetricFilter!) { metricStats(filter: $filter) { count errorCount min max } \
                     slowestEndpoints(filter: $filter) { endpoint } }";
        let filter = json!({ "time": { "last": "PT10M" } });
        let answer = server.graphql(query, json!({ "filter": filter })).await.data();
        let expected = json!({ "count": sent, "errorCount": sent / 2, "min": 1.5, "max": 2.0 });
        assert_eq!(answer["metricStats"], expected);
        let slowest = json!([{ "endpoint": "/two" }, { "endpoint": "/a, \"b\"]\\" }]);
        assert_eq!(answer["slowestEndpoints"], slowest);
        books::check(&server.database).await;
    }
}

/// The index, the field and a word of the message of every refused row.
#[track_caller]
fn assert_refused(reply: &Reply, expected: &[(u64, &str, &str)]) {
    let body = reply.json();
    let errors = body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), expected.len(), "{}", reply.text);
    for (error, (index, field, words)) in errors.iter().zip(expected) {
        let (found, message) = (error["field"].as_str().unwrap_or(""), error["message"].as_str().unwrap());
        assert_eq!((error["index"].as_u64(), found), (Some(*index), *field), "{error}");
        assert!(message.contains(words), "{words:?} is not in {error}");
    }
}

on_both_databases! {
    async fn rows_that_cannot_be_are_named_and_the_others_kept(database: TestDatabase) {
        let (server, world) = server(database, "").await;
        let mut csv = b"type,value,endpoint,statusCode,timestamp\n".to_vec();
        for (kind, value, endpoint, status, timestamp) in [
            ("CUSTOM", "NaN", "a", "", ""),
            ("CUSTOM", "inf", "a", "", ""),
            ("CUSTOM", "-inf", "a", "", ""),
            ("CUSTOM", "-1", "a", "", ""),
            ("CUSTOM", "1e308", "a", "", ""),
            ("CUSTOM", "1", "a", "", &i64::MIN.to_string()),
            ("CUSTOM", "1", "a", "", &i64::MAX.to_string()),
            ("CUSTOM", "1", "a", "", "99999999999999999999999"),
            ("CUSTOM", "1", "a", "", "1970-01-01T00:00:00Z"),
            ("CUSTOM", "1", "a", "", "9999-12-31T23:59:59Z"),
            ("CUSTOM", "1", "a", "", "yesterday"),
            ("custom", "1", "a", "", ""),
            ("CUSTOM", "1", &"x".repeat(10_240), "", ""),
            ("CUSTOM", "1", "", "", ""),
            ("CUSTOM", "", "a", "", ""),
            ("CUSTOM", "1", "a", "OK", ""),
            ("CUSTOM", "1", "a", "999", ""),
            ("CUSTOM", "1", "\"two\nlines\"", "", ""),
            ("CUSTOM", "1", &format!("\"{}\"", "y".repeat(70_000)), "", ""),
            // Kept.
            ("CUSTOM", "-0", "good", "", ""),
            ("CUSTOM", "5e-324", "good", "0", ""),
            ("CUSTOM", "1e12", "\"quoted, \"\"good\"\"\"", "200", ""),
        ] {
            csv.extend(format!("{kind},{value},{endpoint},{status},{timestamp}\n").bytes());
        }
        csv.extend(b"CUSTOM,1,caf\xe9,,\nCUSTOM,1\n");
        csv.extend(format!("CUSTOM,1,a{}\n", ",".repeat(200)).bytes());
        let reply = Body { content_type: "text/csv", bytes: csv, ..ndjson("") }.send(&server, &world).await;
        assert_eq!(counts(&reply), (200, 3, 22), "{}", reply.text);
        let mut errors = reply.json()["errors"].as_array().unwrap().clone();
        errors.sort_by_key(|error| error["index"].as_u64());
        let sorted = Reply { text: json!({ "errors": errors }).to_string(), ..reply };
        assert_refused(&sorted, &[
            (0, "value", "NaN"), (1, "value", "inf"), (2, "value", "-inf"), (3, "value", "negative"),
            (4, "value", "above"), (5, "timestamp", "before"), (6, "timestamp", "after"), (7, "timestamp", "after"),
            (8, "timestamp", "before"), (9, "timestamp", "after"), (10, "timestamp", "yesterday"),
            (11, "type", "PAGE_LOAD, API_RESPONSE"), (12, "endpoint", "10240 bytes"), (13, "endpoint", "empty"),
            (14, "value", "not a number"), (15, "statusCode", "OK"), (16, "statusCode", "999"),
            (17, "endpoint", "control"), (18, "", "longer than 65536"),
            (22, "endpoint", "UTF-8"), (23, "", "5 columns"), (24, "", "many more"),
        ]);

        let mut lines = b"NaN\n{\"type\":\"CUSTOM\",\"value\":NaN,\"endpoint\":\"a\"}\n".to_vec();
        for line in [
            r#"{"type":"CUSTOM","value":1e999,"endpoint":"a"}"#,
            r#"{"type":"CUSTOM","value":"1","endpoint":"a"}"#,
            r#"{"type":"CUSTOM","endpoint":"a"}"#,
            r#"{"type":"CUSTOM","value":1,"endpoint":"a","status_code":200}"#,
            r#"{"type":"SPEED","value":1,"endpoint":"a"}"#,
            r#"{"type":"CUSTOM","value":1,"endpoint":"a"}{"#,
            r#"{"type":"CUSTOM","value":1,"endpoint":"a","timestamp":9223372036854775807}"#,
            r#"{"type":"CUSTOM","value":1,"endpoint":"a","timestamp":1e300}"#,
            r"[1,2]",
            r#"{"type":"CUSTOM","value":1,"endpoint":"good"}"#,
        ] {
            lines.extend(line.bytes());
            lines.push(b'\n');
        }
        lines.extend(b"{\"type\":\"CUSTOM\",\"value\":1,\"endpoint\":\"caf\xe9\"}\n");
        let reply = ndjson(lines).send(&server, &world).await;
        assert_eq!(counts(&reply), (200, 1, 12), "{}", reply.text);
        let mut errors = reply.json()["errors"].as_array().unwrap().clone();
        errors.sort_by_key(|error| error["index"].as_u64());
        let sorted = Reply { text: json!({ "errors": errors }).to_string(), ..reply };
        assert_refused(&sorted, &[
            (0, "", "object"), (1, "value", "expected"), (2, "value", "out of range"), (3, "value", "invalid type"),
            (4, "value", "missing"), (5, "status_code", "unknown field"), (6, "type", "SPEED"), (7, "", "more than one"),
            (8, "timestamp", "after"), (9, "timestamp", "after"), (10, "", "object"), (12, "", "UTF-8"),
        ]);
        // Only bad rows are a bad request; a hundred of them are named.
        let reply = ndjson("{}\n".repeat(250)).send(&server, &world).await;
        assert_eq!((counts(&reply), reply.json()["errors"].as_array().unwrap().len()), ((400, 0, 250), 100));
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn refused_rows_beyond_the_limit_are_only_counted(database: TestDatabase) {
        let (server, world) = server(database, "limits.ingest_refused_rows_max = 100").await;
        for (refused, expected) in [(100, (200, 5, 100)), (101, (400, 0, 101))] {
            let bad = "{}\n".repeat(refused);
            let reply = ndjson(format!("{bad}{}", rows(0..5))).send(&server, &world).await;
            assert_eq!(counts(&reply), expected, "{}", reply.text);
            let message = "has more than 100 refused rows (limits.ingest_refused_rows_max); the 5 rows after them were not read";
            assert_eq!(reply.text.contains(message), refused > 100, "{}", reply.text);
        }
        // As many as fit into a body take no longer than reading it.
        let start = Instant::now();
        let reply = ndjson("{}\n".repeat(1_700_000)).send(&server, &world).await;
        assert!(counts(&reply) == (400, 0, 101) && reply.text.contains("the 1699899 rows after them"), "{}", reply.text);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn a_body_has_few_compressed_members(database: TestDatabase) {
        let (server, world) = server(database, "limits.ingest_body_members_max = 10").await;
        let (row, nothing) = (rows(0..1), "");
        for (encoding, members) in [
            ("gzip", [gzip(row.as_bytes()).await, gzip(nothing.as_bytes()).await]),
            ("zstd", [zstd(row.as_bytes()).await, zstd(nothing.as_bytes()).await]),
        ] {
            let [row, empty] = members;
            let body = |empty_members: usize| [row.clone(), empty.repeat(empty_members)].concat();
            let reply = Body { encoding: Some(encoding), ..ndjson(body(9)) }.send(&server, &world).await;
            assert_eq!(counts(&reply), (200, 1, 0), "{}", reply.text);
            for above in [10, 200_000] {
                let start = Instant::now();
                let reply = Body { encoding: Some(encoding), ..ndjson(body(above)) }.send(&server, &world).await;
                assert_eq!(counts(&reply).0, 400, "{}", reply.text);
                assert!(reply.text.contains("has more than 10 compressed members"), "{}", reply.text);
                assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
            }
            let rows = [row.clone(), row.clone(), row.clone()].concat();
            let reply = Body { encoding: Some(encoding), ..ndjson(rows) }.send(&server, &world).await;
            assert_eq!(counts(&reply), (200, 3, 0), "{}", reply.text);
        }
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn elements_of_an_array_that_cannot_be_are_named_and_the_others_kept(database: TestDatabase) {
        let (server, world) = server(database, "").await;
        let good = r#"{"type":"CUSTOM","value":1,"endpoint":"good, [\"quoted]"}"#;
        let bad: [(&[u8], &str, &str); 14] = [
            (br#"{"type":"CUSTOM","value":NaN,"endpoint":"a"}"#, "value", "expected"),
            (br#"{"type":"CUSTOM","value":-Infinity,"endpoint":"a"}"#, "value", "invalid number"),
            (br#"{"type":"CUSTOM","value":1e999,"endpoint":"a"}"#, "value", "out of range"),
            (br#"{"type":"CUSTOM","value":-1,"endpoint":"a"}"#, "value", "negative"),
            (br#"{"type":"CUSTOM","endpoint":"a"}"#, "value", "missing"),
            (br#"{"type":"CUSTOM","value":1,"endpoint":"a",}"#, "", "trailing comma"),
            (br#"{"type" "CUSTOM","value":1,"endpoint":"a"}"#, "", "expected"),
            (br#"{"type":"CUSTOM","value":1,"endpoint":"a"}}"#, "", "more than one"),
            (b"{\"type\":\"CUSTOM\",\"value\":1,\"endpoint\":\"caf\xe9\"}", "", "UTF-8"),
            (b"\xff\xfe", "", "UTF-8"),
            (b"nonsense", "", "object"),
            (b"null", "", "object"),
            (b"[[1,2],{}]", "", "object"),
            (br#""text, ] with all of it""#, "", "object"),
        ];
        // A good one before, between and behind them.
        let mut bytes = format!("[{good}").into_bytes();
        for (element, ..) in bad {
            bytes.extend([b",\n", element, b",", good.as_bytes()].concat());
        }
        bytes.push(b']');
        let array = |mode, bytes: &[u8]| Body { content_type: "application/json", mode, ..ndjson(bytes) };
        let count = u64::try_from(bad.len()).unwrap();
        let atomic = array("atomic", &bytes).send(&server, &world).await;
        assert_eq!((counts(&atomic), stored(&server.database).await), ((400, 0, count), 0), "{}", atomic.text);
        let partial = array("partial", &bytes).send(&server, &world).await;
        assert_eq!(counts(&partial), (200, count + 1, count), "{}", partial.text);
        let mut errors = partial.json()["errors"].as_array().unwrap().clone();
        errors.sort_by_key(|error| error["index"].as_u64());
        let sorted = Reply { text: json!({ "errors": errors }).to_string(), ..partial };
        let expected: Vec<_> = (1..).step_by(2).zip(bad).map(|(index, (_, field, words))| (index, field, words)).collect();
        assert_refused(&sorted, &expected);
        let kept = stored(&server.database).await;
        assert_eq!(kept, bad.len() + 1);
        // Where an element has no end, neither has the array: nobody knows what was meant by the rest.
        for endless in [r#"{"type":"CUSTOM","value":1,"endpoint":"a""#, r#"{"type":"CUSTOM","value":1,"endpoint":"a}"#] {
            let reply = array("partial", format!("[{good},{endless},{good}]").as_bytes()).send(&server, &world).await;
            assert_eq!(counts(&reply), (400, 0, 0), "{}", reply.text);
            let (code, message) = (&reply.json()["error"]["code"], reply.json()["error"]["message"].to_string());
            assert!(code == "BAD_USER_INPUT" && message.contains("ended before the end of the array"), "{message}");
        }
        assert_eq!(stored(&server.database).await, kept);
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn a_body_may_have_more_rows_than_a_call_and_a_key_makes_it_repeatable(database: TestDatabase) {
        let (server, world) = server(database, "limits.ingest_rows_max = 200").await;
        let whole = || ndjson(rows(0..1_050)).keyed("one");
        let first = whole().send(&server, &world).await;
        assert_eq!((counts(&first), first.json()["duplicate"].clone()), ((200, 1_050, 0), json!(false)));
        let again = whole().send(&server, &world).await;
        assert_eq!((counts(&again), again.json()["duplicate"].clone()), ((200, 1_050, 0), json!(true)));
        assert_eq!(again.json()["cursor"], first.json()["cursor"]);
        // Longer, shorter, and other bodies are not it.
        for other in [rows(0..1_051), rows(0..1_100), rows(0..1_150), rows(0..1_000), rows(0..900), rows(1..1_051)] {
            let reply = ndjson(other).keyed("one").send(&server, &world).await;
            assert_eq!(reply.status, 409, "{}", reply.text);
            assert!(reply.json()["error"]["message"].as_str().unwrap().contains("`one`"), "{}", reply.text);
        }
        assert_eq!(stored(&server.database).await, 1_050);
        let reply = ndjson(rows(0..10_001)).send(&server, &world).await;
        assert_eq!(counts(&reply), (200, 10_001, 0));
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn atomic_is_the_whole_body_or_nothing(database: TestDatabase) {
        let (server, world) = server(database, "limits.ingest_rows_max = 200").await;
        let atomic = |text: String| Body { mode: "atomic", ..ndjson(text) };
        let bad = r#"{"type":"CUSTOM","value":-1,"endpoint":"a"}"#;
        for spoiled in [format!("{}{bad}\n", rows(0..150)), format!("{}nonsense\n{bad}\n", rows(0..150))] {
            let reply = atomic(spoiled).send(&server, &world).await;
            let bad_rows = u64::try_from(reply.json()["errors"].as_array().unwrap().len()).unwrap();
            assert_eq!(counts(&reply), (400, 0, bad_rows), "{}", reply.text);
        }
        let reply = atomic(rows(0..201)).send(&server, &world).await;
        assert_eq!(counts(&reply), (413, 0, 0), "{}", reply.text);
        let two = format!("{}{}", rows(0..2), rows(0..1).replace("\"type\"", &format!("\"projectId\":\"{}\",\"type\"", world.id("project", 2))));
        assert_eq!(counts(&atomic(two).send(&server, &world).await), (400, 0, 0));
        assert_eq!(stored(&server.database).await, 0);
        assert_eq!(counts(&atomic(rows(0..200)).send(&server, &world).await), (200, 200, 0));
        assert_eq!(stored(&server.database).await, 200);
    }
}

on_both_databases! {
    async fn rows_may_name_their_projects_within_one_organization(database: TestDatabase) {
        let (server, world) = server(database, "").await;
        let of = |project: &str| rows(0..1).replace("\"type\"", &format!("\"projectId\":\"{project}\",\"type\""));
        let ids: Vec<_> = (1..=4).map(|number| world.id("project", number)).collect();
        let absent = NodeId::Project(perfgraph::model::Key::new(world.organizations[0].key, perfgraph::model::ProjectId(9)));
        let text = [&ids[1], &ids[0], &ids[1], &ids[2], "nonsense", &absent.encode().0].map(of).concat();
        let request = |text: &str| {
            server.request(Method::POST, PATH).header("content-type", NDJSON).header("idempotency-key", "mixed").body(text.to_owned())
        };
        let body = format!("{text}{}", rows(0..1));
        let reply = send(request(&body)).await;
        assert_eq!(counts(&reply), (200, 3, 4), "{}", reply.text);
        assert_refused(&reply, &[
            (3, "projectId", "another organization"), (4, "projectId", "is not an id"), (5, "projectId", "not found"),
            (6, "projectId", "missing"),
        ]);
        assert_eq!(send(request(&body)).await.json()["duplicate"], true);
        // One more row, of a project that was not there: another body.
        assert_eq!(send(request(&format!("{body}{}", of(&ids[0])))).await.status, 409);
        assert_eq!(stored(&server.database).await, 3);
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn slugs_name_the_project_of_a_body_and_of_its_rows(database: TestDatabase) {
        let (server, world) = server(database, "").await;
        let ask = async |query: &str, text: String| {
            send(server.request(Method::POST, &format!("{PATH}{query}")).header("content-type", NDJSON).body(text)).await
        };
        let of = |field: &str, project: &str| rows(0..1).replace("\"type\"", &format!("\"{field}\":\"{project}\",\"type\""));
        assert_eq!(counts(&ask("?project=organization-1/project-1", rows(0..3)).await), (200, 3, 0));
        assert_eq!(counts(&ask("?project=organization-1%2Fproject-1", rows(0..1)).await), (200, 1, 0));
        let refused = ask("?project=organization-1/nothing", rows(0..1)).await;
        assert!(refused.text.contains("the project `organization-1/nothing` was not found"), "{}", refused.text);
        let refused = ask("?project=Organization/1", rows(0..1)).await;
        assert!(refused.text.contains("write ORGANIZATION/PROJECT"), "{}", refused.text);
        // In rows, beside ids and the project in the address.
        let text = [
            of("projectSlug", "organization-1/project-2"), of("project", "organization-1/project-2"), rows(0..1),
            of("projectId", &world.id("project", 2)), of("projectSlug", "organization-1/nothing"),
            of("project", "organization-2/project-1"), of("projectSlug", "Shop/x"), of("projectSlug", "organization-1/nothing"),
        ].concat();
        let reply = ask("?project=organization-1/project-1", text).await;
        assert_eq!(counts(&reply), (200, 4, 4), "{}", reply.text);
        assert_refused(&reply, &[
            (4, "projectId", "organization-1/nothing"), (5, "projectId", "another organization"),
            (6, "projectId", "write ORGANIZATION/PROJECT"), (7, "projectId", "organization-1/nothing"),
        ]);
        let table = "type,value,endpoint,projectSlug\nCUSTOM,1,x,organization-1/project-2\n".to_owned();
        let request = server.request(Method::POST, PATH).header("content-type", "text/csv").body(table);
        assert_eq!(counts(&send(request).await), (200, 1, 0));
        let of_project = async |number| {
            let query = "query ($filter: MetricFilter) { metricStats(filter: $filter) { count } }";
            let data = server.graphql(query, json!({ "filter": { "projectIds": [world.id("project", number)], "time": { "between": { "start": "2026-11-01T11:00:00Z", "end": "2026-11-01T12:00:01Z" } } } })).await.data();
            data["metricStats"]["count"].clone()
        };
        assert_eq!((of_project(1).await, of_project(2).await), (json!(5), json!(4)));
    }
}

on_both_databases! {
    async fn a_body_that_is_cut_keeps_its_parts_and_is_completed_by_a_retry(database: TestDatabase) {
        let (server, world) = server(database, "").await;
        let text = rows(0..5_000);
        for (encoding, whole) in [("gzip", gzip(text.as_bytes()).await), ("zstd", zstd(text.as_bytes()).await)] {
            let body = |bytes: &[u8]| {
                Body { encoding: Some(encoding), key: Some(encoding), ..ndjson(bytes) }
            };
            let cut = body(&whole[..whole.len() * 2 / 3]).send(&server, &world).await;
            let (status, kept, refused) = counts(&cut);
            assert_eq!((status, refused), (400, 0), "{}", cut.text);
            assert!(cut.json()["error"]["message"].as_str().unwrap().contains("not complete and valid"), "{}", cut.text);
            assert!(kept < 5_000 && kept.is_multiple_of(100), "{kept}");
            let before = stored(&server.database).await;
            let retried = body(&whole).send(&server, &world).await;
            assert_eq!(counts(&retried), (200, 5_000, 0));
            assert_eq!(stored(&server.database).await - before, 5_000 - usize::try_from(kept).unwrap());
        }
        let cut = Body { content_type: "application/json", ..ndjson("[{\"type\":\"CUSTOM\",\"value\":1,\"endpoint\":\"a\"},") };
        assert_eq!(counts(&cut.send(&server, &world).await), (400, 0, 0));
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn what_is_too_large_is_refused_however_it_is_packed(database: TestDatabase) {
        let (server, world) = server(database, "limits.ingest_body_bytes_max = 100000").await;
        let bomb = vec![b' '; 50_000_000];
        for (encoding, bytes) in [("gzip", gzip(&bomb).await), ("zstd", zstd(&bomb).await)] {
            assert!(bytes.len() < 100_000, "{}", bytes.len());
            let reply = Body { encoding: Some(encoding), ..ndjson(bytes) }.send(&server, &world).await;
            assert_eq!(counts(&reply), (413, 0, 0), "{}", reply.text);
        }
        let rows = rows(0..4_000);
        let reply = Body { encoding: Some("zstd"), ..ndjson(zstd(rows.as_bytes()).await) }.send(&server, &world).await;
        let (status, kept, _) = counts(&reply);
        assert!(status == 413 && kept > 0 && kept == u64::try_from(stored(&server.database).await).unwrap(), "{}", reply.text);
        // Whoever says beforehand that it is too much is told before sending it.
        let mut socket = TcpStream::connect(server.app.address()).await.unwrap();
        let head = format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {NDJSON}\r\ncontent-length: 100001\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn the_head_of_a_request_is_checked_before_its_body(database: TestDatabase) {
        let (server, world) = server(database, "").await;
        let project = world.id("project", 1);
        let ask = async |path: &str, headers: &[(&str, &str)], body: &str| {
            let request = server.request(Method::POST, &format!("{PATH}{path}"));
            send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(body.to_owned())).await
        };
        let (query, row) = (format!("?project={project}"), rows(0..1));
        let ndjson = ("content-type", NDJSON);
        for (path, headers, body, status) in [
            (&*query, &[][..], &*row, 415),
            (&query, &[("content-type", "text/plain")], &row, 415),
            (&query, &[("content-type", "text/csv; charset=latin1")], &row, 415),
            (&query, &[ndjson, ("content-encoding", "br")], &row, 415),
            (&query, &[ndjson, ("content-encoding", "gzip, gzip")], &row, 415),
            (&query, &[ndjson, ("origin", "https://example.com")], &row, 403),
            (&query, &[ndjson, ("host", "example.com")], &row, 403),
            (&query, &[ndjson, ("idempotency-key", "")], &row, 400),
            ("?project=nonsense", &[ndjson], &row, 400),
            ("?project=UHJvamVjdDo3Nzo3Nw", &[ndjson], &row, 404),
            ("?project=organization-1/nothing", &[ndjson], &row, 404),
            ("?project=Organization%201/project-1", &[ndjson], &row, 400),
            ("?projekt=x", &[ndjson], &row, 400),
            ("?mode=some", &[ndjson], &row, 400),
            (&query, &[ndjson], "", 400),
            (&query, &[ndjson], "\n \n", 400),
            (&query, &[("content-type", "application/json")], "", 400),
            (&query, &[("content-type", "application/json")], "[]", 400),
            (&query, &[("content-type", "application/json")], "{}", 400),
            (&query, &[("content-type", "application/json")], "[] []", 400),
            (&query, &[("content-type", "text/csv")], "", 400),
            (&query, &[("content-type", "text/csv")], "type,value\n", 400),
            (&query, &[("content-type", "text/csv")], "type,value,endpoint,colour\n", 400),
        ] {
            let reply = ask(path, headers, body).await;
            assert_eq!(reply.status, status, "{path} {headers:?} {body:?} {}", reply.text);
        }
        assert_eq!(ask(&query, &[ndjson, ("content-encoding", "br")], "").await.header("accept-encoding"), "gzip, zstd");
        let get = server.get(PATH).await;
        assert_eq!((get.status.as_u16(), get.header("allow")), (405, "POST"));
        assert_eq!(stored(&server.database).await, 0);
    }
}

/// Sends the head and a piece of a body without its end.
pub async fn begin(address: &str, path: &str, key: &str, piece: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {NDJSON}\r\nidempotency-key: {key}\r\n\
         connection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{piece}\r\n",
        piece.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

pub async fn until_stored(database: &TestDatabase, rows: usize) {
    let waiting = async { while stored(database).await < rows {} };
    timeout(PATIENCE, waiting).await.expect("parts are stored while the body still arrives");
}

on_both_databases! {
    async fn parts_are_stored_while_the_body_arrives_and_a_client_that_breaks_off_can_come_back(database: TestDatabase) {
        let (server, world) = server(database, "").await;
        let path = format!("{PATH}?project={}", world.id("project", 1));
        let address = server.app.address().to_string();
        let socket = begin(&address, &path, "again", &rows(0..250)).await;
        until_stored(&server.database, 200).await;
        drop(socket);
        let reply = ndjson(rows(0..350)).keyed("again").send(&server, &world).await;
        assert_eq!((counts(&reply), reply.json()["duplicate"].clone()), ((200, 350, 0), json!(false)));
        assert_eq!(stored(&server.database).await, 350);
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn a_client_that_sends_too_slowly_learns_what_was_stored(database: TestDatabase) {
        let (server, world) = server(database, "server.ingest_body_timeout_ms = 700").await;
        let path = format!("{PATH}?project={}", world.id("project", 1));
        let mut socket = begin(&server.app.address().to_string(), &path, "slow", &rows(0..150)).await;
        let mut answer = String::new();
        timeout(PATIENCE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"accepted\":100"), "{answer}");
    }
}

on_both_databases! {
    async fn a_kill_in_the_middle_and_a_retry_store_exactly_once(database: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let (database, world) = {
            let (server, world) = server(database, "").await;
            (server.stop().await, world)
        };
        let serve = || {
            let mut serve = command(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
            serve.env("DATABASE_URL", &database.url).env("PERFGRAPH_INGEST__PART_ROWS", "100");
            serve.env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
            serve
        };
        let path = format!("{PATH}?project={}", world.id("project", 1));
        let mut served = Served::start(serve()).await;
        for round in 1..=3 {
            let socket = begin(&served.address, &path, "killed", &rows(0..round * 300 + 50)).await;
            until_stored(&database, round * 300).await;
            served.signal("KILL").await;
            assert_eq!(served.ended().await, None);
            drop(socket);
            served = Served::start(serve()).await;
        }
        let request = || client().post(served.url(&path)).header("content-type", NDJSON).header("idempotency-key", "killed");
        let reply = send(request().body(rows(0..2_000))).await;
        assert_eq!(counts(&reply), (200, 2_000, 0), "{}", reply.text);
        assert_eq!(send(request().body(rows(0..2_000))).await.json()["duplicate"], Value::Bool(true));
        served.signal("TERM").await;
        assert_eq!(served.ended().await, Some(0));
        assert_eq!(stored(&database).await, 2_000);
        books::check(&database).await;
    }
}
