//! Limits on a document before validation, where a short document can cost seconds.
//!
//! First the text (bytes, tokens, nesting), so that the parser is safe; then the shape of the parsed document with every
//! fragment spread out. The cost depends on variables, so it is computed for each request, after validation.

mod cost;
mod grammar;
mod scan;
mod shape;

use async_graphql::{
    ServerError, Variables,
    parser::{
        parse_query,
        types::{ExecutableDocument, OperationDefinition, OperationType},
    },
};
use cost::CostCalculator;
pub use cost::whole_minutes;
use scan::scan;
pub use scan::tokens;
use shape::{Shape, ShapeMeasurement};

use super::schema::SchemaTypes;
use crate::{config::Limits, error::Error};

/// The reason that a document does not reach validation.
#[derive(Debug)]
pub enum Refusal {
    /// It is not GraphQL.
    Syntax(Box<async_graphql::parser::Error>),
    /// It breaks a rule of validation that can only be checked in the text.
    Invalid(Box<ServerError>),
    /// It exceeds a limit.
    Limit(Error),
}

/// Nested braces, brackets and parentheses that the parser gets: far above any depth that passes, and low enough for its
/// recursion.
const NESTING_MAX: usize = 100;

/// Bytes of a name or number. The library compares an unknown name with every known one, letter by letter.
const NAME_BYTES_MAX: usize = 250;

/// Depth of introspection: its standard query nests deeper than queries for data, and runs no SQL.
const INTROSPECTION_DEPTH_MAX: usize = 20;

/// Parses a document and checks every limit that does not depend on variables.
///
/// # Errors
/// [`Refusal`] with the limit that is exceeded and the way to stay below it.
pub fn parse(text: &str, limits: &Limits) -> Result<ExecutableDocument, Refusal> {
    within(
        "the size of the document in bytes",
        text.len(),
        limits.document_bytes_max,
        "send variables instead of literals",
    )?;
    let scanned = scan(text);
    within("the number of tokens in the document", scanned.tokens, limits.tokens_max, "ask for less in one document")?;
    within("the nesting of the document", scanned.nesting, NESTING_MAX, "nest fields, lists and objects less deeply")?;
    within("the length of a name in bytes", scanned.name_bytes, NAME_BYTES_MAX, "use shorter names")?;
    let text = grammar::adapt(text)?;
    let document = parse_query(text).map_err(|error| Refusal::Syntax(Box::new(error)))?;
    measure(&document, limits).map_err(Refusal::Limit)?;
    Ok(document)
}

/// The cost of a validated operation with these variables.
///
/// # Errors
/// [`Error::Limit`] when it exceeds the limit.
pub fn cost(
    types: &SchemaTypes,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> Result<u64, Error> {
    let cost = CostCalculator::new(types, document, operation, variables, limits).cost();
    if cost > limits.cost_max {
        return Err(Error::Limit {
            what: "the cost of the operation (fields times the sizes of the lists they stand in, and measurements read)",
            actual: cost,
            limit: limits.cost_max,
            advice: "ask for smaller pages, fewer fields or fewer reports",
        });
    }
    Ok(cost)
}

impl From<Error> for Refusal {
    fn from(fault: Error) -> Self {
        Self::Limit(fault)
    }
}

fn within(what: &'static str, actual: usize, limit: usize, advice: &'static str) -> Result<(), Error> {
    if actual <= limit {
        return Ok(());
    }
    let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
    Err(Error::Limit { what, actual: count(actual), limit: count(limit), advice })
}

/// Measures all operations and fragments, also those that will not run: validation visits them.
fn measure(document: &ExecutableDocument, limits: &Limits) -> Result<(), Error> {
    let definitions = document.fragments.len() + document.operations.iter().count();
    within("the number of definitions", definitions, limits.definitions_max, "send fewer operations and fragments")?;
    let mut measurement = ShapeMeasurement::new(document);
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let shape = measurement.selection_set(&operation.selection_set.node);
        within("the number of fields at the top", shape.breadth, limits.root_fields_max, "split the operation")?;
        if operation.ty == OperationType::Subscription {
            let advice = "subscribe to each by itself";
            within("the number of fields at the top of a subscription", shape.breadth, 1, advice)?;
        }
        let directives = shape.directives.saturating_add(operation.directives.len());
        check(Shape { directives, ..shape }, limits)?;
    }
    for (name, fragment) in &document.fragments {
        let shape = measurement.fragment(name.as_str());
        let is_introspection = fragment.node.type_condition.node.on.node.starts_with("__");
        check(if is_introspection { shape.of_introspection() } else { shape }, limits)?;
    }
    Ok(())
}

