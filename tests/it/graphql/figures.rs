//! Figures of the schema: each says its unit, and percentiles are in percent.

use serde_json::{Value, json};

use crate::{
    harness::Server,
    live::windows::subscriptions::{next, subscribe},
    on_both_databases,
};

on_both_databases! {
    async fn a_share_is_not_taken_for_a_percentile(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 projects=1 metrics=20").await;
        let stats = [
            "metricStats { # }",
            "performanceSummary(type: DATABASE) { stats { # } }",
            "metricSeries(bucket: \"PT1H\") { stats { # } }",
            "metricGroups(groupBy: [TYPE]) { stats { # } }",
            "slowestEndpoints { stats { # } }",
        ];
        for field in stats {
            for (argument, hint) in [
                ("percentile(p: 0.95)", Some(("p", "write 95 for the 95th percentile, not 0.95"))),
                ("percentile(p: 0.999)", Some(("p", "write 99.9 for the 99.9th percentile, not 0.999"))),
                ("percentile(p: 0.07)", Some(("p", "write 7 for the 7th percentile, not 0.07"))),
                ("percentiles(ps: [50, 0.5]) { value }", Some(("ps", "write 50 for the 50th percentile, not 0.5"))),
                ("percentiles(p: [0.5]) { value }", Some(("ps", "write 50 for the 50th percentile, not 0.5"))),
                ("percentile(p: -1)", Some(("p", "must be between 0 and 100, got -1"))),
                ("percentile(p: 100.5)", Some(("p", "must be between 0 and 100, got 100.5"))),
                ("percentiles(ps: [0, 1, 99.99, 100]) { value }", None),
                ("percentile(p: 0)", None),
                ("percentile(p: 100)", None),
            ] {
                let body = server.graphql(&format!("{{ {} }}", field.replace('#', argument)), Value::Null).await.json();
                let error = &body["errors"][0];
                let Some((field, hint)) = hint else {
                    assert!(error.is_null(), "{argument}: {body}");
                    continue;
                };
                assert_eq!(error["extensions"], json!({ "code": "BAD_USER_INPUT", "field": field }), "{argument}");
                assert!(error["message"].as_str().unwrap().ends_with(hint), "{argument}: {error}");
            }
        }
    }
}

on_both_databases! {
    async fn figures_say_their_unit_or_none_if_they_mix_units(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1 metrics=30").await;
        let query = "query ($filter: MetricFilter) {
            metricStats(filter: $filter) { unit }
            metricSeries(filter: $filter, bucket: \"PT24H\") { stats { unit } }
            metricGroups(filter: $filter, groupBy: [TYPE, PROJECT], bucket: \"PT24H\") { type stats { unit } buckets { stats { unit } } }
            byProject: metricGroups(filter: $filter, groupBy: [PROJECT]) { stats { unit } }
            metricColumns(filter: $filter, bucket: \"PT24H\") { unit }
            columns: metricColumns(filter: $filter, bucket: \"PT24H\", groupBy: [TYPE]) { unit keys { value } }
            slowestEndpoints(filter: $filter, first: 1) { unit stats { unit } trend(bucket: \"PT24H\") { stats { unit } } }
        }";
        let unit_of = |kind: &Value| match kind.as_str().unwrap() {
            "CACHE_HIT" => "%",
            "CUSTOM" => "",
            _ => "ms",
        };
        for (types, unit, ranked) in [
            (None, Value::Null, json!("ms")),
            (Some(json!(["DATABASE", "API_RESPONSE", "PAGE_LOAD"])), json!("ms"), json!("ms")),
            (Some(json!(["DATABASE", "CACHE_HIT"])), Value::Null, Value::Null),
            (Some(json!(["API_RESPONSE"])), json!("ms"), json!("ms")),
        ] {
            let filter = types.map(|types| json!({ "types": types }));
            let data = server.graphql(query, json!({ "filter": filter })).await.data();
            for figures in [&data["metricStats"], &data["metricSeries"][0]["stats"], &data["byProject"][0]["stats"], &data["metricColumns"][0]] {
                assert_eq!(figures["unit"], unit, "{filter:?}: {data}");
            }
            for group in data["metricGroups"].as_array().unwrap() {
                let of_type = unit_of(&group["type"]);
                assert_eq!((&group["stats"]["unit"], &group["buckets"][0]["stats"]["unit"]), (&json!(of_type), &json!(of_type)));
            }
            for series in data["columns"].as_array().unwrap() {
                assert_eq!(series["unit"], unit_of(&series["keys"][0]["value"]));
            }
            let endpoint = &data["slowestEndpoints"][0];
            for figures in [endpoint, &endpoint["stats"], &endpoint["trend"][0]["stats"]] {
                assert_eq!(figures["unit"], ranked, "{filter:?}: {endpoint}");
            }
        }
        let query = "{
            performanceSummary(type: CACHE_HIT) { unit stats { unit } }
            custom: performanceSummary(type: CUSTOM) { unit stats { unit } }
            metricTypes { type unit }
        }";
        let data = server.graphql(query, Value::Null).await.data();
        assert_eq!(data["performanceSummary"], json!({ "unit": "%", "stats": { "unit": "%" } }));
        assert_eq!(data["custom"], json!({ "unit": "", "stats": { "unit": "" } }));
        for kind in data["metricTypes"].as_array().unwrap() {
            assert_eq!(kind["unit"], unit_of(&kind["type"]));
        }
        // Pushed figures say it alike.
        let filter = json!({ "organizationId": world.id("organization", 1), "types": ["DATABASE", "CACHE_HIT"] });
        for (group_by, units) in [(json!([]), vec![Value::Null]), (json!(["TYPE"]), vec![json!("ms")])] {
            let query = "subscription ($filter: StreamFilter!, $by: [MetricGroupKey!]) {
                metricWindow(filter: $filter, window: \"PT1H\", groupBy: $by) { groups { type stats { unit } } }
            }";
            let variables = json!({ "filter": filter, "by": group_by });
            let window = next(&mut subscribe(&server, query, &variables)).await["metricWindow"].take();
            let told: Vec<_> = window["groups"].as_array().unwrap().iter().map(|group| group["stats"]["unit"].clone()).collect();
            assert_eq!(told, units, "{window}");
        }
        let query = "subscription ($filter: StreamFilter!) { slowestEndpoints(filter: $filter, window: \"PT1H\") { unit stats { unit } } }";
        let filter = json!({ "organizationId": world.id("organization", 1) });
        let ranking = next(&mut subscribe(&server, query, &json!({ "filter": filter }))).await["slowestEndpoints"].take();
        assert_eq!(ranking[0], json!({ "unit": "ms", "stats": { "unit": "ms" } }));
    }
}
