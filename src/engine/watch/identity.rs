//! Which subscriptions are the same: equal document, operation, variables and scope, wherever they resume.

use std::sync::Arc;

use async_graphql::{
    Positioned, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::{ConstValue, Value};

use crate::model::Scope;

/// The subscriptions that join what others watch wherever they resume, and the argument that says where. Any other is
/// shared by those who resume at the same place, and tells each of them everything since then.
const RESUMED: [&str; 1] = ["metricStream"];
const AFTER: &str = "after";

/// What identical subscriptions have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    hash: [u8; 32],
    /// Whether the execution itself begins behind a cursor.
    begins_behind: bool,
}

impl Identity {
    /// Whether the execution itself begins behind a cursor: whoever joins it wants everything since its beginning.
    pub const fn begins_behind(&self) -> bool {
        self.begins_behind
    }

    /// The identity of a subscription, and the cursor that it resumes after.
    pub fn of(
        document: &[u8; 32],
        operation_name: Option<&str>,
        root: Option<&Field>,
        variables: &Variables,
        scope: &Scope,
    ) -> (Self, Option<Arc<str>>) {
        let argument = root.and_then(|field| field.get_argument(AFTER)).map(|value| &value.node);
        let (variable, after) = match argument {
            Some(Value::Variable(name)) => (Some(name), variables.get(name).cloned()),
            Some(value) => (None, value.clone().into_const()),
            None => (None, None),
        };
        let after: Option<Arc<str>> = match after {
            Some(ConstValue::String(text)) => Some(Arc::from(text)),
            _ => None,
        };
        let begins_behind = after.is_some() && root.is_none_or(|field| !RESUMED.contains(&field.name.node.as_str()));
        // A map of the standard library's order: how the client ordered names makes no difference.
        let rest = variables.iter().filter(|(name, _)| Some(*name) != variable);
        let rest = rest.map(|(name, value)| (name.to_string(), serde_json::to_value(value).unwrap_or_default()));
        let rest = serde_json::Value::Object(rest.collect());
        let mut hasher = blake3::Hasher::new();
        hasher.update(document);
        for part in [operation_name.unwrap_or_default(), &rest.to_string(), &format!("{scope:?}")] {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
        }
        if let Some(after) = after.as_ref().filter(|_| begins_behind) {
            hasher.update(after.as_bytes());
        }
        (Self { hash: hasher.finalize().into(), begins_behind }, after)
    }
}

/// The fields at the top of an operation, those in fragments too.
pub fn root_fields<'a>(document: &'a ExecutableDocument, operation: &'a OperationDefinition) -> Vec<&'a Field> {
    let mut fields = Vec::new();
    collect(document, &operation.selection_set, &mut fields);
    fields
}

/// The guard has bounded how often fragments spread, and validation that they do not in circles.
fn collect<'a>(document: &'a ExecutableDocument, set: &'a Positioned<SelectionSet>, fields: &mut Vec<&'a Field>) {
    for selection in &set.node.items {
        match &selection.node {
            Selection::Field(field) => fields.push(&field.node),
            Selection::InlineFragment(fragment) => collect(document, &fragment.node.selection_set, fields),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    collect(document, &fragment.node.selection_set, fields);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;
    use crate::{
        engine::documents,
        model::{OrganizationId, Role},
    };

    fn identity(text: &str, variables: serde_json::Value, scope: &Scope) -> (Identity, Option<Arc<str>>) {
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let root = root_fields(&document, &operation.node);
        assert_eq!(root.len(), 1);
        let variables = Variables::from_json(variables);
        Identity::of(&documents::canonical(text), None, root.first().copied(), &variables, scope)
    }

    #[test]
    fn layout_order_of_names_and_the_cursor_make_no_difference_and_all_else_does() {
        let scope = Scope::everything();
        let text = "subscription ($f: F!, $after: C) { metricStream(filter: $f, after: $after) { cursor } }";
        let (first, after) = identity(text, json!({ "f": { "a": 1, "b": 2 }, "after": "x" }), &scope);
        assert_eq!(after.as_deref(), Some("x"));
        let spread = "subscription($f:F! $after:C){...R} fragment R on S{metricStream(filter:$f after:$after){cursor}}";
        let loose =
            "subscription ($f: F!, $after: C) # a comment\n{ metricStream(filter: $f\n after: $after) { cursor } }";
        let (same, none) = identity(loose, json!({ "f": { "b": 2, "a": 1 } }), &scope);
        assert_eq!((same, none), (first, None));
        assert_eq!(identity(spread, json!({ "after": "y" }), &scope).1.as_deref(), Some("y"));

        let tenant = Scope::organization(OrganizationId(1), Role::Viewer);
        assert_ne!(identity(text, json!({ "f": { "a": 1, "b": 2 } }), &tenant).0, first);
        assert_ne!(identity(text, json!({ "f": { "a": 1, "b": 3 } }), &scope).0, first);
        assert_ne!(identity(&text.replace("cursor", "c: cursor"), json!({ "f": { "a": 1, "b": 2 } }), &scope).0, first);

        let text = text.replace("metricStream", "entityChanged");
        let [one, same, other] =
            ["x", "x", "y"].map(|after| identity(&text, json!({ "f": {}, "after": after }), &scope).0);
        assert!(one == same && one != other && one.begins_behind() && !first.begins_behind());
    }
}
