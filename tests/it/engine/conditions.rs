//! Conditions of filters: a null never stands for one that was left out, and a change needs a value for each.

mod places;

use std::collections::BTreeSet;

use apollo_compiler::{Schema, schema::ExtendedType, validation::Valid};
use async_graphql::Variables;
use perfgraph::{
    clock::Clock,
    engine::{Engine, Method, Request},
};
use serde_json::{Value, json};

use crate::{
    harness::{Server, TestDatabase, server::NOW},
    on_both_databases,
};
use places::{Place, places};

fn schema() -> Valid<Schema> {
    Schema::parse_and_validate(perfgraph::graphql::schema::sdl(), "schema.graphql").unwrap()
}

/// The code, the field and the message of a refusal.
fn refusal(engine: &Engine, text: &str, variables: Value) -> Option<(String, String, String)> {
    let variables = Variables::from_json(variables);
    let refused =
        engine.prepare(Method::Post, Request { query: Some(text.to_owned()), variables, ..Request::default() });
    let response = serde_json::to_value(&refused.err()?.response).unwrap();
    let error = &response["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some((text(&error["extensions"]["code"]), text(&error["extensions"]["field"]), text(&error["message"])))
}

/// Every condition of the schema, and every field that takes one.
#[tokio::test]
async fn no_condition_of_the_schema_takes_null() {
    let settings = "self_monitoring.enabled = false\nlimits.cost_max = 1000000000";
    let server = Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), settings).await;
    let (engine, schema) = (server.app.engine(), schema());
    let places = places(&schema);
    let mut kinds = BTreeSet::new();
    for Place { kind, text, path, json, wanted, is_variable_allowed } in &places {
        kinds.insert(*kind);
        let code = "BAD_USER_INPUT".to_owned();

        let literal = text.literal(kind, "", "null");
        let (refused, field, message) = refusal(engine, &literal, json!({})).unwrap_or_else(|| panic!("{literal}"));
        // The library may find first that the place needs a value of another type.
        assert!(refused == code && (field == *path || !is_variable_allowed), "{literal}: {message}");

        let inside = text.argument(kind);
        let named = format!("variables.{path}");
        let (refused, field, message) =
            refusal(engine, &inside, json.clone()).unwrap_or_else(|| panic!("{inside} {json}"));
        assert_eq!((&refused, &field), (&code, &named), "{inside} {json}: {message}");

        if !is_variable_allowed {
            continue;
        }
        let variable = text.literal(kind, &format!("($v: {wanted})"), "$v");
        let null = refusal(engine, &variable, json!({ "v": null })).unwrap_or_else(|| panic!("{variable}"));
        assert_eq!((&null.0, &null.1), (&code, path), "{variable}: {}", null.2);
        let absent = refusal(engine, &variable, json!({}));
        match (*kind, absent) {
            ("mutation", absent) => {
                let (refused, field, message) = absent.unwrap_or_else(|| panic!("{variable}"));
                assert_eq!((&refused, &field), (&code, path), "{variable}: {message}");
            }
            (_, absent) => assert_eq!(absent, None, "{variable}"),
        }
    }
    assert_eq!(kinds, BTreeSet::from(["mutation", "query", "subscription"]));
    assert!(places.len() > 200, "{}", places.len());
}

#[tokio::test]
async fn defaults_lists_and_answers_of_changes_hide_no_null() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let engine = server.app.engine();
    let by_default = "query($a: Boolean = null) { employees(filter: { isActive: $a }) { totalCount } }";
    let in_default = "query($f: EmployeeFilter = { not: { isActive: null } }) { employees(filter: $f) { totalCount } }";
    let in_list = "query { employees(filter: { and: [null] }) { totalCount } }";
    let deep = "query($f: EmployeeFilter!) { employees(filter: { or: [$f, { name: { eq: \"a\" } }] }) { totalCount } }";
    let in_fragment =
        "query($a: Boolean) { ...F } fragment F on Query { employees(filter: { isActive: $a }) { totalCount } }";
    let answer = "mutation($a: Boolean) { createOrganization(input: { name: \"a\", slug: \"a\" }) {
        organization { employees(filter: { isActive: $a }) { totalCount } } } }";
    let whole = "mutation($f: EmployeeFilter) { updateEmployees(filter: $f, isActive: true) { affected } }";
    for (text, variables, path) in [
        (by_default, json!({}), "filter.isActive"),
        (in_default, json!({}), "$f.not.isActive"),
        (in_list, json!({}), "filter.and"),
        (deep, json!({ "f": { "and": [{}, { "salary": { "gt": null } }] } }), "variables.f.and[1].salary.gt"),
        (in_fragment, json!({ "a": null }), "filter.isActive"),
        (answer, json!({}), "filter.isActive"),
        (answer, json!({ "a": null }), "filter.isActive"),
        (whole, json!({}), "filter"),
        (whole, json!({ "f": null }), "filter"),
    ] {
        let (code, _, message) =
            refusal(engine, text, variables.clone()).unwrap_or_else(|| panic!("{text} {variables}"));
        assert!(code == "BAD_USER_INPUT" && message.contains(path), "{text} {variables}: {message}");
    }
    let optional = "query($f: EmployeeFilter, $a: Boolean = true) {
        employees(filter: $f) { totalCount } organizations(filter: { isActive: $a }) { totalCount } }";
    for variables in [json!({}), json!({ "f": null }), json!({ "f": {}, "a": false })] {
        assert_eq!(
            refusal(engine, optional, variables.clone()),
            None,
            "a reader may leave its filter out: {variables}"
        );
    }
}

