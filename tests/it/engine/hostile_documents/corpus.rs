//! The documents: hostile ones by what they try to exhaust, and those that tools send.

use std::{fmt::Write, process::Command};

use serde_json::{Value, json};

use crate::harness::server::repository;

pub type Hostile = (&'static str, String, Value);

/// `count` pieces, each made from its number.
fn many(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        write!(text, "{} ", piece(number)).unwrap();
        text
    })
}

fn nested(levels: usize, open: &str, inner: &str) -> String {
    format!("{}{inner}{}", open.repeat(levels), "}".repeat(levels))
}

/// Fragments that each spread the next one `width` times: `width` to the power of `levels` fields.
fn bomb(levels: usize, width: usize) -> String {
    let fragments = many(levels, |level| {
        let next = format!("...F{} ", level + 1).repeat(width);
        format!("fragment F{level} on Query {{ viewer {{ role }} {next} }}")
    });
    format!("{{ ...F0 }} {fragments} fragment F{levels} on Query {{ viewer {{ role }} }}")
}

/// The same through a relation, so that the answer would explode as well.
fn deep_bomb(levels: usize) -> String {
    let fragments = many(levels, |level| {
        let next = level + 1;
        format!(
            "fragment F{level} on Organization {{ a: employees {{ nodes {{ organization {{ ...F{next} }} }} }} b: employees {{ nodes {{ organization {{ ...F{next} }} }} }} }}"
        )
    });
    format!("{{ organizations {{ nodes {{ ...F0 }} }} }} {fragments} fragment F{levels} on Organization {{ name }}")
}

/// Every fragment spreads every other one.
fn clique(size: usize) -> String {
    let fragments = many(size, |number| {
        let others = many(size, |other| if other == number { String::new() } else { format!("...F{other}") });
        format!("fragment F{number} on Query {{ {others} }}")
    });
    format!("{{ ...F0 }} {fragments}")
}

pub fn hostile() -> Vec<Hostile> {
    [text, shape, fragments, validation, cost, variables].into_iter().flat_map(|section| section()).collect()
}

/// What is read before anything is understood.
fn text() -> Vec<Hostile> {
    let mut corpus = Vec::new();
    let mut add = |name, document: String, variables| corpus.push((name, document, variables));
    add("a comment of a megabyte", format!("{{ viewer {{ role }} }} #{}", "x".repeat(1_000_000)), Value::Null);
    add(
        "a string of a megabyte",
        format!("{{ organization(slug: \"{}\") {{ id }} }}", "x".repeat(1_000_000)),
        Value::Null,
    );
    add("blanks without end", format!("{{ viewer {{ role }} }}{}", " ".repeat(100_000)), Value::Null);
    add("commas without end", format!("{{ viewer {{ role }} {} }}", ",".repeat(40_000)), Value::Null);
    add("ten thousand tokens", format!("{{ viewer {{ {} }} }}", "role ".repeat(6_000)), Value::Null);
    add("braces without end", "{".repeat(30_000), Value::Null);
    add("braces with names without end", "{a".repeat(15_000), Value::Null);
    add("lists in lists", format!("{{ nodes(ids: {}{}) {{ id }} }}", "[".repeat(500), "]".repeat(500)), Value::Null);
    add(
        "objects in objects",
        format!("{{ metricStats(filter: {}{}) {{ count }} }}", "{a:".repeat(300), "1}".repeat(300)),
        Value::Null,
    );
    add(
        "types in types",
        format!("query($a: {}Int{}) {{ viewer {{ role }} }}", "[".repeat(400), "]".repeat(400)),
        Value::Null,
    );
    add("an open string", "{ organization(slug: \"".to_owned(), Value::Null);
    add("an open block string", format!("{{ organization(slug: \"\"\"{}", "x\\\"\"\" ".repeat(2_000)), Value::Null);
    add("a lonely surrogate", "{ organization(slug: \"\\ud800\") { id } }".to_owned(), Value::Null);
    add("a byte order mark in the middle", "{ viewer \u{feff}\u{feff} { role } ".to_owned(), Value::Null);
    add("control characters", "{ viewer \u{0}\u{1}\u{7f} { role } }".to_owned(), Value::Null);
    add("nothing", " \n # only a comment\n".to_owned(), Value::Null);
    add("no document but a schema", "type Query { a: Int }".to_owned(), Value::Null);
    add(
        "a number that never ends",
        format!("{{ organizations(first: {}) {{ nodes {{ id }} }} }}", "9".repeat(20_000)),
        Value::Null,
    );
    add("an exponent", "{ organizations(first: 1e999999999) { nodes { id } } }".to_owned(), Value::Null);
    add("a name of 30,000 letters", format!("{{ {} }}", "a".repeat(30_000)), Value::Null);
    add(
        "an argument of 30,000 letters",
        format!("{{ organizations({}: 1) {{ nodes {{ id }} }} }}", "a".repeat(30_000)),
        Value::Null,
    );
    add(
        "a variable of 30,000 letters",
        format!("query(${}: Int) {{ viewer {{ role }} }}", "a".repeat(30_000)),
        Value::Null,
    );
    add("a fragment of 30,000 letters", format!("{{ ...{} }}", "a".repeat(30_000)), Value::Null);
    add("a type of 30,000 letters", format!("{{ ... on {} {{ id }} }}", "a".repeat(30_000)), Value::Null);
    add("a directive of 30,000 letters", format!("{{ viewer @{} {{ role }} }}", "a".repeat(30_000)), Value::Null);
    add(
        "an enum value of 30,000 letters",
        format!("{{ slowestEndpoints(rankBy: {}) {{ endpoint }} }}", "A".repeat(30_000)),
        Value::Null,
    );
    corpus
}

