//! Finds messages that repeat the name of their field.

use serde_json::Value;

/// The first message of a body that begins with the name of the field beside it, or that begins with a name twice.
pub fn doubled_name(body: &Value) -> Option<String> {
    match body {
        Value::Object(object) => {
            if let Some(Value::String(message)) = object.get("message") {
                let parts: Vec<_> = message.splitn(3, ": ").collect();
                let is_doubled = parts.len() == 3 && parts[0] == parts[1];
                if is_doubled || begins_with_its_field(message, object.get("field")) {
                    return Some(message.clone());
                }
            }
            object.values().find_map(doubled_name)
        }
        Value::Array(items) => items.iter().find_map(doubled_name),
        _ => None,
    }
}

fn begins_with_its_field(message: &str, field: Option<&Value>) -> bool {
    let Some((beginning, _)) = message.split_once(": ") else { return false };
    let path: Vec<&str> = match field {
        Some(Value::Array(path)) => path.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name],
        _ => return false,
    };
    path.join(".") == beginning || path.last() == Some(&beginning)
}
