//! Filters: what passes in SQL is what passes by brute force, on both databases, and what is too much is refused.

use std::collections::BTreeSet;

use perfgraph::{
    db::StatementLog,
    directory::{
        self, Employee, EmployeeFields, EmployeeFilter, ListOf, Project, ProjectFields, ProjectFilter, ProjectStatus,
        filter::{EmployeeCondition, ProjectCondition},
        membership,
    },
    entity::{employee, project},
    error::Code,
    model::{
        EmployeeId, Key, OrganizationId, ProjectId, Role, Scope,
        filter::{Filter, Number, NumberFilter, TextFilter},
        page::{ListRequest, PageRequest},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::fixture::{DEPARTMENTS, NAMES, OURS, SALARIES, THEIRS, World};
use crate::reports::fixture::folded_matches;
use crate::{harness::Server, on_both_databases};

const SEED: u64 = 20_261_121;

/// More than there are rows.
fn everything<C, F>(filter: Filter<C>) -> ListRequest<C, F> {
    let page = PageRequest::from_start(0, 1_000);
    ListRequest { filter: Some(filter.into()), order: Vec::new(), page }
}

fn passes<C>(filter: &Filter<C>, holds: &impl Fn(&C) -> bool) -> bool {
    match filter {
        Filter::All(all) => all.iter().all(|one| passes(one, holds)),
        Filter::Any(any) => any.iter().any(|one| passes(one, holds)),
        Filter::Not(not) => !passes(not, holds),
        Filter::Is(condition) => holds(condition),
    }
}

fn text_matches(filter: &TextFilter, text: &str) -> bool {
    filter.eq.as_ref().is_none_or(|eq| eq == text)
        && filter.ne.as_ref().is_none_or(|ne| ne != text)
        && filter.one_of.as_ref().is_none_or(|texts| texts.iter().any(|one| one == text))
        && filter.starts_with.as_ref().is_none_or(|prefix| text.starts_with(prefix))
        && filter.contains.as_ref().is_none_or(|part| text.contains(part.as_str()))
        && folded_matches(filter, &text.to_ascii_lowercase())
}

/// Addresses are kept in lower case, and found in any.
fn lower(filter: &TextFilter) -> TextFilter {
    let lower = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
    TextFilter {
        eq: lower(&filter.eq),
        ne: lower(&filter.ne),
        one_of: filter.one_of.as_ref().map(|texts| texts.iter().map(|text| text.to_lowercase()).collect()),
        starts_with: lower(&filter.starts_with),
        contains: lower(&filter.contains),
        equal_ignoring_case: lower(&filter.equal_ignoring_case),
        starts_with_ignoring_case: lower(&filter.starts_with_ignoring_case),
        contains_ignoring_case: lower(&filter.contains_ignoring_case),
    }
}

fn number_matches(filter: &NumberFilter, number: Option<f64>) -> bool {
    let holds = |bound: Option<Number>, compare: fn(&f64, &f64) -> bool| {
        bound.is_none_or(|bound| number.is_some_and(|number| compare(&number, &bound.0)))
    };
    holds(filter.eq, f64::eq)
        && holds(filter.gt, f64::gt)
        && holds(filter.gte, f64::ge)
        && holds(filter.lt, f64::lt)
        && holds(filter.lte, f64::le)
}

fn employee_passes(world: &World, filter: &EmployeeFilter, row: &employee::Model) -> bool {
    passes(filter, &|condition| match condition {
        EmployeeCondition::Organization(id) => row.organization_id == *id,
        EmployeeCondition::Project(project) => world.works_on(Key::new(row.organization_id, row.id), *project),
        EmployeeCondition::IsActive(is_active) => row.is_active == *is_active,
        EmployeeCondition::Name(name) => text_matches(name, &row.name),
        EmployeeCondition::Email(email) => text_matches(&lower(email), &row.email),
        EmployeeCondition::Department(department) => text_matches(department, &row.department),
        EmployeeCondition::Salary(salary) => number_matches(salary, row.salary),
    })
}

fn project_passes(world: &World, filter: &ProjectFilter, row: &project::Model) -> bool {
    passes(filter, &|condition| match condition {
        ProjectCondition::Organization(id) => row.organization_id == *id,
        ProjectCondition::Member(employee) => world.works_on(*employee, Key::new(row.organization_id, row.id)),
        ProjectCondition::Status(status) => row.status == status.code(),
        ProjectCondition::Name(name) => text_matches(name, &row.name),
    })
}

/// A tree over random conditions.
fn tree<C>(rng: &mut StdRng, depth: u32, condition: &impl Fn(&mut StdRng) -> C) -> Filter<C> {
    let many = |rng: &mut StdRng| (0..rng.random_range(0..4)).map(|_| tree(rng, depth - 1, condition)).collect();
    match if depth == 0 { 0 } else { rng.random_range(0..4) } {
        0 => Filter::Is(condition(rng)),
        1 => Filter::All(many(rng)),
        2 => Filter::Any(many(rng)),
        _ => Filter::Not(Box::new(tree(rng, depth - 1, condition))),
    }
}

fn text(rng: &mut StdRng, words: &[&str]) -> TextFilter {
    let word = (*words.choose(rng).unwrap()).to_owned();
    let part: String = word.chars().take(rng.random_range(0..3)).collect();
    let none = TextFilter::default();
    let turned: String = word
        .chars()
        .map(|one| if rng.random() { one.to_ascii_uppercase() } else { one.to_ascii_lowercase() })
        .collect();
    match rng.random_range(0..10) {
        7 => TextFilter { equal_ignoring_case: Some(turned), ..none },
        8 => TextFilter {
            starts_with_ignoring_case: Some(turned.chars().take(rng.random_range(0..3)).collect()),
            ..none
        },
        9 => TextFilter { contains_ignoring_case: Some(turned.chars().skip(rng.random_range(0..3)).collect()), ..none },
        0 => TextFilter { eq: Some(word), ..none },
        1 => TextFilter { ne: Some(word), ..none },
        2 => TextFilter { one_of: Some(vec![word, "nobody".to_owned()]), ..none },
        3 => TextFilter { one_of: Some(vec![]), ..none },
        4 => TextFilter { starts_with: Some(part), ..none },
        5 => TextFilter { contains: Some(part), ..none },
        _ => TextFilter { starts_with: Some(part), ne: Some(word), ..none },
    }
}

fn number(rng: &mut StdRng) -> NumberFilter {
    let number = Some(Number(SALARIES.choose(rng).unwrap().unwrap_or(1.0)));
    let none = NumberFilter::default();
    match rng.random_range(0..6) {
        0 => NumberFilter { eq: number, ..none },
        1 => NumberFilter { gt: number, ..none },
        2 => NumberFilter { gte: number, ..none },
        3 => NumberFilter { lt: number, ..none },
        4 => NumberFilter { lte: number, gt: Some(Number(0.0)), ..none },
        _ => none,
    }
}

fn organization(rng: &mut StdRng) -> OrganizationId {
    *[OURS, THEIRS, OrganizationId(9)].choose(rng).unwrap()
}

/// Also of ids that exist in the other organization only, and of none.
fn id(rng: &mut StdRng) -> i64 {
    rng.random_range(1..3) * 1_000 + rng.random_range(0..14)
}

fn employee_condition(rng: &mut StdRng) -> EmployeeCondition {
    match rng.random_range(0..7) {
        0 => EmployeeCondition::Organization(organization(rng)),
        1 => EmployeeCondition::Project(Key::new(organization(rng), ProjectId(id(rng)))),
        2 => EmployeeCondition::IsActive(rng.random()),
        3 => EmployeeCondition::Name(text(rng, &NAMES)),
        4 => EmployeeCondition::Email(text(rng, &["a0@o1.example", "B1@o2.EXAMPLE", "a", "A", "@o1"])),
        5 => EmployeeCondition::Department(text(rng, &DEPARTMENTS)),
        _ => EmployeeCondition::Salary(number(rng)),
    }
}

fn project_condition(rng: &mut StdRng) -> ProjectCondition {
    let statuses = [ProjectStatus::Active, ProjectStatus::Paused, ProjectStatus::Archived];
    match rng.random_range(0..4) {
        0 => ProjectCondition::Organization(organization(rng)),
        1 => ProjectCondition::Member(Key::new(organization(rng), EmployeeId(id(rng)))),
        2 => ProjectCondition::Status(*statuses.choose(rng).unwrap()),
        _ => ProjectCondition::Name(text(rng, &NAMES)),
    }
}

on_both_databases! {
    async fn employees_pass_as_by_brute_force(database: TestDatabase) {
        let world = World::random(SEED);
        world.insert(&database).await;
        let db = database.database.reader(StatementLog::default());
        let mut rng = StdRng::seed_from_u64(SEED);
        let mut sizes = BTreeSet::new();
        for round in 0..120 {
            let filter = tree(&mut rng, 3, &employee_condition);
            for scope in [Scope::everything(), Scope::organization(OURS, Role::Admin)] {
                let seen = |row: &&employee::Model| {
                    scope.sees(row.organization_id) && employee_passes(&world, &filter, row)
                };
                let expected: BTreeSet<_> = world.employees.iter().filter(seen).map(|row| row.id.0).collect();
                let list: ListOf<Employee> = everything(filter.clone());
                let none = EmployeeFields::empty();
                let page = directory::list::<Employee>(&scope, &db, &list, none).await.unwrap();
                let found: BTreeSet<_> = page.rows.iter().map(|row| row.key.id.0).collect();
                assert_eq!(found, expected, "round {round}: {filter:?}");
                let count = directory::count::<Employee>(&scope, &db, Some(&filter)).await.unwrap();
                assert_eq!(count, expected.len() as u64, "round {round}: {filter:?}");
                let (organizations, filter) = ([OURS, THEIRS], Some(&filter));
                let pages = directory::by_organizations::<Employee>(&scope, &db, &organizations, &list, none).await;
                let pages = pages.unwrap();
                let counts = directory::counts_by_organizations::<Employee>(&scope, &db, &organizations, filter).await;
                let counts = counts.unwrap();
                for organization in organizations {
                    let expected = world.employees.iter().filter(seen);
                    let expected = expected.filter(|row| row.organization_id == organization).count();
                    assert_eq!(pages[&organization].rows.len(), expected, "round {round}: {filter:?}");
                    assert_eq!(counts.get(&organization).copied().unwrap_or(0), expected as u64, "{filter:?}");
                }
                sizes.insert(expected.len());
            }
        }
        assert!(sizes.len() > 30, "filters of every selectivity: {sizes:?}");
    }
}

on_both_databases! {
    async fn projects_and_memberships_pass_as_by_brute_force(database: TestDatabase) {
        let world = World::random(SEED);
        world.insert(&database).await;
        let db = database.database.reader(StatementLog::default());
        let mut rng = StdRng::seed_from_u64(SEED);
        let scope = Scope::everything();
        let employees: Vec<_> = world.employees.iter().map(|row| Key::new(row.organization_id, row.id)).collect();
        let projects: Vec<_> = world.projects.iter().map(|row| Key::new(row.organization_id, row.id)).collect();
        for round in 0..50 {
            let filter = tree(&mut rng, 2, &project_condition);
            let seen: BTreeSet<_> =
                world.projects.iter().filter(|row| project_passes(&world, &filter, row)).map(|row| row.id.0).collect();
            let list = everything(filter.clone());
            let page = directory::list::<Project>(&scope, &db, &list, ProjectFields::empty()).await.unwrap();
            assert_eq!(page.rows.iter().map(|row| row.key.id.0).collect::<BTreeSet<_>>(), seen, "{round} {filter:?}");
            let pages = membership::projects(&scope, &db, &employees, &list, ProjectFields::empty()).await.unwrap();
            let counts = membership::project_counts(&scope, &db, &employees, Some(&filter)).await.unwrap();
            for employee in &employees {
                let of = |key: &&Key<ProjectId>| world.works_on(*employee, **key) && seen.contains(&key.id.0);
                let expected: BTreeSet<_> = projects.iter().filter(of).map(|key| key.id.0).collect();
                let found: BTreeSet<_> = pages[employee].rows.iter().map(|row| row.key.id.0).collect();
                assert_eq!(found, expected, "{round} {employee:?} {filter:?}");
                assert_eq!(counts.get(employee).copied().unwrap_or(0), expected.len() as u64);
            }
            let filter = tree(&mut rng, 2, &employee_condition);
            let list = everything(filter.clone());
            let teams = membership::teams(&scope, &db, &projects, &list, EmployeeFields::empty()).await.unwrap();
            let counts = membership::team_counts(&scope, &db, &projects, Some(&filter)).await.unwrap();
            for project in &projects {
                let of = |row: &&employee::Model| {
                    let key = Key::new(row.organization_id, row.id);
                    world.works_on(key, *project) && employee_passes(&world, &filter, row)
                };
                let expected: BTreeSet<_> = world.employees.iter().filter(of).map(|row| row.id.0).collect();
                let found: BTreeSet<_> = teams[project].rows.iter().map(|row| row.employee.key.id.0).collect();
                assert_eq!(found, expected, "{round} {project:?} {filter:?}");
                assert_eq!(counts.get(project).copied().unwrap_or(0), expected.len() as u64);
            }
        }
    }
}

on_both_databases! {
    async fn salaries_are_not_asked_about_below_administrators(database: TestDatabase) {
        let world = World::random(SEED);
        world.insert(&database).await;
        let db = database.database.reader(StatementLog::default());
        let above = NumberFilter { gt: Some(Number(50_000.0)), ..NumberFilter::default() };
        let hidden = Filter::Not(Box::new(Filter::Any(vec![Filter::Is(EmployeeCondition::Salary(above))])));
        let project = Key::new(OURS, world.projects[0].id);
        for role in [Role::Viewer, Role::Member] {
            let scope = Scope::organization(OURS, role);
            let (list, none) = (everything(hidden.clone()), EmployeeFields::empty());
            let refusals = [
                directory::list::<Employee>(&scope, &db, &list, none).await.map(drop),
                directory::count::<Employee>(&scope, &db, Some(&hidden)).await.map(drop),
                directory::by_organizations::<Employee>(&scope, &db, &[OURS], &list, none).await.map(drop),
                directory::counts_by_organizations::<Employee>(&scope, &db, &[OURS], Some(&hidden)).await.map(drop),
                membership::teams(&scope, &db, &[project], &list, none).await.map(drop),
                membership::team_counts(&scope, &db, &[project], Some(&hidden)).await.map(drop),
            ];
            for refusal in refusals {
                let error = refusal.unwrap_err();
                assert_eq!(error.code(), Code::Forbidden);
                assert!(error.to_string().starts_with("filter.salary: "), "{error}");
            }
        }
        assert_eq!(db.log().count(), 0, "refused before the database is asked");
        let scope = Scope::organization(OURS, Role::Admin);
        assert!(directory::count::<Employee>(&scope, &db, Some(&hidden)).await.unwrap() > 0);
    }
}

/// The number of employees that pass, or the code, the field and the message of the refusal, and how many statements.
async fn ask(server: &Server, filter: Value) -> (Result<u64, (String, String, String)>, u64) {
    let query = "query ($filter: EmployeeFilter) { employees(filter: $filter) { totalCount } }";
    let body = json!({ "query": query, "variables": { "filter": filter } });
    let request = server.request(reqwest::Method::POST, "/graphql").header("perfgraph-explain", "1").json(&body);
    let reply = crate::harness::server::send(request).await;
    let body = reply.json();
    let statements = body["extensions"]["db"]["statements"].as_u64().unwrap_or(0);
    if body.get("errors").is_none() {
        return (Ok(body["data"]["employees"]["totalCount"].as_u64().unwrap()), statements);
    }
    let (code, message) = reply.error();
    let field = body["errors"][0]["extensions"]["field"].as_str().unwrap_or_default().to_owned();
    (Err((code, field, message)), statements)
}

fn nested(levels: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..levels).fold(json!({ "isActive": true }), |filter, _| wrap(filter))
}

on_both_databases! {
    async fn empty_and_absent_conditions_mean_what_the_schema_says(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=5 projects=1 members=2").await;
        let (organization, project) = (world.id("organization", 1), world.id("project", 1));
        for (filter, expected) in [
            (json!({}), 10),
            (Value::Null, 10),
            (json!({ "and": [] }), 10),
            (json!({ "or": [] }), 0),
            (json!({ "not": { "or": [] } }), 10),
            (json!({ "not": {} }), 0),
            (json!({ "or": [{}, { "or": [] }] }), 10),
            (json!({ "name": {} }), 10),
            (json!({ "name": { "in": [] } }), 0),
            (json!({ "salary": {} }), 10),
            (json!({ "organizationId": organization }), 5),
            (json!({ "projectId": project }), 2),
            (json!({ "not": { "projectId": project } }), 8),
            (json!({ "or": [{ "projectId": project }, { "name": { "ieq": "EMPLOYEE 005" } }] }), 4),
            (json!({ "name": { "icontains": "PLOYEE 001" } }), 2),
            (json!({ "name": { "istartsWith": "eMPLOYEE 00", "icontains": "2" } }), 2),
            (json!({ "name": { "icontains": "" } }), 10),
            (json!({ "name": { "istartsWith": "mployee" } }), 0),
            (json!({ "not": { "name": { "ieq": "employee 001" } } }), 8),
            (json!({ "email": { "ieq": "Employee.1@Organization-1.EXAMPLE" } }), 1),
            (json!({ "organizationId": organization, "name": { "startsWith": "Employee 00", "ne": "Employee 001" } }), 4),
            (json!({ "department": { "eq": "design" } }), 0),
            (json!({ "email": { "eq": "Employee.1@Organization-1.EXAMPLE" } }), 1),
            (json!({ "email": { "in": ["EMPLOYEE.1@organization-1.example"], "ne": "Employee.1@x" } }), 1),
            (json!({ "email": { "startsWith": "EMPLOYEE.1@" } }), 2),
            (json!({ "email": { "contains": "@ORGANIZATION-2" } }), 5),
        ] {
            let (answer, statements) = ask(&server, filter.clone()).await;
            // No row is selected, so only the total is asked for, and once for what the filter names.
            let names = u64::from(filter.to_string().contains("Id\""));
            assert_eq!((answer, statements), (Ok(expected), 1 + names), "{filter}");
        }
    }
}

on_both_databases! {
    async fn filters_are_bounded_before_the_database_is_asked(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 employees=3").await;
        let not = |filter| json!({ "not": filter });
        let or = |filter| json!({ "or": [filter] });
        assert_eq!(ask(&server, nested(8, or)).await.0, Ok(3));
        let many = |count| json!({ "name": { "in": vec!["Employee 001"; count] } });
        assert_eq!(ask(&server, many(200)).await.0, Ok(1));
        let alternatives = |count| json!({ "or": vec![json!({ "name": { "eq": "Employee 001" } }); count] });
        assert_eq!(ask(&server, alternatives(100)).await.0, Ok(1));
        for (filter, field, says) in [
            (nested(9, or), "filter", "more than 8 deep"),
            (nested(50, not), "filter", "more than 8 deep"),
            (nested(25, |filter| json!({ "and": [filter] })), "filter", "more than 8 deep"),
            (many(201), "filter.name", "more than 200"),
            (many(10_000), "filter.name", "more than 200"),
            (json!({ "and": vec![json!({ "isActive": true }); 101] }), "filter.and", "more than 200"),
            // Before the types of the schema are built.
            (json!({ "and": vec![json!({}); 10_000] }), "variables.filter", "more than 200"),
            (alternatives(101), "filter.or", "more than 200"),
            (json!({ "not": { "email": { "contains": "a\u{0}b" } } }), "filter.not.email", "zero byte"),
            (
                json!({ "or": [{}, { "and": [{}, {}, { "not": { "name": { "eq": "\u{0}" } } }] }] }),
                "filter.or.1.and.2.not.name",
                "zero byte",
            ),
        ] {
            let (answer, statements) = ask(&server, filter).await;
            let (code, named, message) = answer.unwrap_err();
            assert_eq!((code.as_str(), named.as_str(), statements), ("BAD_USER_INPUT", field, 0), "{message}");
            assert!(message.starts_with(field) && message.contains(says), "{message}");
        }
        // Deeper than `limits.request_depth_max`: refused by the text of the request, and the server lives on.
        for levels in [100, 120, 1_000] {
            let (answer, statements) = ask(&server, nested(levels, not)).await;
            assert_eq!((answer.unwrap_err().0.as_str(), statements), ("COMPLEXITY_LIMIT", 0), "{levels}");
        }
    }
}
