//! Whether the variables of a request fit the types that its operation declares, as the specification's
//! `CoerceVariableValues` wants it: before anything runs, and naming the exact place.
//!
//! The library checks variables as a part of validation, for each place where they are used. Here documents are validated
//! once, so variables are checked by themselves, once each.

mod absent;
mod schema_types;

use std::fmt::{self, Write};

use async_graphql::{
    Value, Variables,
    parser::types::{BaseType, OperationDefinition, Type},
};

pub use absent::drop_absent;
pub(super) use schema_types::InputType;
pub use schema_types::{InputField, SchemaTypes};

use crate::error::{Error, Result};

/// A place inside the variables, as `variables.input.metrics[3].value`.
#[derive(Clone, Copy)]
enum Place<'a> {
    Variable(&'a str),
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "variables.{name}"),
            Self::Field(parent, name) => {
                write!(f, "{parent}.")?;
                name.chars().take(NAME_SHOWN_MAX).try_for_each(|character| f.write_char(character))
            }
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Characters of a name that an error repeats; no name of the schema is longer.
const NAME_SHOWN_MAX: usize = 60;

impl Place<'_> {
    fn refuse<T>(&self, expected: impl fmt::Display) -> Result<T> {
        Err(Error::input(self.to_string(), expected.to_string()))
    }
}

/// What was found instead, shown so that it is recognised but never whole.
struct Found<'a>(&'a Value);

/// Characters of a text that an error repeats.
const SHOWN_MAX: usize = 50;

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::List(_) => f.write_str("a list"),
            Value::Object(_) => f.write_str("an object"),
            Value::String(text) if text.chars().nth(SHOWN_MAX).is_some() => {
                let shown: String = text.chars().take(SHOWN_MAX).collect();
                write!(f, "{shown:?}...")
            }
            other => write!(f, "{other}"),
        }
    }
}

/// Checks the variables of one operation, and gives those that are absent their defaults: the library knows of defaults
/// where a variable is an argument, and forgets them where it decides about `@include`.
///
/// # Errors
/// [`Error::Input`] whose field is the first place that does not fit.
pub fn coerce(types: &SchemaTypes, operation: &OperationDefinition, variables: &mut Variables) -> Result<()> {
    check(types, operation, variables)?;
    for definition in &operation.variable_definitions {
        let (name, default) = (&definition.node.name.node, &definition.node.default_value);
        if let (None, Some(default)) = (variables.get(name), default) {
            variables.insert(name.clone(), default.node.clone());
        }
    }
    Ok(())
}

fn check(types: &SchemaTypes, operation: &OperationDefinition, variables: &Variables) -> Result<()> {
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        let (name, wanted) = (&definition.name.node, &definition.var_type.node);
        let place = Place::Variable(name);
        match variables.get(name) {
            Some(value) => check_value(types, wanted, value, place)?,
            None if wanted.nullable || definition.default_value.is_some() => {}
            None => return place.refuse(format!("is missing; the operation needs a value of type {wanted}")),
        }
    }
    Ok(())
}

fn check_value(types: &SchemaTypes, wanted: &Type, value: &Value, place: Place<'_>) -> Result<()> {
    match (value, &wanted.base) {
        (Value::Null, _) if wanted.nullable => Ok(()),
        (Value::Null, _) => place.refuse(format!("must be a value of type {wanted}, not null")),
        (Value::List(items), BaseType::List(item)) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, value)| check_value(types, item, value, Place::Item(&place, index)))
        }
        // A value in place of a list is a list of it.
        (value, BaseType::List(item)) => check_value(types, item, value, place),
        (value, BaseType::Named(name)) => check_named(types, name, value, place),
    }
}