/// An input type that is named like a filter or reached from one is marked; nothing in it has a default or null items.
#[test]
fn every_filter_of_the_schema_declares_conditions() {
    let schema = schema();
    let mut open: Vec<String> =
        schema.types.keys().filter(|name| name.ends_with("Filter")).map(ToString::to_string).collect();
    for kind in schema.types.values() {
        let fields = match kind {
            ExtendedType::Object(object) => &object.fields,
            ExtendedType::Interface(interface) => &interface.fields,
            ExtendedType::InputObject(input) => {
                let filters = input.fields.values().filter(|field| matches!(field.name.as_str(), "filter" | "having"));
                open.extend(filters.map(|field| field.ty.inner_named_type().to_string()));
                continue;
            }
            _ => continue,
        };
        let arguments = fields.values().flat_map(|field| &field.arguments);
        let filters = arguments.filter(|argument| matches!(argument.name.as_str(), "filter" | "having"));
        open.extend(filters.map(|argument| argument.ty.inner_named_type().to_string()));
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(ExtendedType::InputObject(input)) = schema.types.get(name.as_str()) else { continue };
        if !seen.insert(name) {
            continue;
        }
        assert!(
            input.directives.has("conditions"),
            "{}: add `directive = directives::conditions::apply()`",
            input.name
        );
        for field in input.fields.values() {
            assert!(field.default_value.is_none(), "{}.{} has a default", input.name, field.name);
            assert!(!field.ty.is_list() || field.ty.item_type().is_non_null(), "{}.{}", input.name, field.name);
            open.push(field.ty.inner_named_type().to_string());
        }
    }
    assert!(seen.len() >= 10, "{seen:?}");
}

on_both_databases! {
    async fn a_change_whose_condition_has_no_value_changes_nobody(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=3 employees=20").await;
        let change = "mutation($o: ID) { updateEmployees(input: { filter: { organizationId: $o, isActive: true }, department: \"Moved\" }) {
            affected } }";
        for variables in [json!({}), json!({ "o": null })] {
            let reply = server.graphql(change, variables).await;
            let body = reply.json();
            assert_eq!(body["errors"][0]["extensions"], json!({ "code": "BAD_USER_INPUT", "field": "input.filter.organizationId" }), "{body}");
            assert!(body["data"].is_null(), "{body}");
        }
        let input = json!({ "filter": { "organizationId": null, "isActive": true }, "department": "Moved" });
        let by_object = "mutation($input: UpdateEmployeesInput!) { updateEmployees(input: $input) { affected } }";
        let body = server.graphql(by_object, json!({ "input": input })).await.json();
        assert_eq!(body["errors"][0]["extensions"]["field"], "variables.input.filter.organizationId", "{body}");
        let batch = json!([{ "query": change, "variables": { "o": null } }, { "query": change }, { "query": "{ viewer { role } }" }]);
        let answers = server.post("application/json", batch.to_string()).await.json();
        for answer in &answers.as_array().unwrap()[..2] {
            assert_eq!(answer["errors"][0]["extensions"]["field"], "input.filter.organizationId", "{answers}");
        }
        assert_eq!(answers[2], json!({ "data": { "viewer": { "role": "OWNER" } } }));
        let moved = "{ employees(filter: { department: { eq: \"Moved\" } }) { totalCount } }";
        assert_eq!(server.graphql(moved, json!({})).await.data()["employees"]["totalCount"], 0);

        let affected = server.graphql(change, json!({ "o": world.id("organization", 2) })).await.data();
        let moved = server.graphql(moved, json!({})).await.data();
        assert_eq!(affected["updateEmployees"]["affected"], moved["employees"]["totalCount"]);
        assert!(moved["employees"]["totalCount"].as_u64().unwrap() > 0, "{moved}");

        // A reader leaves the condition out by leaving the variable out.
        let read = "query($o: ID) { employees(filter: { organizationId: $o }) { totalCount } }";
        let all = server.graphql("{ employees { totalCount } }", json!({})).await.data();
        assert_eq!(server.graphql(read, json!({})).await.data(), all);
        let one = server.graphql(read, json!({ "o": world.id("organization", 2) })).await.data();
        assert_ne!(one, all);
        let null = server.graphql(read, json!({ "o": null })).await;
        assert_eq!((null.error().0.as_str(), null.status.as_u16()), ("BAD_USER_INPUT", 200), "{}", null.text);
    }
}
