//! Ids of server-sent events, and `Last-Event-ID`: an `EventSource` that reconnects to the same address misses nothing.

use std::net::TcpListener;

use perfgraph::clock::Clock;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::response_streams::{Block, EVENTS, Reader, commit, posted};
use crate::{
    harness::{Server, World, node},
    on_both_databases,
};

/// The request of an `EventSource` that has this last event id.
fn get(server: &Server, query: &str, variables: &Value, last_event_id: Option<&str>) -> RequestBuilder {
    let parameters = [("query", query), ("variables", &variables.to_string())];
    let url = reqwest::Url::parse_with_params(&server.url("/graphql"), parameters).unwrap();
    let request = server.client.get(url).header("accept", EVENTS);
    last_event_id.into_iter().fold(request, |request, id| request.header("last-event-id", id))
}

async fn open(server: &Server, query: &str, variables: &Value, last_event_id: Option<&str>) -> Reader {
    Reader::open(get(server, query, variables, last_event_id)).await
}

/// The id of a block, which must be there.
#[track_caller]
fn id(block: &Block) -> &str {
    block.id.as_deref().unwrap_or_else(|| panic!("no id: {block:?}"))
}

/// A metric stream that does not select its cursor.
const VALUES: &str = "subscription ($filter: StreamFilter!, $after: StreamCursor) {
    live: metricStream(filter: $filter, after: $after, maxDelay: \"PT0.001S\") { metrics { value } }
}";

fn values(block: &Block) -> Vec<f64> {
    let metrics = block.data["data"]["live"]["metrics"].as_array().unwrap_or_else(|| panic!("no metrics: {block:?}"));
    metrics.iter().map(|metric| metric["value"].as_f64().unwrap()).collect()
}

/// Reads until these values have come, and returns the last id.
async fn read(reader: &mut Reader, expected: &[f64]) -> String {
    let (mut seen, mut last) = (Vec::new(), String::new());
    while seen.len() < expected.len() {
        let block = reader.block().await.unwrap();
        id(&block).clone_into(&mut last);
        if !block.event.is_empty() {
            seen.extend(values(&block));
        }
    }
    assert_eq!(seen, expected);
    last
}

fn filter(world: &World) -> Value {
    json!({ "filter": { "projectIds": [world.id("project", 1)] } })
}

on_both_databases! {
    async fn a_stream_resumes_after_the_id_that_its_client_saw_last(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let mut variables = filter(&world);
        let mut first = open(&server, VALUES, &variables, None).await;
        let start = first.block().await.unwrap();
        assert_eq!((start.event.as_str(), &start.data), ("", &Value::Null), "no client reports it as an event");
        commit(&server, &world, 1).await;
        let seen = read(&mut first, &[1.0]).await;
        drop(first);
        commit(&server, &world, 2).await;
        commit(&server, &world, 3).await;
        let executed = server.app.engine().subscriptions_executed().0;
        let mut again = open(&server, VALUES, &variables, Some(&seen)).await;
        read(&mut again, &[2.0, 3.0]).await;
        let mut beside = open(&server, VALUES, &variables, Some(&seen)).await;
        read(&mut beside, &[2.0, 3.0]).await;
        let of_both = server.app.engine().subscriptions_executed().0 - executed;
        assert!(of_both <= 3, "{of_both} executions: both share the live end, and the replay if it ends at one position");
        // A connection that broke before its first event has seen the start only.
        read(&mut open(&server, VALUES, &variables, Some(id(&start))).await, &[1.0, 2.0, 3.0]).await;
        // The header is newer than the address.
        variables["after"] = json!(id(&start));
        read(&mut open(&server, VALUES, &variables, Some(&seen)).await, &[2.0, 3.0]).await;
        let posted = posted(&server, EVENTS, VALUES, &variables).header("last-event-id", &seen);
        read(&mut Reader::open(posted).await, &[2.0, 3.0]).await;
        // A browser whose id was reset sends none; some clients send an empty one.
        read(&mut open(&server, VALUES, &variables, Some("")).await, &[1.0, 2.0, 3.0]).await;
        // An id is a cursor like any other.
        variables["after"] = json!(seen);
        read(&mut open(&server, VALUES, &variables, None).await, &[2.0, 3.0]).await;
        commit(&server, &world, 4).await;
        read(&mut again, &[4.0]).await;
        read(&mut beside, &[4.0]).await;
    }
}

