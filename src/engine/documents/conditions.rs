//! Variables that stand for conditions. Without a value a condition would select more than was meant, so null is refused.

use async_graphql::{
    Name, Value, Variables,
    parser::types::{OperationType, Type},
};

use crate::{
    engine::schema::{InputObject, SchemaTypes},
    error::{Error, Result},
};

/// The place of a value in the arguments of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A field of an input type with `@conditions`, or an item of a list there.
    Condition,
    /// Anything else.
    Elsewhere,
}

impl Place {
    /// The place of the fields of an input object.
    pub(in crate::engine) const fn inside(object: &InputObject) -> Self {
        if object.are_conditions { Self::Condition } else { Self::Elsewhere }
    }

    /// True if null would be taken for a condition that was left out. A reader may leave out all conditions at once; a
    /// change needs an object, even an empty one.
    pub(in crate::engine) fn refuses_null(self, kind: OperationType, types: &SchemaTypes, wanted: &Type) -> bool {
        self == Self::Condition || (kind == OperationType::Mutation && types.has_conditions(wanted))
    }
}

/// A variable that can be null and stands for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionVariable {
    /// The variable.
    pub name: Name,
    /// The place of the condition, such as `input.filter.organizationId`.
    pub path: Box<str>,
}

/// The advice about a condition that is null.
pub const NULL_CONDITION: &str = "is a condition and must not be null; leave it out to select without it";

/// Checks the values of variables that stand for conditions, after absent ones were filled in from their defaults.
///
/// # Errors
/// [`Error::Input`] naming the condition: its variable is null, or has no value in a mutation.
pub fn check(kind: OperationType, conditions: &[ConditionVariable], variables: &Variables) -> Result<()> {
    for ConditionVariable { name, path } in conditions {
        match variables.get(name) {
            Some(Value::Null) => {
                let advice = format!("{NULL_CONDITION}, and the variable ${name} is null");
                return Err(Error::input(&**path, advice));
            }
            None if kind == OperationType::Mutation => {
                let advice = format!(
                    "is a condition of a change, and its variable ${name} has no value; give it one, or leave the \
                     condition out of the document"
                );
                return Err(Error::input(&**path, advice));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}
