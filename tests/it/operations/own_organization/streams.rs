//! Streams and live windows, on one instance and on two.

use futures_util::StreamExt;
use perfgraph::{
    app::App,
    clock::Clock,
    config::{Config, Overrides},
    live::{Filter, OpenedCursor, StreamSource, stream},
    model::{CommitPosition, CommitPositions, OrganizationId, Role, Scope, timestamp::MINUTE_MICROS},
};
use serde_json::{Value, json};

use super::{Own, QUIET, own, quiet, record, request_of_its_own};
use crate::{
    harness::{Server, TestDatabase, World, builders, server::NOW},
    live::{
        streams::{Events, PACING, receive},
        windows::subscriptions::{next, subscribe},
    },
    on_both_databases,
};

fn source(app: &App) -> StreamSource {
    StreamSource { database: app.core().database.clone(), publisher: app.core().publisher.clone() }
}

async fn tail(app: &App, scope: &Scope, filter: Filter) -> Events {
    Box::pin(stream::tail(scope, source(app), filter, PACING).await.unwrap().1)
}

async fn record_one(app: &App, own: &Own) {
    builders::ingest(app.core(), own.key, vec![request_of_its_own(NOW.plus_micros(-MINUTE_MICROS))]).await;
}

async fn record_another(app: &App, world: &World) {
    builders::ingest(app.core(), world.projects[0].key, builders::metrics(NOW, 1)).await;
}

/// The endpoints of the next rows.
async fn endpoints(events: &mut Events, rows: usize) -> Vec<String> {
    receive(events, rows).await.into_iter().map(|row| row.measurement.endpoint).collect()
}

const OWN: &str = "GET /own";
const OTHER: &str = "GET /orders/:id";

