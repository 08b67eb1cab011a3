//! Walks through a document to each node of one kind, in the same order every time.

use apollo_compiler::{
    Node,
    ast::{Argument, Definition, DirectiveList, Document, Field, OperationDefinition, Selection, Value},
};
use rand::{RngExt, rngs::StdRng};

/// Calls a function with each node of one kind.
type Visit<T> = fn(&mut Document, &mut dyn FnMut(&mut T));

/// Changes one random node of a kind; nothing if there is none.
pub fn change_one<T>(
    document: &mut Document,
    rng: &mut StdRng,
    visit: Visit<T>,
    change: impl FnOnce(&mut T, &mut StdRng),
) {
    let mut count = 0;
    visit(document, &mut |_| count += 1);
    if count == 0 {
        return;
    }
    let chosen = rng.random_range(0..count);
    let (mut change, mut at) = (Some(change), 0);
    visit(document, &mut |node| {
        if at == chosen
            && let Some(change) = change.take()
        {
            change(node, rng);
        }
        at += 1;
    });
}

pub fn definitions(document: &mut Document, visit: &mut dyn FnMut(&mut Definition)) {
    document.definitions.iter_mut().for_each(visit);
}

pub fn operations(document: &mut Document, visit: &mut dyn FnMut(&mut OperationDefinition)) {
    definitions(document, &mut |definition| {
        if let Definition::OperationDefinition(operation) = definition {
            visit(operation.make_mut());
        }
    });
}

pub fn selection_sets(document: &mut Document, visit: &mut dyn FnMut(&mut Vec<Selection>)) {
    fn walk(set: &mut Vec<Selection>, visit: &mut dyn FnMut(&mut Vec<Selection>)) {
        visit(set);
        for selection in set {
            match selection {
                Selection::Field(field) if !field.selection_set.is_empty() => {
                    walk(&mut field.make_mut().selection_set, visit);
                }
                Selection::InlineFragment(fragment) => walk(&mut fragment.make_mut().selection_set, visit),
                _ => {}
            }
        }
    }
    definitions(document, &mut |definition| match definition {
        Definition::OperationDefinition(operation) => walk(&mut operation.make_mut().selection_set, visit),
        Definition::FragmentDefinition(fragment) => walk(&mut fragment.make_mut().selection_set, visit),
        _ => {}
    });
}

pub fn fields(document: &mut Document, visit: &mut dyn FnMut(&mut Field)) {
    selection_sets(document, &mut |set| {
        for selection in set {
            if let Selection::Field(field) = selection {
                visit(field.make_mut());
            }
        }
    });
}

pub fn directives(document: &mut Document, visit: &mut dyn FnMut(&mut DirectiveList)) {
    definitions(document, &mut |definition| match definition {
        Definition::OperationDefinition(operation) => {
            let operation = operation.make_mut();
            visit(&mut operation.directives);
            operation.variables.iter_mut().for_each(|variable| visit(&mut variable.make_mut().directives));
        }
        Definition::FragmentDefinition(fragment) => visit(&mut fragment.make_mut().directives),
        _ => {}
    });
    selection_sets(document, &mut |set| {
        for selection in set {
            visit(match selection {
                Selection::Field(field) => &mut field.make_mut().directives,
                Selection::FragmentSpread(spread) => &mut spread.make_mut().directives,
                Selection::InlineFragment(fragment) => &mut fragment.make_mut().directives,
            });
        }
    });
}

pub fn arguments(document: &mut Document, visit: &mut dyn FnMut(&mut Vec<Node<Argument>>)) {
    fields(document, &mut |field| visit(&mut field.arguments));
    directives(document, &mut |directives| {
        directives.iter_mut().for_each(|directive| visit(&mut directive.make_mut().arguments));
    });
}

/// Values in arguments and defaults, and the values inside of them.
pub fn literals(document: &mut Document, visit: &mut dyn FnMut(&mut Value)) {
    fn walk(value: &mut Node<Value>, visit: &mut dyn FnMut(&mut Value)) {
        let value = value.make_mut();
        visit(value);
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| walk(item, visit)),
            Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| walk(value, visit)),
            _ => {}
        }
    }
    arguments(document, &mut |arguments| {
        for argument in arguments {
            walk(&mut argument.make_mut().value, visit);
        }
    });
    operations(document, &mut |operation| {
        let variables = operation.variables.iter_mut();
        for default in variables.filter_map(|variable| variable.make_mut().default_value.as_mut()) {
            walk(default, visit);
        }
    });
}
