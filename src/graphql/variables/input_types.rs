//! The types that variables can have, read once from the schema itself.

use std::collections::HashMap;

use async_graphql::{
    Value,
    parser::{
        parse_schema,
        types::{InputObjectType, Type, TypeDefinition, TypeKind, TypeSystemDefinition},
    },
};

use super::super::{
    engine,
    scalars::{DateTime, Duration, StreamCursor},
};

/// Every type of the schema that a variable can have.
pub struct InputTypes(HashMap<String, InputType>);

pub(super) enum InputType {
    Scalar(Scalar),
    Enum(Vec<String>),
    Object(InputObject),
}

pub(super) struct InputObject {
    pub fields: Vec<InputField>,
    pub is_one_of: bool,
}

pub(super) struct InputField {
    pub name: String,
    pub wanted: Type,
    pub is_required: bool,
}

impl InputTypes {
    /// The types of this server's schema.
    pub fn of_schema() -> Self {
        // The schema wrote the text itself; were it ever unreadable, a test of this module would fail.
        let definitions = parse_schema(engine::sdl()).map(|document| document.definitions).unwrap_or_default();
        let mut types: HashMap<_, _> =
            Scalar::BUILT_IN.iter().map(|(name, scalar)| ((*name).to_owned(), InputType::Scalar(*scalar))).collect();
        for definition in definitions {
            if let TypeSystemDefinition::Type(definition) = definition
                && let Some(input) = InputType::of(&definition.node)
            {
                types.insert(definition.node.name.node.to_string(), input);
            }
        }
        Self(types)
    }

    pub(super) fn get(&self, name: &str) -> Option<&InputType> {
        self.0.get(name)
    }
}

impl InputType {
    fn of(definition: &TypeDefinition) -> Option<Self> {
        match &definition.kind {
            TypeKind::Scalar => Some(Self::Scalar(Scalar::custom(&definition.name.node))),
            TypeKind::Enum(values) => {
                Some(Self::Enum(values.values.iter().map(|value| value.node.value.node.to_string()).collect()))
            }
            TypeKind::InputObject(object) => {
                let is_one_of = definition.directives.iter().any(|directive| directive.node.name.node == "oneOf");
                Some(Self::Object(InputObject::of(object, is_one_of)))
            }
            _ => None,
        }
    }
}

impl InputObject {
    fn of(object: &InputObjectType, is_one_of: bool) -> Self {
        let fields = object.fields.iter().map(|field| InputField {
            name: field.node.name.node.to_string(),
            is_required: !field.node.ty.node.nullable && field.node.default_value.is_none(),
            wanted: field.node.ty.node.clone(),
        });
        Self { fields: fields.collect(), is_one_of }
    }

    /// The name that a misspelt one most likely means.
    pub fn closest(&self, name: &str) -> Option<&str> {
        let distance = |field: &&InputField| strsim::damerau_levenshtein(name, &field.name);
        // Long names are not misspelt ones, and would take long to compare.
        let candidates = self.fields.iter().filter(|field| name.len() <= 2 * field.name.len());
        candidates.min_by_key(distance).filter(|field| distance(field) <= 2).map(|field| field.name.as_str())
    }
}

/// How a scalar's values look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Int,
    Float,
    Text,
    Boolean,
    Id,
    Long,
    DateTime,
    Duration,
    StreamCursor,
    /// Whatever JSON can say.
    Anything,
}

impl Scalar {
    /// Those that no schema has to define.
    const BUILT_IN: [(&'static str, Self); 5] = [
        ("Int", Self::Int),
        ("Float", Self::Float),
        ("String", Self::Text),
        ("Boolean", Self::Boolean),
        ("ID", Self::Id),
    ];

    fn custom(name: &str) -> Self {
        match name {
            "Long" => Self::Long,
            "DateTime" => Self::DateTime,
            "Duration" => Self::Duration,
            "StreamCursor" => Self::StreamCursor,
            _ => Self::Anything,
        }
    }

    /// What was expected, if the value is something else.
    pub fn refuses(self, value: &Value) -> Option<&'static str> {
        use async_graphql::ScalarType;
        let (fits, expected) = match (self, value) {
            (Self::Int, Value::Number(number)) => {
                (number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()), "a whole number of 32 bits")
            }
            (Self::Int, _) => (false, "a whole number of 32 bits"),
            (Self::Float, value) => (matches!(value, Value::Number(_)), "a number"),
            (Self::Text, value) => (matches!(value, Value::String(_)), "a text"),
            (Self::Boolean, value) => (matches!(value, Value::Boolean(_)), "true or false"),
            (Self::Id, Value::Number(number)) => (number.is_i64() || number.is_u64(), "an id"),
            (Self::Id, value) => (matches!(value, Value::String(_)), "an id"),
            (Self::Long, Value::Number(number)) => (number.as_i64().is_some(), "a whole number of 64 bits"),
            (Self::Long, _) => (false, "a whole number of 64 bits"),
            (Self::DateTime, value) => (DateTime::is_valid(value), "an RFC 3339 time such as 2026-01-31T12:00:00Z"),
            (Self::Duration, value) => {
                (Duration::is_valid(value), "an ISO 8601 duration of fixed length such as PT5M, PT24H or P7D")
            }
            (Self::StreamCursor, value) => {
                (StreamCursor::is_valid(value), "a cursor of a stream as the server sent it")
            }
            (Self::Anything, _) => return None,
        };
        (!fits).then_some(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_of_the_schema_has_its_check() {
        let types = InputTypes::of_schema();
        assert!(types.0.len() > 20, "the schema could not be read");
        let unchecked: Vec<_> = types
            .0
            .iter()
            .filter(|(name, input)| matches!(input, InputType::Scalar(Scalar::Anything)) && *name != "JSON")
            .map(|(name, _)| name)
            .collect();
        assert!(unchecked.is_empty(), "{unchecked:?}");
    }
}
