//! No N+1 anywhere: on every path of relations that the schema offers between the nouns of the directory, four levels
//! deep, each list costs its page and its total, for one row as for a hundred; and so does every report, with all that
//! stands below it, of every noun down to the second level. The paths are read from the schema, so a new relation or
//! report is walked by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use futures_util::future::join_all;
use perfgraph::{
    entity::release,
    model::{EmployeeId, ReleaseId, timestamp::MINUTE_MICROS},
};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::{Value, json};

use super::counted;
use crate::{
    harness::{Server, World, builders, server::NOW},
    on_both_databases,
};

const NOUNS: [&str; 3] = ["Organization", "Employee", "Project"];
const LEVELS: usize = 4;
/// How far down reports are asked for.
const REPORT_LEVELS: usize = 2;
const SIZES: [usize; 3] = [1, 20, 100];

const INTROSPECTION: &str = "{ __schema { types { name kind fields(includeDeprecated: true) {
    name args { name defaultValue type { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }
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
    /// With their brackets; empty where none are needed.
    arguments: String,
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

/// Those that a field must have, and those that make it show something, but not too much.
fn arguments(field: &Value) -> String {
    let mut given = Vec::new();
    for one in field["args"].as_array().unwrap() {
        let is_required = one["type"]["kind"] == "NON_NULL" && one["defaultValue"].is_null();
        let name = one["name"].as_str().unwrap();
        if is_required || matches!(name, "first" | "bucket" | "groupBy" | "filter") {
            given.extend(value(name, unwrapped(&one["type"]).1).map(|value| format!("{name}: {value}")));
        }
    }
    if given.is_empty() { String::new() } else { format!("({})", given.join(", ")) }
}

/// What an argument may be; nothing where no path leads through such a field.
fn value(name: &str, of: &str) -> Option<&'static str> {
    Some(match (name, of) {
        ("first", "Int") => "2",
        ("p", "Float") => "95",
        (_, "MetricFilter") => "{ time: { last: \"PT1H\" } }",
        (_, "Duration") => "\"PT20M\"",
        (_, "MetricGroupKey") => "[PROJECT, ENDPOINT]",
        (_, "MetricType") => "API_RESPONSE",
        _ => return None,
    })
}

async fn schema(server: &Server) -> Schema {
    let (data, _) = counted(server, INTROSPECTION, json!({})).await;
    let mut schema = Schema::new();
    for of in data["__schema"]["types"].as_array().unwrap() {
        let mut fields = Vec::new();
        for field in of["fields"].as_array().into_iter().flatten() {
            fields.push(Field {
                name: field["name"].as_str().unwrap().to_owned(),
                kind: kind(&field["type"]),
                arguments: arguments(field),
            });
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
    for Field { name, kind, arguments } in &schema[noun] {
        match kind {
            Kind::Noun(noun) => {
                let inside = selections(schema, noun, levels - 1);
                found.extend(inside.into_iter().map(|Selection { text, statements }| Selection {
                    text: format!("{name}{arguments} {{ {text} }}"),
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
                        text: format!("{name}{arguments} {{ {open}{text} {close} totalCount }}"),
                        statements: statements + 2,
                    });
                }
            }
            Kind::Connection(_) | Kind::Other(_) if levels + REPORT_LEVELS < LEVELS => {}
            Kind::Connection(of) | Kind::Other(of) => {
                let Selection { text, statements } = whole(schema, of, &mut BTreeSet::new());
                found.push(Selection { text: format!("{name}{arguments} {{ {text}}}"), statements: statements + 1 });
            }
            Kind::Scalar => {}
        }
    }
    found
}

/// All that an object has, down to the nouns that it leads to. What stands in several places shows all of it in one, and
/// its scalars in the others: answers stay of a size that is read quickly.
fn whole(schema: &Schema, of: &str, seen: &mut BTreeSet<String>) -> Selection {
    let is_new = seen.insert(of.to_owned());
    let mut all = Selection { text: String::new(), statements: 0 };
    for Field { name, kind, arguments } in &schema[of] {
        let inside = match kind {
            Kind::Scalar => Selection { text: String::new(), statements: 0 },
            _ if !is_new => continue,
            Kind::Noun(_) => Selection { text: "{ id name }".to_owned(), statements: 1 },
            Kind::Connection(of) | Kind::Other(of) => {
                let Selection { text, statements } = whole(schema, of, seen);
                Selection { text: format!("{{ {text}}}"), statements: statements + 1 }
            }
        };
        all.statements += inside.statements;
        write!(all.text, "{name}{arguments} {} ", inside.text).unwrap();
    }
    all
}

/// Measurements of every project, of a version that a release marks, made by somebody.
async fn record(server: &Server, world: &World) {
    let core = server.app.core();
    let ingested = world.projects.iter().map(|project| {
        let mut metrics = builders::metrics(NOW, 3);
        for metric in &mut metrics {
            metric.release = Some("1.4.2".to_owned());
        }
        builders::ingest(core, project.key, metrics)
    });
    join_all(ingested).await;
    let author = |organization| {
        let own = world.employees.iter().find(|employee| employee.key.organization == organization);
        own.map_or(EmployeeId(0), |employee| employee.key.id)
    };
    let releases = (1..).zip(&world.projects).map(|(id, project)| {
        let release = release::Model {
            organization_id: project.key.organization,
            id: ReleaseId(id),
            project_id: project.key.id,
            version: "1.4.2".to_owned(),
            deployed_at: NOW.plus_micros(-MINUTE_MICROS),
            commit_hash: "9f86d08".to_owned(),
            author_id: author(project.key.organization),
            created_at: NOW,
        };
        release.into_active_model()
    });
    let writer = server.database.writer();
    release::Entity::insert_many(releases).exec_without_returning(&writer).await.unwrap();
}

/// Notes the names of fields that have something to show.
fn note(value: &Value, shown: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                if !is_empty && !shown.contains(name) {
                    shown.insert(name.clone());
                }
                note(value, shown);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| note(item, shown)),
        _ => {}
    }
}

