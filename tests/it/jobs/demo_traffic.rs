//! Demo traffic: which projects get it, that it comes once, and that it ends with them.

use std::time::Duration;

use perfgraph::{
    clock::Clock,
    db::{Backend, IdGenerator},
    directory::{ProjectStatus, organization, project},
    jobs::demo_traffic::DemoTraffic,
    model::{Key, OrganizationId, ProjectId, Scope, Timestamp, timestamp::SECOND_MICROS},
};
use serde_json::json;

use crate::{
    harness::{Server, TestDatabase, server::NOW, wait},
    on_both_databases,
};

/// Seconds in which every project has had its turn.
const ROUND: i64 = 15;

/// An organization with a project `checkout`, made by an instance with this node. Node 0 makes sample data.
async fn organization(database: &TestDatabase, slug: &str, node: u8, made: Timestamp) -> Key<ProjectId> {
    let (scope, session, ids) = (Scope::everything(), database.writer(), IdGenerator::alone(node));
    let id = OrganizationId(ids.next(made).unwrap());
    let new = organization::NewOrganization { id, slug: Some(slug.to_owned()), name: slug.to_owned() };
    organization::create(&scope, &session, new, NOW).await.unwrap();
    let new = project::NewProject {
        id: ProjectId(ids.next(made).unwrap()),
        slug: Some("checkout".to_owned()),
        name: "Checkout".to_owned(),
        status: ProjectStatus::Active,
        members: Vec::new(),
    };
    project::create(&scope, &session, id, new, NOW).await.unwrap()
}

/// The project, the time and the value of every measurement.
async fn stored(database: &TestDatabase) -> Vec<(i64, i64, f64)> {
    let sql = "SELECT project_id, ts, value FROM metric_event ORDER BY project_id, ts, value";
    match database.database.backend() {
        Backend::Sqlite(pool) => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
        Backend::Postgres(pool) => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
    }
}

fn at(second: i64) -> Timestamp {
    NOW.plus_micros(second * SECOND_MICROS)
}

/// The traffic of an instance with this clock; `None` if there are no sample projects.
async fn traffic(server: &Server, clock: &Clock) -> Option<DemoTraffic> {
    let core = server.app.core();
    let parts = (core.database.clone(), core.ingest.clone(), clock.clone());
    DemoTraffic::begin(Scope::everything(), parts.0, parts.1, parts.2).await.unwrap()
}

on_both_databases! {
    async fn sample_projects_get_each_second_once_and_others_get_nothing(database: TestDatabase) {
        let sample = organization(&database, "northwind", 0, NOW).await;
        // Organizations of others: one with the slug of a sample organization, and one of a node that makes sample data.
        organization(&database, "contoso", 3, NOW).await;
        organization(&database, "acme", 0, at(1)).await;
        let server = Server::fixed(database).await;
        let clock = Clock::fixed(NOW);
        for second in 1..=ROUND {
            clock.set(at(second));
            // Started anew for every second, as after a kill.
            traffic(&server, &clock).await.unwrap().pass().await.unwrap();
        }
        let once = stored(&server.database).await;
        let round = NOW.as_micros()..at(ROUND).as_micros();
        let is_meant = |(project, ts, _): &(i64, i64, f64)| *project == sample.id.0 && round.contains(ts);
        assert!(!once.is_empty() && once.iter().all(is_meant), "{once:?}");

        // Two instances that send the same seconds at the same time, and again.
        clock.set(at(1));
        let (mut first, mut second) = (traffic(&server, &clock).await.unwrap(), traffic(&server, &clock).await.unwrap());
        for second_of_round in 1..=ROUND {
            clock.set(at(second_of_round));
            let (first, second) = tokio::join!(first.pass(), second.pass());
            first.and(second).unwrap();
        }
        assert_eq!(stored(&server.database).await, once);
        server.stop().await;
    }
}

on_both_databases! {
    async fn traffic_ends_with_the_sample_projects(database: TestDatabase) {
        organization(&database, "northwind", 0, NOW).await;
        organization(&database, "contoso", 0, at(1)).await;
        let server = Server::fixed(database).await;
        let clock = Clock::fixed(NOW);
        let mut running = traffic(&server, &clock).await.unwrap();
        let find = "{ organizations { nodes { id slug projects { nodes { id } } } } }";
        let found = server.graphql(find, json!({})).await.data();
        for organization in found["organizations"]["nodes"].as_array().unwrap() {
            let project = &organization["projects"]["nodes"][0]["id"];
            let mutations = if organization["slug"] == "contoso" {
                // Deleted with its organization, which only projects without measurements can be.
                vec![("deleteProject", "deletedId", project), ("deleteOrganization", "deletedId", &organization["id"])]
            } else {
                vec![("archiveProject", "project { id }", project)]
            };
            for (mutation, payload, id) in mutations {
                let document =
                    format!("mutation ($id: ID!) {{ {mutation}(input: {{ id: $id }}) {{ {payload} userErrors {{ message }} }} }}");
                let data = server.graphql(&document, json!({ "id": id })).await.data();
                assert_eq!(data[mutation]["userErrors"], json!([]), "{mutation}");
            }
        }
        for second in 1..=2 * ROUND {
            clock.set(at(second));
            running.pass().await.unwrap();
        }
        assert!(stored(&server.database).await.is_empty());
        assert!(traffic(&server, &clock).await.is_none(), "no sample project takes measurements");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_goes_on_while_the_server_runs() {
    let database = TestDatabase::sqlite().await;
    organization(&database, "northwind", 0, NOW).await;
    let settings = "server.demo = 'on'\nself_monitoring.enabled = false";
    let server = Server::start(database, Clock::system(), settings).await;
    let mut seen = 0;
    for _ in 0..2 {
        seen = wait::until_some("more traffic arrives", async || {
            let count = stored(&server.database).await.len();
            (count > seen).then_some(count)
        })
        .await;
    }
    let database = server.stop().await;
    let quiet = "server.demo = 'auto'\nself_monitoring.enabled = false";
    let server = Server::start(database, Clock::system(), quiet).await;
    let count = stored(&server.database).await.len();
    wait::fixed(Duration::from_secs(2), "nothing comes, for which there is no condition").await;
    assert_eq!(stored(&server.database).await.len(), count, "a database of one's own gets no traffic unasked");
    server.stop().await;
}
