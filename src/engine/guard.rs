//! Bounds on a document before validation, which is where a short document can cost seconds.
//!
//! First the text (bytes, tokens, nesting), so that the parser itself is safe; then the parsed document with every
//! fragment counted as if spread out. Fragments are measured once each, so the work is linear in the document.

mod buckets;
mod scan;
mod weigh;

use async_graphql::{
    Variables,
    parser::{
        parse_query,
        types::{ExecutableDocument, OperationDefinition, OperationType},
    },
};
use scan::scan;
pub use scan::tokens;
use weigh::{Scales, Weight};

use crate::{config::Limits, error::Error};

/// Why a document does not reach validation.
#[derive(Debug)]
pub enum Refusal {
    /// It is not GraphQL.
    Syntax(Box<async_graphql::parser::Error>),
    /// It asks for too much.
    Limit(Error),
}

/// Levels of braces, brackets and parentheses that the parser is handed: far above any depth that passes, and low
/// enough for its recursion.
const NESTING_MAX: usize = 100;

/// Bytes of a name or number: what is unknown is compared with everything that is known, letter by letter.
const NAME_BYTES_MAX: usize = 250;

/// Depth of introspection: its standard query nests deeper than data does, and costs no SQL.
const INTROSPECTION_DEPTH_MAX: usize = 20;

/// Parses a document and measures what does not depend on variables.
///
/// # Errors
/// [`Refusal`] with the limit that was passed and what to do about it.
pub fn parse(text: &str, limits: &Limits) -> Result<ExecutableDocument, Refusal> {
    within(
        "the size of the document in bytes",
        text.len(),
        limits.document_bytes_max,
        "send variables instead of literals",
    )?;
    let shape = scan(text);
    within("the number of tokens in the document", shape.tokens, limits.tokens_max, "ask for less in one document")?;
    within("the nesting of the document", shape.nesting, NESTING_MAX, "nest fields, lists and objects less deeply")?;
    within("the length of a name in bytes", shape.name_bytes, NAME_BYTES_MAX, "use shorter names")?;
    let document = parse_query(text).map_err(|error| Refusal::Syntax(Box::new(error)))?;
    measure(&document, limits).map_err(Refusal::Limit)?;
    Ok(document)
}