on_both_databases! {
    async fn an_idle_stream_advances_its_id(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\nlive.heartbeat_interval_ms = 20";
        let server = Server::start(database, Clock::system(), settings).await;
        let world = server.seed("organizations=1 projects=2").await;
        let mut reader = open(&server, VALUES, &filter(&world), None).await;
        let start = reader.block().await.unwrap();
        let metrics = crate::harness::builders::metrics(server.app.core().clock.now(), 1);
        crate::harness::builders::ingest(server.app.core(), world.projects[1].key, metrics).await.unwrap();
        // Another project of the same organization: nothing to deliver, but a later position.
        loop {
            let block = reader.block().await.unwrap();
            assert!(values(&block).is_empty(), "{block:?}");
            if id(&block) != id(&start) {
                break;
            }
        }
    }
}

const CHANGES: &str = "subscription ($id: ID!) { entityChanged(organizationId: $id) { id } }";

/// Renames the organization, and returns when that is committed.
async fn rename(server: &Server, organization: &str, name: &str) {
    let mutation = "mutation ($id: ID!, $name: String!) {
        updateOrganization(input: { id: $id, name: $name }) { userErrors { message } }
    }";
    let reply = server.graphql(mutation, json!({ "id": organization, "name": name })).await;
    assert_eq!(reply.data()["updateOrganization"]["userErrors"], json!([]));
}

on_both_databases! {
    async fn changes_resume_after_the_id_that_their_client_saw_last(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 projects=1").await;
        let [organization, other] = [world.id("organization", 1), world.id("organization", 2)];
        let variables = json!({ "id": organization });
        for (query, field) in [
            (CHANGES, "entityChanged"),
            ("subscription ($id: ID!) { organizationUpdated(id: $id) { id } }", "organizationUpdated"),
            ("subscription Two($id: ID!) { ...F } fragment F on Subscription { entityChanged(organizationId: $id) { id } }", "entityChanged"),
        ] {
            let mut reader = open(&server, query, &variables, None).await;
            let start = reader.block().await.unwrap();
            rename(&server, &organization, &format!("{query} 1")).await;
            let first = reader.block().await.unwrap();
            assert_eq!(first.data["data"][field]["id"], json!(organization), "{first:?}");
            drop(reader);
            rename(&server, &organization, &format!("{query} 2")).await;
            let mut reader = open(&server, query, &variables, Some(id(&first))).await;
            assert_eq!(id(&reader.block().await.unwrap()), id(&first), "the position at which it resumes");
            let second = reader.block().await.unwrap();
            assert_ne!(id(&second), id(&first));
            let mut reader = open(&server, query, &variables, Some(id(&start))).await;
            let ids = [reader.block().await, reader.block().await, reader.block().await].map(|block| block.unwrap().id);
            assert_eq!(ids, [start.id.clone(), first.id.clone(), second.id.clone()]);
            // One that joins a running stream begins where that one is.
            let mut live = open(&server, query, &variables, None).await;
            let joined = live.block().await.unwrap();
            assert_eq!(id(&joined), id(&second), "{query}");
        }
        // The header replaces the argument; it does not stand beside it.
        let query = "subscription ($id: ID!, $after: StreamCursor) {
            entityChanged(organizationId: $id, after: $after) { id }
        }";
        let mut reader = open(&server, query, &json!({ "id": other }), None).await;
        let [start, first] = [reader.block().await.unwrap(), {
            rename(&server, &other, "one").await;
            reader.block().await.unwrap()
        }];
        rename(&server, &other, "two").await;
        let old = json!({ "id": other, "after": id(&start) });
        let mut reader = open(&server, query, &old, Some(id(&first))).await;
        assert_eq!(id(&reader.block().await.unwrap()), id(&first));
    }
}

