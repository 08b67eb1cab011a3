//! The key of a subscription: subscriptions with equal document, operation, variables and scope have equal keys.

use async_graphql::{Variables, parser::types::Field};
use async_graphql_value::{ConstValue, Value};

use super::ResumeCursor;
use crate::{engine::schema::Resumption, model::Scope};

/// A hash of everything that equal subscriptions have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionKey {
    hash: [u8; 32],
    /// The execution itself starts after a cursor.
    starts_after_cursor: bool,
}

impl SubscriptionKey {
    /// The execution itself starts after a cursor, so a subscriber that joins needs all events since its start.
    pub const fn starts_after_cursor(&self) -> bool {
        self.starts_after_cursor
    }

    /// The key of a subscription, and the cursor after which it resumes: `given`, or the argument of its field `root` with
    /// the declared resumption.
    pub fn of(
        document: &[u8; 32],
        operation_name: Option<&str>,
        (root, resumption): (&Field, Option<&Resumption>),
        variables: &Variables,
        scope: &Scope,
        given: Option<ResumeCursor>,
    ) -> (Self, Option<ResumeCursor>) {
        let argument = resumption.and_then(|resumption| root.get_argument(&resumption.cursor)).map(|value| &value.node);
        let (variable, after) = match argument {
            Some(Value::Variable(name)) => (Some(name), variables.get(name).cloned()),
            Some(value) => (None, value.clone().into_const()),
            None => (None, None),
        };
        let argument = || match after {
            Some(ConstValue::String(text)) => Some(ResumeCursor::argument(text)),
            _ => None,
        };
        let after = given.or_else(argument);
        let starts_after_cursor = after.is_some() && resumption.is_none_or(|resumption| !resumption.is_replayed);
        // The map sorts names, so the order in which the client wrote them makes no difference.
        let rest = variables.iter().filter(|(name, _)| Some(*name) != variable);
        let rest = rest.map(|(name, value)| (name.to_string(), serde_json::to_value(value).unwrap_or_default()));
        let rest = serde_json::Value::Object(rest.collect());
        let mut hasher = blake3::Hasher::new();
        hasher.update(document);
        let (rest, scope) = (rest.to_string(), format!("{scope:?}"));
        let start = after.as_ref().filter(|_| starts_after_cursor);
        let start = start.map_or([""; 2], |after| [&*after.text, after.header.unwrap_or_default()]);
        for part in [operation_name.unwrap_or_default(), &rest, &scope].into_iter().chain(start) {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
        }
        (Self { hash: hasher.finalize().into(), starts_after_cursor }, after)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::{parse_query, types::Selection};
    use serde_json::json;

    use super::*;
    use crate::{
        engine::documents,
        model::{OrganizationId, Role},
    };

    fn key(text: &str, variables: serde_json::Value, scope: &Scope) -> (SubscriptionKey, Option<ResumeCursor>) {
        resumed(text, variables, scope, None)
    }

    fn resumed(
        text: &str,
        variables: serde_json::Value,
        scope: &Scope,
        given: Option<ResumeCursor>,
    ) -> (SubscriptionKey, Option<ResumeCursor>) {
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let Selection::Field(root) = &operation.node.selection_set.node.items[0].node else {
            panic!("no field: {text}")
        };
        let root = &root.node;
        let is_replayed = root.name.node == "replayed";
        let resumption = Resumption { cursor: "after".to_owned(), is_replayed };
        let variables = Variables::from_json(variables);
        SubscriptionKey::of(&documents::canonical(text), None, (root, Some(&resumption)), &variables, scope, given)
    }

    #[test]
    fn only_layout_order_of_names_and_the_cursor_of_a_replayed_stream_make_no_difference() {
        let scope = Scope::everything();
        let text = "subscription ($f: F!, $after: C) { replayed(filter: $f, after: $after) { cursor } }";
        let (first, after) = key(text, json!({ "f": { "a": 1, "b": 2 }, "after": "x" }), &scope);
        assert_eq!(after, Some(ResumeCursor::argument("x")));
        let loose = "subscription ($f: F!, $after: C) # a comment\n{ replayed(filter: $f\n after: $after) { cursor } }";
        let (same, none) = key(loose, json!({ "f": { "b": 2, "a": 1 } }), &scope);
        assert_eq!((same, none), (first, None));

        let tenant = Scope::organization(OrganizationId(1), Role::Viewer);
        assert_ne!(key(text, json!({ "f": { "a": 1, "b": 2 } }), &tenant).0, first);
        assert_ne!(key(text, json!({ "f": { "a": 1, "b": 3 } }), &scope).0, first);
        assert_ne!(key(&text.replace("cursor", "c: cursor"), json!({ "f": { "a": 1, "b": 2 } }), &scope).0, first);

        let text = text.replace("replayed", "resumed");
        let [one, same, other] = ["x", "x", "y"].map(|after| key(&text, json!({ "f": {}, "after": after }), &scope).0);
        assert!(one == same && one != other && one.starts_after_cursor() && !first.starts_after_cursor());
    }

    #[test]
    fn a_cursor_in_a_header_wins_and_is_told_apart_from_an_argument() {
        let scope = Scope::everything();
        let header = |text: &str| Some(ResumeCursor { text: text.into(), header: Some("Last-Event-ID") });
        for (field, is_shared) in [("replayed", true), ("resumed", false)] {
            let text = format!("subscription ($after: C) {{ {field}(after: $after) {{ cursor }} }}");
            let (argument, _) = key(&text, json!({ "after": "new" }), &scope);
            let [(new, after), (old, _)] =
                ["new", "old"].map(|cursor| resumed(&text, json!({ "after": "x" }), &scope, header(cursor)));
            assert_eq!(after, header("new"), "{field}");
            // An execution that starts after the cursor names its origin in errors.
            assert_eq!((new == old, new == argument), (is_shared, is_shared), "{field}");
        }
    }
}
