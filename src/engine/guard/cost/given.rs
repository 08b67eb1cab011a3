//! The values of arguments, looked at where they are: a variable may hold a hundred thousand values, and twenty fields may
//! use it.

use async_graphql::{
    Value as ConstValue, Variables,
    parser::types::{Field, OperationDefinition},
};
use async_graphql_value::Value;

use crate::engine::schema::ArgumentPath;

/// The arguments of one operation's fields.
pub struct Arguments<'a> {
    operation: &'a OperationDefinition,
    variables: &'a Variables,
}

/// A value that is no variable and not null.
#[derive(Clone, Copy)]
pub enum Given<'a> {
    /// Written in the document. Variables may be inside of it.
    Literal(&'a Value),
    /// Of a variable, or a default.
    Known(&'a ConstValue),
}

impl<'a> Arguments<'a> {
    /// The arguments in an operation with these variables.
    pub const fn new(operation: &'a OperationDefinition, variables: &'a Variables) -> Self {
        Self { operation, variables }
    }

    /// The value of an argument; `None` if there is none or it is null.
    pub fn argument(&self, field: &'a Field, name: &str) -> Option<Given<'a>> {
        self.resolved(Given::Literal(&field.get_argument(name)?.node))
    }

    /// The value of the argument of a path, or its default, and inside of it the value of these fields.
    pub fn given(&self, field: &'a Field, path: &'a ArgumentPath, fields: &[String]) -> Option<Given<'a>> {
        let argument = self.argument(field, &path.argument);
        let outermost = argument.or_else(|| path.default.as_ref().map(Given::Known))?;
        fields.iter().try_fold(outermost, |value, name| self.resolved(value.field(name)?))
    }

    /// The names in a list of enum values. A single name stands for a list of one.
    pub fn names(&self, given: Option<Given<'a>>) -> Vec<&'a str> {
        match given {
            Some(Given::Literal(Value::List(items))) => {
                items.iter().filter_map(|item| self.resolved(Given::Literal(item))?.name()).collect()
            }
            Some(Given::Known(ConstValue::List(items))) => {
                items.iter().filter_map(|item| Given::Known(item).name()).collect()
            }
            Some(one) => one.name().into_iter().collect(),
            None => Vec::new(),
        }
    }

    fn resolved(&self, given: Given<'a>) -> Option<Given<'a>> {
        match given {
            Given::Literal(Value::Variable(name)) => self.variable(name).map(Given::Known),
            other => Some(other),
        }
        .filter(|given| !matches!(given, Given::Literal(Value::Null) | Given::Known(ConstValue::Null)))
    }

    /// The value of a variable, or its default in this operation.
    fn variable(&self, name: &str) -> Option<&'a ConstValue> {
        let given = self.variables.iter().find(|(given, _)| given.as_str() == name).map(|(_, value)| value);
        given.or_else(|| {
            let mut definitions = self.operation.variable_definitions.iter();
            let defined = definitions.find(|one| one.node.name.node.as_str() == name)?;
            defined.node.default_value.as_ref().map(|value| &value.node)
        })
    }
}

impl<'a> Given<'a> {
    fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Literal(Value::Object(fields)) => fields.get(name).map(Self::Literal),
            Self::Known(ConstValue::Object(fields)) => fields.get(name).map(Self::Known),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Literal(Value::String(text)) | Self::Known(ConstValue::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The name of an enum value. Variables hold it as a string.
    fn name(self) -> Option<&'a str> {
        match self {
            Self::Literal(Value::Enum(name)) | Self::Known(ConstValue::Enum(name)) => Some(name),
            other => other.text(),
        }
    }

    /// A number of zero or more.
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Literal(Value::Number(number)) | Self::Known(ConstValue::Number(number)) => number.as_u64(),
            _ => None,
        }
    }

    /// The length of a list. A single value stands for a list of one.
    pub fn length(self) -> u64 {
        let length = match self {
            Self::Literal(Value::List(items)) => items.len(),
            Self::Known(ConstValue::List(items)) => items.len(),
            _ => 1,
        };
        u64::try_from(length).unwrap_or(u64::MAX)
    }

    /// The value is `true`.
    pub const fn is_true(self) -> bool {
        matches!(self, Self::Literal(Value::Boolean(true)) | Self::Known(ConstValue::Boolean(true)))
    }
}
