//! Counts the values and the depth of JSON text before anything is built from it. A value of two bytes, such as `{}`, takes
//! hundreds of bytes in memory.

use crate::{
    config::Limits,
    error::{Error, Result},
};

/// Checks JSON text against the limits on values and depth, in one pass without allocation. Malformed text is left to the
/// parser.
///
/// # Errors
/// [`Error::Limit`] at the first value beyond a limit.
pub fn check(json: &[u8], limits: &Limits) -> Result<()> {
    let (mut values, mut depth, mut at, mut in_word) = (0_usize, 0_usize, 0, false);
    while let Some(byte) = json.get(at) {
        at += 1;
        let was_in_word = std::mem::take(&mut in_word);
        match byte {
            b'"' => {
                at = end_of_string(json, at);
                values += 1;
            }
            // The text in front of it was a name.
            b':' => values = values.saturating_sub(1),
            b'{' | b'[' => {
                depth += 1;
                values += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' | b' ' | b'\t' | b'\n' | b'\r' => {}
            // A number, `true`, `false` or `null`.
            _ => {
                values += usize::from(!was_in_word);
                in_word = true;
            }
        }
        // The name of a field counts until its colon.
        if values > limits.request_values_max.saturating_add(1) {
            return Err(too_many(values - 1, limits.request_values_max));
        }
        if depth > limits.request_depth_max {
            return Err(too_deep(depth, limits.request_depth_max));
        }
    }
    if values > limits.request_values_max {
        return Err(too_many(values, limits.request_values_max));
    }
    Ok(())
}

/// Counting ends at the first value too many, so the number is no more than that.
fn too_many(values: usize, limit: usize) -> Error {
    Error::Limit {
        what: "the number of values in the JSON of the request",
        actual: count(values),
        limit: count(limit),
        advice: "send several smaller requests (limits.request_values_max)",
    }
}

fn too_deep(levels: usize, limit: usize) -> Error {
    Error::Limit {
        what: "the depth of objects and lists in the JSON of the request",
        actual: count(levels),
        limit: count(limit),
        advice: "nest less deeply (limits.request_depth_max)",
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The position after the quotation mark that ends a string.
fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'"' => break,
            _ => {}
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(request_values_max: usize, request_depth_max: usize) -> Limits {
        Limits { request_values_max, request_depth_max, ..Limits::default() }
    }

    #[test]
    fn every_value_counts_and_no_name_does() {
        for (json, values, depth) in [
            ("1", 1, 0),
            ("{}", 1, 1),
            (r#"{"a":1,"b":"x"}"#, 3, 1),
            (r#"{"a":[true,null,-1.5e3,"x"],"b":{"c":{}}}"#, 8, 3),
            (" [ 1 , 2 ] ", 3, 1),
            (r#"["a:b,{}[]","\\\"[",""]"#, 4, 1),
            ("[{},{},[[]]]", 5, 3),
        ] {
            assert!(check(json.as_bytes(), &limits(values, depth)).is_ok(), "{json}");
            let above = check(json.as_bytes(), &limits(values - 1, depth)).unwrap_err();
            assert!(
                matches!(above, Error::Limit { what: "the number of values in the JSON of the request", .. }),
                "{json}: {above}"
            );
            if let Some(less) = depth.checked_sub(1) {
                let deep = check(json.as_bytes(), &limits(values, less)).unwrap_err();
                assert!(deep.to_string().contains("depth"), "{json}: {deep}");
            }
        }
    }

    #[test]
    fn malformed_text_ends() {
        for json in ["\"", "\"\\", "{\"a", "]]]", ":::", ""] {
            assert!(check(json.as_bytes(), &limits(10, 10)).is_ok(), "{json}");
        }
    }
}
