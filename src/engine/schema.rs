//! The schema as the engine sees it: executable copies, types, scalars, and what fields declare about their cost.
//!
//! Everything is read from the schema's own text when the engine is built. No name of a type or field is known here.

mod advice;
mod declarations;
mod executable;
mod inputs;
mod nesting;
mod types;

use thiserror::Error;

pub use advice::Suggestions;
pub use declarations::{ArgumentPath, ListSize, Reading, Resumption, SlicingArgument, TimeBuckets, TimeWindow};
pub(in crate::engine) use executable::Purpose;
pub use executable::{Executable, SchemaSource};
pub use inputs::{InputField, ScalarRule, named, whole_number};
pub(in crate::engine) use inputs::{InputObject, InputType};
pub(in crate::engine) use nesting::Nesting;
pub use types::{FieldDefinition, ObjectFields, SchemaTypes};

/// A schema that the engine does not execute.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SchemaError {
    /// The text of the schema cannot be parsed.
    #[error("the schema cannot be parsed: {0}")]
    Syntax(String),
    /// Fields return lists without a declared size.
    #[error(
        "{} without a declared size: {}; declare @listSize or @timeBuckets on each, or name it in `sizedFields` of every \
         field that returns its type",
        if fields.len() == 1 { "a list" } else { "lists" },
        fields.join(", ")
    )]
    ListsWithoutSize {
        /// The fields, as `Type.field`.
        fields: Vec<String>,
    },
    /// A directive names an argument or a field that does not exist.
    #[error("@{directive} on {field} names `{name}`, which does not exist there")]
    UnknownName {
        /// The directive.
        directive: &'static str,
        /// The field with the directive, as `Type.field`.
        field: String,
        /// The name in the directive.
        name: String,
    },
    /// A value in a directive does not have the expected form.
    #[error("@{directive} on {field}: `{argument}` must be {expected}")]
    WrongValue {
        /// The directive.
        directive: &'static str,
        /// The field with the directive, as `Type.field`.
        field: String,
        /// The argument of the directive.
        argument: &'static str,
        /// The form of a correct value.
        expected: &'static str,
    },
    /// A custom scalar has no rule that checks its values.
    #[error("no rule checks values of the scalar {0}; add one to the schema's scalar rules")]
    ScalarWithoutRule(String),
}
