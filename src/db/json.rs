//! Rows as one parameter of a statement on SQLite, which has no array type.

use serde_json::Value;

/// A JSON array of rows, for a statement that reads them with `json_each`.
pub fn json_array(rows: impl Iterator<Item = Value>) -> String {
    Value::Array(rows.collect()).to_string()
}
