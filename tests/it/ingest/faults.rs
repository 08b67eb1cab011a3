//! Input that cannot be right, and databases that cannot take any: a clear error, and nothing lost that was acknowledged.

use perfgraph::{clock::Clock, config, db::Backend, entity::metric_event, error::Code};
use reqwest::Method;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};

use crate::{
    harness::{
        Server, TestDatabase, books,
        server::{NOW, send},
    },
    ingest::batches::{ACME, Rig, candidate, submission},
    ingest::http_api::gzip,
    on_both_databases,
};

/// Numbers and times as JSON, CSV and GraphQL can write them, and the stored value of each, if any.
const VALUES: [(&str, Option<f64>); 9] = [
    ("0", Some(0.0)),
    ("-0.0", Some(0.0)),
    ("5e-324", Some(5e-324)),
    ("2.2250738585072014e-308", Some(f64::MIN_POSITIVE)),
    ("1e12", Some(1e12)),
    ("1.0000000000000002e12", None),
    ("1e308", None),
    ("-1", None),
    ("-5e-324", None),
];
/// In milliseconds: the ends of 64 bits, 1970, 9999, just outside and just inside of what is taken.
const TIMES: [(i64, bool); 9] = [
    (i64::MIN, false),
    (i64::MAX, false),
    (i64::MAX / 1_000, false),
    (-1, false),
    (0, false),
    (253_402_300_799_999, false),
    (NOW.as_millis() - 7 * 86_400_000 - 1, false),
    (NOW.as_millis() - 7 * 86_400_000, true),
    (NOW.as_millis() + 600_000, true),
];

