//! Orders and pages: walking a list page by page, either way, meets every row once, in the order that brute force says,
//! also while rows come and go.

use std::cmp::Ordering;

use perfgraph::{
    db::{Session, StatementLog},
    directory::{
        self, Employee, EmployeeFields, EmployeeOrderField, ListOf, Project, ProjectFields, ProjectOrderField, Record,
        order::OrderField,
    },
    entity::{employee, project},
    error::Code,
    model::{
        EmployeeId, Key, OrganizationId, Role, Scope,
        filter::Number,
        order::{ListPosition, OrderBy, Sort, SortValue},
        page::{Direction, ListRequest, Page, PageRequest},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::{Value, json};

use super::fixture::{OURS, THEIRS, World};
use crate::{harness::Server, on_both_databases};

const SEED: u64 = 20_261_121;

/// What is not known is less than everything that is.
fn compare(a: &SortValue<&str>, b: &SortValue<&str>) -> Ordering {
    match (a, b) {
        (SortValue::Unknown, SortValue::Unknown) => Ordering::Equal,
        (SortValue::Unknown, _) => Ordering::Less,
        (_, SortValue::Unknown) => Ordering::Greater,
        (SortValue::Text(a), SortValue::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (SortValue::Integer(a), SortValue::Integer(b)) => a.cmp(b),
        (SortValue::Number(a), SortValue::Number(b)) => a.0.total_cmp(&b.0),
        _ => panic!("{a:?} and {b:?} are of one column"),
    }
}

fn employee_value(row: &employee::Model, field: EmployeeOrderField) -> SortValue<&str> {
    match field {
        EmployeeOrderField::Name => SortValue::Text(&row.name),
        EmployeeOrderField::Email => SortValue::Text(&row.email),
        EmployeeOrderField::Department => SortValue::Text(&row.department),
        EmployeeOrderField::Salary => row.salary.map_or(SortValue::Unknown, |one| SortValue::Number(Number(one))),
        EmployeeOrderField::CreatedAt => SortValue::Integer(row.created_at.as_micros()),
    }
}

fn project_value(row: &project::Model, field: ProjectOrderField) -> SortValue<&str> {
    match field {
        ProjectOrderField::Name => SortValue::Text(&row.name),
        ProjectOrderField::Status => SortValue::Integer(i64::from(row.status)),
        ProjectOrderField::CreatedAt => SortValue::Integer(row.created_at.as_micros()),
        ProjectOrderField::TeamSize => SortValue::Integer(row.team_size),
    }
}

/// The ids in the order of the keys, and then of the id, in the direction of the last key.
fn sorted<Row, F: OrderField>(
    rows: impl IntoIterator<Item = Row>,
    order: &[OrderBy<F>],
    value: impl Fn(&Row, F) -> SortValue<&str>,
    id: impl Fn(&Row) -> i64,
) -> Vec<i64> {
    let directed = |sort, ordering: Ordering| if sort == Sort::Ascending { ordering } else { ordering.reverse() };
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by(|a, b| {
        let by_keys = order.iter().fold(Ordering::Equal, |so_far, key| {
            so_far.then(directed(key.sort, compare(&value(a, key.field), &value(b, key.field))))
        });
        by_keys.then(directed(order.last().unwrap().sort, id(a).cmp(&id(b))))
    });
    rows.iter().map(id).collect()
}

fn random_order<F: OrderField>(rng: &mut StdRng) -> Vec<OrderBy<F>> {
    let mut fields = F::ALL.to_vec();
    fields.shuffle(rng);
    fields.truncate(rng.random_range(1..=3));
    let sort = |rng: &mut StdRng| if rng.random() { Sort::Ascending } else { Sort::Descending };
    fields.into_iter().map(|field| OrderBy { field, sort: sort(rng) }).collect()
}

fn position<N: Record>(order: &[OrderBy<N::OrderField>], row: &N, id: i64) -> ListPosition {
    let owned = |value| match value {
        SortValue::Text(text) => SortValue::Text(str::to_owned(text)),
        SortValue::Unknown => SortValue::Unknown,
        SortValue::Integer(number) => SortValue::Integer(number),
        SortValue::Number(number) => SortValue::Number(number),
    };
    ListPosition { values: order.iter().map(|key| owned(key.field.value(row).unwrap())).collect(), id }
}

fn request<N: Record>(
    order: &[OrderBy<N::OrderField>],
    size: u32,
    direction: Direction,
    beyond: Option<ListPosition>,
) -> ListOf<N> {
    ListRequest { filter: None, order: order.to_vec(), page: PageRequest { size, direction, beyond, skip: 0 } }
}

/// Walks a list to its end; the ids as they came, from the first to the last of the list.
async fn walk<N: Record, F>(
    order: &[OrderBy<N::OrderField>],
    direction: Direction,
    id: impl Fn(&N) -> i64,
    mut next: impl FnMut(ListOf<N>) -> F,
) -> Vec<i64>
where
    F: Future<Output = Page<std::sync::Arc<N>>>,
{
    let (mut met, mut beyond) = (Vec::new(), None);
    loop {
        let page = next(request::<N>(order, 7, direction, beyond)).await;
        let ids: Vec<_> = page.rows.iter().map(|row| id(row)).collect();
        let (more, edge) = match direction {
            Direction::Forward => {
                met.extend(ids);
                (page.has_next, page.rows.last())
            }
            Direction::Backward => {
                met.splice(0..0, ids);
                (page.has_previous, page.rows.first())
            }
        };
        if !more {
            return met;
        }
        assert_eq!(page.rows.len(), 7, "a page with a neighbour is full");
        beyond = edge.map(|row| position(order, &**row, id(row)));
    }
}

on_both_databases! {
    async fn pages_meet_every_row_once_in_the_order_of_brute_force(database: TestDatabase) {
        let world = World::random(SEED);
        world.insert(&database).await;
        let db = database.database.reader(StatementLog::default());
        let mut rng = StdRng::seed_from_u64(SEED);
        for round in 0..40 {
            let order = random_order::<EmployeeOrderField>(&mut rng);
            for scope in [Scope::everything(), Scope::organization(OURS, Role::Admin)] {
                let rows = world.employees.iter().filter(|row| scope.sees(row.organization_id));
                let expected = sorted(rows, &order, |row, field| employee_value(row, field), |row| row.id.0);
                for direction in [Direction::Forward, Direction::Backward] {
                    let next = async |list| {
                        directory::list::<Employee>(&scope, &db, &list, EmployeeFields::all()).await.unwrap()
                    };
                    let met = walk::<Employee, _>(&order, direction, |row| row.key.id.0, next).await;
                    assert_eq!(met, expected, "{round} {direction:?} {order:?}");
                }
            }
        }
    }
}

on_both_databases! {
    async fn pages_of_many_parents_are_ordered_and_resumed_alike(database: TestDatabase) {
        let world = World::random(SEED);
        world.insert(&database).await;
        let db = database.database.reader(StatementLog::default());
        let mut rng = StdRng::seed_from_u64(SEED);
        let scope = Scope::everything();
        for round in 0..60 {
            let order = random_order::<ProjectOrderField>(&mut rng);
            let direction = if rng.random() { Direction::Forward } else { Direction::Backward };
            // Any row of all: its place means the same in every list of the order.
            let start = &world.projects[rng.random_range(0..world.projects.len())];
            let all = request::<Project>(&order, 100, Direction::Forward, None);
            let all = directory::list::<Project>(&scope, &db, &all, ProjectFields::all()).await.unwrap();
            let row = all.rows.iter().find(|row| row.key.id == start.id).unwrap();
            let list = request::<Project>(&order, 4, direction, Some(position(&order, &**row, start.id.0)));
            let fields = ProjectFields::all();
            let pages = directory::by_organizations::<Project>(&scope, &db, &[OURS, THEIRS], &list, fields).await;
            let pages = pages.unwrap();
            for organization in [OURS, THEIRS] {
                let own = world.projects.iter().filter(|one| one.organization_id == organization || one.id == start.id);
                let sorted = sorted(own, &order, |row, field| project_value(row, field), |row| row.id.0);
                let at = sorted.iter().position(|id| *id == start.id.0).unwrap();
                let expected = match direction {
                    Direction::Forward => &sorted[at + 1..(at + 5).min(sorted.len())],
                    Direction::Backward => &sorted[at.saturating_sub(4)..at],
                };
                let found: Vec<_> = pages[&organization].rows.iter().map(|row| row.key.id.0).collect();
                assert_eq!(found, expected, "{round} {organization:?} {direction:?} {order:?}");
            }
        }
    }
}

fn newcomer(organization_id: OrganizationId, id: i64, like: &employee::Model) -> employee::Model {
    employee::Model { organization_id, id: EmployeeId(id), email: format!("new{id}@x.example"), ..like.clone() }
}

async fn come_and_go(db: &Session, round: i64, like: &employee::Model, leaves: Option<Key<EmployeeId>>) {
    for id in [-round, 1_000_000 + round] {
        let row = newcomer(OURS, id, like).into_active_model();
        employee::Entity::insert(row).exec_without_returning(db).await.unwrap();
    }
    if let Some(key) = leaves {
        employee::Entity::delete_by_id((key.organization, key.id)).exec(db).await.unwrap();
    }
}

on_both_databases! {
    async fn a_walk_is_stable_while_rows_come_and_go(database: TestDatabase) {
        let world = World::random(SEED);
        world.insert(&database).await;
        let (db, writer) = (database.database.reader(StatementLog::default()), database.writer());
        let scope = Scope::organization(OURS, Role::Admin);
        let by = |field, sort| OrderBy { field, sort };
        let order = [by(EmployeeOrderField::Salary, Sort::Descending), by(EmployeeOrderField::Name, Sort::Ascending)];
        let own: Vec<_> = world.employees.iter().filter(|row| row.organization_id == OURS).collect();
        let before = sorted(own.clone(), &order, |row, field| employee_value(row, field), |row| row.id.0);
        let (mut met, mut beyond, mut gone) = (Vec::new(), None, Vec::new());
        for round in 1.. {
            let list = request::<Employee>(&order, 5, Direction::Forward, beyond.clone());
            let page = directory::list::<Employee>(&scope, &db, &list, EmployeeFields::all()).await.unwrap();
            met.extend(page.rows.iter().map(|row| row.key.id.0));
            let Some(edge) = page.rows.last().filter(|_| page.has_next) else { break };
            beyond = Some(position(&order, &**edge, edge.key.id.0));
            // The row that the cursor was taken from goes, another one that was met, too; new ones come on both sides.
            come_and_go(&writer, round, own[usize::try_from(round).unwrap() % own.len()], Some(edge.key)).await;
            gone.push(edge.key.id.0);
            assert!(round < 100, "the walk ends: what came behind it is not met again");
        }
        let mut once = met.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), met.len(), "nothing twice");
        let old: Vec<_> = met.into_iter().filter(|id| (1_000..1_000_000).contains(id)).collect();
        assert_eq!(old, before, "everything that was there, in order, {} of them gone by now", gone.len());
    }
}

on_both_databases! {
    async fn orders_by_salary_are_not_for_those_who_do_not_see_it(database: TestDatabase) {
        let db = database.database.reader(StatementLog::default());
        let order = [OrderBy { field: EmployeeOrderField::Salary, sort: Sort::Ascending }];
        let list = request::<Employee>(&order, 5, Direction::Forward, None);
        for role in [Role::Viewer, Role::Member] {
            let scope = Scope::organization(OURS, role);
            let one = directory::list::<Employee>(&scope, &db, &list, EmployeeFields::empty()).await.map(drop);
            let many = directory::by_organizations::<Employee>(&scope, &db, &[OURS], &list, EmployeeFields::empty());
            for refusal in [one, many.await.map(drop)] {
                let error = refusal.unwrap_err();
                assert_eq!(error.code(), Code::Forbidden);
                assert!(error.to_string().starts_with("orderBy: "), "{error}");
            }
        }
        assert_eq!(db.log().count(), 0);
    }
}

/// The error of an operation: its code, the field that it names, and the message.
async fn refused(server: &Server, query: &str, variables: Value) -> (String, String, String) {
    let reply = server.graphql(query, variables).await;
    let (code, message) = reply.error();
    let field = reply.json()["errors"][0]["extensions"]["field"].as_str().unwrap_or_default().to_owned();
    (code, field, message)
}

on_both_databases! {
    async fn cursors_serve_the_lists_of_their_order_alone(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=2 employees=9 projects=4 members=3").await;
        let query = "query ($order: [EmployeeOrder!], $first: Int, $after: String, $last: Int, $before: String) {
            employees(orderBy: $order, first: $first, after: $after, last: $last, before: $before) {
                nodes { email } edges { cursor } pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
            }
        }";
        let by_email = json!([{ "field": "DEPARTMENT", "direction": "DESC" }, { "field": "EMAIL" }]);
        let page = server.graphql(query, json!({ "order": by_email, "first": 5 })).await.data();
        let cursors: Vec<_> = page["employees"]["edges"].as_array().unwrap().iter().map(|edge| &edge["cursor"]).collect();
        assert_eq!((cursors[0], cursors[4]), (
            &page["employees"]["pageInfo"]["startCursor"], &page["employees"]["pageInfo"]["endCursor"]));
        let next = json!({ "order": by_email, "first": 5, "after": cursors[1] });
        let next = server.graphql(query, next).await.data();
        assert_eq!(next["employees"]["nodes"].as_array().unwrap()[..3], page["employees"]["nodes"].as_array().unwrap()[2..]);
        let back = json!({ "order": by_email, "last": 2, "before": cursors[4] });
        let back = server.graphql(query, back).await.data();
        assert_eq!(back["employees"]["nodes"].as_array().unwrap()[..], page["employees"]["nodes"].as_array().unwrap()[2..4]);
        // The same order in a list of another parent: a place means the same there.
        let nested = "query ($order: [EmployeeOrder!], $after: String) {
            organizations { nodes { employees(orderBy: $order, after: $after) { nodes { email } } } }
        }";
        server.graphql(nested, json!({ "order": by_email, "after": cursors[1] })).await.data();

        let of_another_order = |order: Value, name: &str| {
            let mut variables = json!({ "order": order });
            variables[name] = cursors[0].clone();
            variables
        };
        for (variables, field, says) in [
            (of_another_order(Value::Null, "after"), "after", "another order"),
            (of_another_order(json!([{ "field": "EMAIL" }]), "before", ), "before", "another order"),
            (of_another_order(json!([{ "field": "DEPARTMENT" }, { "field": "EMAIL" }]), "after"), "after", "another order"),
            (json!({ "after": "nonsense" }), "after", "not a cursor"),
            (json!({ "before": "" }), "before", "not a cursor"),
            (json!({ "first": -1 }), "first", "between 1 and 100"),
            (json!({ "first": 0 }), "first", "between 1 and 100"),
            (json!({ "first": 101 }), "first", "between 1 and 100"),
            (json!({ "last": i32::MAX }), "last", "between 1 and 100"),
            (json!({ "first": 1, "last": 1 }), "last", "not both"),
            (json!({ "first": 1, "before": cursors[0] , "order": by_email}), "before", "not both"),
            (json!({ "order": [{ "field": "NAME" }, { "field": "NAME", "direction": "DESC" }] }), "orderBy", "stands before"),
        ] {
            let (code, named, message) = refused(&server, query, variables.clone()).await;
            assert_eq!((code.as_str(), named.as_str()), ("BAD_USER_INPUT", field), "{variables} {message}");
            assert!(message.starts_with(field) && message.contains(says), "{message}");
        }
        let (code, _, message) = refused(&server, query, json!({ "order": [{ "field": "SHOE_SIZE" }] })).await;
        assert_eq!(code, "BAD_USER_INPUT", "{message}");
        assert!(message.contains("order"), "{message}");
        let projects = "query ($after: String) { projects(after: $after) { nodes { id } } }";
        let (code, field, message) = refused(&server, projects, json!({ "after": cursors[0] })).await;
        assert_eq!((code.as_str(), field.as_str()), ("BAD_USER_INPUT", "after"), "{message}");
    }
}