/// More of something than anybody needs.
fn shape() -> Vec<Hostile> {
    let mut corpus = Vec::new();
    let mut add = |name, document: String, variables| corpus.push((name, document, variables));
    add(
        "twenty levels",
        format!(
            "{{ organizations {{ nodes {{ {}id{} }} }} }}",
            "employees { nodes { organization { ".repeat(6),
            "}".repeat(18)
        ),
        Value::Null,
    );
    add("thirteen levels of nothing known", format!("{{ {} }}", nested(13, "a {", "b")), Value::Null);
    add("a hundred levels", format!("{{ {} }}", nested(99, "a {", "b")), Value::Null);
    add("inline fragments in each other", format!("{{ {} }}", nested(98, "... {", "viewer { role } ")), Value::Null);
    add(
        "typed inline fragments in each other",
        format!("{{ {} }}", nested(98, "... on Query {", "viewer { role } ")),
        Value::Null,
    );
    add("forty aliases", format!("{{ {} }}", many(40, |number| format!("a{number}: viewer {{ role }}"))), Value::Null);
    add(
        "aliases further down",
        format!("{{ viewer {{ {} }} }}", many(40, |number| format!("a{number}: role"))),
        Value::Null,
    );
    add(
        "aliases behind a fragment",
        format!("{{ viewer {{ ...F }} }} fragment F on Viewer {{ {} }}", many(40, |number| format!("a{number}: role"))),
        Value::Null,
    );
    add("the same field two thousand times", format!("{{ viewer {{ {} }} }}", "role ".repeat(2_000)), Value::Null);
    add("twenty-one fields at the top", format!("{{ {} }}", "viewer { role } ".repeat(21)), Value::Null);
    add(
        "fields at the top behind fragments",
        format!(
            "{{ ...A ...B }} fragment A on Query {{ {0} }} fragment B on Query {{ {0} }}",
            "viewer { role } ".repeat(11)
        ),
        Value::Null,
    );
    add(
        "two subscriptions at once",
        "subscription { a: metricStream(filter: {}) { cursor } b: metricStream(filter: {}) { cursor } }".to_owned(),
        Value::Null,
    );
    add("a hundred directives", format!("{{ viewer {{ role {} }} }}", "@include(if: true) ".repeat(100)), Value::Null);
    add(
        "unknown directives",
        format!("{{ viewer {} {{ role }} }}", many(15, |number| format!("@d{number}"))),
        Value::Null,
    );
    add("a directive that repeats", "{ viewer @skip(if: false) @skip(if: false) { role } }".to_owned(), Value::Null);
    add("sixty operations", many(60, |number| format!("query Q{number} {{ viewer {{ role }} }}")), Value::Null);
    add(
        "sixty fragments",
        format!(
            "{{ viewer {{ role }} }} {}",
            many(60, |number| format!("fragment F{number} on Query {{ viewer {{ role }} }}"))
        ),
        Value::Null,
    );
    add("operations of one name", "query A { viewer { role } } query A { viewer { role } }".to_owned(), Value::Null);
    add(
        "several operations and no choice",
        "query A { viewer { role } } query B { viewer { role } }".to_owned(),
        Value::Null,
    );
    add(
        "unused variables",
        format!("query({}) {{ viewer {{ role }} }}", many(300, |number| format!("$v{number}: Int"))),
        Value::Null,
    );
    add(
        "undefined variables",
        format!("{{ nodes(ids: [{}]) {{ id }} }}", many(300, |number| format!("$v{number}"))),
        Value::Null,
    );
    corpus
}

