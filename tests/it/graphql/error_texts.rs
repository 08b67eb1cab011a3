//! Codes and texts of errors: the documentation lists all codes, and no text repeats the name of its field.

use std::collections::BTreeSet;

use perfgraph::error::Code;
use serde_json::json;

use crate::{
    graphql::schema::elements::{self, ElementKind},
    harness::{doubled::doubled_name, server::repository},
};

/// The first and the second cell of each row of a table below a heading.
fn rows(text: &str, heading: &str) -> Vec<(String, String)> {
    let below = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let cells = |line: &str| -> Option<(String, String)> {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let code = cells.next()?.trim_end_matches('`').to_owned();
        Some((code, cells.next()?.to_owned()))
    };
    below.filter_map(cells).collect()
}

#[test]
fn the_documentation_lists_every_code() {
    let text = std::fs::read_to_string(repository("ERRORS.md")).unwrap();
    let listed: BTreeSet<_> = rows(&text, "## Errors of a request").into_iter().collect();
    let known = Code::ALL.map(|code| (code.as_str().to_owned(), code.http_status().to_string()));
    assert_eq!(listed, known.into_iter().collect());

    let listed: BTreeSet<_> = rows(&text, "## User errors").into_iter().map(|(code, _)| code).collect();
    let values = elements::all().into_iter().filter(|one| one.place == ElementKind::EnumValue);
    let known = values.filter_map(|one| one.path.strip_prefix("UserErrorCode.").map(str::to_owned));
    assert_eq!(listed, known.collect());
}

/// Every response that a test reads is looked through, see `harness::server::Reply::json`.
#[test]
fn doubled_names_are_found_in_responses() {
    let user_error = |field: &[&str], message: &str| json!({ "data": { "change": { "userErrors": [{ "field": field, "message": message }] } } });
    for (body, is_doubled) in [
        (user_error(&["name"], "is empty"), false),
        (user_error(&["name"], "name: is empty"), true),
        (user_error(&["employeeIds", "3"], "employeeIds.3: is unknown"), true),
        (user_error(&["metrics", "3", "value"], "value: -1 is negative"), true),
        (user_error(&["input", "filter"], "the filter compares with too many values"), false),
        (json!({ "errors": [{ "message": "first: must be 1", "extensions": { "field": "first" } }] }), false),
        (json!({ "errors": [{ "message": "first: first: must be 1" }] }), true),
        (json!({ "error": { "message": "body: body: is empty" } }), true),
    ] {
        assert_eq!(doubled_name(&body).is_some(), is_doubled, "{body}");
    }
}
