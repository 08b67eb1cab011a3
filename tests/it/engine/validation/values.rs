//! Random values of input types, as literals and as JSON.

use apollo_compiler::{
    Node, Schema,
    ast::{IntValue, Type, Value},
    schema::ExtendedType,
    validation::Valid,
};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value as Json, json};

use super::requests::{name, once_in};

/// A literal without variables that fits a type.
pub fn literal(schema: &Valid<Schema>, wanted: &Type, depth: usize, rng: &mut StdRng) -> Value {
    if !wanted.is_non_null() && once_in(rng, 12) {
        return Value::Null;
    }
    if wanted.is_list() {
        let item = wanted.item_type();
        if !item.is_list() && once_in(rng, 5) {
            return literal(schema, &item.clone().non_null(), depth, rng);
        }
        let count = rng.random_range(0..3);
        return Value::List((0..count).map(|_| Node::new(literal(schema, item, depth, rng))).collect());
    }
    let type_name = wanted.inner_named_type();
    match &schema.types[type_name] {
        ExtendedType::Enum(values) => {
            let names: Vec<_> = values.values.keys().collect();
            Value::Enum((*names.choose(rng).unwrap()).clone())
        }
        ExtendedType::InputObject(object) => {
            let is_one_of = object.directives.has("oneOf");
            let only = rng.random_range(0..object.fields.len());
            let fields = object.fields.values().enumerate().filter(|(at, field)| {
                if is_one_of { *at == only } else { field.is_required() || (depth > 0 && once_in(rng, 3)) }
            });
            let fields: Vec<_> = fields.map(|(_, field)| field.clone()).collect();
            let depth = depth.saturating_sub(1);
            let value = |field: &Type, rng: &mut StdRng| {
                let wanted = if is_one_of { field.clone().non_null() } else { field.clone() };
                Node::new(literal(schema, &wanted, depth, rng))
            };
            Value::Object(fields.iter().map(|field| (field.name.clone(), value(&field.ty, rng))).collect())
        }
        _ => scalar(type_name, rng),
    }
}

fn scalar(type_name: &str, rng: &mut StdRng) -> Value {
    let number = IntValue::from(rng.random_range(0..50));
    match type_name {
        "Float" if once_in(rng, 2) => Value::Float(0.5.into()),
        "Int" | "Long" | "Float" => Value::Int(number),
        "Boolean" => Value::Boolean(once_in(rng, 2)),
        "ID" if once_in(rng, 4) => Value::Int(number),
        "DateTime" => Value::String("2026-01-31T12:00:00Z".to_owned()),
        "Duration" => Value::String("PT1H".to_owned()),
        _ => Value::String(["", "text", "ü \" \\"].choose(rng).unwrap().to_string()),
    }
}

/// A literal that fits no type, or few.
pub fn other(rng: &mut StdRng) -> Value {
    match rng.random_range(0..12) {
        0 => Value::Null,
        1 => Value::Int(IntValue::from(7)),
        2 => Value::Int(IntValue::new_parsed("2147483648")),
        3 => Value::Float(1.5.into()),
        4 => Value::String("text".to_owned()),
        5 => Value::String("7".to_owned()),
        6 => Value::Boolean(true),
        7 => Value::Enum(name("NOTHING")),
        8 => Value::List(Vec::new()),
        9 => Value::Object(Vec::new()),
        10 => Value::Variable(name("unknown")),
        _ => Value::List(vec![Node::new(Value::Null)]),
    }
}

/// A value as it stands in the variables of a request.
pub fn json(value: &Value) -> Json {
    match value {
        Value::Null | Value::Variable(_) => Json::Null,
        Value::Enum(name) => json!(name.as_str()),
        Value::String(text) => json!(text),
        Value::Float(number) => serde_json::from_str(number.as_str()).unwrap(),
        Value::Int(number) => serde_json::from_str(number.as_str()).unwrap(),
        Value::Boolean(value) => json!(value),
        Value::List(items) => items.iter().map(|item| json(item)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.to_string(), json(value))).collect(),
    }
}
