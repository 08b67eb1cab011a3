//! Bounds on a document before validation, which is where a short document can cost seconds.
//!
//! First the text (bytes, tokens, nesting), so that the parser itself is safe; then the parsed document with every
//! fragment counted as if spread out. Fragments are measured once each, so the work is linear in the document.

use std::collections::HashMap;

use async_graphql::{
    Name, Variables,
    parser::{
        parse_query,
        types::{ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet},
    },
};
use async_graphql_value::Value;

use super::context::Limits;
use crate::error::Error;

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

/// Depth of introspection: its standard query nests deeper than data does, and costs no SQL.
const INTROSPECTION_DEPTH_MAX: usize = 20;

/// Parses a document and measures it.
///
/// # Errors
/// [`Refusal`] with the limit that was passed and what to do about it.
pub fn parse(text: &str, variables: &Variables, limits: &Limits) -> Result<ExecutableDocument, Refusal> {
    within(
        "the size of the document in bytes",
        text.len(),
        limits.document_bytes_max,
        "send variables instead of literals",
    )?;
    let shape = scan(text);
    within("the number of tokens in the document", shape.tokens, limits.tokens_max, "ask for less in one document")?;
    within("the nesting of the document", shape.nesting, NESTING_MAX, "nest fields, lists and objects less deeply")?;
    let document = parse_query(text).map_err(|error| Refusal::Syntax(Box::new(error)))?;
    measure(&document, variables, limits)?;
    Ok(document)
}

fn within(what: &'static str, actual: usize, limit: usize, advice: &'static str) -> Result<(), Refusal> {
    if actual <= limit {
        return Ok(());
    }
    let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
    Err(Refusal::Limit(Error::Limit { what, actual: count(actual), limit: count(limit), advice }))
}

struct Shape {
    tokens: usize,
    nesting: usize,
}

/// Counts tokens and nesting without parsing. Strings and comments are skipped; what is malformed is the parser's.
fn scan(text: &str) -> Shape {
    let bytes = text.as_bytes();
    let (mut at, mut tokens, mut depth, mut nesting) = (0, 0, 0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => continue,
            b'#' => {
                while bytes.get(at).is_some_and(|byte| !matches!(byte, b'\n' | b'\r')) {
                    at += 1;
                }
                continue;
            }
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'(' | b'[' => {
                depth += 1;
                nesting = nesting.max(depth);
            }
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ if is_name_byte(byte) => {
                while bytes.get(at).is_some_and(|byte| is_name_byte(*byte)) {
                    at += 1;
                }
            }
            _ => {}
        }
        tokens += 1;
    }
    Shape { tokens, nesting }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the string that opened just before `at` ends.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    let rest = |at: usize| bytes.get(at..).unwrap_or_default();
    if rest(at).starts_with(b"\"\"") {
        at += 2;
        while !rest(at).is_empty() {
            if rest(at).starts_with(b"\\\"\"\"") {
                at += 4;
            } else if rest(at).starts_with(b"\"\"\"") {
                return at + 3;
            } else {
                at += 1;
            }
        }
        return at;
    }
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'"' | b'\n' => break,
            _ => {}
        }
    }
    at
}

/// What a selection set amounts to with its fragments spread out.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    fields: usize,
    aliases: usize,
    directives: usize,
    depth: usize,
    introspection_depth: usize,
    cost: u64,
}

impl Weight {
    fn beside(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            introspection_depth: self.introspection_depth.max(other.introspection_depth),
            cost: self.cost.saturating_add(other.cost),
        }
    }
}

impl Weight {
    /// The same below `__schema` or `__type`.
    fn of_introspection(self) -> Self {
        Self { depth: 0, introspection_depth: self.introspection_depth.max(self.depth), cost: 1, ..self }
    }
}

struct Scales<'a> {
    fragments: &'a HashMap<Name, async_graphql::Positioned<FragmentDefinition>>,
    variables: &'a Variables,
    page_size_default: u64,
    measured: HashMap<&'a str, Option<Weight>>,
}

fn measure(document: &ExecutableDocument, variables: &Variables, limits: &Limits) -> Result<(), Refusal> {
    let definitions = document.fragments.len() + document.operations.iter().count();
    within("the number of definitions", definitions, limits.definitions_max, "send fewer operations and fragments")?;
    let mut scales = Scales {
        fragments: &document.fragments,
        variables,
        page_size_default: u64::from(limits.page_size_default),
        measured: HashMap::new(),
    };
    for (_, operation) in document.operations.iter() {
        check_operation(&mut scales, &operation.node, limits)?;
    }
    // Fragments that no operation uses still reach validation.
    for (name, fragment) in &document.fragments {
        let weight = scales.fragment(name.as_str());
        let is_introspection = fragment.node.type_condition.node.on.node.starts_with("__");
        check(if is_introspection { weight.of_introspection() } else { weight }, limits)?;
    }
    Ok(())
}

fn check_operation<'a>(
    scales: &mut Scales<'a>,
    operation: &'a OperationDefinition,
    limits: &Limits,
) -> Result<(), Refusal> {
    let roots = operation.selection_set.node.items.len();
    within("the number of fields at the top", roots, limits.root_fields_max, "split the operation")?;
    let mut weight = scales.selection_set(&operation.selection_set.node);
    weight.directives += operation.directives.len();
    check(weight, limits)
}

