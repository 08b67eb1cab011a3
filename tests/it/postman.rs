//! Every request of the Postman collection, run by newman against a live server.

use perfgraph::{clock::Clock, seed};
use serde_json::Value;

use crate::{
    harness::{Server, node},
    on_both_databases,
};

on_both_databases! {
    async fn every_request_of_the_collection_passes(database: TestDatabase) {
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        let plan = seed::Plan { size: seed::Size::Small, rng_seed: 1 };
        seed::fill(server.app.core(), &plan, &mut |_| {}).await.unwrap();
        let address = [server.url("")];
        let counts: Value = serde_json::from_str(&node::run("postman.mjs", &address).await).unwrap();
        assert!(counts["requests"].as_u64() >= Some(30), "{counts}");
        assert!(counts["assertions"].as_u64() >= counts["requests"].as_u64(), "{counts}");
        // Once more on the same server: what a run leaves behind is in nobody's way.
        node::run("postman.mjs", &address).await;
        server.stop().await;
    }
}
