//! Fields that share a response key: refuses conflicts (`FieldsInSetCanMerge` of the specification; the library looks at one
//! selection set at a time and not into fragments), and finds documents whose responses have to be merged.
//!
//! Two passes check the two rules. All values of one key have the same shape, also those of types that no object has both.
//! And all fields that one object may select under one key are the same field with the same arguments.

use async_graphql::{
    Positioned, ServerError,
    indexmap::IndexMap,
    parser::types::{BaseType, ExecutableDocument, Field, Selection, SelectionSet, Type},
};

use super::super::schema::SchemaTypes;

/// True when several selections share a response key, so that their responses have to be merged.
///
/// # Errors
/// Fields of one key conflict. The guard has limited the fields with every fragment spread out and validation has
/// refused cycles, so this ends.
pub fn merges(types: &SchemaTypes, document: &ExecutableDocument) -> Result<bool, ServerError> {
    let mut merging = Merging { types, document, found: false, visits: 0, fields: 0 };
    for (_, operation) in document.operations.iter() {
        let root = [(types.root(operation.node.ty), &operation.node.selection_set.node)];
        merging.check_shapes(&root)?;
        merging.check_fields(&root)?;
    }
    Ok(merging.found)
}

struct Merging<'a> {
    types: &'a SchemaTypes,
    document: &'a ExecutableDocument,
    found: bool,
    /// Fields that the first pass visited: each once, with every fragment spread out.
    visits: usize,
    /// Fields that the second pass visited. It visits a field of an interface once for each object type beside it.
    fields: usize,
}

/// Visits of the second pass for each of the first. More would take long, so that types that no object has both then count as
/// one, as if their fields were selected on one object.
const REPEATED_VISITS_MAX: usize = 4;

/// A selection set with the type that it selects from.
type Set<'a> = (&'a str, &'a SelectionSet);

/// A field with the type that it was selected on.
type Selected<'a> = (&'a str, &'a Positioned<Field>);

