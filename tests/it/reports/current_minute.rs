//! "The last hour" is whole minutes, the running one among them, wherever it is asked about.

use perfgraph::{
    clock::Clock,
    model::timestamp::{HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS},
};
use serde_json::{Value, json};

use crate::{
    harness::{Server, server::NOW},
    on_both_databases,
};

const QUERY: &str = "query ($last: Duration!) {
    metricStats(filter: { time: { last: $last } }) {
        count percentile(p: 50) accuracy { from to source asOf }
    }
    metrics(filter: { time: { last: $last } }, first: 10) { nodes { value } }
    metricSeries(filter: { time: { last: $last } }, bucket: \"PT1M\") { start isComplete stats { count } }
    slowestEndpoints { stats { count accuracy { from to } } }
}";

/// The values are the places in order of time, so that answers say which measurements are in.
const VALUES: [i64; 6] = [1, 2, 3, 4, 5, 6];

on_both_databases! {
    async fn windows_until_now_are_whole_minutes(database: TestDatabase) {
        let now = NOW.plus_micros(23 * SECOND_MICROS + 500_000);
        let server = Server::start(database, Clock::fixed(now), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 projects=1").await;
        let end = NOW.plus_micros(MINUTE_MICROS);
        let moments = [
            end.plus_micros(-HOUR_MICROS - 1),
            end.plus_micros(-HOUR_MICROS),
            now.plus_micros(-10 * SECOND_MICROS),
            now,
            end.plus_micros(-1),
            end,
        ];
        let metric = |(at, value)| json!({ "type": "API_RESPONSE", "endpoint": "GET /a", "value": value, "timestamp": at });
        let metrics: Vec<_> = moments.map(|at| at.to_string()).into_iter().zip(VALUES).map(metric).collect();
        let input = json!({ "projectId": world.id("project", 1), "metrics": metrics });
        let mutation = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
        let answer = server.graphql(mutation, json!({ "input": input })).await.data();
        assert_eq!(answer["ingestMetrics"]["accepted"], VALUES.len());

        let answer = server.graphql(QUERY, json!({ "last": "PT1H" })).await.data();
        let from = end.plus_micros(-HOUR_MICROS).to_string();
        let accuracy = json!({ "from": from, "to": end.to_string(), "asOf": now.to_string(), "source": "ROLLUP" });
        assert_eq!(answer["metricStats"]["accuracy"], accuracy);
        assert_eq!(answer["metricStats"]["count"], 4);
        let values = |rows: &Value| rows["nodes"].as_array().unwrap().iter().map(|row| row["value"].clone()).collect::<Value>();
        assert_eq!(values(&answer["metrics"]), json!([5.0, 4.0, 3.0, 2.0]));
        let buckets = answer["metricSeries"].as_array().unwrap();
        assert_eq!(buckets.len(), 60, "as many minutes as were asked for");
        let ends = [&buckets[0], &buckets[59]].map(|bucket| (&bucket["isComplete"], &bucket["stats"]["count"]));
        assert_eq!(ends, [(&json!(true), &json!(1)), (&json!(false), &json!(3))]);
        let day = &answer["slowestEndpoints"][0]["stats"];
        assert_eq!((&day["count"], &day["accuracy"]["to"]), (&json!(5), &accuracy["to"]));
        assert_eq!(day["accuracy"]["from"], end.plus_micros(-24 * HOUR_MICROS).to_string());

        // Less than an hour is to the microsecond: a minute of a few minutes would be a large part.
        let answer = server.graphql(QUERY, json!({ "last": "PT59M" })).await.data();
        let stats = &answer["metricStats"];
        assert_eq!(stats["accuracy"]["to"], now.to_string());
        assert_eq!(values(&answer["metrics"]), json!([3.0]));
        assert_eq!((&stats["count"], &stats["accuracy"]["source"]), (&json!(1), &json!("MIXED")));
    }
}
