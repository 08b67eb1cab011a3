//! Documents that are named instead of sent, those that an operator trusts, and what a request is told about its cost.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{
        Server,
        server::{NOW, Reply, send},
    },
    on_both_databases,
};
use perfgraph::clock::Clock;

const DOCUMENT: &str = "query Named($slug: String!) { organization(slug: $slug) { name } }";

fn hash(document: &str) -> String {
    perfgraph::engine::documents::DocumentHash::of(document).to_string()
}

async fn post(server: &Server, body: Value) -> Reply {
    server.post("application/json", body.to_string()).await
}

fn persisted(query: Option<&str>, hash: &str) -> Value {
    let mut body = json!({
        "variables": { "slug": "organization-1" },
        "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } },
    });
    if let Some(query) = query {
        body["query"] = json!(query);
    }
    body
}

fn answer() -> Value {
    json!({ "organization": { "name": "Organization 01" } })
}

on_both_databases! {
    async fn a_document_is_sent_once_and_named_afterwards(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1").await;
        let known = hash(DOCUMENT);
        let (code, message) = post(&server, persisted(None, &known)).await.error();
        assert_eq!(code, "PERSISTED_QUERY_NOT_FOUND");
        // Apollo's client recognises the refusal by its beginning.
        assert!(message.starts_with("PersistedQueryNotFound"), "{message}");
        assert_eq!(post(&server, persisted(Some(DOCUMENT), &known)).await.data(), answer());
        assert_eq!(post(&server, persisted(None, &known)).await.data(), answer());
        let named = json!({ "documentId": format!("sha256:{known}"), "variables": { "slug": "organization-1" } });
        assert_eq!(post(&server, named).await.data(), answer());
        let persisted_query = json!({ "persistedQuery": { "version": 1, "sha256Hash": known } }).to_string();
        let parameters = [("variables", r#"{"slug":"organization-1"}"#), ("extensions", persisted_query.as_str())];
        let url = reqwest::Url::parse_with_params(&server.url("/graphql"), parameters).unwrap();
        assert_eq!(send(server.client.get(url)).await.data(), answer());

        for (body, field) in [
            (persisted(Some("{ viewer { role } }"), &known), "extensions.persistedQuery.sha256Hash"),
            (persisted(None, "abc"), "extensions.persistedQuery.sha256Hash"),
            (json!({ "documentId": "sha256:abc" }), "documentId"),
            (json!({ "query": DOCUMENT, "documentId": format!("sha256:{}", hash("other")) }), "documentId"),
            (json!({ "query": "" }), "query"),
            (json!({ "variables": {} }), "query"),
        ] {
            let reply = post(&server, body).await;
            assert_eq!(reply.error().0, "BAD_USER_INPUT", "{}", reply.text);
            assert_eq!(reply.json()["errors"][0]["extensions"]["field"], field, "{}", reply.text);
        }
        let unknown = post(&server, json!({ "documentId": "a-name-of-tools" })).await;
        assert_eq!(unknown.error().0, "PERSISTED_QUERY_NOT_FOUND");
    }
}

/// What is kept must be bounded, and what does not fit the schema must not be kept at all.
#[tokio::test]
async fn only_sound_documents_are_kept_and_none_without_room() {
    let database = crate::harness::TestDatabase::sqlite().await;
    let settings = "self_monitoring.enabled = false\nlimits.document_cache_bytes_max = 0";
    let server = Server::start(database, Clock::fixed(NOW), settings).await;
    server.seed("organizations=1").await;
    let known = hash(DOCUMENT);
    assert_eq!(post(&server, persisted(Some(DOCUMENT), &known)).await.data(), answer());
    assert_eq!(post(&server, persisted(None, &known)).await.error().0, "PERSISTED_QUERY_NOT_FOUND");

    let server = Server::fixed(server.stop().await).await;
    let unsound = "{ nothing }";
    let refused = post(&server, persisted(Some(unsound), &hash(unsound))).await;
    assert_eq!(refused.error().0, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(post(&server, persisted(None, &hash(unsound))).await.error().0, "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn a_server_learns_what_it_trusts_and_then_runs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trusted.jsonl");
    let settings = |mode: &str| {
        format!(
            "self_monitoring.enabled = false\ngraphql.graphiql = false\ngraphql.trusted_documents = '{mode}'\n\
             graphql.trusted_documents_file = '{}'",
            file.display()
        )
    };
    let database = crate::harness::TestDatabase::sqlite().await;
    let learning = Server::start(database, Clock::fixed(NOW), &settings("learn")).await;
    learning.seed("organizations=1").await;
    let variables = json!({ "slug": "organization-1" });
    assert_eq!(learning.graphql(DOCUMENT, variables.clone()).await.data(), answer());
    assert_eq!(learning.graphql("{ nothing }", json!({})).await.error().0, "GRAPHQL_VALIDATION_FAILED");

    let only = Server::start(learning.stop().await, Clock::fixed(NOW), &settings("only")).await;
    assert_eq!(only.graphql(DOCUMENT, variables.clone()).await.data(), answer());
    let by_id = json!({ "documentId": format!("sha256:{}", hash(DOCUMENT)), "variables": variables });
    assert_eq!(post(&only, by_id).await.data(), answer());
    for stranger in ["{ viewer { role } }", "{ nothing }", "{ not graphql"] {
        let (code, message) = only.graphql(stranger, json!({})).await.error();
        assert_eq!(code, "FORBIDDEN", "{message}");
    }
}

on_both_databases! {
    async fn an_answer_says_what_it_cost_and_can_be_held_to_it(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 employees=3").await;
        let query = json!({ "query": "{ employees(first: 10) { nodes { name organization { name } } } }" });
        let ask = async |headers: &[(&str, &str)]| {
            let request = server.request(Method::POST, "/graphql").json(&query);
            send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
        };
        let explained = ask(&[("perfgraph-explain", "1")]).await.json();
        assert_eq!(explained["extensions"]["db"]["statements"], 2);
        assert_eq!(explained["extensions"]["db"]["sql"].as_array().unwrap().len(), 2);
        // employees, nodes of ten, each with a name and an organization with a name.
        assert_eq!(explained["extensions"]["cost"], json!({ "requested": 41, "limit": 5_000 }));
        assert!(ask(&[]).await.json().get("extensions").is_none());

        assert!(ask(&[("perfgraph-max-statements", "2")]).await.json().get("errors").is_none());
        let (code, message) = ask(&[("perfgraph-max-statements", "1")]).await.error();
        assert!(code == "COMPLEXITY_LIMIT" && message.contains("is 2; the maximum is 1"), "{code} {message}");
        assert_eq!(ask(&[("perfgraph-max-statements", "few")]).await.error().0, "BAD_USER_INPUT");
    }
}

on_both_databases! {
    async fn a_variable_frees_nothing_beside_it_from_validation(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=3").await;
        let organization = world.id("organization", 1);
        let misspelt = "mutation($o: ID!) { updateEmployees(filter: { organizationId: $o, naem: { eq: \"x\" } }, department: \"X\") { affected } }";
        let (code, message) = server.graphql(misspelt, json!({ "o": organization })).await.error();
        assert!(code == "BAD_USER_INPUT" && message.contains("did you mean name?"), "{code} {message}");
        let mistyped = "mutation($f: ProjectFilter!) { updateEmployees(filter: $f, department: \"X\") { affected } }";
        let (_, message) = server.graphql(mistyped, json!({ "f": { "organizationId": organization } })).await.error();
        assert!(message.contains("declared as ProjectFilter!"), "{message}");
        let unchanged = server.graphql("{ employees { nodes { department } } }", json!({})).await;
        assert!(!unchanged.text.contains("\"X\""), "{}", unchanged.text);
    }
}

#[tokio::test]
async fn absent_variables_leave_defaults_in_force() {
    let server = Server::fixed(crate::harness::TestDatabase::sqlite().await).await;
    server.seed("organizations=1 employees=3").await;
    for (document, variables, expected) in [
        (
            "query($v: Boolean = true) { viewer { role @include(if: $v) } }",
            json!({}),
            json!({ "viewer": { "role": "OWNER" } }),
        ),
        (
            "query($v: Boolean! = true) { viewer { __typename role @skip(if: $v) } }",
            json!({}),
            json!({ "viewer": { "__typename": "Viewer" } }),
        ),
        ("query($p: Int) { employeesPage(page: $p) { page } }", json!({}), json!({ "employeesPage": { "page": 1 } })),
        (
            "query($n: Int = 2) { employees(first: $n) { nodes { name } } }",
            json!({}),
            json!({ "employees": { "nodes": [{ "name": "Employee 001" }, { "name": "Employee 002" }] } }),
        ),
    ] {
        assert_eq!(server.graphql(document, variables).await.data(), expected, "{document}");
    }
    for wrong in [
        "{ employees(first: 1) { nodes { name } } ...F } fragment F on Query { employees(first: 2) { nodes { email } } }",
        "{ employees { nodes { x: name ...B } } } fragment B on Employee { x: email }",
    ] {
        assert_eq!(server.graphql(wrong, json!({})).await.error().0, "GRAPHQL_VALIDATION_FAILED", "{wrong}");
    }
    let huge = json!({ "f": { "x".repeat(900_000): 1 } });
    let refused = server.graphql("query($f: EmployeeFilter) { employees(filter: $f) { totalCount } }", huge).await;
    assert!(refused.error().0 == "BAD_USER_INPUT" && refused.text.len() < 2_000, "{} bytes", refused.text.len());
}

#[tokio::test]
async fn a_schema_that_is_not_shown_does_not_show_itself_in_errors() {
    let settings = "self_monitoring.enabled = false\ngraphql.introspection = false\ngraphql.graphiql = false";
    let database = crate::harness::TestDatabase::sqlite().await;
    let server = Server::start(database, Clock::fixed(NOW), settings).await;
    for asking in ["{ __schema { queryType { name } } }", "{ viewer { role } __type(name: \"Query\") { name } }"] {
        assert_eq!(server.graphql(asking, json!({})).await.error().0, "FORBIDDEN", "{asking}");
    }
    let (_, message) = server.graphql("{ employee { nam } }", json!({})).await.error();
    assert!(!message.contains("Did you mean"), "{message}");
    assert_eq!(
        server.graphql("{ viewer { __typename } }", json!({})).await.data(),
        json!({ "viewer": { "__typename": "Viewer" } })
    );
}
