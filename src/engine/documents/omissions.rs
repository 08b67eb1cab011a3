//! Rules of the specification that the library does not check.

use std::collections::HashSet;

use async_graphql::{
    Pos, Positioned, ServerError,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, InlineFragment, OperationType, Selection,
        SelectionSet,
    },
};

/// Checks that `__typename` has neither a selection nor arguments, that variables have no directives, and that the root
/// fields of a subscription have no conditions.
///
/// # Errors
/// The first of them that does not hold, with its position.
pub fn check(document: &ExecutableDocument) -> Result<(), ServerError> {
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        // No directive of a schema is for variables, or the library would not leave them out.
        let mut directives = operation.variable_definitions.iter().flat_map(|variable| &variable.node.directives);
        if let Some(directive) = directives.next() {
            let message = format!("Directive @{} must not stand behind a variable", directive.node.name.node);
            return Err(ServerError::new(message, Some(directive.pos)));
        }
        let root = &operation.selection_set.node;
        if operation.ty == OperationType::Subscription
            && let Some(pos) = condition(document, root, &mut HashSet::new())
        {
            let message = "The root field of a subscription must not have @skip or @include";
            return Err(ServerError::new(message, Some(pos)));
        }
        check_type_names(root)?;
    }
    document.fragments.values().try_for_each(|fragment| check_type_names(&fragment.node.selection_set.node))
}

/// Puts every `__typename` with directives into a fragment with these directives. The library does not look at
/// `__typename`, so it would neither check its directives nor find the variables in them.
pub fn expose_directives(document: &mut ExecutableDocument) {
    match &mut document.operations {
        DocumentOperations::Single(operation) => expose_in(&mut operation.node.selection_set.node),
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                expose_in(&mut operation.node.selection_set.node);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        expose_in(&mut fragment.node.selection_set.node);
    }
}

fn expose_in(set: &mut SelectionSet) {
    for item in &mut set.items {
        let pos = item.pos;
        match &mut item.node {
            Selection::Field(field) if is_type_name(&field.node) && !field.node.directives.is_empty() => {
                let directives = std::mem::take(&mut field.node.directives);
                let items = vec![Positioned::new(Selection::Field(field.clone()), pos)];
                let selection_set = Positioned::new(SelectionSet { items }, pos);
                let fragment = InlineFragment { type_condition: None, directives, selection_set };
                item.node = Selection::InlineFragment(Positioned::new(fragment, pos));
            }
            Selection::Field(field) => expose_in(&mut field.node.selection_set.node),
            Selection::InlineFragment(fragment) => expose_in(&mut fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// The position of the first condition on a selection, also in fragments.
fn condition<'a>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
    visited: &mut HashSet<&'a str>,
) -> Option<Pos> {
    set.items.iter().find_map(|item| match &item.node {
        Selection::Field(field) => first_condition(&field.node.directives),
        Selection::InlineFragment(fragment) => first_condition(&fragment.node.directives)
            .or_else(|| condition(document, &fragment.node.selection_set.node, visited)),
        Selection::FragmentSpread(spread) => first_condition(&spread.node.directives).or_else(|| {
            let name = spread.node.fragment_name.node.as_str();
            let fragment = document.fragments.get(name).filter(|_| visited.insert(name))?;
            condition(document, &fragment.node.selection_set.node, visited)
        }),
    })
}

fn first_condition(directives: &[Positioned<Directive>]) -> Option<Pos> {
    let mut directives = directives.iter();
    Some(directives.find(|directive| matches!(directive.node.name.node.as_str(), "skip" | "include"))?.pos)
}

fn check_type_names(set: &SelectionSet) -> Result<(), ServerError> {
    set.items.iter().try_for_each(|item| match &item.node {
        Selection::Field(field) => match misused(&field.node) {
            Some(message) => Err(ServerError::new(message, Some(field.pos))),
            None => check_type_names(&field.node.selection_set.node),
        },
        Selection::InlineFragment(fragment) => check_type_names(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => Ok(()),
    })
}

fn misused(field: &Field) -> Option<&'static str> {
    if !is_type_name(field) {
        return None;
    }
    if !field.selection_set.node.items.is_empty() {
        return Some("Field \"__typename\" must not have a selection, because a String has no fields");
    }
    (!field.arguments.is_empty()).then_some("Field \"__typename\" has no arguments")
}

fn is_type_name(field: &Field) -> bool {
    field.name.node == "__typename"
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn checked(text: &str) -> String {
        check(&parse_query(text).unwrap()).map_or_else(|error| error.message, |()| "fits".to_owned())
    }

    #[test]
    fn what_the_library_leaves_out_is_checked() {
        for (text, expected) in [
            ("query($v: Int) { a { x: __typename @skip(if: true) ... on B { __typename } } }", "fits"),
            ("subscription { a { b @skip(if: true) } }", "fits"),
            ("{ ...F } fragment F on Query { a @skip(if: true) }", "fits"),
            ("{ __typename { __typename } }", "must not have a selection"),
            ("{ a { ... on B { __typename(of: 1) } } }", "has no arguments"),
            ("{ ...F } fragment F on Query { a { x: __typename { a } } }", "must not have a selection"),
            ("query($v: Int @skip(if: true)) { a(b: $v) }", "@skip must not stand behind a variable"),
            ("subscription { a @include(if: true) }", "must not have @skip or @include"),
            ("subscription { ... @skip(if: false) { a } }", "must not have @skip or @include"),
            ("subscription { ...F } fragment F on S { a @skip(if: false) }", "must not have @skip or @include"),
        ] {
            assert!(checked(text).contains(expected), "{text}: {}", checked(text));
        }
    }

    #[test]
    fn directives_of_type_names_are_exposed() {
        let mut document = parse_query("{ __typename a { x: __typename @skip(if: $v) } }").unwrap();
        expose_directives(&mut document);
        let (_, operation) = document.operations.iter().next().unwrap();
        let items = &operation.node.selection_set.node.items;
        let Selection::Field(field) = &items[1].node else { panic!("no field") };
        let inner = &field.node.selection_set.node.items;
        assert!(matches!(&items[0].node, Selection::Field(field) if is_type_name(&field.node)));
        assert!(matches!(&inner[0].node, Selection::InlineFragment(fragment) if fragment.node.directives.len() == 1));
    }
}
