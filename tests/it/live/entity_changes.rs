//! Changes of the directory as they are watched: whatever any mutation on any instance did, once, in order, from any place
//! on, and what is no longer kept is said.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt, future::join_all};
use perfgraph::{
    db::{Database, StatementLog},
    directory::{employee, employee::NewEmployee, organization},
    error::{Code, Error, Result},
    live::changes::{self, ChangeEvent, ChangeFilter, ChangeRelay, ChangeSignal, RemovedChanges},
    model::{
        Assignment, EmployeeId, OrganizationId, Role, Scope,
        change::{ChangeKind, EntityKey},
        timestamp::DAY_MICROS,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{Server, TestDatabase, World, process::PATIENCE, server::NOW},
    live::windows::subscriptions::{next, subscribe},
    on_both_databases,
};

type Events = Pin<Box<dyn Stream<Item = Result<ChangeEvent>> + Send>>;

/// Whoever watches an instance's changes.
struct Watcher {
    database: Database,
    signal: ChangeSignal,
    stopping: CancellationToken,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl Watcher {
    fn of(server: &Server) -> Self {
        let (core, signal, stopping) = (server.app.core(), ChangeSignal::default(), CancellationToken::new());
        let second = Some(Duration::from_secs(1));
        let relay = ChangeRelay::new(core.database.clone(), core.publisher.clone(), signal.clone(), second);
        tokio::spawn(relay.run(stopping.clone()));
        Self { database: core.database.clone(), signal, stopping }
    }

    async fn try_open(&self, scope: &Scope, filter: ChangeFilter, after: Option<i64>) -> Result<Events> {
        let (_, events) = changes::watch(scope, self.database.clone(), &self.signal, filter, after).await?;
        Ok(Box::pin(events))
    }

    async fn open(&self, organization: OrganizationId, after: Option<i64>) -> Events {
        self.try_open(&Scope::everything(), everything(organization), after).await.unwrap()
    }
}

fn everything(organization: OrganizationId) -> ChangeFilter {
    ChangeFilter { organization, entity: None, kinds: Vec::new() }
}

async fn event(events: &mut Events) -> ChangeEvent {
    timeout(PATIENCE, events.next()).await.expect("a change is told in time").unwrap().unwrap()
}

/// What happened, in short.
fn told(event: &ChangeEvent) -> (ChangeKind, EntityKey, String) {
    (event.change.kind, event.change.entity, event.change.fields.join(" "))
}

/// What is expected to be told; of something new the id is not known.
type Told = (ChangeKind, Option<EntityKey>, &'static str);

async fn mutate(server: &Server, field: &str) -> Value {
    let data = server.graphql(&format!("mutation {{ change: {field} }}"), json!({})).await.data();
    data["change"].clone()
}

on_both_databases! {
    async fn every_mutation_tells_what_it_changed(database: TestDatabase) {
        use ChangeKind::{Created, Deleted, Updated};
        use EntityKey::{Employee, Organization, Project};
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=3 projects=2 members=2").await;
        let watcher = Watcher::of(&server);
        let tenant = world.organizations[0].key;
        let mut events = watcher.open(tenant, None).await;
        let (id, person, project) = (world.id("organization", 1), world.id("employee", 1), world.id("project", 1));
        let [one, two] = [world.employees[0].key, world.employees[1].key];
        let [first, second] = [world.projects[0].key, world.projects[1].key];
        let mut seen: Vec<i64> = Vec::new();
        let steps: Vec<(String, Vec<Told>)> = vec![
            (format!("updateOrganization(input: {{ id: \"{id}\", name: \"Renamed\", isActive: true }}) {{ userErrors {{ code }} }}"),
                vec![(Updated, Some(Organization(tenant)), "name")]),
            // What already is so changes nothing, and what is refused neither.
            (format!("updateOrganization(input: {{ id: \"{id}\", name: \"Renamed\" }}) {{ userErrors {{ code }} }}"), vec![]),
            (format!("updateOrganization(input: {{ id: \"{id}\", name: \"\" }}) {{ userErrors {{ code }} }}"), vec![]),
            (format!("createEmployee(input: {{ organizationId: \"{id}\", name: \"Ada\", email: \"ada@example.com\", department: \"D\" }}) {{ userErrors {{ code }} }}"),
                vec![(Created, None, ""), (Updated, Some(Organization(tenant)), "employee_count")]),
            (format!("createEmployee(input: {{ organizationId: \"{id}\", name: \"Ada\", email: \"ada@example.com\", department: \"D\" }}) {{ userErrors {{ code }} }}"), vec![]),
            (format!("updateEmployee(input: {{ id: \"{person}\", name: \"Eve\", isActive: true, salary: null }}) {{ userErrors {{ code }} }}"),
                vec![(Updated, Some(Employee(one)), "name salary")]),
            // The third of them works there already.
            (format!("updateEmployees(filter: {{ organizationId: \"{id}\", name: {{ startsWith: \"E\" }} }}, department: \"Engineering\", isActive: true) {{ affected }}"),
                vec![(Updated, Some(Employee(one)), "department"), (Updated, Some(Employee(two)), "department")]),
            (format!("createProject(input: {{ organizationId: \"{id}\", name: \"New\" }}) {{ userErrors {{ code }} }}"), vec![(Created, None, "")]),
            (format!("updateProject(input: {{ id: \"{project}\", name: \"Old\", status: PAUSED }}) {{ userErrors {{ code }} }}"),
                vec![(Updated, Some(Project(first)), "name status")]),
            (format!("archiveProject(id: \"{project}\") {{ userErrors {{ code }} }}"), vec![(Updated, Some(Project(first)), "status")]),
            (format!("addProjectMembers(projectId: \"{project}\", employeeIds: [\"{}\"]) {{ userErrors {{ code }} }}", world.id("employee", 3)),
                vec![(Updated, Some(Project(first)), "team team_size")]),
            (format!("addProjectMembers(projectId: \"{project}\", employeeIds: [\"{}\"]) {{ userErrors {{ code }} }}", world.id("employee", 3)), vec![]),
            (format!("removeProjectMembers(projectId: \"{project}\", employeeIds: [\"{person}\"]) {{ userErrors {{ code }} }}"),
                vec![(Updated, Some(Project(first)), "team team_size")]),
            // Employee 2 is in both teams.
            (format!("deleteEmployee(id: \"{}\") {{ userErrors {{ code }} }}", world.id("employee", 2)),
                vec![(Deleted, Some(Employee(two)), ""), (Updated, Some(Project(first)), "team team_size"),
                    (Updated, Some(Project(second)), "team team_size"), (Updated, Some(Organization(tenant)), "employee_count")]),
            (format!("deleteProject(id: \"{project}\") {{ userErrors {{ code }} }}"), vec![(Deleted, Some(Project(first)), "")]),
        ];
        for (field, expected) in steps {
            mutate(&server, &field).await;
            for (kind, entity, fields) in expected {
                let event = event(&mut events).await;
                let (seen_kind, seen_entity, seen_fields) = told(&event);
                assert_eq!((seen_kind, seen_fields.as_str()), (kind, fields), "{field}");
                assert!(entity.is_none_or(|entity| entity == seen_entity), "{field}: {seen_entity:?}");
                seen.push(event.sequence);
            }
        }
        assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "counted without gaps: {seen:?}");
        // Of the other tenant nothing was told.
        let quiet = timeout(Duration::from_millis(100), events.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }
}

on_both_databases! {
    async fn a_deleted_organization_ends_its_stream(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1").await;
        let (watcher, id) = (Watcher::of(&server), world.organizations[0].key);
        let entity = Some(EntityKey::Organization(id));
        let filter = ChangeFilter { entity, kinds: vec![ChangeKind::Deleted], ..everything(id) };
        let mut events = watcher.try_open(&Scope::everything(), filter, None).await.unwrap();
        mutate(&server, &format!("updateOrganization(input: {{ id: \"{}\", name: \"X\" }}) {{ userErrors {{ code }} }}", world.id("organization", 1))).await;
        mutate(&server, &format!("deleteOrganization(id: \"{}\") {{ userErrors {{ code }} }}", world.id("organization", 1))).await;
        assert_eq!(told(&event(&mut events).await), (ChangeKind::Deleted, EntityKey::Organization(id), String::new()));
        assert!(timeout(PATIENCE, events.next()).await.unwrap().is_none());
    }
}

on_both_databases! {
    async fn a_stream_goes_on_from_any_place_while_many_write(database: TestDatabase) {
        let seed = rand::random();
        let mut rng = StdRng::seed_from_u64(seed);
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=4").await;
        let watcher = Watcher::of(&server);
        let tenant = world.organizations[0].key;
        let mut live = watcher.open(tenant, None).await;
        let core = server.app.core();
        let writer = async |worker: usize| {
            let (scope, db) = (Scope::everything(), core.database.writer(StatementLog::default()));
            for round in 0..12 {
                let of = world.organizations[(worker + round) % 2].key;
                let id = EmployeeId(core.ids.next(NOW).unwrap());
                let new = NewEmployee {
                    id,
                    name: format!("W{worker}"),
                    email: format!("w{worker}.{round}@example.com"),
                    department: "D".to_owned(),
                    salary: None,
                };
                employee::create(&scope, &db, of, &[new], NOW).await.unwrap();
            }
        };
        join_all((0..6).map(writer)).await;
        // 36 hirings, two changes each.
        let mut all = Vec::new();
        for _ in 0..72 {
            all.push(event(&mut live).await);
        }
        assert!(all.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1), "seed {seed}");
        for _ in 0..5 {
            let from = rng.random_range(0..all.len());
            let mut resumed = watcher.open(tenant, Some(all[from].sequence)).await;
            for expected in &all[from + 1..] {
                assert_eq!(&event(&mut resumed).await, expected, "seed {seed}");
            }
        }
    }
}

on_both_databases! {
    async fn what_is_no_longer_kept_is_said(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=3").await;
        let (watcher, id) = (Watcher::of(&server), world.organizations[0].key);
        let rename = async |name: &str, later: i64| {
            let (scope, db) = (Scope::everything(), server.database.writer());
            let change = organization::OrganizationChange { name: Assignment::Set(name.to_owned()), ..Default::default() };
            organization::update(&scope, &db, id, change, NOW.plus_micros(later)).await.unwrap();
        };
        let mut events = watcher.open(id, Some(0)).await;
        let first = event(&mut events).await;
        assert_eq!((first.sequence, first.removed), (1, None));
        rename("Later", 2 * DAY_MICROS).await;
        // The rows of the seed are a day older.
        changes::remove_before(&server.database.database, NOW.plus_micros(DAY_MICROS)).await.unwrap();
        let mut resumed = watcher.open(id, Some(1)).await;
        let next = event(&mut resumed).await;
        assert_eq!((next.change.kind, next.removed), (ChangeKind::Updated, Some(RemovedChanges { first: 2, last: next.sequence - 1 })));
        rename("Last", 3 * DAY_MICROS).await;
        assert_eq!(event(&mut resumed).await.removed, None);
        // Nothing at all is left: the next change says so.
        changes::remove_before(&server.database.database, NOW.plus_micros(9 * DAY_MICROS)).await.unwrap();
        let mut resumed = watcher.open(id, Some(next.sequence)).await;
        let opening = timeout(Duration::from_millis(100), resumed.next()).await;
        assert!(opening.is_err(), "{opening:?}");
        rename("Again", 10 * DAY_MICROS).await;
        let last = event(&mut resumed).await;
        assert_eq!(last.removed, Some(RemovedChanges { first: next.sequence + 1, last: last.sequence - 1 }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_without_a_bus_is_seen_within_a_second() {
    let server = Server::fixed(TestDatabase::postgres().await).await;
    let world = server.seed("organizations=1").await;
    let (watcher, id) = (Watcher::of(&server), world.organizations[0].key);
    let mut events = watcher.open(id, None).await;
    let other = server.database.reopen().await;
    let change = organization::OrganizationChange { is_active: Assignment::Set(false), ..Default::default() };
    organization::update(&Scope::everything(), &other.writer(StatementLog::default()), id, change, NOW).await.unwrap();
    assert_eq!(told(&event(&mut events).await).2, "is_active");
}

on_both_databases! {
    async fn nobody_hears_of_what_they_may_not_see(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2").await;
        let watcher = Watcher::of(&server);
        let scope = Scope::organization(world.organizations[0].key, Role::Viewer);
        let refused = async |id, after| {
            let error: Error = watcher.try_open(&scope, everything(id), after).await.err().unwrap();
            (error.code(), error.to_string())
        };
        let absent = refused(OrganizationId(7), None).await;
        assert_eq!(absent.0, Code::NotFound);
        assert_eq!(refused(world.organizations[1].key, None).await, absent);
        assert_eq!(refused(world.organizations[0].key, Some(99)).await.0, Code::BadUserInput);
        assert_eq!(refused(world.organizations[0].key, Some(-1)).await.0, Code::BadUserInput);
    }
}

on_both_databases! {
    async fn many_are_changed_and_logged_in_as_many_statements_as_few(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=40").await;
        let mut counts = BTreeMap::new();
        for (affected, department) in [(1, "One"), (80, "All")] {
            let name = if affected == 1 { json!({ "eq": "Employee 001" }) } else { json!({ "startsWith": "Employee" }) };
            let log = StatementLog::default();
            let organization = (affected == 1).then_some(world.organizations[0].key);
            let scope = organization.map_or_else(Scope::everything, |id| Scope::organization(id, Role::Admin));
            let (filter, session) = (names(&name), server.database.database.writer(log.clone()));
            let change = employee::EmployeesChange { department: Assignment::Set(department.to_owned()), ..Default::default() };
            let changed = employee::update_all(&scope, &session, &filter, change, NOW).await.unwrap();
            assert_eq!(changed, affected);
            counts.insert(department, log.count());
        }
        assert_eq!(counts["One"], counts["All"], "{counts:?}");
        let sql = "SELECT COUNT(*) FROM entity_change WHERE kind = 1 AND changed_fields = '[\"department\"]'";
        let session = server.database.reader();
        let statement = Statement::from_string(session.get_database_backend(), sql);
        let logged: i64 = session.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(logged, 81);
    }
}

fn names(condition: &Value) -> perfgraph::directory::EmployeeFilter {
    use perfgraph::{
        directory::filter::EmployeeCondition,
        model::filter::{Filter, TextFilter},
    };
    let text = |name: &str| condition[name].as_str().map(ToOwned::to_owned);
    let filter = TextFilter { eq: text("eq"), starts_with: text("startsWith"), ..TextFilter::default() };
    Filter::Is(EmployeeCondition::Name(filter))
}

const WATCH: &str = "subscription ($id: ID!, $kinds: [ChangeKind!], $after: StreamCursor) {
    entityChanged(organizationId: $id, kinds: $kinds, after: $after) {
        cursor kind id changedFields gap { missed }
        entity { __typename ... on Employee { name email } ... on Organization { name employeeCount } ... on Project { name } }
    }
}";

async fn rename(server: &Server, organization: &str, number: usize) {
    let input = format!("{{ id: \"{organization}\", name: \"Name {number}\" }}");
    mutate(server, &format!("updateOrganization(input: {input}) {{ userErrors {{ code }} }}")).await;
}

/// The first change that a subscription sees: it runs once it is asked for that.
async fn first_seen(server: &Server, organization: &str) -> Value {
    let mut changes = subscribe(server, WATCH, &json!({ "id": organization, "kinds": ["UPDATED"] }));
    let mut first = Box::pin(next(&mut changes));
    let mut number = 0;
    loop {
        number += 1;
        if let Ok(seen) = timeout(Duration::from_millis(50), &mut first).await {
            return seen;
        }
        rename(server, organization, number).await;
    }
}

on_both_databases! {
    async fn a_crowd_that_resumes_at_one_place_costs_as_much_as_one(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1").await;
        let organization = world.id("organization", 1);
        let after = first_seen(&server, &organization).await["entityChanged"]["cursor"].clone();
        for number in 101..=103 {
            rename(&server, &organization, number).await;
        }
        let variables = json!({ "id": organization, "after": after });
        let cursors = async |count: usize, client: &mut _| {
            let mut cursors = Vec::new();
            while cursors.len() < count {
                let seen = next(client).await["entityChanged"].take();
                assert_eq!(seen["gap"], Value::Null);
                cursors.push(seen["cursor"].as_str().unwrap().to_owned());
            }
            cursors
        };
        let executed = server.app.engine().subscriptions_executed().0;
        let mut first = subscribe(&server, WATCH, &variables);
        let seen = cursors(3, &mut first).await;
        let statements = server.database_statements();
        let mut crowd = Vec::new();
        for _ in 0..20 {
            let mut client = subscribe(&server, WATCH, &variables);
            assert_eq!(cursors(seen.len(), &mut client).await, seen, "everybody sees the same in the same order");
            crowd.push(client);
        }
        assert_eq!(server.app.engine().subscriptions_executed().0, executed + 1, "nobody else is executed");
        // The log is asked once a second whether another instance moved it.
        let more = server.database_statements() - statements;
        assert!(more <= 10, "{more} statements");

        rename(&server, &organization, 104).await;
        let answers = server.app.engine().subscriptions_executed().1;
        let last = cursors(1, &mut first).await;
        for client in &mut crowd {
            assert_eq!(cursors(1, client).await, last);
        }
        assert!(server.app.engine().subscriptions_executed().1 <= answers + 1, "one answer an event");
    }
}

on_both_databases! {
    async fn clients_see_what_changed_as_it_is_now(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=2 projects=1").await;
        let organization = world.id("organization", 1);
        let seen = first_seen(&server, &organization).await;
        let seen = &seen["entityChanged"];
        assert_eq!((&seen["kind"], &seen["changedFields"], &seen["id"]), (&json!("UPDATED"), &json!(["name"]), &json!(organization)));
        assert_eq!(seen["entity"]["__typename"], "Organization");
        let after = seen["cursor"].clone();
        let person = world.id("employee", 1);
        mutate(&server, &format!("updateEmployee(input: {{ id: \"{person}\", name: \"Ada\", isActive: false }}) {{ userErrors {{ code }} }}")).await;
        mutate(&server, &format!("deleteEmployee(id: \"{person}\") {{ userErrors {{ code }} }}")).await;
        let mut resumed = subscribe(&server, WATCH, &json!({ "id": organization, "after": after }));
        let seen = loop {
            let seen = next(&mut resumed).await["entityChanged"].take();
            if seen["id"] == json!(person) {
                break seen;
            }
        };
        // It is gone by now.
        assert_eq!((&seen["changedFields"], &seen["entity"]), (&json!(["name", "isActive"]), &Value::Null));
        let gone = next(&mut resumed).await["entityChanged"].take();
        assert_eq!((&gone["kind"], &gone["id"], &gone["gap"]), (&json!("DELETED"), &json!(person), &Value::Null));
        let counted = next(&mut resumed).await["entityChanged"].take();
        assert_eq!((&counted["changedFields"], &counted["entity"]["employeeCount"]), (&json!(["employeeCount"]), &json!(1)));
    }
}

#[tokio::test]
async fn changes_that_cannot_be_watched_have_their_code() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let world: World = server.seed("organizations=2").await;
    for (variables, code) in [
        (json!({ "id": "nonsense" }), "BAD_USER_INPUT"),
        (json!({ "id": "T3JnYW5pemF0aW9uOjc3" }), "NOT_FOUND"),
        (json!({ "id": world.id("organization", 1), "after": "nonsense" }), "BAD_USER_INPUT"),
        (json!({ "id": world.id("organization", 1), "kinds": ["MOVED"] }), "BAD_USER_INPUT"),
    ] {
        let pushed = timeout(PATIENCE, subscribe(&server, WATCH, &variables).next()).await.unwrap().unwrap();
        assert_eq!(pushed["errors"][0]["extensions"]["code"], *code, "{variables}: {pushed}");
    }
}
