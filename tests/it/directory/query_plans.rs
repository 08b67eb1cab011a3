//! Lists of 100,000 employees are read along indexes, on both databases: no table is read from end to end, and no order
//! is sorted that an index has.

use std::collections::BTreeSet;

use perfgraph::{
    db::{Backend, Session, StatementLog},
    directory::{
        self, Employee, EmployeeFields, EmployeeFilter, EmployeeOrderField, ListOf, Organization, OrganizationFields,
        Project, ProjectFields, ProjectFilter, ProjectOrderField, ProjectStatus, Release, ReleaseFields,
        employee::{self, StatisticsFields},
        filter::{EmployeeCondition, OrganizationCondition, ProjectCondition},
        membership,
        order::OrderField,
        organization, project,
        reach::{self, Access},
        release,
    },
    model::{
        EmployeeId, Key, OrganizationId, ProjectId, ReleaseId, Role, Scope, Timestamp,
        filter::{Filter, Number, NumberFilter, TextFilter},
        order::{ListPosition, OrderBy, Sort, SortValue},
        page::{Direction, ListRequest, PageRequest},
    },
};
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::{harness::TestDatabase, on_both_databases};

const ORGANIZATION: OrganizationId = OrganizationId(3);

/// 50 organizations with 2,000 people and 40 projects each, eight people and ten releases to a project.
async fn fill(database: &TestDatabase) {
    let numbers = |count: i64, sql: &str| {
        format!("WITH RECURSIVE s (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < {count} - 1) {sql}")
    };
    let is_active = match database.database.backend() {
        Backend::Sqlite(_) => "i % 10 > 0",
        Backend::Postgres(_) => "(i % 10 > 0)",
    };
    for sql in [
        numbers(
            50,
            "INSERT INTO organization (id, slug, name, employee_count, created_at, updated_at) \
             SELECT i + 1, 'o' || i, 'Organization ' || i, 2000, 0, 0 FROM s",
        ),
        numbers(
            100_000,
            &format!(
                "INSERT INTO employee \
                 (organization_id, id, name, email, department, salary, is_active, created_at, updated_at) \
                 SELECT i % 50 + 1, i, 'Name ' || (i * 7919 % 100003), 'e' || i || '@example.org', \
                 'Department ' || (i / 50 % 20), CASE WHEN i % 13 = 0 THEN NULL ELSE i * 7907 % 90001 END, \
                 {is_active}, i * 7901 % 100019, 0 FROM s"
            ),
        ),
        numbers(
            2_000,
            "INSERT INTO project (organization_id, id, slug, name, status, team_size, created_at, updated_at) \
             SELECT i % 50 + 1, i, 'p' || i, 'Project ' || (i * 7919 % 2003), i / 50 % 3, i / 50 % 30, \
             i * 7901 % 2011, 0 FROM s",
        ),
        numbers(
            16_000,
            "INSERT INTO project_member (organization_id, project_id, employee_id, role, joined_at) \
             SELECT i % 50 + 1, i % 2000, i % 50 + 50 * ((i * 7 + i / 2000 * 31) % 2000), 'Member', 0 FROM s",
        ),
        numbers(
            20_000,
            "INSERT INTO release (organization_id, id, project_id, version, deployed_at, created_at) \
             SELECT i % 50 + 1, i, i % 2000, '1.' || (i / 2000), i * 7901 % 20011, 0 FROM s",
        ),
        "ANALYZE".to_owned(),
    ] {
        match database.database.backend() {
            Backend::Sqlite(pool) => drop(pool.execute(AssertSqlSafe(sql)).await.unwrap()),
            Backend::Postgres(pool) => drop(pool.execute(AssertSqlSafe(sql)).await.unwrap()),
        }
    }
}

/// The plan of a statement for any values, as the database keeps it for a prepared statement.
async fn plan(database: &TestDatabase, sql: &str) -> Vec<String> {
    let parameters = (1..10_000).take_while(|number| sql.contains(&format!("${number}"))).count();
    plan_for(database, sql, "force_generic_plan", &vec!["NULL".to_owned(); parameters]).await
}