on_both_databases! {
    async fn pages_by_number_and_lists_of_ids_are_bounded(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=5").await;
        let query = "query ($page: Int, $size: Int, $order: [EmployeeOrder!]) {
            employeesPage(page: $page, pageSize: $size, orderBy: $order) { nodes { name } totalCount pageCount }
        }";
        let whole = server.graphql(query, json!({ "page": 1, "size": 100 })).await.data();
        assert_eq!((&whole["employeesPage"]["totalCount"], &whole["employeesPage"]["pageCount"]), (&json!(10), &json!(1)));
        let last = server.graphql(query, json!({ "page": 4, "size": 3 })).await.data();
        assert_eq!(last["employeesPage"]["nodes"].as_array().unwrap().len(), 1);
        assert_eq!(last["employeesPage"]["pageCount"], 4);
        for (variables, field) in [
            (json!({ "page": 0 }), "page"),
            (json!({ "page": -1 }), "page"),
            (json!({ "page": i32::MAX, "size": 100 }), "page"),
            (json!({ "page": 102, "size": 100 }), "page"),
            (json!({ "page": 1, "size": 0 }), "pageSize"),
            (json!({ "page": 1, "size": -5 }), "pageSize"),
            (json!({ "page": 1, "size": 101 }), "pageSize"),
            (json!({ "page": 1, "order": [{ "field": "EMAIL" }, { "field": "EMAIL" }] }), "orderBy"),
        ] {
            let (code, named, message) = refused(&server, query, variables.clone()).await;
            assert_eq!((code.as_str(), named.as_str()), ("BAD_USER_INPUT", field), "{variables} {message}");
        }
        assert!(server.graphql(query, json!({ "page": 101, "size": 100 })).await.json().get("errors").is_none());
        let ids = vec![world.id("employee", 1); 10_000];
        let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        let (code, field, message) = refused(&server, nodes, json!({ "ids": ids })).await;
        assert_eq!((code.as_str(), field.as_str()), ("BAD_USER_INPUT", "ids"), "{message}");
    }
}

