//! Many writers at once: counters equal the rows they count, exactly one of those who want the same gets it, and no
//! client ever hears of a deadlock.

use std::collections::HashSet;

use futures_util::future::join_all;
use perfgraph::entity::{employee, organization, project, project_member};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};

use super::{CREATE_EMPLOYEE, failures};
use crate::{
    harness::{Server, World},
    on_both_databases,
};

const WRITERS: usize = 8;
const ROUNDS: usize = 15;
const PEOPLE: usize = 12;
const PROJECTS: usize = 4;

/// Every counter equals the number of rows.
async fn assert_counted(server: &Server) {
    let session = server.database.reader();
    for row in organization::Entity::find().all(&session).await.unwrap() {
        let people = employee::Entity::find().filter(employee::Column::OrganizationId.eq(row.id));
        assert_eq!(u64::try_from(row.employee_count).unwrap(), people.count(&session).await.unwrap());
    }
    for row in project::Entity::find().all(&session).await.unwrap() {
        let team = project_member::Entity::find().filter(project_member::Column::ProjectId.eq(row.id));
        assert_eq!(u64::try_from(row.team_size).unwrap(), team.count(&session).await.unwrap(), "{}", row.name);
    }
}

/// One writer's change of a round: teams of several in changing orders, and people who come and go.
fn change(world: &World, writer: usize, round: usize) -> (&'static str, Value) {
    const ADD: &str = "mutation ($project: ID!, $people: [ID!]!) {
        change: addProjectMembers(projectId: $project, employeeIds: $people) { userErrors { field code message } }
    }";
    const REMOVE: &str = "mutation ($project: ID!, $people: [ID!]!) {
        change: removeProjectMembers(projectId: $project, employeeIds: $people) { userErrors { field code message } }
    }";
    const CREATE: &str = "mutation ($input: CreateProjectInput!) {
        change: createProject(input: $input) { userErrors { field code message } }
    }";
    const DELETE: &str = "mutation ($id: ID!) {
        change: deleteEmployee(id: $id) { userErrors { field code message } }
    }";
    const HIRE: &str = "mutation ($input: CreateEmployeeInput!) {
        change: createEmployee(input: $input) { userErrors { field code message } }
    }";
    const MOVE: &str = "mutation ($filter: EmployeeFilter!, $department: String) {
        change: updateEmployees(filter: $filter, department: $department) { userErrors { field code message } }
    }";
    const ABANDON: &str = "mutation ($id: ID!) {
        change: deleteProject(id: $id) { userErrors { field code message } }
    }";
    let turn = writer * 7 + round * 5;
    let person = |place: usize| world.id("employee", 1 + place % PEOPLE);
    let mut people: Vec<_> = (0..5).map(|place| person(turn + place * (1 + writer % 3))).collect();
    if writer % 2 == 1 {
        people.reverse();
    }
    let project = world.id("project", 1 + turn % PROJECTS);
    let organization = world.id("organization", 1);
    match (writer + round) % 7 {
        0 | 1 => (ADD, json!({ "project": project, "people": people })),
        2 => (REMOVE, json!({ "project": project, "people": people })),
        // Each person once, by whoever comes first: the others must hear that there is nobody.
        3 if round >= ROUNDS / 3 => (DELETE, json!({ "id": person(turn) })),
        3 => (CREATE, json!({ "input": { "organizationId": organization, "name": "Same", "memberIds": people } })),
        // One of the projects goes, and is gone for all others.
        4 if round == ROUNDS / 2 => (ABANDON, json!({ "id": world.id("project", PROJECTS) })),
        4 | 5 => {
            // Everybody, and half of them: the same rows along different indexes.
            let filter = match writer % 2 {
                0 => json!({ "organizationId": organization }),
                _ => json!({ "email": { "contains": "employee" } }),
            };
            (MOVE, json!({ "filter": filter, "department": format!("{}", turn % 3) }))
        }
        _ => {
            let email = format!("{writer}.{round}@x.example");
            let input = json!({ "organizationId": organization, "name": "New", "email": email, "department": "Any" });
            (HIRE, json!({ "input": input }))
        }
    }
}

