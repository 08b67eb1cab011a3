//! Several operations in one request: one answer each in order, one set of loaders, and no member that hurts another.

use perfgraph::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{
        Reply, Server, TestDatabase,
        server::{NOW, send},
    },
    on_both_databases,
};

async fn batch(server: &Server, members: &Value) -> Reply {
    let request = server.request(Method::POST, "/graphql").header("perfgraph-explain", "1");
    send(request.json(members)).await
}

fn query(text: &str) -> Value {
    json!({ "query": text })
}

fn statements(answer: &Value) -> &Value {
    &answer[0]["extensions"]["db"]["statements"]
}

on_both_databases! {
    async fn what_members_share_is_loaded_once(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=3 projects=1").await;
        let one = |id: String| query(&format!("{{ organization(id: \"{id}\") {{ name }} }}"));
        let employee = |index| json!({
            "query": "query($id: ID!) { node(id: $id) { ... on Employee { name organization { name } } } }",
            "variables": { "id": world.id("employee", index) },
        });
        let alone = batch(&server, &json!([employee(1)])).await.json();
        assert_eq!(statements(&alone), 2, "a person and the organization: {alone}");
        let many = batch(&server, &json!([employee(1), employee(2), employee(1), employee(3)])).await;
        let many = many.json();
        let names: Vec<_> = many.as_array().unwrap().iter().map(|answer| &answer["data"]["node"]["name"]).collect();
        assert!(names.len() == 4 && names[0] == names[2] && names[0] != names[1], "{many}");
        assert_eq!(statements(&many), 2, "people and their organization are one statement each: {many}");
        assert!(many[1].get("extensions").is_none(), "the figures are those of the whole batch: {many}");
        let same = batch(&server, &Value::from(vec![one(world.id("organization", 1)); 20])).await.json();
        assert_eq!((statements(&same), same.as_array().unwrap().len()), (&json!(1), 20), "{same}");
    }
}

on_both_databases! {
    async fn members_share_what_a_batch_may_cost(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\nlimits.cost_max = 10\nlimits.batch_cost_max = 25";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let organizations = |first: usize| query(&format!("{{ organizations(first: {first}) {{ totalCount }} }}"));
        // A field in a list of `first`, and the list.
        let outcomes = async |sizes: &[usize]| {
            let members: Vec<_> = sizes.iter().map(|first| organizations(*first)).collect();
            let answers = batch(&server, &Value::from(members)).await.json();
            let outcome = |answer: &Value| answer["errors"][0]["message"].as_str().unwrap_or("answered").to_owned();
            answers.as_array().unwrap().iter().map(outcome).collect::<Vec<_>>()
        };
        assert_eq!(outcomes(&[9, 9, 4]).await, ["answered"; 3]);
        let refused = outcomes(&[9, 10, 9, 5, 4]).await;
        assert!(refused[1].contains("the maximum is 10"), "{refused:?}");
        let beyond = "the cost of the operations of the batch up to this one is 26; the maximum is 25: send it in another \
                      batch (limits.batch_cost_max)";
        assert_eq!([&refused[0], &refused[2], &refused[3], &refused[4]], ["answered", "answered", beyond, "answered"]);
    }
}

on_both_databases! {
    async fn a_broken_member_answers_its_own_error(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let nothing = json!({ "query": "query($n: Int!) { organizations(first: $n) { totalCount } }", "variables": { "n": "x" } });
        let members = json!([
            query("{ viewer { role } }"),
            query("{ nothing }"),
            7,
            { "query": 7 },
            [query("{ viewer { role } }")],
            nothing,
            query("subscription { metricStream(filter: {}) { cursor } }"),
            query("{ last: viewer { role } }"),
        ]);
        let reply = batch(&server, &members).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let answers = reply.json();
        assert_eq!(answers[0]["data"], json!({ "viewer": { "role": "OWNER" } }));
        assert_eq!(answers[7]["data"], json!({ "last": { "role": "OWNER" } }));
        for (place, code) in [(1, "GRAPHQL_VALIDATION_FAILED"), (2, "BAD_USER_INPUT"), (3, "BAD_USER_INPUT"),
            (4, "BAD_USER_INPUT"), (5, "BAD_USER_INPUT"), (6, "BAD_USER_INPUT")]
        {
            let answer = &answers[place];
            assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{place}: {answer}");
            assert!(answer.get("data").is_none(), "{place}: {answer}");
        }
    }
}

on_both_databases! {
    async fn mutations_run_in_order_and_later_members_see_them(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let project = world.id("project", 1);
        let count = json!({
            "query": "query($id: ID!) { node(id: $id) { ... on Project { metricStats(filter: { time: { last: \"PT1H\" } }) { count } } } }",
            "variables": { "id": project },
        });
        let ingest = json!({
            "query": "mutation($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted duplicate } }",
            "variables": { "input": {
                "projectId": project, "idempotencyKey": "once",
                "metrics": [{ "type": "CUSTOM", "endpoint": "e", "value": 1, "timestamp": "2026-11-01T11:59:00Z" }],
            } },
        });
        let answers = batch(&server, &json!([count, ingest, count, ingest, count])).await.json();
        let counted = |place: usize| &answers[place]["data"]["node"]["metricStats"]["count"];
        assert_eq!([counted(0), counted(2), counted(4)], [&json!(0), &json!(1), &json!(1)], "{answers}");
        let told = |place: usize| &answers[place]["data"]["ingestMetrics"];
        assert_eq!(told(1), &json!({ "accepted": 1, "duplicate": false }), "{answers}");
        assert_eq!(told(3)["duplicate"], true, "{answers}");
    }
}

