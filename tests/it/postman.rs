//! Every request of the Postman collection, run by newman against a live server.

use std::path::Path;

use perfgraph::{clock::Clock, seed};
use tokio::process::Command;

use crate::{harness::Server, on_both_databases};

on_both_databases! {
    async fn every_request_of_the_collection_passes(database: TestDatabase) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        let plan = seed::Plan { size: seed::Size::Small, rng_seed: 1 };
        seed::fill(server.app.core(), &plan, &mut |_| {}).await.unwrap();
        let newman = root.join("tests/clients/node_modules/.bin/newman");
        let run = Command::new(&newman)
            .arg("run")
            .arg(root.join("postman/perfgraph.postman_collection.json"))
            .args(["--color", "off", "--reporters", "cli", "--timeout-request", "10000"])
            .args(["--env-var", &format!("baseUrl={}", server.url(""))])
            .output()
            .await
            .unwrap_or_else(|error| panic!("newman is missing ({error}): run `make test`, or `scripts/test-setup`"));
        let report = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{report}\n{}", String::from_utf8_lossy(&run.stderr));
        assert!(report.contains("assertions"), "{report}");
        server.stop().await;
    }
}