/// Short documents that stand for long ones.
fn fragments() -> Vec<Hostile> {
    let mut corpus = Vec::new();
    let mut add = |name, document: String, variables| corpus.push((name, document, variables));
    for (name, levels, width) in [
        ("a bomb of 2 to the 10", 10, 2),
        ("a bomb of 2 to the 20", 20, 2),
        ("a bomb of 2 to the 48", 48, 2),
        ("a bomb of 10 to the 10", 10, 10),
        ("a bomb of 30 to the 20", 20, 30),
    ] {
        add(name, bomb(levels, width), Value::Null);
    }
    add("a bomb through relations", deep_bomb(12), Value::Null);
    add("a bomb that nobody spreads", bomb(30, 2).replace("{ ...F0 }", "{ viewer { role } }"), Value::Null);
    add("a fragment in itself", "{ ...A } fragment A on Query { viewer { role } ...A }".to_owned(), Value::Null);
    add("a fragment in itself by a field", "{ organizations { nodes { ...A } } } fragment A on Organization { employees { nodes { organization { ...A } } } }".to_owned(), Value::Null);
    add(
        "fragments in a circle of forty",
        format!(
            "{{ ...F0 }} {}",
            many(40, |number| format!("fragment F{number} on Query {{ ...F{} }}", (number + 1) % 40))
        ),
        Value::Null,
    );
    add("fragments that all spread all others", clique(20), Value::Null);
    add("a fragment on a scalar", "{ ...A } fragment A on String { length }".to_owned(), Value::Null);
    add("a fragment that can never apply", "{ viewer { ... on Organization { id } } }".to_owned(), Value::Null);
    corpus
}

/// Faults without end.
fn validation() -> Vec<Hostile> {
    let mut corpus = Vec::new();
    let mut add = |name, document: String, variables| corpus.push((name, document, variables));
    add(
        "five hundred unknown fields",
        format!("{{ viewer {{ {} }} }}", many(500, |number| format!("field{number}"))),
        Value::Null,
    );
    add(
        "unknown fields with near names",
        format!("{{ viewer {{ {} }} }}", many(400, |number| format!("organizatio{number}"))),
        Value::Null,
    );
    add(
        "unknown arguments",
        format!("{{ organizations({}) {{ nodes {{ id }} }} }}", many(300, |number| format!("argument{number}: 1"))),
        Value::Null,
    );
    add(
        "unknown input fields",
        format!("{{ metricStats(filter: {{ {} }}) {{ count }} }}", many(300, |number| format!("field{number}: 1"))),
        Value::Null,
    );
    add(
        "fields that contradict each other",
        format!(
            "{{ viewer {{ {} }} }}",
            many(25, |number| format!("a: {}", if number % 2 == 0 { "role" } else { "__typename" }))
        ),
        Value::Null,
    );
    add(
        "arguments that contradict each other",
        format!(
            "{{ organizations {{ nodes {{ {} }} }} }}",
            many(25, |number| format!("a: employees(first: {number}) {{ pageInfo {{ hasNextPage }} }}"))
        ),
        Value::Null,
    );
    add("selections on scalars", "{ viewer { role { a { b { c } } } } }".to_owned(), Value::Null);
    add("an object without selection", "{ viewer organizations }".to_owned(), Value::Null);
    corpus
}

