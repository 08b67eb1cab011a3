//! JSON text of scalars, values and lists.

use std::fmt::Write;

use async_graphql::Value;
use async_graphql_value::RAW_VALUE_TOKEN;

use crate::model::Timestamp;

/// The value of a column.
#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    /// Null.
    Null,
    /// A text of the row.
    Text(&'a str),
    /// A computed text.
    Owned(String),
    /// The name of an enum value.
    Word(&'static str),
    /// A boolean.
    Flag(bool),
    /// An integer.
    Whole(i64),
    /// A number; infinities and NaN become null.
    Number(f64),
    /// A point in time.
    Time(Timestamp),
}

impl Scalar<'_> {
    /// A number or null.
    pub fn number(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Number)
    }

    /// Appends the value.
    pub(super) fn write(self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Null => text.write_str("null"),
            Self::Text(value) => {
                string(value, text);
                Ok(())
            }
            Self::Owned(value) => {
                string(&value, text);
                Ok(())
            }
            Self::Word(value) => {
                text.push('"');
                text.push_str(value);
                text.push('"');
                Ok(())
            }
            Self::Flag(value) => text.write_str(if value { "true" } else { "false" }),
            Self::Whole(value) => text.write_str(itoa::Buffer::new().format(value)),
            Self::Number(value) => {
                number(value, text);
                Ok(())
            }
            Self::Time(value) => write!(text, "\"{value}\""),
        };
    }
}

/// Appends a text in quotes, with escapes.
fn string(value: &str, text: &mut String) {
    let is_special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    // Without an exit after each byte, so that the compiler looks at several at once.
    let has_special = |bytes: &[u8]| bytes.iter().fold(false, |found, byte| found | is_special(byte));
    if value.as_bytes().chunks(32).any(has_special) {
        text.push_str(&serde_json::Value::from(value).to_string());
    } else {
        text.push('"');
        text.push_str(value);
        text.push('"');
    }
}

fn number(value: f64, text: &mut String) {
    match serde_json::Number::from_f64(value) {
        Some(number) => {
            let _ = write!(text, "{number}");
        }
        None => text.push_str("null"),
    }
}

/// Appends any value, also one that is JSON text already.
pub fn value(value: &Value, text: &mut String) {
    match value {
        Value::String(value) => string(value, text),
        Value::Enum(name) => string(name, text),
        Value::List(items) => {
            let mut separator = '[';
            for item in items {
                text.push(separator);
                self::value(item, text);
                separator = ',';
            }
            text.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(fields) => {
            if let (1, Some(Value::String(raw))) = (fields.len(), fields.get(RAW_VALUE_TOKEN)) {
                text.push_str(raw);
                return;
            }
            let mut separator = '{';
            for (name, field) in fields {
                text.push(separator);
                string(name, text);
                text.push(':');
                self::value(field, text);
                separator = ',';
            }
            text.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        // The library writes null, booleans, numbers and bytes as JSON does.
        other => text.push_str(&serde_json::to_string(other).unwrap_or_else(|_| "null".to_owned())),
    }
}

/// A JSON list of these texts.
pub fn list(texts: &[String]) -> String {
    let mut list = String::with_capacity(texts.iter().map(|text| text.len() + 1).sum::<usize>() + 2);
    list.push('[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(text);
    }
    list.push(']');
    list
}

#[cfg(test)]
mod tests {
    use async_graphql::{Name, value};

    use super::*;

    fn written(value: &Value) -> String {
        let mut text = String::new();
        super::value(value, &mut text);
        text
    }

    #[test]
    fn values_are_written_as_the_library_writes_them() {
        for value in [
            value!(null),
            value!({}),
            value!([]),
            value!({ "a": [1, 2.5, -0.0, true, null, "x\"\\\n\u{7}ü"], "b": { "c": {} } }),
            Value::Enum(Name::new("P95")),
            value!(1e300),
        ] {
            assert_eq!(written(&value), serde_json::to_string(&value).unwrap());
        }
    }

    #[test]
    fn nested_raw_text_is_not_escaped() {
        let inner = super::super::raw("[{\"a\":1}]".to_owned());
        assert_eq!(written(&value!({ "rows": (inner) })), "{\"rows\":[{\"a\":1}]}");
    }

    #[test]
    fn columns_are_json() {
        let columns = [
            (Scalar::Null, "null"),
            (Scalar::Text("a \"b\""), "\"a \\\"b\\\"\""),
            (Scalar::Text("plain ü"), "\"plain ü\""),
            (Scalar::Word("ACTIVE"), "\"ACTIVE\""),
            (Scalar::Flag(true), "true"),
            (Scalar::Whole(-3), "-3"),
            (Scalar::Number(50_000.0), "50000.0"),
            (Scalar::Number(f64::NAN), "null"),
            (Scalar::Time(Timestamp::from_micros(1_500_000)), "\"1970-01-01T00:00:01.500Z\""),
        ];
        for (column, expected) in columns {
            let mut text = String::new();
            let is_time = matches!(column, Scalar::Time(_));
            column.write(&mut text);
            if is_time {
                assert!(text.starts_with("\"1970-01-01T00:00:01.5"), "{text}");
            } else {
                assert_eq!(text, expected);
            }
        }
    }
}