fn check(shape: Shape, limits: &Limits) -> Result<(), Error> {
    within("the depth of the operation", shape.depth, limits.depth_max, "ask for fewer levels at once")?;
    within(
        "the depth of introspection",
        shape.introspection_depth,
        INTROSPECTION_DEPTH_MAX,
        "use the standard introspection query",
    )?;
    within("the number of aliases", shape.aliases, limits.aliases_max, "ask for fewer fields under other names")?;
    within("the number of directives", shape.directives, limits.directives_max, "use fewer directives")?;
    within("the number of fields", shape.fields, limits.fields_max, "ask for less at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { buckets_max: 1_000, ..Limits::default() }
    }

    /// Fields of every object of the test schema.
    const FIELDS: &str = r#"
        a(first: Int, last: Int): Page @listSize(slicingArguments: ["first", "last"], sizedFields: ["nodes"])
        b(first: Int): Page @listSize(slicingArguments: ["first"], sizedFields: ["nodes"])
        c: Page @listSize(sizedFields: ["nodes"])
        byNumber(size: Int): Numbered @listSize(slicingArguments: ["size"], sizedFields: ["items"])
        whole: [Item] @listSize
        some: [Item] @listSize(assumedSize: 10)
        top(limit: Int = 30): [Item] @listSize(slicingArguments: ["limit"])
        byIds(ids: [ID!]!): [Item] @listSize(slicingArguments: ["ids"])
        series(filter: Filter, step: String): [Item]
            @timeBuckets(argument: "step")
            @timeWindow(lengths: ["filter.time.last"], start: ["filter.time.from"], end: ["filter.time.to"], default: "P1D")
        live(window: String = "PT5M", limit: Int = 10): [Item]
            @listSize(slicingArguments: ["limit"]) @timeWindow(lengths: ["window"])
        trend(step: String): [Item] @timeBuckets(argument: "step")
        columns(filter: Filter, step: String, groupBy: String, limit: Int = 20): [Item]
            @listSize(slicingArguments: ["limit"], groupingArgument: "groupBy")
            @timeBuckets(argument: "step", bucketsPerItem: 20)
            @timeWindow(lengths: ["filter.time.last"])
        grouped(filter: Filter, by: [Key!], limit: Int = 20): [Item]
            @listSize(slicingArguments: ["limit"])
            @timeWindow(lengths: ["filter.time.last"], default: "PT24H")
            @reads(weight: 5, groups: "by", single: ["filter.status"], singleKeys: ["NAME"], exact: ["filter.exact"])
        counted(filter: Filter, by: [Key!], step: String, limit: Int = 20): [Item]
            @listSize(slicingArguments: ["limit"])
            @timeBuckets(argument: "step", bucketsPerItem: 1000)
            @timeWindow(lengths: ["filter.time.last"], default: "PT24H")
            @reads(weight: 5, groups: "by", single: ["filter.status"], singleKeys: ["NAME"], apart: ["filter.path"],
                apartKeys: ["PATH"], exact: ["filter.exact"])
        leaf: Int
    "#;

    fn types() -> SchemaTypes {
        let sdl = format!(
            "type Query {{ {FIELDS} }} type Item {{ {FIELDS} }} type Page {{ nodes: [Item] count: Int }}
            type Numbered {{ items: [Item] }} input Filter {{ time: Time status: Int path: String exact: Boolean }}
            enum Key {{ TYPE NAME PATH }}
            input Time {{ last: String from: String to: String }}"
        );
        SchemaTypes::read(&sdl, &[]).unwrap()
    }

    fn costs(document: &str, variables: serde_json::Value) -> Result<u64, Error> {
        let parsed = parse_query(document).unwrap();
        let (_, operation) = parsed.operations.iter().next().unwrap();
        cost(&types(), &parsed, &operation.node, &Variables::from_json(variables), &limits())
    }

    fn refusal(document: &str) -> String {
        match parse(document, &limits()) {
            Ok(_) => "passed".to_owned(),
            Err(Refusal::Syntax(error)) => format!("syntax: {error}"),
            Err(Refusal::Invalid(error)) => error.message,
            Err(Refusal::Limit(error)) => error.to_string(),
        }
    }

    /// Fragments that each spread the next one twice: twice the fields for every level.
    fn bomb(levels: usize) -> String {
        use std::fmt::Write;
        let mut text = "query { ...F0 }".to_owned();
        for level in 0..levels {
            write!(text, " fragment F{level} on Query {{ a: node(id: 1) {{ id }} ...F{n} ...F{n} }}", n = level + 1)
                .unwrap();
        }
        write!(text, " fragment F{levels} on Query {{ viewer {{ role }} }}").unwrap();
        text
    }

    #[test]
    fn a_fragment_bomb_is_weighed_without_being_spread_out() {
        assert!(refusal(&bomb(30)).contains("the maximum is"), "{}", refusal(&bomb(30)));
        assert_eq!(refusal(&bomb(2)), "passed");
    }

    #[test]
    fn introspection_nests_deeper_than_data_may() {
        let levels = |count: usize| format!("{} name {}", "ofType {".repeat(count), "}".repeat(count));
        let document = |count| {
            format!(
                "{{ __schema {{ types {{ ...T }} }} }} fragment T on __Type {{ fields {{ type {{ {} }} }} }}",
                levels(count)
            )
        };
        assert_eq!(refusal(&document(13)), "passed");
        assert!(refusal(&document(30)).contains("depth of introspection"), "{}", refusal(&document(30)));
    }

    #[test]
    fn a_refusal_names_the_exceeded_limit() {
        let deep = format!("{{ {} id {} }}", "a {".repeat(12), "}".repeat(12));
        let many: Vec<_> = (0..51).map(|number| format!("fragment F{number} on Query {{ a }}")).collect();
        let many = format!("query Q {{ a }} {}", many.join(" "));
        let cases = [
            ("{ a ".repeat(200), "nesting"),
            (deep, "depth"),
            (format!("{{ {} }}", "x: a ".repeat(10).repeat(3) + "x: a"), "top"),
            (format!("{{ a {{ {} }} }}", "x: a ".repeat(31)), "aliases"),
            (format!("{{ a {{ {} }} }}", "a @include(if: true) ".repeat(21)), "directives"),
            (format!("{{ a {{ {} }} }}", "a ".repeat(2_100)), "tokens"),
            (format!("{{ a(x: \"{}\") }}", "y".repeat(40_000)), "bytes"),
            (many, "definitions"),
        ];
        for (document, name) in cases {
            assert!(refusal(&document).contains(name), "{name}: {}", refusal(&document));
        }
    }

    #[test]
    fn roots_are_counted_in_fragments() {
        let spread = format!("{{ ...F }} fragment F on Query {{ {} }}", "viewer ".repeat(21));
        assert!(refusal(&spread).contains("top"), "{}", refusal(&spread));
        assert!(refusal("subscription { a b }").contains("top of a subscription"));
    }

    #[test]
    fn a_field_costs_as_much_as_the_lists_that_contain_it() {
        let none = || serde_json::json!({});
        for (document, expected) in [
            ("{ leaf }", 1),
            ("{ __schema { types { name } } leaf }", 2),
            // A page counts its default size only when its items are selected, and a given size in any case.
            ("{ a { count } }", 2),
            ("{ a(first: 5) { count } }", 6),
            ("{ a { nodes { leaf } } }", 1 + 20 * 2),
            ("{ a(last: 5) { count nodes { leaf } } }", 1 + 5 * 3),
            ("{ a(first: 1000) { nodes { leaf } } }", 1 + 100 * 2),
            ("{ a { ...F } } fragment F on Page { ... { nodes { leaf } } }", 1 + 20 * 2),
            ("query($n: Int = 7) { a(first: $n) { count } }", 8),
            ("query($n: Int) { a(first: $n) { nodes { leaf } } }", 1 + 20 * 2),
            ("{ byNumber(size: 3) { items { leaf } } }", 1 + 3 * 2),
            ("{ byNumber { items { leaf } } }", 1 + 20 * 2),
            ("{ whole { leaf } }", 101),
            ("{ some { leaf } }", 11),
            ("{ top { leaf } }", 31),
            ("{ top(limit: 4) { leaf } }", 5),
            ("{ byIds(ids: [1, 2, 3]) { leaf } }", 4),
            ("{ byIds(ids: 1) { leaf } }", 2),
            // A day of hours, and one more that the ends may cut.
            ("{ series(step: \"PT1H\") { leaf } }", 26),
            ("{ series(step: \"PT1H\", filter: {}) { leaf } }", 26),
            ("{ series(step: \"PT1H\", filter: { time: null }) { leaf } }", 26),
            ("{ series(step: \"PT1H\", filter: { time: { last: \"PT12H\" } }) { leaf } }", 14),
            ("{ series(step: \"PT1M\", filter: { time: { last: \"PT1H0.1S\" } }) { leaf } }", 63),
            (
                "{ series(step: \"PT1H\", filter: { time: { from: \"2026-01-01T00:00:00Z\", to: \"2026-01-01T02:00:00Z\" } }) \
                 { leaf } }",
                4,
            ),
            ("{ series(step: \"PT1S\") { leaf } }", 1001),
            ("{ series(step: \"nonsense\") { leaf } }", 2),
            // A series inside of a window, and the same fragment in two windows.
            ("{ live { trend(step: \"PT1M\") { leaf } } }", 1 + 10 * (1 + 6)),
            (
                "{ short: live(limit: 1) { ...F } long: live(limit: 1, window: \"PT10M\") { ...F } } \
                 fragment F on Item { trend(step: \"PT1M\") { leaf } }",
                (1 + 1 + 6) + (1 + 1 + 11),
            ),
            ("{ columns(step: \"PT1M\", filter: { time: { last: \"PT1H\" } }) { leaf } }", 1 + 4),
            ("{ columns(step: \"PT1M\", groupBy: \"x\", filter: { time: { last: \"PT1H\" } }) { leaf } }", 1 + 20 * 4),
        ] {
            assert_eq!(costs(document, none()).unwrap(), expected, "{document}");
        }
        let sized = "query($n: Int, $ids: [ID!]) { a(first: $n) { nodes { leaf } } byIds(ids: $ids) { leaf } }";
        let variables = serde_json::json!({ "n": 2, "ids": [1, 2, 3] });
        assert_eq!(costs(sized, variables).unwrap(), (1 + 2 * 2) + (1 + 3));
    }

    #[test]
    fn the_reading_of_measurements_counts_once() {
        let list = |inner: &str| format!("{{ a(first: 10) {{ nodes {{ grouped{inner} {{ leaf }} }} }} }}");
        // The list of ten, and in each item `nodes`, the report and its twenty groups.
        let fields = 1 + 10 * (1 + 1 + 20);
        for (document, reading) in [
            (String::new(), 5),
            ("(by: [])".to_owned(), 5),
            ("(by: TYPE)".to_owned(), 5 + 100),
            ("(by: [TYPE, NAME])".to_owned(), 5 + 100 + 25),
            ("(filter: { status: 500 })".to_owned(), 5 + 25),
            ("(filter: { status: null, exact: false })".to_owned(), 5),
            ("(filter: { status: 500, time: { last: \"P7D\" } })".to_owned(), 5 + 169),
            ("(filter: { exact: true })".to_owned(), 5 + 25 + 200),
            ("(filter: { exact: true }, by: [TYPE])".to_owned(), 5 + 100 + 25 + 200),
        ] {
            assert_eq!(costs(&list(&document), serde_json::json!({})).unwrap(), fields + reading, "{document}");
        }
        // Counts of hours and days answer some, a day at a time.
        let list = |inner: &str| format!("{{ a(first: 10) {{ nodes {{ counted{inner} {{ leaf }} }} }} }}");
        for (document, reading) in [
            ("(by: TYPE)", 5 + 100),
            ("(filter: { status: 500 })", 5 + 2),
            ("(filter: { status: 500, time: { last: \"P7D\" } }, by: [NAME])", 5 + 100 + 8),
            ("(filter: { status: 500 }, step: \"PT2H\")", 5 + 2),
            ("(filter: { status: 500 }, step: \"PT15M\")", 5 + 25),
            ("(filter: { status: 500, path: \"/x\" })", 5 + 25),
            ("(by: [PATH, NAME])", 5 + 100 + 25),
            ("(by: PATH, filter: { status: 500 })", 5 + 100 + 25),
            ("(filter: { status: 500, exact: true })", 5 + 25 + 200),
        ] {
            assert_eq!(costs(&list(document), serde_json::json!({})).unwrap(), fields + reading, "{document}");
        }
        let twice = "{ one: grouped { leaf } two: grouped { ...F } } fragment F on Item { grouped(by: TYPE) { leaf } }";
        assert_eq!(costs(twice, serde_json::json!({})).unwrap(), (1 + 20 + 5) + (1 + 20 * 21 + 5 + 105));
        let document = "query($by: [Key!], $key: Key!, $exact: Boolean = true, $filter: Filter) {
            a: grouped(by: $by) { leaf } b: grouped(by: [$key]) { leaf } c: grouped(filter: { exact: $exact }) { leaf }
            d: grouped(filter: $filter) { leaf } }";
        let variables = serde_json::json!({ "by": ["NAME"], "key": "TYPE", "filter": { "status": 1, "exact": null } });
        assert_eq!(
            costs(document, variables).unwrap(),
            4 * 21 + (5 + 100 + 25) + (5 + 100) + (5 + 25 + 200) + (5 + 25)
        );
    }

    #[test]
    fn sizes_in_defaults_and_fragments_are_counted() {
        for hidden in [
            "{ a(first: 100) { nodes { b(first: 100) { nodes { c } } } } }",
            // In the default of a variable.
            "query($n: Int = 100) { a(first: $n) { nodes { b(first: $n) { nodes { c } } } } }",
            // Behind fragments that hold the items.
            "{ a(first: 100) { ... { nodes { b(first: 100) { ...F } } } } } fragment F on Page { nodes { c } }",
            "{ a { ... { nodes { b { ... { nodes { c { ... { nodes { a { count } } } } } } } } } } }",
            "{ whole { b(first: 60) { nodes { c } } } }",
        ] {
            let refused = costs(hidden, serde_json::json!({})).unwrap_err().to_string();
            assert!(refused.contains("cost"), "{hidden}: {refused}");
        }
    }

    #[test]
    fn windows_are_rounded_as_reports_round_them() {
        let now = crate::model::Timestamp::from_micros(0);
        for micros in [1, 90_000_000, 3_599_999_999, 3_600_000_000, 3_600_000_001, 90_061_000_000, 604_800_000_000] {
            let rounded = crate::reports::until_now(micros, now).length_micros();
            assert_eq!(whole_minutes(micros), rounded, "{micros}");
        }
    }

    #[test]
    fn a_cycle_of_fragments_is_left_to_validation() {
        assert_eq!(refusal("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"), "passed");
    }
}
