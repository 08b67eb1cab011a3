//! Counts the filters that variables nest in each other, before the schema's types are built from them. An empty filter takes
//! two bytes in a request and more than a thousand in memory.

use async_graphql::{
    Value, Variables,
    parser::types::{BaseType, OperationDefinition, Type},
};

use super::ValuePath;
use crate::{
    engine::schema::{InputType, Nesting, SchemaTypes, named},
    error::Result,
};

/// Checks the variables of one operation.
///
/// # Errors
/// [`Error::Input`](crate::error::Error::Input) naming a variable in which more than `nested_max` objects are nested in
/// objects of their own type.
pub fn check(
    types: &SchemaTypes,
    operation: &OperationDefinition,
    nested_max: usize,
    variables: &Variables,
) -> Result<()> {
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        let Some(value) = variables.get(&definition.name.node) else { continue };
        // The outermost is not nested.
        let mut count = Count { types, left: nested_max.saturating_add(1) };
        if count.value(&definition.var_type.node, value).is_none() {
            let message = format!(
                "nests more than {nested_max} filters (limits.filter_conditions_max); ask with fewer, in several requests"
            );
            return ValuePath::Variable(&definition.name.node).refuse(message);
        }
    }
    Ok(())
}

/// Counts down.
struct Count<'a> {
    types: &'a SchemaTypes,
    left: usize,
}

impl Count<'_> {
    /// Counts a value; `None` at the first object too many. Values that do not fit their type are left to the check of types.
    fn value(&mut self, wanted: &Type, value: &Value) -> Option<()> {
        let types = self.types;
        let Some(InputType::Object(object)) = types.get(named(wanted)) else { return Some(()) };
        if object.nesting == Nesting::Bounded {
            return Some(());
        }
        match value {
            Value::List(items) => {
                let item = match &wanted.base {
                    BaseType::List(item) => item,
                    BaseType::Named(_) => return Some(()),
                };
                items.iter().try_for_each(|value| self.value(item, value))
            }
            Value::Object(given) => {
                if object.nesting == Nesting::Endless {
                    self.left = self.left.checked_sub(1)?;
                }
                object.fields.iter().try_for_each(|field| match given.get(field.name.as_str()) {
                    Some(value) => self.value(&field.wanted, value),
                    None => Some(()),
                })
            }
            _ => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    fn checked(declared: &str, value: serde_json::Value) -> String {
        let document = parse_query(format!("query({declared}) {{ a }}")).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let variables = Variables::from_json(json!({ "v": value }));
        let outcome = check(&SchemaTypes::of_this_server(), &operation.node, 3, &variables);
        outcome.map_or_else(|fault| fault.to_string(), |()| "fits".to_owned())
    }

    #[test]
    fn nested_filters_are_counted_and_others_are_not() {
        let of = |count: usize| json!({ "or": vec![json!({}); count] });
        let pair = json!({ "not": {} });
        for (declared, value, fits) in [
            ("$v: EmployeeFilter", of(3), true),
            ("$v: EmployeeFilter", of(4), false),
            ("$v: EmployeeFilter", json!({ "or": {} }), true),
            ("$v: EmployeeFilter!", json!({ "and": [pair, {}] }), true),
            ("$v: EmployeeFilter!", json!({ "and": [pair, pair] }), false),
            ("$v: [EmployeeFilter!]", json!(vec![json!({}); 4]), true),
            ("$v: [EmployeeFilter!]", json!(vec![json!({}); 5]), false),
            ("$v: UpdateEmployeesInput!", json!({ "filter": of(3) }), true),
            ("$v: UpdateEmployeesInput!", json!({ "filter": of(4) }), false),
            ("$v: ProjectFilter", json!({ "x": vec![1; 10] }), true),
            ("$v: [ID!]", json!(vec!["x"; 10]), true),
            ("$v: EmployeeFilter", json!([1, 2, 3, 4, 5]), true),
        ] {
            let outcome = checked(declared, value.clone());
            assert_eq!(outcome == "fits", fits, "{declared} = {value}: {outcome}");
            assert!(fits || outcome.starts_with("variables.v: nests more than 3 filters"), "{outcome}");
        }
    }
}
