//! Checks the variables of a request against the types that its operation declares (`CoerceVariableValues` of the
//! specification), before anything runs. An error names the path of the wrong value.
//!
//! The library checks variables during validation, once for each use. Here documents are validated once and without
//! variables, so each variable is checked once by itself.

mod absent;
mod nesting;

use std::fmt::{self, Write};

use async_graphql::{
    Value, Variables,
    parser::types::{BaseType, OperationDefinition, OperationType, Type},
};

use super::{
    documents::conditions::{NULL_CONDITION, Place},
    schema::{InputType, SchemaTypes},
};
use crate::error::{Error, Result};
pub use absent::drop_absent;

/// A path inside the variables, such as `variables.input.items[3].value`.
#[derive(Clone, Copy)]
enum ValuePath<'a> {
    Variable(&'a str),
    Field(&'a ValuePath<'a>, &'a str),
    Item(&'a ValuePath<'a>, usize),
}

impl fmt::Display for ValuePath<'_> {
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

/// Characters of a name that an error quotes; no name of the schema is longer.
const NAME_SHOWN_MAX: usize = 60;

impl ValuePath<'_> {
    fn refuse<T>(&self, expected: impl fmt::Display) -> Result<T> {
        Err(Error::input(self.to_string(), expected.to_string()))
    }
}

/// A recognizable part of a value, for an error.
struct ValuePreview<'a>(&'a Value);

/// Characters of a text that an error quotes.
const SHOWN_MAX: usize = 50;

impl fmt::Display for ValuePreview<'_> {
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

/// Checks the variables of one operation, writes whole numbers as such, drops those that it does not declare, and fills in absent ones from their
/// defaults. The library applies a default where a variable is an argument, and not where it decides about `@include`.
///
/// # Errors
/// [`Error::Input`] with the path of the first value that does not fit, or of a variable that nests more than
/// `filters_max` filters.
pub fn coerce(
    types: &SchemaTypes,
    operation: &OperationDefinition,
    filters_max: usize,
    variables: &mut Variables,
) -> Result<()> {
    variables.retain(|name, _| operation.variable_definitions.iter().any(|one| one.node.name.node == *name));
    nesting::check(types, operation, filters_max, variables)?;
    check(types, operation, variables)?;
    for definition in &operation.variable_definitions {
        let (name, default) = (&definition.node.name.node, &definition.node.default_value);
        if let (None, Some(default)) = (variables.get(name), default) {
            variables.insert(name.clone(), default.node.clone());
        }
    }
    Ok(())
}

fn check(types: &SchemaTypes, operation: &OperationDefinition, variables: &mut Variables) -> Result<()> {
    let checker = VariableCheck { types, kind: operation.ty };
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        let (name, wanted) = (&definition.name.node, &definition.var_type.node);
        let path = ValuePath::Variable(name);
        match variables.get_mut(name) {
            // A null variable is checked where it is used.
            Some(Value::Null) if wanted.nullable => {}
            Some(value) => checker.value(wanted, value, path, Place::Elsewhere)?,
            None if wanted.nullable || definition.default_value.is_some() => {}
            None => return path.refuse(format!("is missing; the operation needs a value of type {wanted}")),
        }
    }
    Ok(())
}

/// Checks the values of one operation's variables.
struct VariableCheck<'a> {
    types: &'a SchemaTypes,
    kind: OperationType,
}