on_both_databases! {
    async fn windows_have_ids_and_rankings_need_none(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false";
        let server = Server::start(database, Clock::system(), settings).await;
        let world = server.seed("organizations=1 projects=1").await;
        let window = "subscription ($filter: StreamFilter!) {
            metricWindow(filter: $filter, window: \"PT1M\", every: \"PT0.5S\") { cursor groups { stats { count } } }
        }";
        commit(&server, &world, 1).await;
        let first = open(&server, window, &filter(&world), None).await.block().await.unwrap();
        assert_eq!(json!(id(&first)), first.data["data"]["metricWindow"]["cursor"]);
        commit(&server, &world, 2).await;
        let mut reader = open(&server, window, &filter(&world), Some(id(&first))).await;
        let block = reader.block().await.unwrap();
        assert!(block.data["data"]["metricWindow"]["groups"][0]["stats"]["count"].as_f64() >= Some(1.0), "{block:?}");
        // A ranking is whole in every event. What a browser remembers of another stream does not matter to it.
        let ranking = "subscription ($filter: StreamFilter!) {
            slowestEndpoints(filter: $filter, every: \"PT0.5S\") { endpoint }
        }";
        for last_event_id in [None, Some(id(&first)), Some("anything")] {
            let block = open(&server, ranking, &filter(&world), last_event_id).await.block().await.unwrap();
            assert_eq!((&block.id, block.data["errors"].is_null()), (&None, true), "{block:?}");
        }
        let query = open(&server, "{ viewer { role } }", &Value::Null, Some("anything")).await.block().await.unwrap();
        assert_eq!((query.id, query.data), (None, json!({ "data": { "viewer": { "role": "OWNER" } } })));
    }
}

on_both_databases! {
    async fn an_id_that_is_no_cursor_of_the_stream_is_refused_by_the_name_of_the_header(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 projects=2").await;
        let (own, other) = (filter(&world), json!({ "filter": { "projectIds": [world.id("project", 2)] } }));
        let of_metrics = open(&server, VALUES, &other, None).await.block().await.unwrap();
        let changes = json!({ "id": world.id("organization", 1) });
        let of_changes = open(&server, CHANGES, &json!({ "id": world.id("organization", 2) }), None).await;
        let of_changes = { of_changes }.block().await.unwrap();
        let window = "subscription ($filter: StreamFilter!) {
            metricWindow(filter: $filter, window: \"PT1M\") { cursor }
        }";
        let (form, origin) = ("must be a cursor of a stream as the server sent it", "is a cursor of another stream");
        for (query, variables, given, message) in [
            (VALUES, &own, "17", form),
            (VALUES, &own, "caf\u{e9}", form),
            (VALUES, &own, id(&of_metrics), origin),
            (VALUES, &own, id(&of_changes), origin),
            (CHANGES, &changes, "17", form),
            (CHANGES, &changes, id(&of_metrics), origin),
            (CHANGES, &changes, id(&of_changes), origin),
            (window, &own, "17", form),
            (window, &own, id(&of_changes), origin),
        ] {
            let mut reader = open(&server, query, variables, Some(given)).await;
            let Block { event, data, .. } = reader.block().await.unwrap();
            let error = &data["errors"][0];
            assert_eq!(event, "next", "{query} {given}");
            assert_eq!(error["extensions"], json!({ "code": "BAD_USER_INPUT", "field": "Last-Event-ID" }), "{data}");
            let text = error["message"].as_str().unwrap();
            assert!(text.starts_with(&format!("Last-Event-ID: {message}")), "{query} {given}: {text}");
            assert!(data.get("data").is_none(), "{data}");
            assert_eq!(reader.block().await.unwrap().event, "complete");
            assert_eq!(reader.rest().await, "");
        }
        // The same cursor as an argument, at the same time, is an error of the argument.
        let mut argument = own.clone();
        argument["after"] = json!(id(&of_metrics));
        let (header, argument) = tokio::join!(
            async { open(&server, VALUES, &own, Some(id(&of_metrics))).await.block().await.unwrap() },
            async { open(&server, VALUES, &argument, None).await.block().await.unwrap() },
        );
        let field = |block: &Block| block.data["errors"][0]["extensions"]["field"].clone();
        assert_eq!((field(&header), field(&argument)), (json!("Last-Event-ID"), json!("after")));
    }
}

on_both_databases! {
    async fn an_event_source_in_a_browser_misses_nothing(database: TestDatabase) {
        // The page has another origin, so this also shows that the header needs no preflight request.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!("self_monitoring.enabled = false\nserver.cors_origins = ['http://localhost:{port}']");
        let server = Server::start(database, Clock::system(), &settings).await;
        let world = server.seed("organizations=1 projects=1").await;
        node::run("eventsource.mjs", &[server.url(""), port.to_string(), world.id("project", 1)]).await;
        server.stop().await;
    }
}