on_both_databases! {
    async fn rows_of_another_organization_answer_like_absent_ones(database: TestDatabase) {
        let world = World::random(SEED);
        world.insert(&database).await;
        let db = database.database.reader(StatementLog::default());
        let scope = Scope::organization(OURS, Role::Owner);
        let keys: Vec<_> = [OURS, THEIRS, OrganizationId(9)]
            .into_iter()
            .map(|organization| Key::new(organization, EmployeeId(organization.0 * 1_000)))
            .collect();
        let found = directory::by_ids::<Employee>(&scope, &db, &keys, EmployeeFields::all()).await.unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&keys[0]]);
        let organizations = [OURS, THEIRS, OrganizationId(9)];
        let none = directory::OrganizationFields::empty();
        let found = directory::by_ids::<directory::Organization>(&scope, &db, &organizations, none).await.unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&OURS]);
        let list = request::<Employee>(&[], 5, Direction::Forward, None);
        let pages = directory::by_organizations::<Employee>(&scope, &db, &organizations, &list, EmployeeFields::NAME);
        let pages = pages.await.unwrap();
        assert_eq!(organizations.map(|id| pages[&id].rows.len()), [5, 0, 0]);
        let theirs: Vec<_> = world.projects.iter().filter(|row| row.organization_id == THEIRS).collect();
        let theirs: Vec<_> = theirs.iter().map(|row| Key::new(row.organization_id, row.id)).collect();
        let teams = directory::membership::teams(&scope, &db, &theirs, &list, EmployeeFields::NAME).await.unwrap();
        assert!(teams.values().all(|page| page.rows.is_empty()), "{teams:?}");
    }
}
