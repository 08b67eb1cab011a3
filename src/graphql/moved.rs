//! Input objects whose fields are moved out of the value that the client sent. The library's derive parses a copy of each
//! field: of a list of measurements, it would copy all of them, and then each text once more.

use std::{borrow::Cow, marker::PhantomData};

use async_graphql::{
    InputType, InputValueError, InputValueResult, Name, Value, indexmap::IndexMap, registry::Registry,
};

/// An input object that takes its fields. In the schema, its type.
#[derive(Clone, Debug)]
pub struct Moved<T>(pub T);

/// The fields of a value that become those of a `T`.
pub struct MovedFields<T>(IndexMap<Name, Value>, PhantomData<T>);

impl<T: InputType> MovedFields<T> {
    /// Takes a field by its name in the schema.
    ///
    /// # Errors
    /// The value does not fit the type of the field.
    pub fn field<V: InputType>(&mut self, name: &str) -> Result<V, InputValueError<T>> {
        V::parse(self.0.swap_remove(name)).map_err(InputValueError::propagate)
    }

    /// Takes a field that has a default.
    ///
    /// # Errors
    /// As [`Self::field`].
    pub fn field_or<V: InputType>(&mut self, name: &str, default: V) -> Result<V, InputValueError<T>> {
        match self.0.swap_remove(name) {
            Some(value) => V::parse(Some(value)).map_err(InputValueError::propagate),
            None => Ok(default),
        }
    }
}

/// An input object that can be made of moved fields. Its schema is that of the library's derive.
pub trait FromMoved: InputType {
    /// Makes the object. Fields without a value have their defaults.
    ///
    /// # Errors
    /// A value does not fit the type of its field.
    fn from_moved(fields: MovedFields<Self>) -> InputValueResult<Self>;
}

impl<T: FromMoved> InputType for Moved<T> {
    type RawValueType = T::RawValueType;

    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn qualified_type_name() -> String {
        T::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    fn parse(value: Option<Value>) -> InputValueResult<Self> {
        let parsed = match value {
            Some(Value::Object(fields)) => T::from_moved(MovedFields(fields, PhantomData)),
            other => T::parse(other),
        };
        parsed.map(Self).map_err(InputValueError::propagate)
    }

    fn to_value(&self) -> Value {
        self.0.to_value()
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        self.0.as_raw_value()
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;
    use crate::graphql::types::ingest::{IngestMetricsInput, MetricInput};

    fn read<T: FromMoved>(value: &Value) -> (Result<Value, String>, Result<Value, String>) {
        fn told<V: InputType>(parsed: InputValueResult<V>) -> Result<Value, String> {
            let of_text =
                |error: InputValueError<V>| format!("{:?}", error.into_server_error(async_graphql::Pos::default()));
            parsed.map(|parsed| parsed.to_value()).map_err(of_text)
        }
        (told(T::parse(Some(value.clone()))), told(Moved::<T>::parse(Some(value.clone()))))
    }

    #[test]
    fn moved_fields_are_those_that_the_library_reads() {
        let metric = value!({
            "type": "DATABASE", "value": 1.5, "endpoint": "query q", "statusCode": 200,
            "timestamp": "2026-01-31T12:00:00Z", "name": "n", "releaseVersion": "1.2", "release": "1.1",
            "labels": [{ "key": "region", "value": "eu" }],
        });
        let Value::Object(all) = &metric else { unreachable!() };
        let mut cases = vec![metric.clone(), value!(null), value!("a text"), value!({})];
        for name in all.keys() {
            let mut without = all.clone();
            without.swap_remove(name);
            cases.push(Value::Object(without));
            for other in [value!(null), value!([1]), value!({ "a": 1 })] {
                let mut wrong = all.clone();
                wrong.insert(name.clone(), other);
                cases.push(Value::Object(wrong));
            }
        }
        let mut read_at_all = 0;
        for case in &cases {
            let (by_library, moved) = read::<MetricInput>(case);
            assert_eq!(moved, by_library, "{case}");
            read_at_all += usize::from(moved.is_ok());
            let input = value!({ "projectSlug": "a/b", "metrics": [(case.clone())], "idempotencyKey": "k" });
            let (by_library, moved) = read::<IngestMetricsInput>(&input);
            assert_eq!(moved, by_library, "{input}");
        }
        assert!(read_at_all > 5 && read_at_all < cases.len(), "{read_at_all} of {}", cases.len());
        for mode in [value!("ATOMIC"), value!("PARTIAL"), value!(null), value!("OTHER")] {
            let input = value!({ "projectId": "p", "metrics": [(metric.clone())], "mode": (mode) });
            let (by_library, moved) = read::<IngestMetricsInput>(&input);
            assert_eq!(moved, by_library, "{input}");
        }
    }
}
