//! Every request of the Postman collection, run by newman against a live server.

use std::collections::BTreeSet;

use async_graphql::parser::{parse_query, types::Selection};
use perfgraph::{clock::Clock, seed};
use serde_json::{Value, json};

use crate::{
    harness::{Server, TestDatabase, node, server::repository},
    ingest::http_api::PATH,
    on_both_databases,
};

on_both_databases! {
    async fn every_request_of_the_collection_passes(database: TestDatabase) {
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        let plan = seed::Plan { size: seed::Size::Small, rng_seed: 1 };
        seed::fill(server.app.core(), &plan, &mut |_| {}).await.unwrap();
        let address = [server.url("")];
        let counts: Value = serde_json::from_str(&node::run("postman.mjs", &address).await).unwrap();
        assert!(counts["requests"].as_u64() >= Some(90), "{counts}");
        assert!(counts["assertions"].as_u64() >= counts["requests"].as_u64(), "{counts}");
        // Once more on the same server: what a run leaves behind is in nobody's way.
        node::run("postman.mjs", &address).await;
        server.stop().await;
    }
}

/// The fields at the top of every operation in the collection.
fn asked(item: &Value) -> BTreeSet<String> {
    let mut fields: BTreeSet<_> = item["item"].as_array().into_iter().flatten().flat_map(asked).collect();
    // Some requests show what a parser refuses.
    let query = item["request"]["body"]["graphql"]["query"].as_str();
    if let Some(document) = query.and_then(|query| parse_query(query).ok()) {
        for (_, operation) in document.operations.iter() {
            for selection in &operation.node.selection_set.node.items {
                if let Selection::Field(field) = &selection.node {
                    fields.insert(field.node.name.node.to_string());
                }
            }
        }
    }
    fields
}

/// A new query or mutation gets a request to explore it with.
#[tokio::test]
async fn every_query_and_mutation_has_a_request() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let fields = "fields(includeDeprecated: true) { name }";
    let query = format!("{{ __schema {{ queryType {{ {fields} }} mutationType {{ {fields} }} }} }}");
    let schema = server.graphql(&query, json!({})).await.data()["__schema"].take();
    let file = repository("postman/perfgraph.postman_collection.json");
    let asked = asked(&serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap());
    let roots = ["queryType", "mutationType"].iter().flat_map(|root| schema[root]["fields"].as_array().unwrap());
    let missing: Vec<_> =
        roots.filter_map(|field| field["name"].as_str()).filter(|name| !asked.contains(*name)).collect();
    assert!(asked.contains("viewer") && missing.is_empty(), "no request in postman/ asks for {missing:?}");
}

/// The addresses of every request in the collection.
fn addresses(item: &Value) -> BTreeSet<String> {
    let mut found: BTreeSet<_> = item["item"].as_array().into_iter().flatten().flat_map(addresses).collect();
    let url = item["request"]["url"].as_str().and_then(|url| url.strip_prefix("{{baseUrl}}"));
    found.extend(url.and_then(|url| url.split('?').next()).map(str::to_owned));
    found
}

/// So does a new address; what the explorer loads is none to explore.
#[test]
fn every_address_has_a_request() {
    let collection = std::fs::read(repository("postman/perfgraph.postman_collection.json")).unwrap();
    let asked = addresses(&serde_json::from_slice(&collection).unwrap());
    let source = std::fs::read_to_string(repository("src/http/router.rs")).unwrap();
    let named = source.split(".route(").skip(1).map(|route| route.split(',').next().unwrap().trim_matches('"'));
    let routes: Vec<_> = named.map(|route| if route == "metrics::PATH" { PATH } else { route }).collect();
    assert!(routes.contains(&"/graphql") && routes.contains(&PATH), "{routes:?}");
    let missing: Vec<_> =
        routes.iter().filter(|route| !["/", "/assets/{*path}"].contains(route) && !asked.contains(**route)).collect();
    assert!(missing.is_empty(), "no request in postman/ goes to {missing:?}");
}