/// The plan of a statement. On PostgreSQL for these values of its parameters, in a mode of `plan_cache_mode`.
async fn plan_for(database: &TestDatabase, sql: &str, mode: &str, values: &[String]) -> Vec<String> {
    match database.database.backend() {
        Backend::Sqlite(pool) => sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(pool)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get("detail"))
            .collect(),
        Backend::Postgres(pool) => {
            let mut connection = pool.acquire().await.unwrap();
            let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
            connection.execute(AssertSqlSafe(format!("SET plan_cache_mode = {mode}"))).await.unwrap();
            connection.execute(AssertSqlSafe(format!("PREPARE asked AS {sql}"))).await.unwrap();
            let rows = connection
                .fetch_all(AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE asked {values}")))
                .await
                .unwrap();
            connection.execute("DEALLOCATE asked").await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
    }
}

fn text(prefix: &str) -> TextFilter {
    TextFilter { starts_with: Some(prefix.to_owned()), ..TextFilter::default() }
}

fn equal(word: &str) -> TextFilter {
    TextFilter { eq: Some(word.to_owned()), ..TextFilter::default() }
}

/// The usual filters of a list of employees, and none.
fn employee_filters() -> Vec<Option<EmployeeFilter>> {
    let salary = NumberFilter { gte: Some(Number(1.0)), lt: Some(Number(20.0)), ..NumberFilter::default() };
    let own =
        |condition| Filter::All(vec![Filter::Is(EmployeeCondition::Organization(ORGANIZATION)), Filter::Is(condition)]);
    vec![
        None,
        Some(Filter::Is(EmployeeCondition::Organization(ORGANIZATION))),
        Some(Filter::Is(EmployeeCondition::Name(text("Name 77")))),
        Some(Filter::Is(EmployeeCondition::Email(text("e12345")))),
        Some(Filter::Is(EmployeeCondition::Email(equal("e12345@example.org")))),
        Some(Filter::Is(EmployeeCondition::Department(equal("Department 7")))),
        Some(Filter::Is(EmployeeCondition::Salary(salary))),
        Some(Filter::Is(EmployeeCondition::IsActive(false))),
        Some(Filter::Is(EmployeeCondition::Name(TextFilter {
            contains: Some("77".to_owned()),
            ..TextFilter::default()
        }))),
        Some(Filter::Is(EmployeeCondition::Project(Key::new(ORGANIZATION, ProjectId(2))))),
        Some(own(EmployeeCondition::Department(equal("Department 7")))),
        Some(own(EmployeeCondition::IsActive(false))),
        Some(own(EmployeeCondition::Email(text("e12345")))),
    ]
}

fn project_filters() -> Vec<Option<ProjectFilter>> {
    vec![
        None,
        Some(Filter::Is(ProjectCondition::Organization(ORGANIZATION))),
        Some(Filter::Is(ProjectCondition::Name(text("Project 77")))),
        Some(Filter::Is(ProjectCondition::Member(Key::new(ORGANIZATION, EmployeeId(2))))),
        Some(Filter::All(vec![
            Filter::Is(ProjectCondition::Organization(ORGANIZATION)),
            Filter::Is(ProjectCondition::Status(ProjectStatus::Paused)),
        ])),
    ]
}

/// By each field alone, both ways, from the start and from a place in the middle.
fn lists<C: Clone, F: OrderField>(
    filter: Option<&Filter<C>>,
    value: impl Fn(F) -> SortValue,
) -> Vec<ListRequest<C, F>> {
    let mut lists = Vec::new();
    for field in F::ALL {
        for sort in [Sort::Ascending, Sort::Descending] {
            for beyond in [None, Some(ListPosition { values: vec![value(*field)], id: 5_000 })] {
                let page = PageRequest { size: 20, direction: Direction::Forward, beyond, skip: 0 };
                let order = vec![OrderBy { field: *field, sort }];
                lists.push(ListRequest { filter: filter.cloned().map(Into::into), order, page });
            }
        }
    }
    lists
}

fn employee_value(field: EmployeeOrderField) -> SortValue {
    match field {
        EmployeeOrderField::Salary => SortValue::Number(Number(40_000.0)),
        EmployeeOrderField::CreatedAt => SortValue::Integer(50_000),
        _ => SortValue::Text("M".to_owned()),
    }
}

fn project_value(field: ProjectOrderField) -> SortValue {
    if field == ProjectOrderField::Name { SortValue::Text("M".to_owned()) } else { SortValue::Integer(1) }
}

async fn ask_employees(scope: &Scope, db: &Session, list: &ListOf<Employee>) {
    directory::list::<Employee>(scope, db, list, EmployeeFields::NAME).await.unwrap();
}

async fn ask_projects(scope: &Scope, db: &Session, list: &ListOf<Project>) {
    directory::list::<Project>(scope, db, list, ProjectFields::NAME).await.unwrap();
}

/// Pages by number, orders by several keys, organizations by what they are called, and figures.
async fn ask_what_only_the_root_asks(scope: &Scope, db: &Session, organizations: &[OrganizationId]) {
    let by = |field| OrderBy { field, sort: Sort::Ascending };
    let keys = vec![by(EmployeeOrderField::Department), by(EmployeeOrderField::Name)];
    let beyond = ListPosition { values: vec![SortValue::Text("M".to_owned()); 2], id: 5_000 };
    for (skip, beyond) in [(40, None), (0, Some(beyond))] {
        let page = PageRequest { size: 20, direction: Direction::Forward, beyond, skip };
        // Over all tenants only single keys have an index.
        let filter = Some(Filter::Is(EmployeeCondition::Organization(ORGANIZATION)).into());
        ask_employees(scope, db, &ListRequest { filter, order: keys.clone(), page }).await;
    }
    for condition in [OrganizationCondition::IsActive(false), OrganizationCondition::Name(text("Organization 7"))] {
        let filter = Some(Filter::Is(condition).into());
        let list: ListOf<Organization> = ListRequest { filter, order: vec![], page: PageRequest::from_start(0, 20) };
        directory::list::<Organization>(scope, db, &list, OrganizationFields::NAME).await.unwrap();
    }
    let slugs = ["o7".to_owned()];
    organization::by_slugs(scope, db, &slugs, OrganizationFields::NAME).await.unwrap();
    organization::find_own(scope, db).await.unwrap();
    // There are only fifty: of many of them all are read.
    let few = &organizations[..2];
    organization::employee_counts(scope, db, few, None).await.unwrap();
    directory::by_ids::<Organization>(scope, db, few, OrganizationFields::NAME).await.unwrap();
    project::by_slug(scope, db, ORGANIZATION, "p7", ProjectFields::NAME).await.unwrap();
    let slugs = ["o7/p7", "o8/p8"].map(|slugs| slugs.parse().unwrap());
    project::by_slugs(scope, db, &slugs, ProjectFields::NAME).await.unwrap();
    let active = Filter::Is(EmployeeCondition::IsActive(false));
    for fields in [StatisticsFields::default(), StatisticsFields::ACTIVE, StatisticsFields::all()] {
        employee::statistics(scope, db, Some(&active), fields, 100).await.unwrap();
        employee::statistics_by_organizations(scope, db, organizations, None, fields, 100).await.unwrap();
    }
}

/// The releases of projects, and when they ran.
async fn ask_releases(scope: &Scope, db: &Session, projects: &[Key<ProjectId>]) {
    let place = ListPosition { values: vec![SortValue::Integer(50)], id: 5_000 };
    for (direction, beyond) in
        [(Direction::Forward, None), (Direction::Forward, Some(place.clone())), (Direction::Backward, Some(place))]
    {
        let page = PageRequest { size: 20, direction, beyond, skip: 0 };
        let list: ListOf<Release> = ListRequest { filter: None, order: vec![], page };
        release::by_projects(scope, db, projects, &list, ReleaseFields::VERSION).await.unwrap();
    }
    release::counts(scope, db, projects, None).await.unwrap();
    let versions: Vec<_> = projects.iter().map(|project| (*project, "1.3".to_owned())).collect();
    release::by_versions(scope, db, &versions, ReleaseFields::all()).await.unwrap();
    let keys: Vec<_> = projects.iter().map(|project| Key::new(project.organization, ReleaseId(project.id.0))).collect();
    release::runs(scope, db, &keys, Timestamp::from_micros(1_000_000)).await.unwrap();
    directory::by_ids::<Release>(scope, db, &keys, ReleaseFields::all()).await.unwrap();
}

/// Access to an organization and to projects that exist.
async fn ask_access(scope: &Scope, db: &Session, projects: &[Key<ProjectId>]) {
    assert_eq!(reach::organization(scope, db, ORGANIZATION).await.unwrap(), Access::Granted);
    let projects = projects.iter().copied().collect();
    assert_eq!(reach::projects(scope, db, &projects).await.unwrap(), Access::Granted);
}

/// What stands between the quotes behind `USING`, or behind `using` in the other dialect.
fn indexes(plan: &[String]) -> impl Iterator<Item = String> {
    let named = |line: &String| {
        let after = ["USING INDEX ", "USING COVERING INDEX ", " using "].iter().find_map(|word| line.split_once(word));
        let scan = line.split_once("Bitmap Index Scan on ");
        after.or(scan).map(|(_, name)| name.split([' ', '(']).next().unwrap_or_default().to_owned())
    };
    plan.iter().filter_map(named).collect::<Vec<_>>().into_iter()
}

fn assert_by_index(plan: &[String], sql: &str) {
    let all = plan.join("\n");
    // `contains` has no index, and a plan for any value takes half of everybody for active.
    let is_wide = sql.contains("REPLACE(") || sql.ends_with("WHERE \"l\".\"is_active\" = $1");
    let counts_everything = sql.contains("COUNT(*)") && (is_wide || !sql.contains("WHERE"));
    for line in plan.iter().map(|line| line.trim().trim_start_matches("->").trim()) {
        let scan = (line.starts_with("SCAN ")
            && !line.contains("INDEX")
            && !line.contains("numbered")
            && !line.contains("subquery"))
            || line.contains("Seq Scan on employee")
            || line.contains("Seq Scan on project")
            || line.contains("Seq Scan on release");
        assert!(!scan || counts_everything, "{sql}\n{all}");
    }
    // Unfiltered, or narrowed to an organization at most: an index has every order.
    let ordered = sql.contains("ORDER BY") && !sql.contains("COUNT(*)") && !sql.contains("ROW_NUMBER");
    let narrowed = ["name", "email", "department", "salary", "is_active", "status"].iter().any(|column| {
        sql.contains(&format!("WHERE \"l\".\"{column}\"")) || sql.contains(&format!("AND \"l\".\"{column}\""))
    }) || sql.contains("project_member");
    // Going down past what is known to what is not takes several searches, whose rows must be sorted together.
    let down_to_unknown = sql.contains("\"salary\" IS NULL");
    if ordered && !narrowed && !down_to_unknown {
        assert!(!all.contains("TEMP B-TREE FOR ORDER BY"), "{sql}\n{all}");
        assert!(!plan.iter().any(|line| line.trim().trim_start_matches("->").trim() == "Sort"), "{sql}\n{all}");
    }
}

fn text_value(text: &str) -> SortValue {
    SortValue::Text(text.to_owned())
}

/// A list that people ask for first: its filter with a value of the condition, its order, and the indexes that answer it
/// within an organization and everywhere.
struct UsualList<C, F> {
    filter: Option<(C, &'static str)>,
    order: F,
    within: &'static str,
    everywhere: &'static str,
}

fn usual_employees() -> Vec<UsualList<EmployeeCondition, EmployeeOrderField>> {
    use EmployeeOrderField::{CreatedAt, Name};
    let active = || Some((EmployeeCondition::IsActive(true), "true"));
    let department = || Some((EmployeeCondition::Department(equal("Department 7")), "'Department 7'"));
    let list = |filter, order, within, everywhere| UsualList { filter, order, within, everywhere };
    vec![
        list(None, Name, "employee_name", "employee_name_everywhere"),
        list(None, CreatedAt, "employee_created_at", "employee_created_at_everywhere"),
        list(active(), Name, "employee_is_active", "employee_is_active_everywhere"),
        list(active(), CreatedAt, "employee_is_active_created_at", "employee_is_active_created_at_everywhere"),
        list(department(), Name, "employee_department", "employee_department_name_everywhere"),
        list(department(), CreatedAt, "employee_department_created_at", "employee_department_created_at_everywhere"),
    ]
}

fn usual_projects() -> Vec<UsualList<ProjectCondition, ProjectOrderField>> {
    use ProjectOrderField::{CreatedAt, Name};
    let paused = || Some((ProjectCondition::Status(ProjectStatus::Paused), "1"));
    let list = |filter, order, within, everywhere| UsualList { filter, order, within, everywhere };
    vec![
        list(None, Name, "project_name", "project_name_everywhere"),
        list(None, CreatedAt, "project_created_at", "project_created_at_everywhere"),
        list(paused(), Name, "project_status_name", "project_status_name_everywhere"),
        list(paused(), CreatedAt, "project_status_created_at", "project_status_created_at_everywhere"),
    ]
}

/// Asks for pages of a usual list, in both directions, from the start and from the middle, and requires that each is read in
/// order from its index: for any values and for these, for an organization and for everything.
async fn assert_in_order<N>(
    database: &TestDatabase,
    list: &UsualList<N::Condition, N::OrderField>,
    place: SortValue,
    modes: &[&str],
) where
    N: directory::Record,
    N::Condition: Clone,
    N::OrderField: Copy,
    N::Fields: Default,
{
    let place_text = match &place {
        SortValue::Text(text) => format!("'{text}'"),
        SortValue::Integer(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    for (is_within, index) in [(true, list.within), (false, list.everywhere)] {
        let scope = if is_within { Scope::organization(ORGANIZATION, Role::Admin) } else { Scope::everything() };
        for (sort, is_beyond) in
            [(Sort::Ascending, false), (Sort::Ascending, true), (Sort::Descending, false), (Sort::Descending, true)]
        {
            let beyond = is_beyond.then(|| ListPosition { values: vec![place.clone()], id: 5_000 });
            let page = PageRequest { size: 20, direction: Direction::Forward, beyond, skip: 0 };
            let filter = list.filter.clone().map(|(condition, _)| Filter::Is(condition).into());
            let request: ListOf<N> = ListRequest { filter, order: vec![OrderBy { field: list.order, sort }], page };
            let db = database.database.reader(StatementLog::default());
            directory::list::<N>(&scope, &db, &request, N::Fields::default()).await.unwrap();
            let sql = db.log().statements().remove(0).sql;
            let mut values = Vec::new();
            values.extend(list.filter.as_ref().map(|(_, value)| (*value).to_owned()));
            values.extend(is_within.then(|| ORGANIZATION.0.to_string()));
            if sql.find("organization_id\" =").is_some_and(|at| sql[..at].find('$').is_none()) {
                values.reverse();
            }
            if is_beyond {
                values.extend([place_text.clone(), "5000".to_owned()]);
            }
            values.push("21".to_owned());
            for mode in modes {
                let plan = plan_for(database, &sql, mode, &values).await;
                let text = format!("{mode}: {sql}\n  {}", plan.join("\n  "));
                // For these values another index may cost the same.
                if *mode == "force_generic_plan" {
                    assert_eq!(indexes(&plan).collect::<Vec<_>>(), [index], "{text}");
                }
                assert_by_index(&plan, &sql);
                let sorts =
                    |line: &String| line.contains("Sort") || line.contains("TEMP B-TREE") || line.contains("Bitmap");
                assert!(!plan.iter().any(sorts), "{text}");
            }
        }
    }
}

on_both_databases! {
    async fn the_usual_filters_and_orders_are_read_from_an_index_without_sorting(database: TestDatabase) {
        fill(&database).await;
        for list in usual_employees() {
            let middle = if list.order == EmployeeOrderField::Name { text_value("Name 5") } else { SortValue::Integer(50_000) };
            assert_in_order::<Employee>(&database, &list, middle, &["force_generic_plan", "force_custom_plan"]).await;
        }
        for list in usual_projects() {
            // For these values PostgreSQL sorts the forty projects of an organization as quickly.
            let middle = match list.order {
                ProjectOrderField::Name => text_value("Project 5"),
                _ => SortValue::Integer(1_000),
            };
            assert_in_order::<Project>(&database, &list, middle, &["force_generic_plan"]).await;
        }
        // Within one organization, as `Organization.projects` asks, and the releases of one project, newest first.
        let (scope, db) = (Scope::everything(), database.database.reader(StatementLog::default()));
        let paused = Filter::Is(ProjectCondition::Status(ProjectStatus::Paused));
        let newest = vec![OrderBy { field: ProjectOrderField::CreatedAt, sort: Sort::Descending }];
        let list = ListRequest { filter: Some(paused.into()), order: newest, page: PageRequest::from_start(0, 20) };
        directory::by_organizations::<Project>(&scope, &db, &[ORGANIZATION], &list, ProjectFields::NAME).await.unwrap();
        let list: ListOf<Release> = ListRequest { filter: None, order: vec![], page: PageRequest::from_start(0, 20) };
        release::by_projects(&scope, &db, &[Key::new(ORGANIZATION, ProjectId(2))], &list, ReleaseFields::VERSION).await.unwrap();
        for (statement, index) in db.log().statements().iter().zip(["project_status_created_at", "release_deployed_at"]) {
            let plan = plan(&database, &statement.sql).await;
            assert_eq!(indexes(&plan).collect::<Vec<_>>(), [index], "{}\n{plan:#?}", statement.sql);
            assert!(!plan.iter().any(|line| line.contains("Sort") || line.contains("TEMP B-TREE")), "{}\n{plan:#?}", statement.sql);
        }
        assert_eq!(db.log().count(), 2);
    }
}

on_both_databases! {
    async fn every_list_is_read_along_an_index(database: TestDatabase) {
        fill(&database).await;
        let db = database.database.reader(StatementLog::default());
        let organizations: Vec<_> = (1..=20).map(OrganizationId).collect();
        for scope in [Scope::everything(), Scope::organization(ORGANIZATION, Role::Admin)] {
            for filter in employee_filters() {
                for list in lists(filter.as_ref(), employee_value) {
                    ask_employees(&scope, &db, &list).await;
                }
                directory::count::<Employee>(&scope, &db, filter.as_ref()).await.unwrap();
                let filter = filter.as_ref();
                directory::counts_by_organizations::<Employee>(&scope, &db, &organizations, filter).await.unwrap();
            }
            for filter in project_filters() {
                for list in lists(filter.as_ref(), project_value) {
                    ask_projects(&scope, &db, &list).await;
                }
                directory::count::<Project>(&scope, &db, filter.as_ref()).await.unwrap();
            }
            let employees: Vec<_> = (0..20).map(|i| Key::new(ORGANIZATION, EmployeeId(2 + 50 * i))).collect();
            let projects: Vec<_> = (0..20).map(|i| Key::new(ORGANIZATION, ProjectId(2 + 50 * i))).collect();
            ask_what_only_the_root_asks(&scope, &db, &organizations).await;
            ask_releases(&scope, &db, &projects).await;
            ask_access(&scope, &db, &projects).await;
            let list = lists(None, employee_value).remove(0);
            directory::by_organizations::<Employee>(&scope, &db, &organizations[..2], &list, EmployeeFields::NAME).await.unwrap();
            membership::teams(&scope, &db, &projects, &list, EmployeeFields::NAME).await.unwrap();
            membership::team_counts(&scope, &db, &projects, None).await.unwrap();
            directory::by_ids::<Employee>(&scope, &db, &employees, EmployeeFields::NAME).await.unwrap();
            let list = lists(None, project_value).remove(0);
            directory::by_organizations::<Project>(&scope, &db, &organizations[..2], &list, ProjectFields::NAME).await.unwrap();
            membership::projects(&scope, &db, &employees, &list, ProjectFields::NAME).await.unwrap();
            membership::project_counts(&scope, &db, &employees, None).await.unwrap();
            directory::by_ids::<Project>(&scope, &db, &projects, ProjectFields::NAME).await.unwrap();
        }
        let mut statements: Vec<_> = db.log().statements().into_iter().map(|statement| statement.sql).collect();
        statements.sort_unstable();
        statements.dedup();
        assert!(statements.len() > 300, "every shape: {}", statements.len());
        let mut used = BTreeSet::new();
        let mut faults = Vec::new();
        for sql in statements {
            let plan = plan(&database, &sql).await;
            used.extend(indexes(&plan));
            let check = std::panic::AssertUnwindSafe(|| assert_by_index(&plan, &sql));
            if std::panic::catch_unwind(check).is_err() {
                faults.push(format!("{sql}\n  {}", plan.join("\n  ")));
            }
        }
        assert!(faults.is_empty(), "{} statements\n{}", faults.len(), faults.join("\n"));
        for index in ["is_active", "department", "created_at", "salary"] {
            assert!(used.contains(&format!("employee_{index}")), "employee_{index} is never used: {used:?}");
        }
        for index in ["email", "department", "created_at", "salary", "name", "is_active"] {
            assert!(used.contains(&format!("employee_{index}_everywhere")), "{index} is never used: {used:?}");
        }
        assert!(used.contains("release_deployed_at"), "{used:?}");
        for index in ["status", "created_at", "team_size"] {
            for place in ["", "_everywhere"] {
                assert!(used.contains(&format!("project_{index}{place}")), "{index}{place} is never used: {used:?}");
            }
        }
    }
}