on_both_databases! {
    async fn counters_equal_what_they_count(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=12 projects=4 members=6").await;
        let writers = (0..WRITERS).map(async |writer| {
            let mut made = 0;
            for round in 0..ROUNDS {
                let (query, variables) = change(&world, writer, round);
                let reply = server.graphql(query, variables).await;
                // `data` fails on any error of the request, and a deadlock would be one.
                let failures = failures(&reply.data()["change"]);
                assert!(failures.iter().all(|(code, _)| code == "NOT_FOUND"), "{failures:?}");
                made += usize::from(failures.is_empty());
            }
            made
        });
        let made: usize = join_all(writers).await.into_iter().sum();
        assert!(made > WRITERS * ROUNDS / 3, "only {made} changes were made");
        assert_counted(&server).await;
    }
}

on_both_databases! {
    async fn people_who_exchange_addresses_are_told_that_they_are_taken(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=4").await;
        let update = "mutation ($input: UpdateEmployeeInput!) {
            updateEmployee(input: $input) { employee { email } userErrors { field code message } }
        }";
        for round in 0..3 {
            // Each wants the next one's, all at once: on PostgreSQL each waits for the next.
            let everybody = (0..4).map(async |place: usize| {
                let email = format!("employee.{}@organization-1.example", 1 + (place + 1) % 4);
                let input = json!({ "id": world.id("employee", 1 + place), "email": email });
                server.graphql(update, json!({ "input": input })).await.data()["updateEmployee"].take()
            });
            let taken = [("TAKEN".to_owned(), "email".to_owned())];
            for answer in join_all(everybody).await {
                assert_eq!(failures(&answer), taken, "round {round}: {answer}");
            }
        }
    }
}

on_both_databases! {
    async fn of_two_with_the_same_lock_one_wins(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1").await;
        let read = "query ($id: ID!) { employee(id: $id) { updatedAt } }";
        let update = "mutation ($input: UpdateEmployeeInput!) {
            updateEmployee(input: $input) { employee { name } userErrors { field code message } }
        }";
        let id = world.id("employee", 1);
        for round in 0..10 {
            let seen = server.graphql(read, json!({ "id": id })).await.data()["employee"]["updatedAt"].take();
            let writers = (0..WRITERS).map(async |writer| {
                let name = format!("{round} {writer}");
                let input = json!({ "id": id, "name": name, "ifUpdatedAt": seen });
                server.graphql(update, json!({ "input": input })).await.data()["updateEmployee"].take()
            });
            let answers = join_all(writers).await;
            let winners = answers.iter().filter(|answer| answer["employee"].is_object()).count();
            assert_eq!(winners, 1, "{answers:?}");
            let losers = answers.iter().filter(|answer| answer["employee"].is_null());
            for loser in losers {
                assert_eq!(failures(loser), [("CONFLICT".to_owned(), "ifUpdatedAt".to_owned())]);
            }
        }
    }
}

on_both_databases! {
    async fn of_those_who_want_the_same_name_one_gets_it(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1").await;
        let organization = world.id("organization", 1);
        let hire = (0..WRITERS).map(async |_| {
            let input = json!({ "organizationId": organization, "name": "Ada", "email": "Ada@x", "department": "Any" });
            server.graphql(CREATE_EMPLOYEE, json!({ "input": input })).await.data()["createEmployee"].take()
        });
        let hired = join_all(hire).await;
        assert_eq!(hired.iter().filter(|answer| answer["employee"].is_object()).count(), 1, "{hired:?}");
        let taken = [("TAKEN".to_owned(), "email".to_owned())];
        assert_eq!(hired.iter().filter(|answer| failures(answer) == taken).count(), WRITERS - 1);
        let create = "mutation ($input: CreateProjectInput!) {
            createProject(input: $input) { project { slug } userErrors { field code message } }
        }";
        for slug in [Some("same"), None] {
            let start = (0..WRITERS).map(async |_| {
                let input = json!({ "organizationId": organization, "name": "Derived", "slug": slug });
                server.graphql(create, json!({ "input": input })).await.data()["createProject"].take()
            });
            let started = join_all(start).await;
            let slugs: Vec<_> = started.iter().filter_map(|answer| answer["project"]["slug"].as_str()).collect();
            let distinct: HashSet<_> = slugs.iter().collect();
            assert_eq!(distinct.len(), slugs.len());
            match slug {
                Some(slug) => {
                    assert_eq!(slugs, [slug]);
                    let taken = [("TAKEN".to_owned(), "slug".to_owned())];
                    assert_eq!(started.iter().filter(|answer| failures(answer) == taken).count(), WRITERS - 1);
                }
                None => assert_eq!(slugs.len(), WRITERS, "{started:?}"),
            }
        }
        assert_counted(&server).await;
    }
}
