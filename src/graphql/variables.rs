//! Variables that an operation cannot do without: the library notices a missing one only where its value is used, and
//! not even there when the argument may be absent.

use async_graphql::{Value, Variables, parser::types::OperationDefinition};

use crate::error::{Error, Result};

/// Checks that every variable of a non-null type has a value.
///
/// # Errors
/// [`Error::Input`] naming the variable.
pub fn check(operation: &OperationDefinition, variables: &Variables) -> Result<()> {
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        if definition.var_type.node.nullable {
            continue;
        }
        let is_fine = match variables.get(&definition.name.node) {
            Some(value) => *value != Value::Null,
            None => definition.default_value.is_some(),
        };
        if !is_fine {
            let advice = format!("the operation declares it as {}, so it needs a value", definition.var_type.node);
            return Err(Error::input(format!("variables.{}", definition.name.node), advice));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn only_a_required_variable_without_value_is_a_fault() {
        let fault = |signature: &str, variables: serde_json::Value| {
            let document = parse_query(format!("query Q({signature}) {{ a }}")).unwrap();
            let (_, operation) = document.operations.iter().next().unwrap();
            check(&operation.node, &Variables::from_json(variables)).err().map(|fault| fault.to_string())
        };
        let given = serde_json::json!({ "n": 1 });
        let (null, none) = (serde_json::json!({ "n": null }), serde_json::json!({}));
        assert_eq!(fault("$n: Int!", given), None);
        assert_eq!(fault("$n: Int", null.clone()), None);
        assert_eq!(fault("$n: Int! = 1", none.clone()), None);
        let missing = Some("variables.n: the operation declares it as Int!, so it needs a value".to_owned());
        assert_eq!(fault("$n: Int!", none), missing.clone());
        assert_eq!(fault("$n: Int! = 1", null), missing, "a default does not stand in for null");
    }
}
