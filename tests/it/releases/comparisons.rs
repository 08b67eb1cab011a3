//! `compareReleases` over what ingest wrote: the right minutes, the right verdicts, owners, and few statements.

use perfgraph::{
    ingest::Candidate,
    jobs::compaction,
    model::{
        MetricType,
        timestamp::{HOUR_MICROS, MINUTE_MICROS},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::markers::{create, deployed};
use crate::{
    graphql::statement_counts::counted,
    harness::{Server, World, builders, server::NOW},
    on_both_databases,
};

const QUERY: &str = "query($project: ID!, $baseline: ID, $candidate: ID!, $type: MetricType!, $statistic: Statistic,
    $first: Int!, $verdicts: [Verdict!]!) {
    compareReleases(projectId: $project, baselineId: $baseline, candidateId: $candidate, type: $type, statistic: $statistic) {
        verdict statistic unit baseline { version } candidate { version }
        baselineValue candidateValue ratio ratioLow ratioHigh pValue falseDiscoveryRate
        endpoints(first: $first, verdicts: $verdicts) {
            endpoint verdict ratio qValue owners { name }
            baseline { count max percentile(p: 50) unit } candidate { count }
        }
    }
}";

/// An hour of each release, the change an hour ago: `GET /slow` becomes half as slow again, `GET /quick` a third quicker,
/// `GET /same` stays, `GET /rare` says too little.
async fn measured(server: &Server, world: &World) {
    let mut rng = StdRng::seed_from_u64(7);
    let mut rows = Vec::new();
    for minute in 1..=120_i64 {
        let is_after = minute <= 60;
        for (path, factor, count) in [
            ("GET /slow", 1.5, 12),
            ("GET /quick", 0.67, 12),
            ("GET /same", 1.0, 12),
            ("GET /rare", 3.0, usize::from(minute % 9 == 0)),
        ] {
            rows.extend((0..count).map(|_| Candidate {
                kind: MetricType::ApiResponse,
                value: rng.random_range(80.0..120.0) * if is_after { factor } else { 1.0 },
                endpoint: path.to_owned(),
                status: Some(if rng.random_range(0..50) == 0 { 500 } else { 200 }),
                timestamp: Some(NOW.plus_micros(-minute * MINUTE_MICROS + rng.random_range(0..MINUTE_MICROS))),
                name: None,
                release: None,
                labels: Vec::new(),
            }));
        }
    }
    for part in rows.chunks(1_000) {
        builders::ingest(server.app.core(), world.projects[0].key, part.to_vec()).await;
    }
}

async fn compared(server: &Server, mut variables: Value) -> (Value, u64) {
    let given = variables.as_object_mut().unwrap();
    let defaults = json!({ "type": "API_RESPONSE", "statistic": "P50", "first": 20, "verdicts": ["REGRESSED"] });
    for (name, value) in defaults.as_object().unwrap() {
        given.entry(name).or_insert(value.clone());
    }
    let (data, statements) = counted(server, QUERY, variables).await;
    (data["compareReleases"].clone(), statements)
}

on_both_databases! {
    async fn each_endpoint_gets_its_verdict_in_few_statements(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=3 projects=2 members=2").await;
        let project = world.id("project", 1);
        measured(&server, &world).await;
        let before = deployed(&server, &project, "1.0", 2).await;
        let after = deployed(&server, &project, "1.1", 1).await;
        let all = json!(["REGRESSED", "IMPROVED", "NO_CHANGE", "INSUFFICIENT_DATA"]);
        let mut expected = None;
        // Parts as they were written, some merged, all merged.
        for until in [-2 * HOUR_MICROS, -HOUR_MICROS, 0] {
            compaction::round(&server.database.database, NOW.plus_micros(until)).await.unwrap();
            let variables = json!({ "project": project, "candidate": after, "verdicts": all });
            let (answer, statements) = compared(&server, variables).await;
            assert_eq!(statements, 5, "two runs, the minutes, both releases, owners");
            let verdicts: Vec<_> = answer["endpoints"].as_array().unwrap().iter()
                .map(|one| (one["endpoint"].as_str().unwrap(), one["verdict"].as_str().unwrap()))
                .collect();
            assert_eq!(verdicts, [
                ("GET /slow", "REGRESSED"), ("GET /quick", "IMPROVED"), ("GET /same", "NO_CHANGE"),
                ("GET /rare", "INSUFFICIENT_DATA"),
            ], "{answer}");
            let slow = &answer["endpoints"][0];
            assert!((slow["ratio"].as_f64().unwrap() - 1.5).abs() < 0.05, "{slow}");
            assert_eq!((&slow["baseline"]["count"], &slow["candidate"]["count"]), (&json!(720), &json!(720)));
            assert_eq!(slow["owners"], json!([{ "name": "Employee 001" }, { "name": "Employee 002" }]));
            assert_eq!((&answer["verdict"], &answer["baseline"]["version"]), (&json!("REGRESSED"), &json!("1.0")));
            let number = |name: &str| answer[name].as_f64().unwrap_or_else(|| panic!("{name}: {answer}"));
            assert!(number("ratioLow") <= number("ratio") && number("ratio") <= number("ratioHigh"));
            assert!((number("candidateValue") / number("baselineValue") - number("ratio")).abs() < 1e-9);
            assert_eq!(number("falseDiscoveryRate"), 0.01);
            assert_eq!((&answer["unit"], &slow["baseline"]["unit"]), (&json!("ms"), &json!("ms")));
            assert_eq!(*expected.get_or_insert_with(|| answer.clone()), answer, "whatever is merged");
        }
        let (default, _) = compared(&server, json!({ "project": project, "candidate": after, "first": 1 })).await;
        assert_eq!(default["endpoints"].as_array().unwrap().len(), 1);
        // The other way round what was slow is quick.
        let (back, _) = compared(&server, json!({ "project": project, "baseline": after, "candidate": before })).await;
        assert_eq!(back["endpoints"][0]["endpoint"], "GET /quick", "{back}");
        let (errors, _) =
            compared(&server, json!({ "project": project, "candidate": after, "statistic": "ERROR_RATE" })).await;
        assert_eq!(errors["verdict"], "NO_CHANGE", "{errors}");
        let (nothing, _) = compared(&server, json!({ "project": project, "candidate": after, "type": "DATABASE" })).await;
        assert_eq!((&nothing["verdict"], &nothing["ratio"]), (&json!("INSUFFICIENT_DATA"), &Value::Null));
        // As many as an operation may have at its top: they take turns on its connections, and their cost is within the limit.
        let one = "compareReleases(projectId: $project, candidateId: $candidate, type: API_RESPONSE, statistic: P50) { verdict }";
        let many: Vec<String> = (0..20).map(|number| format!("a{number}: {one} ")).collect();
        let many = format!("query($project: ID!, $candidate: ID!) {{ {} }}", many.concat());
        let answer = server.graphql(&many, json!({ "project": project, "candidate": after })).await.data();
        assert!((0..20).all(|number| answer[format!("a{number}")]["verdict"] == "REGRESSED"), "{answer}");
    }
}

on_both_databases! {
    async fn what_cannot_be_compared_says_why(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=2").await;
        let project = world.id("project", 1);
        let first = deployed(&server, &project, "1.0", 2).await;
        let second = deployed(&server, &project, "1.1", 1).await;
        let foreign = deployed(&server, &world.id("project", 2), "1.1", 1).await;
        let future = create(
            &server, json!({ "projectId": project, "version": "2", "deployedAt": "2026-11-02T00:00:00Z" }),
        ).await["release"]["id"].clone();
        let query = "query($project: ID!, $baseline: ID, $candidate: ID!, $statistic: Statistic!) {
            compareReleases(projectId: $project, baselineId: $baseline, candidateId: $candidate, type: API_RESPONSE,
                statistic: $statistic) { verdict }
        }";
        for (baseline, candidate, statistic, code, about) in [
            (&Value::Null, &first, "P95", "BAD_USER_INPUT", "baselineId"),
            (&second, &second, "P95", "BAD_USER_INPUT", "baselineId"),
            (&first, &second, "MAX", "BAD_USER_INPUT", "statistic"),
            (&first, &future, "P95", "BAD_USER_INPUT", "candidateId"),
            (&first, &foreign, "P95", "NOT_FOUND", "release"),
            (&json!("x"), &second, "P95", "BAD_USER_INPUT", "baselineId"),
            (&json!("UmVsZWFzZTo3Nzo3Nw"), &second, "P95", "NOT_FOUND", "baselineId"),
        ] {
            let variables = json!({
                "project": project, "baseline": baseline, "candidate": candidate, "statistic": statistic,
            });
            let (found, message) = server.graphql(query, variables).await.error();
            assert!(found == code && message.contains(about), "{baseline} {candidate} {statistic}: {found} {message}");
        }
    }
}