fn check(weight: Weight, limits: &Limits) -> Result<(), Refusal> {
    within("the depth of the operation", weight.depth, limits.depth_max, "ask for fewer levels at once")?;
    within(
        "the depth of introspection",
        weight.introspection_depth,
        INTROSPECTION_DEPTH_MAX,
        "use the standard introspection query",
    )?;
    within("the number of aliases", weight.aliases, limits.aliases_max, "ask for fewer fields under other names")?;
    within("the number of directives", weight.directives, limits.directives_max, "use fewer directives")?;
    within("the number of fields", weight.fields, limits.fields_max, "ask for less at once")?;
    if weight.cost > limits.cost_max {
        return Err(Refusal::Limit(Error::Limit {
            what: "the cost of the operation (fields times the sizes of the lists they stand in)",
            actual: weight.cost,
            limit: limits.cost_max,
            advice: "ask for smaller pages or fewer fields",
        }));
    }
    Ok(())
}

impl<'a> Scales<'a> {
    fn selection_set(&mut self, set: &'a SelectionSet) -> Weight {
        let mut total = Weight::default();
        for item in &set.items {
            let weight = match &item.node {
                Selection::Field(field) => self.field(&field.node),
                Selection::InlineFragment(fragment) => {
                    let mut weight = self.selection_set(&fragment.node.selection_set.node);
                    weight.directives += fragment.node.directives.len();
                    weight
                }
                Selection::FragmentSpread(spread) => {
                    let mut weight = self.fragment(spread.node.fragment_name.node.as_str());
                    weight.directives = weight.directives.saturating_add(spread.node.directives.len());
                    // A chain of spreads is as much work as a chain of fields, also when it selects nothing.
                    weight.fields = weight.fields.saturating_add(1);
                    weight
                }
            };
            total = total.beside(weight);
        }
        total
    }

    fn field(&mut self, field: &'a Field) -> Weight {
        let name = field.name.node.as_str();
        let inner = self.selection_set(&field.selection_set.node);
        let is_introspection = name.starts_with("__");
        let size = if inner.fields == 0 { 1 } else { self.list_size(field) };
        Weight {
            fields: inner.fields.saturating_add(1),
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
            directives: inner.directives.saturating_add(field.directives.len()),
            depth: if is_introspection { 1 } else { inner.depth + 1 },
            introspection_depth: if is_introspection { inner.depth + 1 } else { inner.introspection_depth },
            cost: if is_introspection { 1 } else { inner.cost.saturating_mul(size).saturating_add(1) },
        }
    }

    /// Each fragment is measured once. One that spreads itself counts as nothing here: validation names the cycle.
    fn fragment(&mut self, name: &str) -> Weight {
        let Some((name, fragment)) = self.fragments.get_key_value(name) else {
            return Weight::default();
        };
        if let Some(known) = self.measured.get(name.as_str()) {
            return known.unwrap_or_default();
        }
        self.measured.insert(name.as_str(), None);
        let mut weight = self.selection_set(&fragment.node.selection_set.node);
        weight.directives = weight.directives.saturating_add(fragment.node.directives.len());
        self.measured.insert(name.as_str(), Some(weight));
        weight
    }

    /// How many items a field may answer with: its `first`, `last` or `limit`, or the default page of a connection.
    fn list_size(&self, field: &Field) -> u64 {
        let explicit = ["first", "last", "limit"].iter().find_map(|argument| {
            let value = &field.get_argument(argument)?.node;
            self.number(value)
        });
        let is_connection = field.selection_set.node.items.iter().any(|item| match &item.node {
            Selection::Field(child) => matches!(child.node.name.node.as_str(), "nodes" | "edges"),
            _ => false,
        });
        match explicit {
            Some(size) => size.max(1),
            None if is_connection => self.page_size_default,
            None => 1,
        }
    }

    fn number(&self, value: &Value) -> Option<u64> {
        match value {
            Value::Number(number) => number.as_u64(),
            Value::Variable(name) => match self.variables.get(name)? {
                async_graphql::Value::Number(number) => number.as_u64(),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            page_size_default: 20,
            page_size_max: 100,
            document_bytes_max: 32_768,
            tokens_max: 2_000,
            definitions_max: 50,
            depth_max: 12,
            aliases_max: 30,
            root_fields_max: 20,
            directives_max: 20,
            fields_max: 2_000,
            cost_max: 5_000,
        }
    }

    fn refusal(document: &str) -> String {
        match parse(document, &Variables::default(), &limits()) {
            Ok(_) => "passed".to_owned(),
            Err(Refusal::Syntax(error)) => format!("syntax: {error}"),
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
        assert!(refusal(&bomb(30)).contains("the limit is"), "{}", refusal(&bomb(30)));
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
    fn strings_and_comments_are_one_token_or_none() {
        assert_eq!(scan("{ a(x: \"{{{ \\\" }\", y: \"\"\"{ \\\"\"\" {\"\"\") } # {{{").tokens, 11);
        assert_eq!(scan("\"\"\"").tokens, 1);
        assert_eq!(scan("\"\\").tokens, 1);
    }

    #[test]
    fn a_cycle_of_fragments_is_left_to_validation() {
        assert_eq!(refusal("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"), "passed");
    }
}
