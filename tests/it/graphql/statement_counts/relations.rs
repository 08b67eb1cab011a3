//! No N+1 anywhere: on every path of relations that the schema offers between the nouns of the directory, four levels
//! deep, each list costs its page and its total, for one row as for a hundred; and so does every report, with all that
//! stands below it, of every noun down to the second level. The paths begin at every field of the schema's top and are
//! read from the schema, so a new relation, report or way in is walked by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use futures_util::future::join_all;
use perfgraph::{
    entity::release,
    model::{EmployeeId, Label, ReleaseId, timestamp::MINUTE_MICROS},
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
/// How far down paths go that begin elsewhere than at a list with cursors: what lies below was walked from there.
const OTHER_LEVELS: usize = 2;
/// Parents whose rows are read by one statement; those of more are read in portions of so many.
const PORTION: usize = 500;

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
    /// The names of all that it takes.
    takes: Vec<String>,
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
        if is_required || matches!(name, "first" | "bucket" | "groupBy" | "filter" | "type") {
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
                takes: field["args"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["name"].as_str().unwrap().to_owned())
                    .collect(),
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
    /// How many parents a statement of it may be asked for, for each row that it stands on; unknown below reports.
    parents: Option<usize>,
}

/// Every selection on a type that goes so many levels down, each along one path.
fn selections(schema: &Schema, noun: &str, levels: usize) -> Vec<Selection> {
    if levels == 0 {
        return vec![Selection { text: "id name".to_owned(), statements: 0, parents: Some(0) }];
    }
    let mut found = Vec::new();
    for Field { name, kind, arguments, .. } in &schema[noun] {
        match kind {
            Kind::Noun(noun) => {
                let inside = selections(schema, noun, levels - 1);
                found.extend(inside.into_iter().map(|Selection { text, statements, parents }| Selection {
                    text: format!("{name}{arguments} {{ {text} }}"),
                    statements: statements + 1,
                    parents: parents.map(|parents| parents.max(1)),
                }));
            }
            Kind::Connection(connection) if NOUNS.contains(&item(schema, connection)) => {
                let inside = selections(schema, item(schema, connection), levels - 1);
                let (nodes, edges) = ("nodes { ", "edges { cursor node { ");
                for (number, Selection { text, statements, parents }) in inside.into_iter().enumerate() {
                    // Both ways to the items, in turn.
                    let (open, close) = if number % 2 == 0 { (nodes, "}") } else { (edges, "} }") };
                    found.push(Selection {
                        text: format!("{name}{arguments} {{ {open}{text} {close} totalCount }}"),
                        statements: statements + 2,
                        // Two on a page: `first: 2`.
                        parents: parents.map(|parents| (2 * parents).max(1)),
                    });
                }
            }
            Kind::Connection(_) | Kind::Other(_) if levels + REPORT_LEVELS < LEVELS => {}
            Kind::Connection(of) | Kind::Other(of) => {
                let Selection { text, statements, parents } = whole(schema, of, &mut BTreeSet::new());
                let text = format!("{name}{arguments} {{ {text}}}");
                found.push(Selection { text, statements: statements + 1, parents });
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
    let mut all = Selection { text: String::new(), statements: 0, parents: None };
    for Field { name, kind, arguments, .. } in &schema[of] {
        let inside = match kind {
            Kind::Scalar => (String::new(), 0),
            _ if !is_new => continue,
            Kind::Noun(_) => ("{ id name }".to_owned(), 1),
            Kind::Connection(of) | Kind::Other(of) => {
                let Selection { text, statements, .. } = whole(schema, of, seen);
                (format!("{{ {text}}}"), statements + 1)
            }
        };
        all.statements += inside.1;
        write!(all.text, "{name}{arguments} {} ", inside.0).unwrap();
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
            metric.labels = vec![Label { key: "region".to_owned(), value: "eu".to_owned() }];
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
const SHOWN: [&str; 28] = [
    "apdex",
    "author",
    "buckets",
    "counts",
    "employeeStats",
    "endpoint",
    "histogram",
    "keys",
    "labels",
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

/// A way in: a field at the top with what it takes, so that so many rows of a noun come.
struct Root {
    name: String,
    noun: String,
    /// What stands before a selection and behind it, for so many rows.
    around: Box<dyn Fn(usize) -> (String, &'static str)>,
    /// Where the rows are in its answer; nowhere where it is one.
    rows: Option<&'static str>,
    /// Where the number of rows can be chosen, any of them; elsewhere as many as there are.
    sizes: Vec<usize>,
    levels: usize,
    /// Of its own.
    statements: u64,
}

/// The ways in by a field; none where it leads to no noun.
fn roots(schema: &Schema, world: &World, field: &Field) -> Vec<Root> {
    let root = |noun: &str, rows, sizes: &[usize], around: Box<dyn Fn(usize) -> (String, &'static str)>| Root {
        name: field.name.clone(),
        noun: noun.to_owned(),
        around,
        rows,
        sizes: sizes.to_vec(),
        levels: OTHER_LEVELS,
        statements: 1,
    };
    let name = field.name.clone();
    let takes = |argument: &str| field.takes.iter().any(|one| one == argument);
    let plain = |arguments: String| {
        let name = name.clone();
        Box::new(move |_| (format!("{name}{arguments} {{ "), "}"))
    };
    match &field.kind {
        Kind::Connection(of) if NOUNS.contains(&item(schema, of)) => {
            let around = Box::new(move |rows| (format!("{name}(first: {rows}) {{ nodes {{ "), "} }"));
            vec![Root { levels: LEVELS - 1, ..root(item(schema, of), Some("/nodes"), &SIZES, around) }]
        }
        Kind::Other(of) if of == "Node" => {
            let many = takes("ids");
            let of_noun = |noun: &&str| {
                let ids: Vec<_> = (1..=SIZES[2]).map(|number| world.id(&noun.to_lowercase(), number)).collect();
                let (name, noun) = (name.clone(), (*noun).to_owned());
                let kind = noun.clone();
                let around = Box::new(move |rows: usize| {
                    let ids = if many { json!(ids[..rows]) } else { json!(ids[0]) };
                    let argument = if many { "ids" } else { "id" };
                    (format!("{name}({argument}: {ids}) {{ ... on {kind} {{ "), "} }")
                });
                if many { root(&noun, Some(""), &SIZES, around) } else { root(&noun, None, &[1], around) }
            };
            NOUNS.iter().map(of_noun).collect()
        }
        Kind::Other(of) => {
            let Some(Kind::Noun(noun)) = schema[of].iter().find(|one| one.name == "items").map(|items| &items.kind)
            else {
                return Vec::new();
            };
            let around = Box::new(move |rows| (format!("{name}(pageSize: {rows}) {{ total pages items {{ "), "} }"));
            vec![Root { statements: 2, ..root(noun, Some("/items"), &SIZES, around) }]
        }
        Kind::Noun(noun) if takes("organizationId") => {
            let id = json!(world.id("organization", 1));
            vec![root(noun, Some(""), &[3], plain(format!("(organizationId: {id})")))]
        }
        Kind::Noun(noun) if takes("id") => {
            let id = json!(world.id(&noun.to_lowercase(), 1));
            let slug = if *noun == "Project" { "organization-1/project-1" } else { "organization-1" };
            let by_slug = takes("slug").then(|| root(noun, None, &[1], plain(format!("(slug: \"{slug}\")"))));
            by_slug.into_iter().chain([root(noun, None, &[1], plain(format!("(id: {id})")))]).collect()
        }
        Kind::Noun(noun) => vec![root(noun, Some(""), &[100], plain(String::new()))],
        Kind::Connection(_) | Kind::Scalar => Vec::new(),
    }
}

/// Asks for a selection of so many rows at a time; how many statements each time took.
async fn walk(server: &Server, root: &Root, below: &Selection, shown: &mut BTreeSet<String>) -> Vec<u64> {
    let (mut counts, start) = (Vec::new(), std::time::Instant::now());
    let Selection { text, statements, .. } = below;
    for rows in &root.sizes {
        let (before, behind) = (root.around)(*rows);
        let query = format!("{{ {before}{text} {behind} }}");
        let (data, counted) = counted(server, &query, json!({})).await;
        let answer = &data[&root.name];
        match root.rows {
            Some(place) => assert_eq!(answer.pointer(place).unwrap().as_array().unwrap().len(), *rows, "{query}"),
            None => assert!(answer.is_object(), "{query}"),
        }
        // Fewer where a list or a row was read before, or where two levels happened to ask together.
        assert!(counted <= statements + root.statements, "{counted} statements for {rows} rows: {query}");
        assert!(counted >= 2 || root.rows.is_none(), "{counted} statements: {query}");
        counts.push(counted);
        if rows == &root.sizes[0] {
            note(&data, shown);
        }
    }
    told(&counts, &format!("{:?} {}{text}", start.elapsed(), (root.around)(1).0));
    counts
}

/// Fields of the top that lead to no noun, or only by reports.
const ELSEWHERE: [&str; 11] = [
    "viewer",
    "employeeStats",
    "metricStats",
    "metricSeries",
    "metricGroups",
    "metricColumns",
    "slowestEndpoints",
    "metrics",
    "metricTypes",
    "performanceSummary",
    "compareReleases",
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
        let (mut paths, mut alike, mut shown) = (0, 0, BTreeSet::new());
        for field in &schema["Query"] {
            let ways = roots(&schema, &world, field);
            assert_eq!(ways.is_empty(), ELSEWHERE.contains(&&*field.name), "how does {} lead to nouns?", field.name);
            for root in ways {
                for below in selections(&schema, &root.noun, root.levels) {
                    let mut counts = walk(&server, &root, &below, &mut shown).await;
                    paths += 1;
                    if counts.len() < SIZES.len() {
                        continue;
                    }
                    if below.parents.is_none_or(|parents| parents * SIZES[2] > PORTION) {
                        assert!(counts[2] <= counts[1] + 3, "{counts:?} {}", below.text);
                        continue;
                    }
                    alike += 1;
                    // Two levels happen to ask together now and then, but not each time.
                    for _ in 0..10 {
                        if counts[1] == counts[2] {
                            break;
                        }
                        counts = walk(&server, &root, &below, &mut shown).await;
                    }
                    assert_eq!(counts[1], counts[2], "{} {}", root.name, below.text);
                }
            }
        }
        assert!(alike >= 30, "of all paths without reports some are read without portions: {alike}");
        assert!(paths >= 150, "three nouns with two relations and some reports each, by every way in: {paths}");
        let missing: Vec<_> = SHOWN.into_iter().filter(|name| !shown.contains(*name)).collect();
        assert!(missing.is_empty(), "nobody was shown {missing:?}");
    }
}

#[expect(clippy::print_stdout, reason = "shown when the test fails: the paths that were walked, and what they cost")]
fn told(counts: &[u64], query: &str) {
    println!("{counts:?} {query}");
}
