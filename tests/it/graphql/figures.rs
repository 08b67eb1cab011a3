//! Figures of the schema: percentiles are in percent.

use serde_json::{Value, json};

use crate::{harness::Server, on_both_databases};

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