async fn by_door(server: &Server, project: &str, content_type: &str, text: String) -> Value {
    let path = format!("/ingest/v1/metrics?project={project}");
    let request = server.request(Method::POST, &path).header("content-type", content_type).body(text);
    let reply = send(request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn values(database: &TestDatabase) -> Vec<f64> {
    let rows = metric_event::Entity::find().order_by_asc(metric_event::Column::Id).all(&database.reader()).await;
    rows.unwrap().iter().map(|row| row.value).collect()
}

on_both_databases! {
    async fn extreme_numbers_and_times_are_kept_or_refused_row_by_row(database: TestDatabase) {
        let server = Server::start(database, Clock::fixed(NOW), "self_monitoring.enabled = false").await;
        let project = server.seed("organizations=1 projects=1").await.id("project", 1);
        let kept: Vec<f64> = VALUES.iter().filter_map(|(_, kept)| *kept).collect();
        let at_right_times = TIMES.iter().filter(|(_, is_right)| *is_right).count();
        let json_row = |value: &str, time: String| {
            format!(r#"{{"type":"CUSTOM","endpoint":"a","value":{value}{time}}}"#)
        };
        let csv_row = |value: &str, time: String| format!("CUSTOM,a,{value},{time}");
        let mut expected = Vec::new();
        for content_type in ["application/x-ndjson", "text/csv"] {
            let is_csv = content_type == "text/csv";
            let mut rows: Vec<String> = VALUES.iter()
                .map(|(value, _)| if is_csv { csv_row(value, String::new()) } else { json_row(value, String::new()) })
                .collect();
            rows.extend(TIMES.iter().map(|(time, _)| {
                if is_csv { csv_row("7", time.to_string()) } else { json_row("7", format!(r#","timestamp":{time}"#)) }
            }));
            // Only CSV can spell these.
            if is_csv {
                rows.extend(["NaN", "inf", "-inf", "1e400", "0x10", ""].map(|value| csv_row(value, String::new())));
                rows.insert(0, "type,endpoint,value,timestamp".to_owned());
            }
            let answer = by_door(&server, &project, content_type, rows.join("\n")).await;
            let given = rows.len() - usize::from(is_csv);
            let taken = kept.len() + at_right_times;
            assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(taken), &json!(given - taken)), "{answer}");
            for error in answer["errors"].as_array().unwrap() {
                let field = error["field"].as_str().unwrap();
                let (index, message) = (error["index"].as_u64().unwrap(), error["message"].as_str().unwrap());
                let is_time = (VALUES.len()..VALUES.len() + TIMES.len()).contains(&usize::try_from(index).unwrap());
                assert_eq!(field, if is_time { "timestamp" } else { "value" }, "{error}");
                assert!(message.len() > 20 && message.len() < 300, "{error}");
            }
            expected.extend(kept.iter().copied().chain(vec![7.0; at_right_times]));
        }
        let stored = values(&server.database).await;
        assert_eq!(stored, expected);
        assert!(stored.iter().all(|value| value.is_sign_positive()));
        // A number that JSON may spell and no float can hold is no number.
        let mutation = format!(
            r#"mutation {{ ingestMetrics(input: {{ projectId: "{project}", metrics: [
                {{ type: CUSTOM, value: 1e400, endpoint: "a" }} ] }}) {{ accepted rejected {{ message }} }} }}"#
        );
        let reply = server.graphql(&mutation, json!({})).await;
        let said = reply.text.contains("errors") || reply.json()["data"]["ingestMetrics"]["accepted"] == 0;
        assert!(said, "{}", reply.text);
        assert_eq!(values(&server.database).await.len(), expected.len());
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn the_mutation_keeps_and_refuses_the_same(database: TestDatabase) {
        let server = Server::start(database, Clock::fixed(NOW), "self_monitoring.enabled = false").await;
        let project = server.seed("organizations=1 projects=1").await.id("project", 1);
        let row = |endpoint: &str, value: &str, time: &str| {
            format!(r#"{{"type":"CUSTOM","endpoint":"{endpoint}","value":{value}{time}}}"#)
        };
        // What is no number for JSON, or no time for RFC 3339, refuses the call: tests/it/http/graphql.rs.
        let moment = |micros: i64| NOW.plus_micros(micros).to_string();
        let week = 7 * 86_400_000_000;
        let times = [
            ("0000-01-01T00:00:00Z".to_owned(), false),
            ("1970-01-01T00:00:00Z".to_owned(), false),
            ("9999-12-31T23:59:59.999999999Z".to_owned(), false),
            (moment(-week - 1), false),
            (moment(-week), true),
            (moment(600_000_000), true),
            (moment(600_000_001), false),
        ];
        let values_given = VALUES.iter().map(|(value, kept)| (row("a", value, ""), "value", *kept));
        let times_given = times.iter().map(|(time, is_right)| {
            (row("a", "7", &format!(r#","timestamp":"{time}""#)), "timestamp", is_right.then_some(7.0))
        });
        let long = (row(&"x".repeat(10_240), "1", ""), "endpoint", None);
        let given: Vec<_> = values_given.chain(times_given).chain([long]).collect();
        let rows: Vec<_> = given.iter().map(|(row, ..)| row.as_str()).collect();
        let query = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted rejected { index field message } } }";
        let body = format!(
            r#"{{"query":"{query}","variables":{{"input":{{"projectId":"{project}","metrics":[{}]}}}}}}"#,
            rows.join(",")
        );
        let answer = server.post("application/json", body.clone()).await.data()["ingestMetrics"].take();
        let kept: Vec<f64> = given.iter().filter_map(|(_, _, kept)| *kept).collect();
        assert_eq!(answer["accepted"], kept.len(), "{answer}");
        let refused: Vec<_> = given.iter().enumerate().filter(|(_, (_, _, kept))| kept.is_none()).collect();
        let rejected = answer["rejected"].as_array().unwrap();
        assert_eq!(rejected.len(), refused.len(), "{answer}");
        for (rejection, (index, (_, field, _))) in rejected.iter().zip(refused) {
            let message = rejection["message"].as_str().unwrap();
            assert_eq!(rejection["index"], index, "{rejection}");
            assert_eq!(rejection["field"].as_array().unwrap().last().unwrap(), field, "{rejection}");
            assert!(message.len() < 300, "{rejection}");
        }
        assert_eq!(values(&server.database).await, kept);
        // Nothing is unpacked that does not say so.
        let packed = gzip(body.as_bytes()).await;
        let request = server.request(Method::POST, "/graphql").header("content-type", "application/json");
        let reply = send(request.body(packed)).await;
        assert!(reply.status.is_client_error(), "{} {}", reply.status, reply.text);
        assert_eq!(values(&server.database).await, kept);
        books::check(&server.database).await;
    }
}

/// A disk that is full, as SQLite learns of it: no further page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let database = TestDatabase::sqlite().await;
    let rig = Rig::with(&database, config::Ingest::default(), 8).await;
    let Backend::Sqlite(pool) = database.database.backend() else { unreachable!() };
    let keyed = |number: usize| {
        let mut keyed = submission(ACME, vec![candidate(1.0); 500]);
        keyed.idempotency_key = Some(number.to_string());
        keyed
    };
    rig.submit(keyed(0)).await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(pool).await.unwrap();
    let limit = |pages: i64| sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::query_scalar::<_, i64>(limit(pages + 20)).fetch_one(pool).await.unwrap();
    let mut number = 1;
    let refused = loop {
        match rig.submit(keyed(number)).await {
            Ok(receipt) => assert_eq!((receipt.accepted, receipt.duplicate), (500, false)),
            Err(refused) => break refused,
        }
        number += 1;
        assert!(number < 100, "twenty pages do not hold so much");
    };
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    // Still full: still refused, still readable, and the books balance. The bound is one of the connection, and the one
    // whose transaction broke was replaced.
    sqlx::query_scalar::<_, i64>(limit(pages + 20)).fetch_one(pool).await.unwrap();
    assert_eq!(rig.submit(keyed(number)).await.unwrap_err().code(), Code::Unavailable);
    let ledger = books::check(&database).await;
    assert_eq!(ledger.len(), number, "{ledger:?}");
    sqlx::query_scalar::<_, i64>(limit(1_000_000)).fetch_one(pool).await.unwrap();
    let receipt = rig.submit(keyed(number)).await.unwrap();
    assert_eq!((receipt.accepted, receipt.duplicate), (500, false), "nothing of it was stored before");
    assert_eq!(books::check(&database).await.len(), number + 1);
}

/// The database ends every connection in the middle of writing, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_nothing_that_was_acknowledged() {
    let database = TestDatabase::postgres().await;
    let rig = Rig::new(&database).await;
    let other = database.reopen().await;
    let Backend::Postgres(cutter) = other.backend() else { unreachable!() };
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND query NOT LIKE '%pg_stat_activity%'";
    let mut acknowledged = std::collections::BTreeMap::new();
    let mut failed = 0;
    for number in 0..40 {
        let key = number.to_string();
        let keyed = || {
            let mut keyed = submission(ACME, vec![candidate(1.0); 200]);
            keyed.idempotency_key = Some(key.clone());
            keyed
        };
        let cutting = async {
            if number % 4 == 0 {
                // Also its own pool may be cut; then it was quick enough.
                drop(sqlx::query(cut).execute(cutter).await);
            }
        };
        let (mut answer, ()) = tokio::join!(rig.submit(keyed()), cutting);
        while let Err(refused) = &answer {
            assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
            failed += 1;
            assert!(failed < 400, "it never comes back");
            answer = rig.submit(keyed()).await;
        }
        acknowledged.insert(key.clone(), 200);
    }
    // By connections that were made since: those of before may be cut.
    let ledger = books::check(&TestDatabase::at(&database.url).await).await;
    assert_eq!(ledger, acknowledged);
}
