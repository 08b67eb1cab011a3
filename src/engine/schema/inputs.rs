//! The input types of the schema: the values that arguments and variables may have.

use async_graphql::{
    Number, Positioned, Value,
    parser::types::{BaseType, ConstDirective, InputObjectType, InputValueDefinition, Type, TypeDefinition, TypeKind},
};

use super::{SchemaError, nesting::Nesting};

pub(in crate::engine) enum InputType {
    Scalar(Scalar),
    Enum(Vec<String>),
    Object(InputObject),
}

pub(in crate::engine) struct InputObject {
    pub fields: Vec<InputField>,
    pub is_one_of: bool,
    /// `@conditions`: its fields select what an operation reads or changes.
    pub are_conditions: bool,
    pub nesting: Nesting,
}

/// An argument or a field of an input object.
#[derive(Clone)]
pub struct InputField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub wanted: Type,
    /// Its default value.
    pub default: Option<Value>,
    /// Clients should use another one.
    pub is_deprecated: bool,
}

/// True if a definition has `@deprecated`.
pub(super) fn is_deprecated(directives: &[Positioned<ConstDirective>]) -> bool {
    directives.iter().any(|directive| directive.node.name.node == "deprecated")
}

impl InputField {
    pub(super) fn of(definition: &InputValueDefinition) -> Self {
        Self {
            name: definition.name.node.to_string(),
            wanted: definition.ty.node.clone(),
            default: definition.default_value.as_ref().map(|value| value.node.clone()),
            is_deprecated: is_deprecated(&definition.directives),
        }
    }

    /// The value may not be left out.
    pub const fn is_required(&self) -> bool {
        !self.wanted.nullable && self.default.is_none()
    }
}

/// The name of a type without its lists.
pub fn named(wanted: &Type) -> &str {
    match &wanted.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named(item),
    }
}

impl InputType {
    pub(super) fn of(definition: &TypeDefinition, scalars: &'static [ScalarRule]) -> Result<Option<Self>, SchemaError> {
        let name = &definition.name.node;
        Ok(Some(match &definition.kind {
            TypeKind::Scalar => {
                let rule = scalars.iter().find(|rule| rule.name == name);
                let rule = rule.ok_or_else(|| SchemaError::ScalarWithoutRule(name.to_string()))?;
                Self::Scalar(Scalar::Custom(rule))
            }
            TypeKind::Enum(values) => {
                Self::Enum(values.values.iter().map(|value| value.node.value.node.to_string()).collect())
            }
            TypeKind::InputObject(object) => {
                let has = |name: &str| definition.directives.iter().any(|one| one.node.name.node == name);
                Self::Object(InputObject::of(object, has("oneOf"), has("conditions")))
            }
            _ => return Ok(None),
        }))
    }
}

impl InputObject {
    fn of(object: &InputObjectType, is_one_of: bool, are_conditions: bool) -> Self {
        let fields = object.fields.iter().map(|field| InputField::of(&field.node)).collect();
        Self { fields, is_one_of, are_conditions, nesting: Nesting::default() }
    }
}

/// The integer that a JSON number stands for, also when it was written as `1.0` or `1e0`. `None` if it has a fraction or is
/// too large.
pub fn whole_number(number: &Number) -> Option<i64> {
    /// 2^63, the first number beyond. As a float it is exact.
    const END: f64 = 9_223_372_036_854_775_808.0;
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && (-END..END).contains(float))?;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the range")]
        let whole = float as i64;
        Some(whole)
    })
}

/// The rule for values of a custom scalar.
#[derive(Debug)]
pub struct ScalarRule {
    /// The scalar.
    pub name: &'static str,
    /// Accepts a value.
    pub accepts: fn(&Value) -> bool,
    /// The form of an accepted value, for messages: "must be {expected}".
    pub expected: &'static str,
    /// The probable mistake in a value that is not accepted, for the end of the message.
    pub hint: fn(&Value) -> Option<String>,
}

/// The values of a scalar.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Scalar {
    Int,
    Float,
    Text,
    Boolean,
    Id,
    Custom(&'static ScalarRule),
}

impl Scalar {
    /// The scalars of every schema.
    pub(super) const BUILT_IN: [(&'static str, Self); 5] = [
        ("Int", Self::Int),
        ("Float", Self::Float),
        ("String", Self::Text),
        ("Boolean", Self::Boolean),
        ("ID", Self::Id),
    ];

    /// The expected form, when the value has another one. For an Int, a whole number that was written with a fraction or an
    /// exponent becomes an integer: JSON does not tell `1` from `1.0`. An id is text, and its numbers are written as such.
    pub fn coerce(self, value: &mut Value) -> Option<&'static str> {
        if let (Self::Int, Value::Number(number)) = (self, &*value)
            && !number.is_i64()
            && let Some(whole) = whole_number(number)
        {
            *value = Value::from(whole);
        }
        self.refuses(value)
    }

    /// The expected form, when the value has another one.
    pub fn refuses(self, value: &Value) -> Option<&'static str> {
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
            (Self::Custom(rule), value) => ((rule.accepts)(value), rule.expected),
        };
        (!fits).then_some(expected)
    }

    /// The probable mistake in a value that is refused, as the end of a message; empty if none is known.
    pub fn hint(self, value: &Value) -> String {
        let hint = if let Self::Custom(rule) = self { (rule.hint)(value) } else { None };
        hint.map_or_else(String::new, |hint| format!("; {hint}"))
    }
}
