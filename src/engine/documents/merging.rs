//! Fields that share a response key: refuses conflicts (`FieldsInSetCanMerge` of the specification; the library looks at one
//! selection set at a time and not into fragments), and finds documents whose responses have to be merged.

use async_graphql::{
    Positioned, ServerError,
    indexmap::IndexMap,
    parser::types::{ExecutableDocument, Field, Selection, SelectionSet},
};

use super::super::schema::SchemaTypes;

/// True when several selections share a response key, so that their responses have to be merged.
///
/// # Errors
/// When fields of one key conflict. The guard has limited the fields with every fragment spread out and validation has
/// refused cycles, so this ends.
pub fn merges(types: &SchemaTypes, document: &ExecutableDocument) -> Result<bool, ServerError> {
    let mut merging = Merging { types, document, found: false };
    for (_, operation) in document.operations.iter() {
        merging.check(&[(types.root(operation.node.ty), &operation.node.selection_set.node)])?;
    }
    Ok(merging.found)
}

struct Merging<'a> {
    types: &'a SchemaTypes,
    document: &'a ExecutableDocument,
    found: bool,
}

/// A field with the type that it was selected on.
type Selected<'a> = (&'a str, &'a Positioned<Field>);

impl<'a> Merging<'a> {
    fn check(&mut self, sets: &[(&'a str, &'a SelectionSet)]) -> Result<(), ServerError> {
        let mut by_key: IndexMap<&'a str, Vec<Selected<'a>>> = IndexMap::new();
        for (parent, set) in sets {
            self.collect(parent, set, &mut by_key);
        }
        for (key, fields) in by_key {
            self.check_key(key, &fields)?;
            let inner: Vec<_> = fields
                .iter()
                .filter(|(_, field)| !field.node.selection_set.node.items.is_empty())
                .map(|(parent, field)| (self.output(parent, &field.node), &field.node.selection_set.node))
                .collect();
            self.found |= inner.len() > 1;
            if !inner.is_empty() {
                self.check(&inner)?;
            }
        }
        Ok(())
    }

    fn output(&self, parent: &str, field: &Field) -> &'a str {
        self.types.field(parent, &field.name.node).map_or("", |field| field.output_name.as_str())
    }

    fn collect(&self, parent: &'a str, set: &'a SelectionSet, into: &mut IndexMap<&'a str, Vec<Selected<'a>>>) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    into.entry(field.node.response_key().node.as_str()).or_default().push((parent, field));
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let parent = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.collect(parent, &fragment.node.selection_set.node, into);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(spread.node.fragment_name.node.as_str()) {
                        let parent = fragment.node.type_condition.node.on.node.as_str();
                        self.collect(parent, &fragment.node.selection_set.node, into);
                    }
                }
            }
        }
    }

    fn check_key(&self, key: &str, fields: &[Selected<'a>]) -> Result<(), ServerError> {
        let mut of_parent: IndexMap<&str, &Selected<'a>> = IndexMap::new();
        for field in fields {
            let first = of_parent.entry(field.0).or_insert(field);
            if !same_field(&first.1.node, &field.1.node) {
                return Err(conflict(key, field.1));
            }
        }
        let firsts: Vec<_> = of_parent.into_values().collect();
        for (place, one) in firsts.iter().enumerate() {
            for other in firsts.iter().skip(place + 1) {
                // No object has two object types, so each may select its own field if the shapes of the values agree.
                let exclusive = !self.types.is_interface(one.0) && !self.types.is_interface(other.0);
                let fits = if exclusive { self.same_shape(one, other) } else { same_field(&one.1.node, &other.1.node) };
                if !fits {
                    return Err(conflict(key, other.1));
                }
            }
        }
        Ok(())
    }

    fn same_shape(&self, one: &Selected<'_>, other: &Selected<'_>) -> bool {
        let output = |(parent, field): &Selected<'_>| {
            self.types.field(parent, &field.node.name.node).map(|known| known.output.to_string())
        };
        let is_leaf = |(_, field): &Selected<'_>| field.node.selection_set.node.items.is_empty();
        let wrappers = |text: String| text.chars().filter(|character| "[]!".contains(*character)).collect::<String>();
        match (is_leaf(one), is_leaf(other)) {
            (true, true) => output(one) == output(other),
            (false, false) => output(one).map(wrappers) == output(other).map(wrappers),
            _ => false,
        }
    }
}

fn same_field(one: &Field, other: &Field) -> bool {
    one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one
            .arguments
            .iter()
            .all(|(name, value)| other.get_argument(&name.node).is_some_and(|theirs| theirs.node == value.node))
}

fn conflict(key: &str, field: &Positioned<Field>) -> ServerError {
    let message = format!(
        "Fields `{key}` conflict: one key is asked to hold different fields, or one field with different arguments; give one \
         of them another name"
    );
    ServerError::new(message, Some(field.pos))
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn merged(text: &str) -> Result<bool, String> {
        merges(&SchemaTypes::of_this_server(), &parse_query(text).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn keys_with_several_selections_are_found_wherever_they_hide() {
        for merging in [
            "{ viewer { role } viewer { role } }",
            "{ employees { nodes { name } ...F } } fragment F on EmployeeConnection { nodes { email } }",
            "{ employees { nodes { organization { name } organization { slug } } } }",
            "{ node(id: 1) { ... on Employee { o: organization { name } } ... on Project { o: organization { slug } } } }",
        ] {
            assert_eq!(merged(merging), Ok(true), "{merging}");
        }
        for plain in [
            "{ employees { nodes { name name } } viewer { role } }",
            "{ a: employees { totalCount } b: employees { totalCount } }",
            "{ node(id: 1) { ... on Employee { x: name } ... on Project { x: slug } } }",
            "{ ...F } fragment F on Query { viewer { role } }",
        ] {
            assert_eq!(merged(plain), Ok(false), "{plain}");
        }
    }

    #[test]
    fn keys_that_mean_different_things_are_refused() {
        for wrong in [
            "{ employees(first: 1) { totalCount } ...F } fragment F on Query { employees(first: 2) { totalCount } }",
            "{ employees { nodes { x: name ...F } } } fragment F on Employee { x: email }",
            "{ employees { nodes { organization { x: name } organization { x: slug } } } }",
            "{ node(id: 1) { ... on Employee { x: name } ... on Project { x: createdAt } } }",
            "{ node(id: 1) { x: id ... on Employee { x: name } } }",
        ] {
            assert!(merged(wrong).is_err(), "{wrong}");
        }
    }
}