/// What an operation costs with these variables: fields times the sizes of the lists they stand in.
///
/// # Errors
/// [`Error::Limit`] when that is more than is allowed.
pub fn cost(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> Result<u64, Error> {
    let weight = Scales::new(document, Some(operation), variables, limits).selection_set(&operation.selection_set.node);
    if weight.cost > limits.cost_max {
        return Err(Error::Limit {
            what: "the cost of the operation (fields times the sizes of the lists they stand in)",
            actual: weight.cost,
            limit: limits.cost_max,
            advice: "ask for smaller pages or fewer fields",
        });
    }
    Ok(weight.cost)
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

/// All operations and fragments are measured, also those that are not to run: they reach validation.
fn measure(document: &ExecutableDocument, limits: &Limits) -> Result<(), Error> {
    let definitions = document.fragments.len() + document.operations.iter().count();
    within("the number of definitions", definitions, limits.definitions_max, "send fewer operations and fragments")?;
    let variables = Variables::default();
    for (_, operation) in document.operations.iter() {
        check_operation(document, &operation.node, &variables, limits)?;
    }
    let mut scales = Scales::new(document, None, &variables, limits);
    for (name, fragment) in &document.fragments {
        let weight = scales.fragment(name.as_str());
        let is_introspection = fragment.node.type_condition.node.on.node.starts_with("__");
        check(if is_introspection { weight.of_introspection() } else { weight }, limits)?;
    }
    Ok(())
}

fn check_operation(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> Result<(), Error> {
    let mut scales = Scales::new(document, Some(operation), variables, limits);
    let mut weight = scales.selection_set(&operation.selection_set.node);
    weight.directives = weight.directives.saturating_add(operation.directives.len());
    within("the number of fields at the top", weight.breadth, limits.root_fields_max, "split the operation")?;
    if operation.ty == OperationType::Subscription {
        within("the number of fields at the top of a subscription", weight.breadth, 1, "subscribe to each by itself")?;
    }
    check(weight, limits)
}

fn check(weight: Weight, limits: &Limits) -> Result<(), Error> {
    within("the depth of the operation", weight.depth, limits.depth_max, "ask for fewer levels at once")?;
    within(
        "the depth of introspection",
        weight.introspection_depth,
        INTROSPECTION_DEPTH_MAX,
        "use the standard introspection query",
    )?;
    within("the number of aliases", weight.aliases, limits.aliases_max, "ask for fewer fields under other names")?;
    within("the number of directives", weight.directives, limits.directives_max, "use fewer directives")?;
    within("the number of fields", weight.fields, limits.fields_max, "ask for less at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::default()
    }

    fn refusal(document: &str) -> String {
        let parsed = match parse(document, &limits()) {
            Ok(parsed) => parsed,
            Err(Refusal::Syntax(error)) => return format!("syntax: {error}"),
            Err(Refusal::Limit(error)) => return error.to_string(),
        };
        let mut costs = parsed
            .operations
            .iter()
            .map(|(_, operation)| cost(&parsed, &operation.node, &Variables::default(), &limits()));
        costs.find_map(Result::err).map_or_else(|| "passed".to_owned(), |error| error.to_string())
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
    fn every_limit_names_itself() {
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
            ("{ a(first: 100) { nodes { b(first: 100) { nodes { c } } } } }".to_owned(), "cost"),
        ];
        for (document, name) in cases {
            assert!(refusal(&document).contains(name), "{name}: {}", refusal(&document));
        }
    }

    #[test]
    fn sizes_are_found_wherever_they_hide() {
        let hidden = [
            // In the default of a variable.
            "query($n: Int = 100) { a(first: $n) { nodes { b(first: $n) { nodes { c } } } } }",
            // Behind fragments that hold the items.
            "{ a(first: 100) { ... { nodes { b(first: 100) { ...F } } } } } fragment F on B { nodes { c } }",
            "{ a { ... { nodes { b { ... { nodes { c { ... { nodes { d { e } } } } } } } } } } }",
            // In lists that take another size, or none.
            "query($n: Int = 90) { employeesPage(pageSize: $n) { items { b(first: 60) { nodes { c } } } } }",
            "{ employeesPage { items { b(first: 100) { nodes { c d } } } } }",
            "{ allEmployees { b(first: 60) { nodes { c } } } }",
        ];
        for document in hidden {
            assert!(refusal(document).contains("cost"), "{document}: {}", refusal(document));
        }
        let (last, hour) = ("filter: { time: { last: \"P7D\" } }", "bucket: \"PT1H\"");
        let series =
            format!("{{ projects(first: 20) {{ nodes {{ metricSeries({last}, {hour}) {{ start end }} }} }} }}");
        assert!(refusal(&series).contains("is 6801;"), "20 times 168 hours and a cut one: {}", refusal(&series));
        let trend = "trend(bucket: \"PT1H\") { ...B }";
        for window in
            [last, "filter: { time: { between: { from: \"2026-01-01T00:00:00Z\", to: \"2026-01-08T00:00:00Z\" } } }"]
        {
            let ranking = format!(
                "query {{ slowestEndpoints(limit: 20, {window}) {{ ...T }} }}
                fragment T on EndpointStats {{ {trend} }} fragment B on MetricBucket {{ start end }}"
            );
            assert!(refusal(&ranking).contains("cost"), "{window}: {}", refusal(&ranking));
        }
        let short =
            format!("{{ slowestEndpoints(limit: 20) {{ {trend} }} }} fragment B on MetricBucket {{ start end }}");
        assert_eq!(refusal(&short), "passed", "a day without a filter");
        let ids = vec!["1"; 100].join(", ");
        let nodes = format!("{{ nodes(ids: [{ids}]) {{ a(first: 60) {{ nodes {{ b }} }} }} }}");
        assert!(refusal(&nodes).contains("cost"), "{}", refusal(&nodes));
        let spread = format!("{{ ...F }} fragment F on Query {{ {} }}", "viewer ".repeat(21));
        assert!(refusal(&spread).contains("top"), "{}", refusal(&spread));
        assert!(refusal("subscription { a b }").contains("top of a subscription"));
    }

    #[test]
    fn a_cycle_of_fragments_is_left_to_validation() {
        assert_eq!(refusal("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"), "passed");
    }
}