/// What must have been there to be read, or the counts say nothing about it.
const SHOWN: [&str; 27] = [
    "apdex",
    "author",
    "buckets",
    "counts",
    "employeeStats",
    "endpoint",
    "histogram",
    "keys",
    "metricColumns",
    "metricGroups",
    "metricSeries",
    "metricStats",
    "metrics",
    "organization",
    "owners",
    "percentile",
    "percentiles",
    "performanceSummary",
    "project",
    "release",
    "releases",
    "slowestEndpoints",
    "stats",
    "stddev",
    "trend",
    "values",
    "worstSample",
];

on_both_databases! {
    async fn every_path_costs_the_same_for_any_number_of_rows(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\nlimits.cost_max = 100000000\nlimits.depth_max = 20\n\
                        server.request_timeout_ms = 60000";
        let clock = perfgraph::clock::Clock::fixed(NOW);
        let server = Server::start(database, clock, settings).await;
        let world = server.seed("organizations=100 employees=3 projects=2 members=2").await;
        record(&server, &world).await;
        let schema = schema(&server).await;
        let (mut paths, mut shown) = (0, BTreeSet::new());
        for root in &schema["Query"] {
            let Kind::Connection(connection) = &root.kind else { continue };
            let noun = item(&schema, connection);
            if !NOUNS.contains(&noun) {
                continue;
            }
            for Selection { text, statements } in selections(&schema, noun, LEVELS - 1) {
                let query = format!("query ($n: Int) {{ {}(first: $n) {{ nodes {{ {text} }} }} }}", root.name);
                let (mut counts, start) = (Vec::new(), std::time::Instant::now());
                for rows in SIZES {
                    let (data, counted) = counted(&server, &query, json!({ "n": rows })).await;
                    assert_eq!(data[&root.name]["nodes"].as_array().unwrap().len(), rows, "{query}");
                    // Fewer where a list or a row was read before, or where two levels happened to ask together.
                    assert!(counted <= statements + 1, "{counted} statements for {rows} rows: {query}");
                    assert!(counted >= 2, "{counted} statements: {query}");
                    counts.push(counted);
                    if rows == SIZES[0] {
                        note(&data, &mut shown);
                    }
                }
                // What has more than 500 parents is read in portions of so many.
                assert!(counts[2] <= counts[1] + 3, "{counts:?} {query}");
                told(&counts, &format!("{:?} {query}", start.elapsed()));
                paths += 1;
            }
        }
        assert!(paths >= 60, "three nouns with two relations and some reports each, four levels deep: {paths}");
        let missing: Vec<_> = SHOWN.into_iter().filter(|name| !shown.contains(*name)).collect();
        assert!(missing.is_empty(), "nobody was shown {missing:?}");
    }
}

#[expect(clippy::print_stdout, reason = "shown when the test fails: the paths that were walked, and what they cost")]
fn told(counts: &[u64], query: &str) {
    println!("{counts:?} {}", query.trim_start_matches("query ($n: Int) "));
}
