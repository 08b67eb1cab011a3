//! The server's own organization: everybody sees it, and its measurements are in no report and in no stream that does not
//! name it.

mod streams;

use perfgraph::{
    clock::Clock,
    db::{IdGenerator, StatementLog},
    graphql::node::NodeId,
    ingest::Candidate,
    jobs::self_monitoring,
    model::{
        Key, MetricType, OrganizationId, ProjectId, Role, Scope, Timestamp,
        timestamp::{HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{Parent, Question, StatisticsNeeded, late, totals, until_now},
};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    graphql::statement_counts::counted,
    harness::{
        Server, TestDatabase, builders,
        server::{NOW, Reply},
        wait,
    },
    on_both_databases,
};

/// The server records nothing by itself before it stops, so that tests decide what is in its organization.
const QUIET: &str = "self_monitoring.flush_interval_ms = 86400000\ningest.time_window_past_hours = 1\n\
                     limits.cost_max = 100000000\ncompaction.interval_ms = 86400000";

async fn quiet(database: TestDatabase) -> Server {
    Server::start(database, Clock::fixed(NOW), QUIET).await
}

/// The server's own organization as clients see it, and its project.
struct Own {
    organization: String,
    project: String,
    key: Key<ProjectId>,
}

async fn own(server: &Server) -> Own {
    let query = "{ organization(slug: \"perfgraph\") { id projects { nodes { id slug } } } }";
    let found = server.graphql(query, Value::Null).await.data()["organization"].take();
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    let project = id(&found["projects"]["nodes"][0]["id"]);
    let key = NodeId::project(&project.as_str().into()).unwrap();
    Own { organization: id(&found["id"]), project, key }
}

/// Slower than everything else, with a status, a name and a release.
fn request_of_its_own(at: Timestamp) -> Candidate {
    Candidate {
        kind: MetricType::ApiResponse,
        value: 1_000_000.0,
        endpoint: "GET /own".to_owned(),
        status: Some(500),
        timestamp: Some(at),
        name: Some("own".to_owned()),
        release: Some("1".to_owned()),
        labels: Vec::new(),
    }
}

/// Two requests, and one that came too late.
async fn record(server: &Server, own: &Own) {
    let at = |minutes: i64| NOW.plus_micros(-minutes * MINUTE_MICROS);
    builders::ingest(server.app.core(), own.key, [2, 3].map(|ago| request_of_its_own(at(ago))).into()).await;
    let late = NOW.plus_micros(-3 * HOUR_MICROS).to_string();
    let metric = json!({ "type": "API_RESPONSE", "endpoint": "GET /own", "value": 1, "timestamp": late });
    let input = json!({ "projectId": own.project, "metrics": [metric] });
    let mutation = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
    let answer = server.graphql(mutation, json!({ "input": input })).await.data();
    assert_eq!(answer["ingestMetrics"]["accepted"], 0);
}

/// Every report; the fields are those of `Query`, `Organization` and `Project` alike.
const REPORTS: &str = "
    metricStats(filter: $filter) { count max percentile(p: 95) accuracy { lateDropped } }
    metricSeries(filter: $filter, bucket: \"PT1H\") { stats { count max } }
    metricGroups(filter: $filter, groupBy: [ENDPOINT, STATUS_CODE, NAME, RELEASE]) { endpoint stats { count } }
    ofTypes: metricGroups(filter: $filter, groupBy: [TYPE], bucket: \"PT6H\") {
        type stats { count accuracy { lateDropped } } buckets { stats { count max } }
    }
    ofProjects: metricGroups(filter: $filter, groupBy: [PROJECT]) { project { slug } stats { percentile(p: 50) } }
    metricColumns(filter: $filter, bucket: \"PT1H\") { counts values(statistic: MAX) }
    ofEndpoints: metricColumns(filter: $filter, bucket: \"PT1H\", groupBy: [ENDPOINT]) { keys { value } counts }
    slowestEndpoints(filter: $filter) { endpoint value worstSample { value } trend(bucket: \"PT6H\") { stats { count } } }
    bySum: slowestEndpoints(filter: $filter, rankBy: SUM) { endpoint value stats { count } }
    metrics(filter: $filter, first: 100) { nodes { endpoint value } }
    byValue: metrics(filter: $filter, orderBy: [{ field: VALUE, direction: DESC }]) { nodes { endpoint value } }
";

/// The reports on a parent, which is `{}` for those on `Query`.
async fn ask(server: &Server, parent: &str, filter: &Value) -> (Value, u64) {
    let query = format!("query ($filter: MetricFilter) {}", parent.replace("{}", &format!("{{ {REPORTS} }}")));
    counted(server, &query, json!({ "filter": filter })).await
}

async fn create_release(server: &Server, own: &Own) -> String {
    let deployed = NOW.plus_micros(-30 * MINUTE_MICROS).to_string();
    let input = json!({ "projectId": own.project, "version": "1", "deployedAt": deployed });
    let mutation = "mutation ($input: CreateReleaseInput!) { createRelease(input: $input) { release { id } } }";
    let answer = server.graphql(mutation, json!({ "input": input })).await.data();
    answer["createRelease"]["release"]["id"].as_str().unwrap().to_owned()
}

on_both_databases! {
    async fn no_report_counts_what_it_does_not_name(database: TestDatabase) {
        let server = quiet(database).await;
        server.seed("organizations=2 projects=2 metrics=20").await;
        let own = own(&server).await;
        let release = create_release(&server, &own).await;
        let unnamed = [
            Value::Null,
            json!({}),
            json!({ "types": ["API_RESPONSE", "PAGE_LOAD"] }),
            json!({ "time": { "last": "PT10M" } }),
            // The window of a release says nothing about its project.
            json!({ "time": { "releaseId": release } }),
            json!({ "endpoint": { "ne": "GET /orders/:id" } }),
            json!({ "statusCode": { "gte": 0 } }),
            json!({ "names": ["", "own"] }),
            json!({ "releaseVersions": ["", "1"] }),
            json!({ "isExact": true }),
        ];
        let mut before = Vec::new();
        for filter in &unnamed {
            before.push(ask(&server, "{}", filter).await);
        }
        assert_eq!(before[0].0["metricStats"]["count"], 80);
        record(&server, &own).await;
        for (filter, before) in unnamed.iter().zip(&before) {
            // Neither the figures nor the number of statements.
            assert_eq!(ask(&server, "{}", filter).await, *before, "{filter}");
        }
        let summary = "{ performanceSummary(type: API_RESPONSE) { count max } }";
        let (data, statements) = counted(&server, summary, Value::Null).await;
        assert_eq!((&data["performanceSummary"]["max"], statements), (&json!(181.0), 1));
    }
}

on_both_databases! {
    async fn every_report_counts_what_it_names(database: TestDatabase) {
        let server = quiet(database).await;
        let world = server.seed("organizations=1 projects=1 metrics=20").await;
        let own = own(&server).await;
        let release = create_release(&server, &own).await;
        record(&server, &own).await;
        let in_parent = |parent: &str| format!("{{ {parent} {{}} }}");
        let project = format!("project(id: \"{}\")", own.project);
        let node = format!("node(id: \"{}\") {{ ... on Project", own.project);
        for (parent, filter, path) in [
            ("{}".to_owned(), json!({ "organizationId": own.organization }), ""),
            ("{}".to_owned(), json!({ "projectIds": [own.project] }), ""),
            ("{}".to_owned(), json!({ "releaseId": release }), ""),
            ("{}".to_owned(), json!({ "releaseId": release, "organizationId": own.organization }), ""),
            (in_parent("organization(slug: \"perfgraph\")"), Value::Null, "/organization"),
            (in_parent(&project), Value::Null, "/project"),
            (in_parent(&project), json!({ "releaseId": release }), "/project"),
            (format!("{{ {node} {{}} }} }}"), Value::Null, "/node"),
        ] {
            let (data, _) = ask(&server, &parent, &filter).await;
            let reports = data.pointer(path).unwrap();
            assert_eq!(reports["metricStats"]["count"], 2, "{parent} {filter}");
            assert_eq!(reports["metricStats"]["accuracy"]["lateDropped"], 1, "{parent} {filter}");
            for (name, report) in reports.as_object().unwrap() {
                let text = report.to_string();
                let is_there = ["GET /own", "1000000", "perfgraph", "[2]"].iter().any(|part| text.contains(part));
                assert!(is_there, "{name} of {parent} {filter}: {text}");
            }
        }
        // Beside others, and on the objects of a list each its own.
        let both = json!({ "projectIds": [own.project, world.id("project", 1)] });
        assert_eq!(ask(&server, "{}", &both).await.0["metricStats"]["count"], 22);
        let query = "{ projects { nodes { isInternal metricStats { count } organization { isInternal } } } }";
        let data = server.graphql(query, Value::Null).await.data();
        let project = |is_internal: bool, count: u32| json!({
            "isInternal": is_internal,
            "metricStats": { "count": count },
            "organization": { "isInternal": is_internal },
        });
        assert_eq!(data["projects"]["nodes"], json!([project(false, 20), project(true, 2)]));
    }
}

on_both_databases! {
    async fn its_directory_is_visible_and_marked(database: TestDatabase) {
        let server = quiet(database).await;
        server.seed("organizations=1 projects=1 employees=1").await;
        let own = own(&server).await;
        let query = "query ($organization: ID!, $project: ID!, $filter: OrganizationFilter) {
            organizations(filter: $filter) { totalCount nodes { slug isInternal } }
            organization(id: $organization) { isInternal }
            node(id: $project) { ... on Project { isInternal organization { slug isInternal } } }
            employees { nodes { organization { isInternal } } }
        }";
        let asked = async |filter: Value| {
            let ids = json!({ "organization": own.organization, "project": own.project, "filter": filter });
            server.graphql(query, ids).await.data()
        };
        let organization = |slug: &str, is_internal: bool| json!({ "slug": slug, "isInternal": is_internal });
        let (other, internal) = (organization("organization-1", false), organization("perfgraph", true));
        let data = asked(Value::Null).await;
        assert_eq!(data["organizations"], json!({ "totalCount": 2, "nodes": [other, internal] }));
        assert_eq!(data["organization"]["isInternal"], true);
        assert_eq!(data["node"], json!({ "isInternal": true, "organization": internal }));
        assert_eq!(data["employees"]["nodes"], json!([{ "organization": { "isInternal": false } }]));
        let data = asked(json!({ "not": { "name": { "eq": "perfgraph" } } })).await;
        assert_eq!(data["organizations"], json!({ "totalCount": 1, "nodes": [other] }));
        let data = asked(json!({ "not": { "name": { "eq": "Organization 01" } } })).await;
        assert_eq!(data["organizations"], json!({ "totalCount": 1, "nodes": [internal] }));
    }
}

on_both_databases! {
    async fn figures_do_not_change_by_asking(database: TestDatabase) {
        let settings = "self_monitoring.flush_interval_ms = 10";
        let server = Server::start(database, Clock::system(), settings).await;
        server.seed("organizations=1 projects=2 metrics=60").await;
        let own = own(&server).await;
        let figures = "{
            performanceSummary(type: API_RESPONSE) { count average min max stats { percentile(p: 95) } }
            slowestEndpoints(first: 100) { endpoint value }
            metrics(first: 100) { nodes { id } }
        }";
        let first = server.graphql(figures, Value::Null).await.data();
        let recorded = "query ($filter: MetricFilter) { metricStats(filter: $filter) { count } }";
        let filter = json!({ "filter": { "organizationId": own.organization } });
        wait::until("five requests are recorded", async || {
            let data = server.graphql(recorded, filter.clone()).await.data();
            data["metricStats"]["count"].as_u64() >= Some(5)
        })
        .await;
        assert_eq!(server.graphql(figures, Value::Null).await.data(), first);
        server.stop().await;
    }
}

on_both_databases! {
    async fn a_caller_who_sees_nothing_else_sees_it(database: TestDatabase) {
        let server = quiet(database).await;
        let world = server.seed("organizations=1 projects=1 metrics=20").await;
        let own = own(&server).await;
        record(&server, &own).await;
        let session = server.app.core().database.reader(StatementLog::default());
        let question = Question::over(until_now(24 * HOUR_MICROS, NOW));
        for (organization, count, dropped) in
            [(own.key.organization, 2, 1), (world.organizations[0].key, 20, 0)]
        {
            let scope = Scope::organization(organization, Role::Viewer);
            let stats = totals::run(&scope, &session, &question, StatisticsNeeded::Scalars).await.unwrap();
            assert_eq!(stats.tally.count, count);
            let (parent, asked) = late::about(&Parent::Question, &question);
            let days = late::by_parent(&scope, &session, &asked, std::slice::from_ref(&parent)).await.unwrap();
            assert_eq!(days[&parent].touched_by(question.window), dropped);
        }
    }
}

/// Changes the database as an earlier version left it: its organization has an id as others have it.
async fn as_of_an_earlier_version(database: &TestDatabase) {
    for sql in [
        "INSERT INTO organization (id, slug, name, created_at, updated_at) VALUES (77, 'perfgraph', 'perfgraph', 0, 0)",
        "INSERT INTO organization_stream (organization_id, last_seq) VALUES (77, 0)",
        "INSERT INTO project (organization_id, id, slug, name, status, created_at, updated_at) \
         VALUES (77, 78, 'perfgraph', 'perfgraph server', 0, 0, 0)",
    ] {
        database.writer().execute_unprepared(sql).await.unwrap();
    }
}

on_both_databases! {
    async fn the_organization_of_an_earlier_version_stays(database: TestDatabase) {
        as_of_an_earlier_version(&database).await;
        let mut database = database;
        // Also by a server that records nothing.
        for (minutes, settings) in [(1, QUIET), (2, "self_monitoring.enabled = false")] {
            let clock = Clock::fixed(NOW.plus_micros(minutes * MINUTE_MICROS));
            let server = Server::start(database, clock, settings).await;
            let own = own(&server).await;
            assert_eq!(own.key, Key::new(OrganizationId(77), ProjectId(78)));
            builders::ingest(server.app.core(), own.key, vec![request_of_its_own(NOW.plus_micros(-MINUTE_MICROS))]).await;
            let query = "{ metricStats { count } organizations { nodes { isInternal } } }";
            let data = server.graphql(query, Value::Null).await.data();
            let expected = json!({ "metricStats": { "count": 0 }, "organizations": { "nodes": [{ "isInternal": true }] } });
            assert_eq!(data, expected, "{settings}");
            database = server.stop().await;
        }
    }
}

fn created(reply: &Reply) -> Value {
    reply.data()["createOrganization"].take()
}

on_both_databases! {
    async fn nobody_else_can_take_its_slug(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let mutation = "mutation ($input: CreateOrganizationInput!) {
            createOrganization(input: $input) { organization { slug isInternal } userErrors { field code } }
        }";
        let create = async |input: Value| created(&server.graphql(mutation, json!({ "input": input })).await);
        let refused = create(json!({ "name": "Perfgraph", "slug": "perfgraph" })).await;
        assert_eq!(refused["userErrors"], json!([{ "field": ["slug"], "code": "TAKEN" }]));
        let derived = create(json!({ "name": "Perfgraph" })).await;
        assert_eq!(derived["organization"], json!({ "slug": "perfgraph-2", "isInternal": false }), "{derived}");
    }
}

on_both_databases! {
    async fn servers_that_start_at_once_create_one(database: TestDatabase) {
        let (scope, now) = (Scope::everything(), NOW);
        let create = async |node: u8| {
            let (database, ids) = (database.reopen().await, IdGenerator::alone(node));
            let session = database.writer(StatementLog::default());
            self_monitoring::own_project(&scope, &session, &ids, now).await.unwrap()
        };
        let (one, other) = tokio::join!(create(1), create(2));
        assert_eq!(one.organization, OrganizationId::OWN);
        assert_eq!(one, other);
    }
}