/// What stands in the directory, by slug.
async fn slugs(server: &Server) -> Vec<String> {
    let found =
        server.graphql("{ organizations { nodes { slug } } projects { nodes { slug } } }", json!({})).await.data();
    let lists = ["organizations", "projects"].map(|list| found[list]["nodes"].as_array().unwrap().clone());
    lists.concat().iter().map(|node| node["slug"].as_str().unwrap().to_owned()).collect()
}

on_both_databases! {
    async fn a_broken_change_fails_alone_and_leaves_nothing_behind(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1 projects=1").await;
        let organization = |slug: &str| format!(
            "createOrganization(input: {{ name: \"New\", slug: \"{slug}\" }}) {{ organization {{ slug }} userErrors {{ code }} }}"
        );
        let mutation = |fields: String| query(&format!("mutation {{ {fields} }}"));
        let project = json!({
            "query": "mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { slug } userErrors { code } } }",
            "variables": { "input": {
                "organizationId": world.id("organization", 1), "name": "Half", "slug": "half-project",
                // One of them is there, the other is not.
                "memberIds": [world.id("employee", 1), "RW1wbG95ZWU6Nzc6Nzc"],
            } },
        });
        let metrics = |value: Value| json!({
            "query": "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }",
            "variables": { "input": {
                "projectId": world.id("project", 1),
                "metrics": [{ "type": "CUSTOM", "endpoint": "a", "value": 1 }, { "type": "CUSTOM", "endpoint": "a", "value": value }],
            } },
        });
        let created = |slug: &str| json!({ "organization": { "slug": slug }, "userErrors": [] });
        let members = json!([
            mutation(organization("first")),
            // None of these runs, not even its first field.
            mutation(format!("a: {} b: nothing", organization("half"))),
            mutation(format!("a: {} b: createOrganization {{ organization {{ slug }} }}", organization("half"))),
            query(&format!("mutation {{ {}", organization("half"))),
            { "query": 7 },
            metrics(json!("much")),
            project,
            metrics(json!(2)),
            mutation(format!("a: {} b: {}", organization("first"), organization("last"))),
        ]);
        let answers = batch(&server, &members).await.json();
        let data = |place: usize| &answers[place]["data"];
        assert_eq!(data(0)["createOrganization"], created("first"), "{answers}");
        for (place, code) in [(1, "GRAPHQL_VALIDATION_FAILED"), (2, "GRAPHQL_VALIDATION_FAILED"), (3, "GRAPHQL_PARSE_FAILED"),
            (4, "BAD_USER_INPUT"), (5, "BAD_USER_INPUT")]
        {
            assert_eq!(answers[place]["errors"][0]["extensions"]["code"], code, "{place}: {answers}");
            assert!(answers[place].get("data").is_none(), "{place}: {answers}");
        }
        assert_eq!(data(6)["createProject"], json!({ "project": null, "userErrors": [{ "code": "NOT_FOUND" }] }), "{answers}");
        assert_eq!(data(7)["ingestMetrics"]["accepted"], 2, "{answers}");
        // Of one that runs, each field is a change of its own.
        assert_eq!(data(8)["a"], json!({ "organization": null, "userErrors": [{ "code": "TAKEN" }] }), "{answers}");
        assert_eq!(data(8)["b"], created("last"), "{answers}");
        let mut found = slugs(&server).await;
        found.sort();
        assert_eq!(found, ["first", "last", "organization-1", "project-1"]);
        assert_eq!(crate::ingest::http_api::stored(&server.database).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_are_no_batch_are_refused() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    for (members, code) in [
        (json!([]), "BAD_USER_INPUT"),
        (Value::from(vec![query("{ viewer { role } }"); 21]), "COMPLEXITY_LIMIT"),
        (Value::from(vec![1; 100_000]), "COMPLEXITY_LIMIT"),
    ] {
        let reply = batch(&server, &members).await;
        assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (400, code), "{}", reply.text);
    }
    let reply = batch(&server, &Value::from(vec![query("{ viewer { role } }"); 20])).await;
    assert_eq!(reply.json().as_array().unwrap().len(), 20);
    for broken in ["[", "[{\"query\": \"{ viewer { role } }\"}", "[{}] x", "[1,]"] {
        let reply = server.post("application/json", broken).await;
        assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (400, "BAD_USER_INPUT"), "{broken}");
    }
    for off in [0, 1] {
        let settings = format!("self_monitoring.enabled = false\nlimits.batch_operations_max = {off}");
        let server = Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), &settings).await;
        let reply = batch(&server, &json!([query("{ viewer { role } }")])).await;
        assert!(reply.status == 400 && reply.error().1.contains("batches are disabled"), "{}", reply.text);
    }
}