fn check_named(types: &SchemaTypes, name: &str, value: &Value, place: Place<'_>) -> Result<()> {
    match types.get(name) {
        // What is no input type has not passed validation.
        None => Ok(()),
        Some(InputType::Scalar(scalar)) => match scalar.refuses(value) {
            None => Ok(()),
            Some(expected) => place.refuse(format!("must be {expected}, not {}", Found(value))),
        },
        Some(InputType::Enum(values)) => match value {
            Value::String(text) if values.iter().any(|one| one == text) => Ok(()),
            Value::Enum(name) if values.iter().any(|one| one == name) => Ok(()),
            other => place.refuse(format!("must be one of {}, not {}", values.join(", "), Found(other))),
        },
        Some(InputType::Object(object)) => {
            let Value::Object(given) = value else {
                return place.refuse(format!("must be an object of type {name}, not {}", Found(value)));
            };
            for (field, value) in given {
                let Some(known) = object.fields.iter().find(|known| known.name == field.as_str()) else {
                    let close = object.closest(field);
                    let advice = close.map_or_else(String::new, |close| format!("; did you mean {close}?"));
                    return Place::Field(&place, field).refuse(format!("is no field of {name}{advice}"));
                };
                check_value(types, &known.wanted, value, Place::Field(&place, field))?;
            }
            for known in object.fields.iter().filter(|known| known.is_required()) {
                if !given.contains_key(known.name.as_str()) {
                    let missing = format!("is missing; {name} needs a value of type {}", known.wanted);
                    return Place::Field(&place, &known.name).refuse(missing);
                }
            }
            if object.is_one_of && (given.len() != 1 || given.values().any(|value| *value == Value::Null)) {
                let names: Vec<_> = object.fields.iter().map(|field| field.name.as_str()).collect();
                return place.refuse(format!("must give exactly one of {}", names.join(", ")));
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    fn checked(declared: &str, variables: serde_json::Value) -> String {
        let document = parse_query(format!("query({declared}) {{ a }}")).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let outcome = check(&SchemaTypes::of_schema(), &operation.node, &Variables::from_json(variables));
        outcome.map_or_else(|fault| fault.to_string(), |()| "fits".to_owned())
    }

    #[test]
    fn what_fits_passes() {
        for (declared, variables) in [
            ("$a: Int, $b: Int! = 3", json!({})),
            ("$a: Int, $b: [ID!]!", json!({ "a": null, "b": "one is a list of one", "unused": 1 })),
            ("$a: [ID!]!, $b: Float!", json!({ "a": [1, "two"], "b": 3 })),
            ("$a: Int!, $b: Long!", json!({ "a": -2_147_483_648_i64, "b": 9_007_199_254_740_993_i64 })),
            ("$a: MetricFilter!", json!({ "a": { "time": { "last": "PT1H" }, "types": ["DATABASE"] } })),
            ("$a: DateTime, $b: Boolean", json!({ "a": "2026-01-31T12:00:00+01:00", "b": false })),
        ] {
            assert_eq!(checked(declared, variables.clone()), "fits", "{declared} {variables}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place() {
        let metric = json!({ "type": "DATABASE", "value": 1, "endpoint": "/" });
        let mut wrong = metric.clone();
        wrong["value"] = json!("fast");
        let input = |metrics: &[&serde_json::Value]| json!({ "input": { "projectId": "x", "metrics": metrics } });
        for (declared, variables, expected) in [
            ("$a: Int!", json!({}), "variables.a: is missing; the operation needs a value of type Int!"),
            ("$a: Int!", json!({ "a": null }), "variables.a: must be a value of type Int!, not null"),
            (
                "$a: Int",
                json!({ "a": 2_147_483_648_i64 }),
                "variables.a: must be a whole number of 32 bits, not 2147483648",
            ),
            ("$a: Int", json!({ "a": 1.5 }), "variables.a: must be a whole number of 32 bits, not 1.5"),
            ("$a: [ID!]", json!({ "a": ["x", null] }), "variables.a[1]: must be a value of type ID!, not null"),
            ("$a: String", json!({ "a": { "b": 1 } }), "variables.a: must be a text, not an object"),
            ("$a: Statistic", json!({ "a": "P96" }), "variables.a: must be one of COUNT, AVERAGE, MIN, MAX, SUM, P50"),
            (
                "$a: DateTime",
                json!({ "a": "yesterday" }),
                "variables.a: must be an RFC 3339 time such as 2026-01-31T12:00:00Z, not \"yesterday\"",
            ),
            (
                "$input: IngestMetricsInput!",
                input(&[&metric, &wrong]),
                "variables.input.metrics[1].value: must be a number",
            ),
            (
                "$f: MetricFilter!",
                json!({ "f": { "time": { "last": "PT1H" }, "typs": [] } }),
                "variables.f.typs: is no field of MetricFilter; did you mean types?",
            ),
            (
                "$f: MetricFilter!",
                json!({ "f": {} }),
                "variables.f.time: is missing; MetricFilter needs a value of type TimeRange!",
            ),
            ("$t: TimeRange", json!({ "t": {} }), "variables.t: must give exactly one of last, between"),
            ("$a: String", json!({ "a": ["x".repeat(10_000_000)] }), "variables.a: must be a text, not a list"),
            (
                "$a: Int",
                json!({ "a": "x".repeat(10_000_000) }),
                "variables.a: must be a whole number of 32 bits, not \"xxx",
            ),
        ] {
            let message = checked(declared, variables);
            assert!(message.starts_with(expected), "{message}");
            assert!(message.len() < 400, "{message}");
        }
    }
}