/// Answers without end.
fn cost() -> Vec<Hostile> {
    let mut corpus = Vec::new();
    let mut add = |name, document: String, variables| corpus.push((name, document, variables));
    add(
        "pages in pages",
        "{ organizations(first: 100) { nodes { employees(first: 100) { nodes { name } } } } }".to_owned(),
        Value::Null,
    );
    add(
        "pages in pages by edges",
        "{ organizations(first: 100) { edges { node { employees(last: 100) { edges { node { name } } } } } } }"
            .to_owned(),
        Value::Null,
    );
    let sizes = "query($n: Int) { organizations(first: $n) { nodes { employees(first: $n) { nodes { name } } } } }";
    add("pages of a size from variables", sizes.to_owned(), json!({ "n": 100 }));
    add("pages of a size from defaults", sizes.replace("$n: Int", "$n: Int = 100"), json!({}));
    add("pages of a size from a variable that is no number", sizes.to_owned(), json!({ "n": "100" }));
    add(
        "default pages in default pages",
        "{ organizations { nodes { projects { nodes { team { nodes { projects { nodes { id } } } } } } } } }"
            .to_owned(),
        Value::Null,
    );
    add("two thousand ids", format!("{{ nodes(ids: [{}]) {{ id }} }}", "\"x\" ".repeat(1_900)), Value::Null);
    add(
        "ten thousand ids in a variable",
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }".to_owned(),
        json!({ "ids": vec!["x"; 10_000] }),
    );
    add(
        "rankings of a hundred with all owners",
        "{ slowestEndpoints(limit: 100) { owners(first: 100) { name } } }".to_owned(),
        Value::Null,
    );
    add(
        "percentiles by the thousand",
        format!(
            "{{ metricStats(filter: {{ time: {{ last: \"PT1H\" }} }}) {{ {} }} }}",
            many(31, |number| format!("p{number}: percentile(p: {number})"))
        ),
        Value::Null,
    );
    corpus
}

/// What hides beside the document.
fn variables() -> Vec<Hostile> {
    let mut corpus = Vec::new();
    let mut add = |name, document: String, variables| corpus.push((name, document, variables));
    let deep = (0..500).fold(json!(1), |inner, _| json!({ "and": [inner] }));
    add(
        "a variable 500 levels deep",
        "query($f: MetricFilter!) { metricStats(filter: $f) { count } }".to_owned(),
        json!({ "f": deep }),
    );
    add(
        "a list where a text is wanted",
        "query($s: String) { organization(slug: $s) { id } }".to_owned(),
        json!({ "s": vec!["x"; 100_000] }),
    );
    add(
        "a text of a megabyte where a number is wanted",
        "query($n: Int) { organizations(first: $n) { nodes { id } } }".to_owned(),
        json!({ "n": "x".repeat(1_000_000) }),
    );
    add(
        "an object of a thousand unknown fields",
        "query($f: MetricFilter!) { metricStats(filter: $f) { count } }".to_owned(),
        {
            json!({ "f": (0..1_000).map(|number| (format!("field{number}"), json!(1))).collect::<serde_json::Map<_, _>>() })
        },
    );
    add(
        "introspection without end",
        format!("{{ __schema {{ types {{ {}name{} }} }} }}", "fields { type { ".repeat(25), "}".repeat(50)),
        Value::Null,
    );
    corpus
}

/// What `graphql-js` and clients built on it send, made by itself.
pub fn harmless() -> Vec<(&'static str, String)> {
    const PRINT: &str = "
        import { getIntrospectionQuery } from 'graphql';
        const all = { descriptions: true, specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true,
                      inputValueDeprecation: true, oneOf: true };
        console.log(JSON.stringify([getIntrospectionQuery(), getIntrospectionQuery(all)]));";
    let output = Command::new("node")
        .args(["--input-type=module", "-e", PRINT])
        .current_dir(repository("tests/clients"))
        .output()
        .expect("Node.js is needed: scripts/test-setup says how to get it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [plain, full]: [String; 2] = serde_json::from_slice(&output.stdout).unwrap();
    vec![
        ("the standard introspection query", plain),
        ("the introspection query of GraphiQL and code generators", full),
        (
            "a document as caching clients send it",
            "query Page($first: Int = 20) {
                organizations(first: $first) {
                    __typename
                    edges { __typename cursor node { __typename id ...Card } }
                    pageInfo { __typename hasNextPage endCursor }
                }
            }
            fragment Card on Organization { __typename id name slug isActive employeeCount createdAt updatedAt }"
                .to_owned(),
        ),
    ]
}
