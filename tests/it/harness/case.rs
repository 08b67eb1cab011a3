//! A case is a file: a head of `# key: value` lines, then the operation. It is sent over HTTP to a server over a database
//! that the head describes.
//!
//! ```graphql
//! # goal: what this case protects, in a sentence
//! # seed: organizations=1 employees=20
//! # viewer: administrator
//! # variables: {"id": "{{employee.3}}"}
//! # statements: 2
//! ```
//! `statements: sqlite 8, postgres 9` if the databases differ. `{{employee.3}}` is the id of the third employee
//! created, `{{employee.3.cursor}}` its cursor in a list, `{{metric}}` the id of the newest measurement.

use std::{fmt::Write, path::PathBuf};

use async_graphql::Value;
use perfgraph::{
    entity::metric_event,
    graphql::node::NodeId,
    model::{Key, MetricKey, MetricType},
};
use sea_orm::{EntityTrait, QueryOrder};

use super::{Server, World, server::send, snapshot::Outcome, sql};

/// A case, read from its file.
pub struct Case {
    pub file: PathBuf,
    /// The amount of data, from the head.
    pub seed: String,
    variables: String,
    statements: String,
    document: String,
}

impl Case {
    pub fn read(file: PathBuf) -> Self {
        let document = std::fs::read_to_string(&file).unwrap();
        let name = file.display();
        let head: Vec<_> = document
            .lines()
            .map_while(|line| line.strip_prefix("# "))
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{name}: `{line}` is not `key: value`")))
            .collect();
        for (key, _) in &head {
            let is_known = ["goal", "seed", "viewer", "variables", "statements"].contains(key);
            assert!(is_known, "{name}: a head has goal, seed, viewer, variables and statements, not `{key}`");
        }
        let given = |wanted: &str| head.iter().find(|(key, _)| *key == wanted).map(|(_, value)| (*value).to_owned());
        let needed = |key: &str| given(key).unwrap_or_else(|| panic!("{name}: the head lacks `# {key}: `"));
        assert!(!needed("goal").trim().is_empty(), "{name}: says no goal");
        // Without authentication this is the only viewer. The head names it so that cases need not change later.
        assert_eq!(needed("viewer"), "administrator", "{name}: no such viewer");
        let (seed, statements) = (needed("seed"), needed("statements"));
        let variables = given("variables").unwrap_or_else(|| "{}".to_owned());
        Self { file, seed, variables, statements, document }
    }

    /// The number of statements that the head states for this database.
    pub fn statements(&self, database: &str) -> usize {
        let of_database = self.statements.split(',').find_map(|part| part.trim().strip_prefix(database));
        let count = of_database.unwrap_or(&self.statements).trim();
        count.parse().unwrap_or_else(|_| panic!("{}: `{count}` is not a number of statements", self.file.display()))
    }

    /// Sends the operation to a server whose database has been filled.
    pub async fn run(&self, server: &Server, world: &World) -> Outcome {
        let variables = self.filled(&self.variables, server, world).await;
        let variables: serde_json::Value = serde_json::from_str(&variables)
            .unwrap_or_else(|error| panic!("{}: variables are not JSON: {error}", self.file.display()));
        let document = self.filled(&self.document, server, world).await;
        let body = serde_json::json!({ "query": document, "variables": variables });
        let request = server.request(reqwest::Method::POST, "/graphql").header("perfgraph-explain", "1").json(&body);
        let reply = send(request).await;
        outcome(&reply.text, self.is_mutation())
    }

    fn is_mutation(&self) -> bool {
        self.document.lines().any(|line| line.starts_with("mutation"))
    }

    /// The text with its placeholders replaced.
    async fn filled(&self, text: &str, server: &Server, world: &World) -> String {
        let mut filled = String::new();
        let mut rest = text;
        // Braces without a dot inside are no placeholder but belong to the document or to JSON.
        while let Some((before, inside)) = rest.split_once("{{") {
            let (name, after) =
                inside.split_once("}}").unwrap_or_else(|| panic!("{}: {{{{ without }}}}", self.file.display()));
            let parts: Vec<_> = name.split('.').collect();
            let number = || {
                let number = parts.get(1).and_then(|number| number.parse().ok());
                number.unwrap_or_else(|| panic!("{}: {{{{{name}}}}} names nothing", self.file.display()))
            };
            let value = match parts[..] {
                ["metric"] => newest_metric(server).await,
                [noun, _, "cursor"] => world.page_cursor(noun, number()),
                _ => world.id(parts[0], number()),
            };
            write!(filled, "{before}{value}").unwrap();
            rest = after;
        }
        filled + rest
    }
}

async fn newest_metric(server: &Server) -> String {
    let session = server.database.reader();
    let newest = metric_event::Entity::find().order_by_desc(metric_event::Column::Ts).one(&session).await;
    let row = newest.unwrap().expect("the seed makes metrics");
    let key = MetricKey {
        project: Key::new(row.organization_id, row.project_id),
        kind: MetricType::from_code(row.kind).unwrap(),
        timestamp: row.ts,
        id: row.id,
    };
    NodeId::Metric(key).encode().0
}

/// Parsed into the values of the GraphQL library, which keep the order of keys.
fn outcome(body: &str, is_mutation: bool) -> Outcome {
    let Ok(Value::Object(mut body)) = serde_json::from_str(body) else { panic!("not a JSON object: {body}") };
    let mut answer = String::new();
    for name in ["errors", "data"] {
        if let Some(value) = body.get(name) {
            writeln!(answer, "{name}: {}", serde_json::to_string_pretty(value).unwrap()).unwrap();
        }
    }
    let explained = body.swap_remove("extensions").expect("the server explains what it was asked to explain");
    let statements = explained.into_json().unwrap()["db"]["sql"].as_array().unwrap().clone();
    let sql = statements.iter().map(|statement| sql::normalised(statement["sql"].as_str().unwrap()));
    let mut statements: Vec<_> = sql.collect();
    // The fields of a query are resolved concurrently, so their statements have no order. Those of a mutation have one.
    if !is_mutation {
        statements.sort();
    }
    Outcome { answer, statements: statements.iter().map(|statement| sql::broken(statement)).collect() }
}