impl VariableCheck<'_> {
    fn value(&self, wanted: &Type, value: &mut Value, path: ValuePath<'_>, place: Place) -> Result<()> {
        match (value, &wanted.base) {
            (Value::Null, _) if !wanted.nullable => path.refuse(format!("must be a value of type {wanted}, not null")),
            (Value::Null, _) if place.refuses_null(self.kind, self.types, wanted) => path.refuse(NULL_CONDITION),
            (Value::Null, _) => Ok(()),
            (Value::List(items), BaseType::List(item)) => {
                let mut items = items.iter_mut().enumerate();
                items.try_for_each(|(index, value)| self.value(item, value, ValuePath::Item(&path, index), place))
            }
            // A single value stands for a list of one.
            (value, BaseType::List(item)) => self.value(item, value, path, place),
            (value, BaseType::Named(name)) => self.named(name, value, path),
        }
    }

    fn named(&self, name: &str, value: &mut Value, path: ValuePath<'_>) -> Result<()> {
        match self.types.get(name) {
            // Validation has refused a variable of another type.
            None => Ok(()),
            Some(InputType::Scalar(scalar)) => match scalar.coerce(value) {
                None => Ok(()),
                Some(expected) => {
                    path.refuse(format!("must be {expected}, not {}{}", ValuePreview(value), scalar.hint(value)))
                }
            },
            Some(InputType::Enum(values)) => match value {
                Value::String(text) if values.iter().any(|one| one == text) => Ok(()),
                Value::Enum(name) if values.iter().any(|one| one == name) => Ok(()),
                other => {
                    let advice = match other {
                        Value::String(text) => self.types.advise_value(values, text),
                        _ => String::new(),
                    };
                    let (names, shown) = (values.join(", "), ValuePreview(other));
                    path.refuse(format!("must be one of {names}, not {shown}{advice}"))
                }
            },
            Some(InputType::Object(object)) => {
                let Value::Object(given) = value else {
                    return path.refuse(format!("must be an object of type {name}, not {}", ValuePreview(value)));
                };
                for (field, value) in given.iter_mut() {
                    let Some(known) = object.fields.iter().find(|known| known.name == field.as_str()) else {
                        let advice = self.types.advise_key(object, field);
                        return ValuePath::Field(&path, field).refuse(format!("is no field of {name}{advice}"));
                    };
                    self.value(&known.wanted, value, ValuePath::Field(&path, field), Place::inside(object))?;
                }
                for known in object.fields.iter().filter(|known| known.is_required()) {
                    if !given.contains_key(known.name.as_str()) {
                        let missing = format!("is missing; {name} needs a value of type {}", known.wanted);
                        return ValuePath::Field(&path, &known.name).refuse(missing);
                    }
                }
                if object.is_one_of && (given.len() != 1 || given.values().any(|value| *value == Value::Null)) {
                    let names: Vec<_> = object.fields.iter().map(|field| field.name.as_str()).collect();
                    return path.refuse(format!("must give exactly one of {}", names.join(", ")));
                }
                Ok(())
            }
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
        let mut variables = Variables::from_json(variables);
        let outcome = check(&SchemaTypes::of_this_server(), &operation.node, &mut variables);
        outcome.map_or_else(|fault| fault.to_string(), |()| "fits".to_owned())
    }

    #[test]
    fn variables_of_the_declared_types_are_accepted() {
        for (declared, variables) in [
            ("$a: Int, $b: Int! = 3", json!({})),
            ("$a: Int, $b: [ID!]!", json!({ "a": null, "b": "one is a list of one", "unused": 1 })),
            ("$a: [ID!]!, $b: Float!", json!({ "a": [1, "two"], "b": 3 })),
            ("$a: Int!, $b: Long!", json!({ "a": -2_147_483_648_i64, "b": 9_007_199_254_740_993_i64 })),
            ("$a: MetricFilter!", json!({ "a": { "time": { "last": "PT1H" }, "types": ["DATABASE"] } })),
            ("$a: DateTime, $b: Boolean", json!({ "a": "2026-01-31T12:00:00+01:00", "b": false })),
            ("$a: DateTime, $b: DateTime", json!({ "a": "2026-01-31 12:00:00+00", "b": "2026-01-31 12:00:00.5+0530" })),
        ] {
            assert_eq!(checked(declared, variables.clone()), "fits", "{declared} {variables}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction() {
        let types = SchemaTypes::of_this_server();
        let coerced = |declared: &str, given: &str| {
            let document = parse_query(format!("query($v: {declared}) {{ a }}")).unwrap();
            let (_, operation) = document.operations.iter().next().unwrap();
            let given: serde_json::Value = serde_json::from_str(given).unwrap();
            let mut variables = Variables::from_json(json!({ "v": given }));
            let outcome = coerce(&types, &operation.node, 10, &mut variables);
            outcome.map_or_else(|fault| fault.to_string(), |()| variables["v"].to_string())
        };
        for (declared, given, expected) in [
            ("Int", "1.0", "1"),
            ("Int!", "1e0", "1"),
            ("Int", "-2e3", "-2000"),
            ("Int", "-0.0", "0"),
            ("[Int!]!", "[1, 2.0, 3e0]", "[1, 2, 3]"),
            ("[Int]", "5.0", "5"),
            // Read by the scalar itself.
            ("Long", "9007199254740992.0", "9007199254740992.0"),
            ("Float", "1.0", "1.0"),
            (
                "MetricInput!",
                r#"{ "type": "CUSTOM", "value": 2.0, "endpoint": "e", "statusCode": 2e2 }"#,
                r#"{endpoint: "e", statusCode: 200, type: "CUSTOM", value: 2.0}"#,
            ),
            ("MetricFilter", r#"{ "statusCode": { "in": [200.0] } }"#, "{statusCode: {in: [200]}}"),
        ] {
            assert_eq!(coerced(declared, given), expected, "{declared} {given}");
        }
        for (declared, given) in [
            ("Int", "1.5"),
            ("Int", "2147483648.0"),
            ("Int", "1e300"),
            ("Int", "\"1\""),
            ("Int", "true"),
            ("ID", "7.0"),
            ("Long", "0.5"),
            ("Long", "1e19"),
        ] {
            assert!(coerced(declared, given).starts_with("variables.v: must be"), "{declared} {given}");
        }
    }

    #[test]
    fn an_invalid_variable_is_named_by_its_path() {
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
                "$a: DateTime",
                json!({ "a": 1_790_000_000 }),
                "variables.a: must be an RFC 3339 time such as 2026-01-31T12:00:00Z, not 1790000000; it looks like \
                 seconds since 1970, which is \"2026-09-21T14:13:20Z\"",
            ),
            (
                "$a: DateTime",
                json!({ "a": "2026-01-31 12:00:00" }),
                "variables.a: must be an RFC 3339 time such as 2026-01-31T12:00:00Z, not \"2026-01-31 12:00:00\"; it \
                 has no offset: append Z for UTC, or the offset, such as +02:00",
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
                "$o: GroupOrder!",
                json!({ "o": { "direction": "ASC" } }),
                "variables.o.statistic: is missing; GroupOrder needs a value of type Statistic!",
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
