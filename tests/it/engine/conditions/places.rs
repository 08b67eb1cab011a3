//! Every place of a condition in the arguments of fields, with requests that reach it.

use std::collections::{BTreeSet, VecDeque};

use apollo_compiler::{
    Name, Schema,
    ast::{FieldDefinition, InputValueDefinition, Type},
    schema::{ExtendedType, ObjectType},
    validation::Valid,
};
use serde_json::{Map, Value, json};

/// A place of a condition.
pub struct Place {
    pub kind: &'static str,
    pub text: Text,
    /// From the argument on: `filter.name.eq`.
    pub path: String,
    /// The argument as the value of a variable of its name, with null in the place.
    pub json: Value,
    /// The type of the condition.
    pub wanted: String,
    /// A variable that can be null may stand there.
    pub is_variable_allowed: bool,
}

/// A field with one argument.
pub struct Text {
    /// What surrounds the field in the operation.
    within: Around,
    field: String,
    others: String,
    argument: (String, String),
    /// What surrounds the place in the argument.
    around: Around,
    selection: &'static str,
}

impl Text {
    /// A document with this value in the place.
    pub fn literal(&self, kind: &str, variables: &str, value: &str) -> String {
        let Self { argument: (name, _), around: (before, after), .. } = self;
        self.operation(&format!("{kind}{variables}"), &format!("{name}: {before}{value}{after}"))
    }

    /// A document whose variable is the argument.
    pub fn argument(&self, kind: &str) -> String {
        let (name, wanted) = &self.argument;
        self.operation(&format!("{kind}(${name}: {wanted})"), &format!("{name}: ${name}"))
    }

    fn operation(&self, head: &str, argument: &str) -> String {
        let Self { within: (before, after), field, others, selection, .. } = self;
        format!("{head} {{ {before}{field}({others} {argument}) {selection}{after} }}")
    }
}

/// A value as a literal and as JSON.
type Sample = (String, Value);

/// The text before and after a place.
type Around = (String, String);

/// Every condition in each argument of a root field, and the first one in each argument of the fields of all objects below:
/// the rest depends on the type of the argument alone.
pub fn places(schema: &Valid<Schema>) -> Vec<Place> {
    let mut found = Vec::new();
    for (kind, root) in [("query", "Query"), ("mutation", "Mutation"), ("subscription", "Subscription")] {
        for (object, within) in reached(schema, root) {
            let most = if object.name == root { usize::MAX } else { 1 };
            for field in object.fields.values() {
                for argument in &field.arguments {
                    let paths = paths(schema, argument).into_iter().take(most);
                    found.extend(paths.map(|path| place(schema, kind, &within, field, &path)));
                }
            }
        }
    }
    found
}

/// Every object below a root, by the shortest way.
fn reached<'a>(schema: &'a Schema, root: &str) -> Vec<(&'a ObjectType, Around)> {
    let object = |name: &str| match schema.types.get(name) {
        Some(ExtendedType::Object(object)) => Some(object),
        _ => None,
    };
    let mut open = VecDeque::from([(object(root).unwrap(), Around::default())]);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some((parent, within)) = open.pop_front() {
        if !seen.insert(&parent.name) {
            continue;
        }
        for field in parent.fields.values() {
            let Some(child) = object(field.ty.inner_named_type()) else { continue };
            let (before, after) = &within;
            let mut required = arguments(schema, field, None);
            if !required.is_empty() {
                required = format!("({required})");
            }
            open.push_back((child, (format!("{before}{}{required} {{ ", field.name), format!(" }}{after}"))));
        }
        found.push((&**parent, within));
    }
    found
}

/// The required arguments of a field other than `given`.
fn arguments(schema: &Schema, field: &FieldDefinition, given: Option<&Name>) -> String {
    let required = field.arguments.iter().filter(|other| Some(&other.name) != given && is_required(other));
    required.map(|one| format!("{}: {}", one.name, sample(schema, &one.ty).0)).collect::<Vec<_>>().join(" ")
}

/// A path from an argument to a condition: each step with the input type that it stands in.
type Path<'a> = Vec<(Option<&'a str>, &'a InputValueDefinition)>;

