//! Root fields of subscriptions, brought out of fragments. The library looks for them among the selections of the operation
//! alone.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{
        DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationType, Selection, SelectionSet,
    },
};

/// The fragments of a document.
type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Replaces the selections of every subscription by its root fields. The document is valid, so neither these nor their
/// fragments have conditions.
pub fn unfold(document: &mut ExecutableDocument) {
    let ExecutableDocument { operations, fragments } = document;
    let operations: Vec<_> = match operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations {
        if operation.node.ty == OperationType::Subscription {
            let set = &mut operation.node.selection_set.node;
            let mut fields = Vec::new();
            collect(fragments, set, &mut fields);
            set.items = fields.into_iter().map(selection).collect();
        }
    }
}

fn selection(field: Positioned<Field>) -> Positioned<Selection> {
    let pos = field.pos;
    Positioned::new(Selection::Field(field), pos)
}

/// The guard has limited the spreads of fragments, and validation has refused cycles.
fn collect(fragments: &Fragments, set: &SelectionSet, fields: &mut Vec<Positioned<Field>>) {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => fields.push(field.clone()),
            Selection::InlineFragment(fragment) => collect(fragments, &fragment.node.selection_set.node, fields),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    collect(fragments, &fragment.node.selection_set.node, fields);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    /// The response keys of the root fields, each with the number of its selections.
    fn unfolded(text: &str) -> String {
        let mut document = parse_query(text).unwrap();
        unfold(&mut document);
        let (_, operation) = document.operations.iter().next().unwrap();
        let keys = operation.node.selection_set.node.items.iter().map(|item| match &item.node {
            Selection::Field(field) => {
                format!("{} {}", field.node.response_key().node, field.node.selection_set.node.items.len())
            }
            _ => "fragment".to_owned(),
        });
        keys.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn root_fields_of_subscriptions_stand_in_no_fragment() {
        for (text, expected) in [
            ("subscription { a { b c } }", "a 2"),
            ("subscription { ...F } fragment F on S { x: a { b } }", "x 1"),
            ("subscription { ... { ... on S { ...F } } } fragment F on S { a { b } }", "a 1"),
            ("subscription { ...F c { d } } fragment F on S { a { b } x: a { b c } }", "a 1, x 2, c 1"),
            ("{ ...F } fragment F on Q { a { b } }", "fragment"),
        ] {
            assert_eq!(unfolded(text), expected, "{text}");
        }
    }
}
