//! A process that is paused for longer than the lease of its node.

use std::{collections::BTreeSet, time::Duration};

use perfgraph::entity::ingest_batch;
use sea_orm::EntityTrait;

use super::crash::{assert_nothing_lost, prepared, with_url};
use crate::harness::{TestDatabase, process::Served, server::client, wait};

/// A process that is paused for longer than its lease finds its node taken by another, and writes under a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_process_does_not_use_its_old_node() {
    const LEASE: &str = "1500";
    let folder = tempfile::tempdir().unwrap();
    let (database, mut writers) = prepared(TestDatabase::postgres().await).await;
    let serve = async || {
        let mut command = with_url(&database, folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        command.env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
        command.env("PERFGRAPH_DATABASE__NODE_LEASE_MS", LEASE);
        Served::start(command).await
    };
    let client = client();
    let paused = serve().await;
    writers[0].send(&client, &paused.url("/graphql")).await.expect("it writes");
    paused.signal("STOP").await;
    wait::fixed(Duration::from_millis(1_600), "the lease of a process that says nothing ends").await;
    let other = serve().await;
    writers[1].send(&client, &other.url("/graphql")).await.expect("it writes");
    paused.signal("CONT").await;
    let url = paused.url("/graphql");
    let writer = &mut writers[2];
    wait::until("it writes again", async || writer.send(&client, &url).await.is_some()).await;
    writers[3].send(&client, &other.url("/graphql")).await.expect("it still writes");
    assert_nothing_lost(&database, &writers).await;
    let nodes: Vec<i64> = nodes_of_batches(&database).await;
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    for served in [paused, other] {
        served.signal("TERM").await;
        assert_eq!(served.ended().await, Some(0));
    }
}

/// The nodes in the ids of batches.
async fn nodes_of_batches(database: &TestDatabase) -> Vec<i64> {
    let batches = ingest_batch::Entity::find().all(&database.reader()).await.unwrap();
    let nodes: BTreeSet<i64> = batches.iter().map(|batch| (batch.first_id >> 14) & 255).collect();
    nodes.into_iter().collect()
}