fn paths<'a>(schema: &'a Schema, argument: &'a InputValueDefinition) -> Vec<Path<'a>> {
    let mut open = vec![vec![(None, argument)]];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        let (_, last) = path.last().unwrap();
        let Some(ExtendedType::InputObject(input)) = schema.types.get(last.ty.inner_named_type()) else { continue };
        // A filter in a filter of the same type has the same conditions.
        if path.iter().any(|(within, _)| *within == Some(input.name.as_str())) {
            continue;
        }
        for field in input.fields.values() {
            let mut path = path.clone();
            path.push((Some(input.name.as_str()), field));
            if input.directives.has("conditions") {
                found.push(path.clone());
            }
            open.push(path);
        }
    }
    found
}

fn place(schema: &Schema, kind: &'static str, within: &Around, field: &FieldDefinition, path: &Path<'_>) -> Place {
    let (_, argument) = path[0];
    let (parent, last) = path.last().unwrap();
    let ((before, after), json) = around(schema, path);
    let others = arguments(schema, field, Some(&argument.name));
    let is_object = matches!(
        schema.types.get(field.ty.inner_named_type()),
        Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
    );
    Place {
        kind,
        text: Text {
            within: within.clone(),
            field: field.name.to_string(),
            others,
            argument: (argument.name.to_string(), argument.ty.to_string()),
            around: (before, after),
            selection: if is_object { "{ __typename }" } else { "" },
        },
        path: path.iter().map(|(_, step)| step.name.as_str()).collect::<Vec<_>>().join("."),
        json: json!({ argument.name.as_str(): json }),
        wanted: last.ty.to_string(),
        is_variable_allowed: !last.ty.is_non_null() && parent.is_some_and(|parent| !is_one_of(schema, parent)),
    }
}

/// The text before and after the place, and the whole with null in it. One value stands for a list of one.
fn around(schema: &Schema, path: &Path<'_>) -> (Around, Value) {
    let (mut before, mut after) = (String::new(), String::new());
    for (within, step) in &path[1..] {
        let (others, _) = siblings(schema, within.unwrap(), Some(&step.name));
        let others: Vec<String> = others.iter().map(|(name, literal)| format!("{name}: {literal}, ")).collect();
        let others = others.concat();
        before = format!("{before}{{ {others}{}: ", step.name);
        after.push_str(" }");
    }
    let value = path[1..].iter().rev().fold(Value::Null, |inner, (within, step)| {
        let (_, mut object) = siblings(schema, within.unwrap(), Some(&step.name));
        object.insert(step.name.to_string(), inner);
        Value::Object(object)
    });
    ((before, after), value)
}

/// The required fields of an input type other than `given`, as literals and as JSON.
fn siblings(schema: &Schema, input: &str, given: Option<&Name>) -> (Vec<(String, String)>, Map<String, Value>) {
    let Some(ExtendedType::InputObject(input)) = schema.types.get(input) else { panic!("no {input}") };
    let required = input.fields.values().filter(|field| Some(&field.name) != given && is_required(field));
    let samples: Vec<_> = required.map(|field| (field.name.to_string(), sample(schema, &field.ty))).collect();
    let literals = samples.iter().map(|(name, (literal, _))| (name.clone(), literal.clone())).collect();
    (literals, samples.into_iter().map(|(name, (_, json))| (name, json)).collect())
}

fn is_required(value: &InputValueDefinition) -> bool {
    value.ty.is_non_null() && value.default_value.is_none()
}

fn is_one_of(schema: &Schema, input: &str) -> bool {
    schema.types.get(input).is_some_and(|input| input.directives().has("oneOf"))
}

/// A value that fits.
fn sample(schema: &Schema, wanted: &Type) -> Sample {
    let text = |text: &str| (format!("{text:?}"), json!(text));
    match (wanted.inner_named_type().as_str(), schema.types.get(wanted.inner_named_type())) {
        ("Int" | "Float" | "Long", _) => ("1".to_owned(), json!(1)),
        ("Boolean", _) => ("true".to_owned(), json!(true)),
        ("Duration", _) => text("PT1H"),
        ("DateTime", _) => text("2026-01-01T00:00:00Z"),
        (_, Some(ExtendedType::Enum(values))) => {
            let first = values.values.keys().next().unwrap().to_string();
            (first.clone(), json!(first))
        }
        (name, Some(ExtendedType::InputObject(_))) => {
            let (literals, json) = siblings(schema, name, None);
            let fields: Vec<_> = literals.iter().map(|(name, literal)| format!("{name}: {literal}")).collect();
            (format!("{{ {} }}", fields.join(", ")), Value::Object(json))
        }
        _ => text("x"),
    }
}
