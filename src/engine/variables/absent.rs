//! Removes arguments whose variable has no value, so that the default of the argument applies. The library would take them
//! for null.

use std::collections::HashSet;

use async_graphql::{
    Name, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, Selection, SelectionSet},
};
use async_graphql_value::Value;

/// Removes the arguments that are a variable without a value.
pub fn drop_absent(document: &mut ExecutableDocument, operation: Option<&str>, variables: &Variables) {
    let mut operations = document.operations.iter();
    let meant =
        operations.find(|(name, _)| operation.is_none() || name.is_some_and(|name| Some(name.as_str()) == operation));
    let Some((_, meant)) = meant else { return };
    let declared = meant.node.variable_definitions.iter().map(|definition| &definition.node.name.node);
    let absent: HashSet<Name> = declared.filter(|name| !variables.contains_key(*name)).cloned().collect();
    if absent.is_empty() {
        return;
    }
    match &mut document.operations {
        DocumentOperations::Single(operation) => drop_from(&mut operation.node.selection_set.node, &absent),
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                drop_from(&mut operation.node.selection_set.node, &absent);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        drop_from(&mut fragment.node.selection_set.node, &absent);
    }
}

fn drop_from(set: &mut SelectionSet, absent: &HashSet<Name>) {
    for item in &mut set.items {
        match &mut item.node {
            Selection::Field(field) => {
                let is_there = |value: &Value| !matches!(value, Value::Variable(name) if absent.contains(name));
                field.node.arguments.retain(|(_, value)| is_there(&value.node));
                drop_from(&mut field.node.selection_set.node, absent);
            }
            Selection::InlineFragment(fragment) => drop_from(&mut fragment.node.selection_set.node, absent),
            Selection::FragmentSpread(_) => {}
        }
    }
}
