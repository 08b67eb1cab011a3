//! The types of the schema as arguments and variables see them, read once from the schema itself.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Value,
    parser::{
        parse_schema,
        types::{
            BaseType, InputObjectType, InputValueDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
        },
    },
};

use crate::graphql::{
    scalars::{DateTime, Duration, StreamCursor},
    schema,
};

/// Every type that a value can have, and every field with its arguments.
pub struct SchemaTypes {
    inputs: HashMap<String, InputType>,
    /// The fields of objects and interfaces, by type and name.
    fields: HashMap<String, HashMap<String, OutputField>>,
    interfaces: HashSet<String>,
    directives: HashMap<String, Vec<InputField>>,
}

/// A field of an object or an interface.
pub struct OutputField {
    /// What it answers.
    pub output: Type,
    /// What it takes.
    pub arguments: Vec<InputField>,
}

pub(in crate::engine) enum InputType {
    Scalar(Scalar),
    Enum(Vec<String>),
    Object(InputObject),
}

pub(in crate::engine) struct InputObject {
    pub fields: Vec<InputField>,
    pub is_one_of: bool,
}

/// An argument or a field of an input object.
#[derive(Clone)]
pub struct InputField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub wanted: Type,
    /// Whether it has a default.
    pub has_default: bool,
}

impl InputField {
    fn of(definition: &InputValueDefinition) -> Self {
        Self {
            name: definition.name.node.to_string(),
            wanted: definition.ty.node.clone(),
            has_default: definition.default_value.is_some(),
        }
    }

    /// Whether it must be given.
    pub const fn is_required(&self) -> bool {
        !self.wanted.nullable && !self.has_default
    }
}

impl SchemaTypes {
    /// The types of this server's schema.
    pub fn of_schema() -> Self {
        // The schema wrote the text itself; were it ever unreadable, a test of this module would fail.
        let definitions = parse_schema(schema::sdl()).map(|document| document.definitions).unwrap_or_default();
        let inputs: HashMap<_, _> =
            Scalar::BUILT_IN.iter().map(|(name, scalar)| ((*name).to_owned(), InputType::Scalar(*scalar))).collect();
        let condition = InputField {
            name: "if".to_owned(),
            wanted: Type { base: BaseType::Named(Name::new("Boolean")), nullable: false },
            has_default: false,
        };
        let directives = ["skip", "include"].map(|name| (name.to_owned(), vec![condition.clone()])).into();
        let mut types = Self { inputs, fields: HashMap::new(), interfaces: HashSet::new(), directives };
        for definition in definitions {
            if let TypeSystemDefinition::Type(definition) = definition {
                types.add(&definition.node);
            }
        }
        types
    }

    fn add(&mut self, definition: &TypeDefinition) {
        let name = definition.name.node.to_string();
        if let Some(input) = InputType::of(definition) {
            self.inputs.insert(name.clone(), input);
        }
        let fields = match &definition.kind {
            TypeKind::Object(object) => &object.fields,
            TypeKind::Interface(interface) => {
                self.interfaces.insert(name.clone());
                &interface.fields
            }
            _ => return,
        };
        let fields = fields.iter().map(|field| {
            let arguments = field.node.arguments.iter().map(|argument| InputField::of(&argument.node)).collect();
            (field.node.name.node.to_string(), OutputField { output: field.node.ty.node.clone(), arguments })
        });
        self.fields.insert(name, fields.collect());
    }

    /// The type that a value can have.
    pub(in crate::engine) fn get(&self, name: &str) -> Option<&InputType> {
        self.inputs.get(name)
    }

    /// A field of an object or interface of the schema; `None` for those of introspection.
    pub fn field(&self, parent: &str, name: &str) -> Option<&OutputField> {
        self.fields.get(parent)?.get(name)
    }

    /// What a directive takes.
    pub fn directive(&self, name: &str) -> &[InputField] {
        self.directives.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether things of this type can be of several.
    pub fn is_interface(&self, name: &str) -> bool {
        self.interfaces.contains(name)
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
        Self { fields: object.fields.iter().map(|field| InputField::of(&field.node)).collect(), is_one_of }
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
pub(in crate::engine) enum Scalar {
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
            (Self::Id, Value::Number(number)) => (number.is_i64(), "an id"),
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
        let types = SchemaTypes::of_schema();
        assert!(types.inputs.len() > 20 && types.fields.len() > 20, "the schema could not be read");
        let unchecked: Vec<_> = types
            .inputs
            .iter()
            .filter(|(name, input)| matches!(input, InputType::Scalar(Scalar::Anything)) && *name != "JSON")
            .map(|(name, _)| name)
            .collect();
        assert!(unchecked.is_empty(), "{unchecked:?}");
    }
}