on_both_databases! {
    async fn a_stream_that_does_not_name_it_leaves_it_out(database: TestDatabase) {
        let server = quiet(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let own = own(&server).await;
        let (app, everything) = (&server.app, Scope::everything());
        let within = Scope::organization(own.key.organization, Role::Viewer);
        let of_organization = Filter { organization: Some(own.key.organization), ..Filter::default() };
        let of_project = Filter { projects: vec![own.key], ..Filter::default() };
        let both = Filter { projects: vec![own.key, world.projects[0].key], ..Filter::default() };
        let mut all = tail(app, &everything, Filter::default()).await;
        let mut named = [
            tail(app, &everything, of_organization).await,
            tail(app, &everything, of_project).await,
            tail(app, &within, Filter::default()).await,
        ];
        let mut beside = tail(app, &everything, both).await;
        for _ in 0..3 {
            record_one(app, &own).await;
            record_another(app, &world).await;
        }
        assert_eq!(endpoints(&mut all, 3).await, [OTHER; 3]);
        for events in &mut named {
            assert_eq!(endpoints(events, 3).await, [OWN; 3]);
        }
        assert_eq!(endpoints(&mut beside, 6).await, [OWN, OTHER, OWN, OTHER, OWN, OTHER]);
    }
}

on_both_databases! {
    async fn a_stream_that_lags_leaves_it_out(database: TestDatabase) {
        let settings = format!("{QUIET}\nlive.channel_batches_max = 2");
        let server = Server::start(database, Clock::fixed(NOW), &settings).await;
        let world = server.seed("organizations=1 projects=1").await;
        let own = own(&server).await;
        let mut events = tail(&server.app, &Scope::everything(), Filter::default()).await;
        for _ in 0..10 {
            record_one(&server.app, &own).await;
            record_another(&server.app, &world).await;
        }
        assert_eq!(endpoints(&mut events, 10).await, [OTHER; 10]);
    }
}

on_both_databases! {
    async fn a_cursor_of_an_earlier_version_goes_on_without_it(database: TestDatabase) {
        let server = quiet(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let own = own(&server).await;
        for _ in 0..3 {
            record_one(&server.app, &own).await;
            record_another(&server.app, &world).await;
        }
        let other = world.organizations[0].key;
        let at = |places: &[(OrganizationId, i64)]| -> CommitPositions {
            places.iter().map(|(organization, sequence)| (*organization, CommitPosition::after(*sequence))).collect()
        };
        // A stream of everything counted the commits of the server's own organization.
        let positions = at(&[(own.key.organization, 2), (other, 1)]);
        let (start, _) =
            stream::tail(&Scope::everything(), source(&server.app), Filter::default(), PACING).await.unwrap();
        assert_eq!(*start, at(&[(other, 3)]));
        let after = OpenedCursor { positions, is_receipt: false };
        let (everything, source) = (Scope::everything(), source(&server.app));
        let replay = stream::replay(&everything, source, Filter::default(), after, &start, 100).await.unwrap();
        let events: Vec<_> = replay.map(Result::unwrap).collect().await;
        let rows: Vec<_> = events.iter().flat_map(|event| &event.metrics).collect();
        assert!(rows.len() == 2 && rows.iter().all(|row| row.project == world.projects[0].key), "{rows:?}");
        // The next events of the stream begin where the last one of the replay ended.
        assert_eq!(events.last().unwrap().to, start);
    }
}

on_both_databases! {
    async fn a_live_window_shows_it_by_name(database: TestDatabase) {
        let server = quiet(database).await;
        let own = own(&server).await;
        record(&server, &own).await;
        let query = "subscription ($filter: StreamFilter!) {
            metricWindow(filter: $filter, window: \"PT20M\", every: \"PT1M\") { groups { stats { count max } } }
        }";
        let ranking = "subscription ($filter: StreamFilter!) {
            slowestEndpoints(filter: $filter, window: \"PT20M\", every: \"PT1M\") { endpoint project { isInternal } }
        }";
        for filter in [json!({ "organizationId": own.organization }), json!({ "projectIds": [own.project] })] {
            let variables = json!({ "filter": filter });
            let window = next(&mut subscribe(&server, query, &variables)).await;
            let groups = json!([{ "stats": { "count": 2, "max": 1_000_000.0 } }]);
            assert_eq!(window["metricWindow"]["groups"], groups, "{filter}");
            let ranked = next(&mut subscribe(&server, ranking, &variables)).await;
            let endpoint = json!([{ "endpoint": OWN, "project": { "isInternal": true } }]);
            assert_eq!(ranked["slowestEndpoints"], endpoint, "{filter}");
        }
    }
}

/// An instance that runs beside others.
async fn instance(database: &TestDatabase, node: u8, is_monitoring_itself: bool) -> App {
    let settings = format!(
        "server.listen = '127.0.0.1:0'\nserver.node = {node}\ndatabase.acquire_timeout_ms = 10000\n\
         self_monitoring.enabled = {is_monitoring_itself}\nself_monitoring.flush_interval_ms = 86400000\n"
    );
    let environment = [("DATABASE_URL".to_owned(), database.url.clone())];
    let config = Config::from_sources(Some(&settings), &environment, &Overrides::default()).unwrap();
    App::start(&config, Clock::fixed(NOW)).await.unwrap()
}

async fn ask(app: &App, query: &str) -> Value {
    let url = format!("http://{}/graphql", app.address());
    let request = crate::harness::server::client().post(url).json(&json!({ "query": query }));
    crate::harness::server::send(request).await.data()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_knows_it_that_started_before_it_was_created() {
    let database = TestDatabase::postgres().await;
    let first = instance(&database, 1, false).await;
    let mut events = tail(&first, &Scope::everything(), Filter::default()).await;
    let world = World::build(first.core(), &crate::harness::Seed::parse("organizations=1 projects=1")).await;
    let second = instance(&database, 2, true).await;
    let found = ask(&first, "{ organization(slug: \"perfgraph\") { id isInternal projects { nodes { id } } } }").await;
    assert_eq!(found["organization"]["isInternal"], true);
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    let project = id(&found["organization"]["projects"]["nodes"][0]["id"]);
    let key = perfgraph::graphql::node::NodeId::project(&project.as_str().into()).unwrap();
    let own = Own { organization: id(&found["organization"]["id"]), project, key };
    for app in [&second, &first, &second] {
        record_one(app, &own).await;
        record_another(app, &world).await;
    }
    assert_eq!(endpoints(&mut events, 3).await, [OTHER; 3]);
    for app in [&first, &second] {
        let data = ask(app, "{ metricStats { count } metrics { nodes { endpoint } } }").await;
        let rows = vec![json!({ "endpoint": OTHER }); 3];
        assert_eq!(data, json!({ "metricStats": { "count": 3 }, "metrics": { "nodes": rows } }));
    }
    first.stop().await;
    second.stop().await;
}
