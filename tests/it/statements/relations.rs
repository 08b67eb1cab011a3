//! No N+1 anywhere: on every path of relations that the schema offers between the nouns of the directory, four levels
//! deep, each list costs its page and its total, for one row as for a hundred. The paths are read from the schema, so a
//! new relation is walked by itself.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};

use super::counted;
use crate::{harness::Server, on_both_databases};

const NOUNS: [&str; 3] = ["Organization", "Employee", "Project"];
const LEVELS: usize = 4;

const INTROSPECTION: &str = "{ __schema { types { name kind fields(includeDeprecated: true) {
    name args { name defaultValue type { kind } }
    type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }
} } } }";

/// What a field answers with.
enum Kind {
    /// One of the nouns, or a list of them.
    Noun(String),
    /// A page of a noun.
    Connection(String),
    /// Another object with scalars in it.
    Other(String),
    Scalar,
}

struct Field {
    name: String,
    kind: Kind,
    takes_first: bool,
}

type Schema = BTreeMap<String, Vec<Field>>;

fn unwrapped(of: &Value) -> (&str, &str) {
    let mut of = of;
    while of["name"].is_null() {
        of = &of["ofType"];
    }
    (of["kind"].as_str().unwrap(), of["name"].as_str().unwrap())
}

fn kind(of: &Value) -> Kind {
    match unwrapped(of) {
        ("SCALAR" | "ENUM", _) => Kind::Scalar,
        (_, name) if NOUNS.contains(&name) => Kind::Noun(name.to_owned()),
        (_, name) if name.ends_with("Connection") => Kind::Connection(name.to_owned()),
        (_, name) => Kind::Other(name.to_owned()),
    }
}

async fn schema(server: &Server) -> Schema {
    let (data, _) = counted(server, INTROSPECTION, json!({})).await;
    let mut schema = Schema::new();
    for of in data["__schema"]["types"].as_array().unwrap() {
        let mut fields = Vec::new();
        for field in of["fields"].as_array().into_iter().flatten() {
            let arguments = field["args"].as_array().unwrap();
            let is_required = |one: &Value| one["type"]["kind"] == "NON_NULL" && one["defaultValue"].is_null();
            // What must be told something (which metrics) is no plain relation.
            if !arguments.iter().any(is_required) {
                fields.push(Field {
                    name: field["name"].as_str().unwrap().to_owned(),
                    kind: kind(&field["type"]),
                    takes_first: arguments.iter().any(|one| one["name"] == "first"),
                });
            }
        }
        schema.insert(of["name"].as_str().unwrap().to_owned(), fields);
    }
    schema
}

/// The noun that a page holds, by the schema.
fn item<'a>(schema: &'a Schema, connection: &str) -> &'a str {
    let nodes = schema[connection].iter().find(|field| field.name == "nodes").expect("a connection has nodes");
    match &nodes.kind {
        Kind::Noun(name) | Kind::Other(name) | Kind::Connection(name) => name,
        Kind::Scalar => panic!("{connection} holds scalars"),
    }
}

/// A selection, and how many statements may answer it: by its fields, not by rows.
struct Selection {
    text: String,
    statements: u64,
}

/// Every selection on a type that goes so many levels down, each along one path.
fn selections(schema: &Schema, noun: &str, levels: usize) -> Vec<Selection> {
    if levels == 0 {
        return vec![Selection { text: "id name".to_owned(), statements: 0 }];
    }
    let mut found = Vec::new();
    for field in &schema[noun] {
        let size = if field.takes_first { "(first: 2)" } else { "" };
        match &field.kind {
            Kind::Noun(name) => {
                let inside = selections(schema, name, levels - 1);
                found.extend(inside.into_iter().map(|Selection { text, statements }| Selection {
                    text: format!("{}{size} {{ {text} }}", field.name),
                    statements: statements + 1,
                }));
            }
            Kind::Connection(connection) if NOUNS.contains(&item(schema, connection)) => {
                let inside = selections(schema, item(schema, connection), levels - 1);
                let (nodes, edges) = ("nodes { ", "edges { cursor node { ");
                for (number, Selection { text, statements }) in inside.into_iter().enumerate() {
                    // Both ways to the items, in turn.
                    let (open, close) = if number % 2 == 0 { (nodes, "}") } else { (edges, "} }") };
                    found.push(Selection {
                        text: format!("{}{size} {{ {open}{text} {close} totalCount }}", field.name),
                        statements: statements + 2,
                    });
                }
            }
            Kind::Other(name) => {
                let mut scalars = String::new();
                for field in schema[name].iter().filter(|field| matches!(field.kind, Kind::Scalar)) {
                    write!(scalars, "{} ", field.name).unwrap();
                }
                if !scalars.is_empty() {
                    found.push(Selection { text: format!("{} {{ {scalars}}}", field.name), statements: 1 });
                }
            }
            Kind::Connection(_) | Kind::Scalar => {}
        }
    }
    found
}

on_both_databases! {
    async fn every_path_costs_the_same_for_any_number_of_rows(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\nlimits.cost_max = 1000000";
        let clock = perfgraph::clock::Clock::fixed(crate::harness::server::NOW);
        let server = Server::start(database, clock, settings).await;
        server.seed("organizations=100 employees=3 projects=2 members=2").await;
        let schema = schema(&server).await;
        let mut paths = 0;
        for root in &schema["Query"] {
            let Kind::Connection(connection) = &root.kind else { continue };
            let noun = item(&schema, connection);
            if !NOUNS.contains(&noun) {
                continue;
            }
            for Selection { text, statements } in selections(&schema, noun, LEVELS - 1) {
                let query = format!("query ($n: Int) {{ {}(first: $n) {{ nodes {{ {text} }} }} }}", root.name);
                for rows in [1, 20, 100] {
                    let (data, counted) = counted(&server, &query, json!({ "n": rows })).await;
                    assert_eq!(data[&root.name]["nodes"].as_array().unwrap().len(), rows, "{query}");
                    // Fewer where a list or a row was read before, or where two levels happened to ask together.
                    assert!(counted <= statements + 1, "{counted} statements for {rows} rows: {query}");
                    assert!(counted >= 2, "{counted} statements: {query}");
                }
                paths += 1;
            }
        }
        assert!(paths >= 24, "three nouns with two relations each, four levels deep: {paths}");
    }
}