impl<'a> Merging<'a> {
    fn check_shapes(&mut self, sets: &[Set<'a>]) -> Result<(), ServerError> {
        for (key, fields) in self.by_key(sets) {
            self.visits += fields.len();
            if let Some((first, others)) = fields.split_first() {
                let other_shape = others.iter().find(|other| !self.same_shape(first, other));
                if let Some(other) = other_shape {
                    return Err(conflict(key, other.1));
                }
            }
            let inner = self.inner(&fields);
            self.found |= inner.len() > 1;
            if !inner.is_empty() {
                self.check_shapes(&inner)?;
            }
        }
        Ok(())
    }

    fn check_fields(&mut self, sets: &[Set<'a>]) -> Result<(), ServerError> {
        for (key, fields) in self.by_key(sets) {
            self.fields += fields.len();
            for group in self.of_one_object(fields) {
                if let Some((first, others)) = group.split_first() {
                    let other_field = others.iter().find(|other| !same_field(&first.1.node, &other.1.node));
                    if let Some(other) = other_field {
                        return Err(conflict(key, other.1));
                    }
                }
                let inner = self.inner(&group);
                if !inner.is_empty() {
                    self.check_fields(&inner)?;
                }
            }
        }
        Ok(())
    }

    /// The fields in groups that one object may select: those of one object type and of every interface and union.
    fn of_one_object(&self, fields: Vec<Selected<'a>>) -> Vec<Vec<Selected<'a>>> {
        let mut of_objects: IndexMap<&str, Vec<Selected<'a>>> = IndexMap::new();
        let mut of_any = Vec::new();
        for field in &fields {
            if self.types.is_object(field.0) {
                of_objects.entry(field.0).or_default().push(*field);
            } else {
                of_any.push(*field);
            }
        }
        if of_objects.len() < 2 || self.fields > self.visits.saturating_mul(REPEATED_VISITS_MAX) {
            return vec![fields];
        }
        let groups = of_objects.into_values().map(|mut group| {
            group.extend_from_slice(&of_any);
            group
        });
        groups.collect()
    }

    fn by_key(&self, sets: &[Set<'a>]) -> IndexMap<&'a str, Vec<Selected<'a>>> {
        let mut by_key = IndexMap::new();
        for (parent, set) in sets {
            self.collect(parent, set, &mut by_key);
        }
        by_key
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

    /// The selection sets of fields.
    fn inner(&self, fields: &[Selected<'a>]) -> Vec<Set<'a>> {
        let inner = fields.iter().filter(|(_, field)| !field.node.selection_set.node.items.is_empty());
        inner
            .map(|(parent, field)| {
                let known = self.types.field(parent, &field.node.name.node);
                (known.map_or("", |known| known.output_name.as_str()), &field.node.selection_set.node)
            })
            .collect()
    }

    fn same_shape(&self, one: &Selected<'_>, other: &Selected<'_>) -> bool {
        let output = |(parent, field): &Selected<'_>| Some(&self.types.field(parent, &field.node.name.node)?.output);
        match (output(one), output(other)) {
            (Some(one), Some(other)) => self.same_type(one, other),
            // `__typename` is always a String!.
            (None, Some(output)) if is_type_name(one) => is_text(output),
            (Some(output), None) if is_type_name(other) => is_text(output),
            // The types of introspection have no interfaces, so the same field has the same shape.
            _ => one.1.node.name.node == other.1.node.name.node,
        }
    }

    fn same_type(&self, one: &Type, other: &Type) -> bool {
        one.nullable == other.nullable
            && match (&one.base, &other.base) {
                (BaseType::List(one), BaseType::List(other)) => self.same_type(one, other),
                (BaseType::Named(one), BaseType::Named(other)) => {
                    one == other || (!self.types.is_leaf(one) && !self.types.is_leaf(other))
                }
                _ => false,
            }
    }
}

fn is_type_name((_, field): &Selected<'_>) -> bool {
    field.node.name.node == "__typename"
}

fn is_text(output: &Type) -> bool {
    !output.nullable && matches!(&output.base, BaseType::Named(name) if name == "String")
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
    fn keys_with_several_selections_are_found_in_fragments_and_types() {
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

    /// Two interfaces whose objects have fields of all kinds.
    fn merged_in_small(text: &str) -> Result<bool, String> {
        let object =
            "implements Thing { me: Thing, list(first: Int): Int, name: String!, text: String, other: String! }";
        let sdl = format!(
            "interface Thing {{ me: Thing, text: String }} union Either = A | B
            type A {object} type B {object} type Query {{ thing: Thing, either: Either }}"
        );
        let types = SchemaTypes::read(&sdl, &[]).unwrap();
        merges(&types, &parse_query(text).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn objects_of_different_types_share_a_key_if_its_shape_agrees() {
        for fine in [
            "{ thing { ... on A { x: list(first: 1) } ... on B { x: list(first: 2) } } }",
            "{ thing { ... on A { x: name } ... on B { x: other } } }",
            "{ thing { ... on A { x: __typename } ... on B { x: other } } }",
            "{ thing { ... on A { me { ... on A { x: list(first: 1) } } } ... on B { me { ... on A { x: list } } } } }",
            "{ thing { ... on A { me { text } } ... on B { me { text: text } } me { text } } }",
            "{ thing { ... on A { me { x: text } me { ... on A { x: text } } } ... on B { me { x: text } } } }",
        ] {
            assert!(merged_in_small(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "{ thing { ... on A { x: list(first: 1) } ... on A { x: list(first: 2) } } }",
            "{ thing { ... on A { x: text } ... on B { x: name } } }",
            "{ thing { ... on A { x: __typename } ... on B { x: text } } }",
            "{ thing { ... on A { x: me { text } } ... on B { x: name } } }",
            "{ thing { me { text } ... on A { me: text } } }",
            "{ thing { x: text ... on B { x: name } } }",
            "{ either { x: __typename ... on B { x: other } } }",
            "{ thing { ... on A { me { ... on A { x: name } } } ... on B { me { ... on A { x: text } } } } }",
            "{ thing { me { ... on A { x: list(first: 1) } } ... on B { me { ... on A { x: list } } } } }",
        ] {
            assert!(merged_in_small(wrong).is_err(), "{wrong}");
        }
    }

    /// Each level visits the fields of the interface once for each object type.
    #[test]
    fn many_types_on_many_levels_take_little_time() {
        let mut text = "text".to_owned();
        for _ in 0..40 {
            text = format!("me {{ {text} }} ... on A {{ me {{ text }} }} ... on B {{ me {{ text }} }}");
        }
        assert_eq!(merged_in_small(&format!("{{ thing {{ {text} }} }}")), Ok(true));
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
