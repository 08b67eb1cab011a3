//! A document that passed: parsed, bounded and valid, with what every run of it asks about.

use std::collections::HashSet;

use async_graphql::{
    Name,
    parser::types::{ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet},
};

/// A document that passed the guard and validation.
pub struct Document {
    parsed: ExecutableDocument,
    operations: Vec<Operation>,
    text_bytes: usize,
    /// Whether somewhere one response key stands for several fields with selections of their own: their answers have to
    /// be merged, so they cannot be written as text.
    merges: bool,
}

/// One operation of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// `query Name`, where it has a name.
    pub label: Option<String>,
    name: Option<Name>,
}

/// What a parsed document weighs in memory, as a multiple of its text: names, positions and vectors of a dense document.
const BYTES_PER_TEXT_BYTE: usize = 24;

impl Document {
    /// Takes what the guard and validation let through.
    pub fn new(parsed: ExecutableDocument, text_bytes: usize) -> Self {
        let operations = parsed.operations.iter().map(|(name, operation)| Operation {
            kind: operation.node.ty,
            label: name.map(|name| format!("{} {name}", operation.node.ty)),
            name: name.cloned(),
        });
        let operations = operations.collect();
        let merges = merges(&parsed);
        Self { parsed, operations, text_bytes, merges }
    }

    /// The document as it was parsed.
    pub const fn parsed(&self) -> &ExecutableDocument {
        &self.parsed
    }

    /// Its operations, in no particular order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation that a request means; `None` when the name fits none, or is missing where there are several.
    pub fn operation(&self, wanted: Option<&str>) -> Option<(&Operation, &OperationDefinition)> {
        let found = match wanted {
            Some(wanted) => self.operations.iter().find(|one| one.name.as_deref() == Some(wanted)),
            None => self.operations.first().filter(|_| self.operations.len() == 1),
        }?;
        let mut definitions = self.parsed.operations.iter();
        let (_, definition) = definitions.find(|(name, _)| *name == found.name.as_ref())?;
        Some((found, &definition.node))
    }

    /// Whether answers have to be merged.
    pub const fn merges(&self) -> bool {
        self.merges
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> u32 {
        u32::try_from(self.text_bytes.saturating_mul(BYTES_PER_TEXT_BYTE)).unwrap_or(u32::MAX)
    }
}

fn merges(document: &ExecutableDocument) -> bool {
    document.operations.iter().any(|(_, operation)| repeats(document, &operation.node.selection_set.node))
}

/// Whether a key with a selection of its own is there twice, here or further down. Validation has found no cycle, and the
/// guard has bounded the fields with every fragment spread out, which is what is walked here.
fn repeats(document: &ExecutableDocument, set: &SelectionSet) -> bool {
    repeats_among(document, set, &mut HashSet::new())
}

fn repeats_among<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, keys: &mut HashSet<&'a str>) -> bool {
    set.items.iter().any(|item| match &item.node {
        Selection::Field(field) => {
            let inner = &field.node.selection_set.node;
            !inner.items.is_empty()
                && (!keys.insert(field.node.response_key().node.as_str()) || repeats(document, inner))
        }
        Selection::InlineFragment(fragment) => repeats_among(document, &fragment.node.selection_set.node, keys),
        Selection::FragmentSpread(spread) => {
            let fragment = document.fragments.get(spread.node.fragment_name.node.as_str());
            fragment.is_some_and(|one| repeats_among(document, &one.node.selection_set.node, keys))
        }
    })
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn document(text: &str) -> Document {
        Document::new(parse_query(text).unwrap(), text.len())
    }

    #[test]
    fn keys_with_several_selections_are_found_wherever_they_hide() {
        for merging in [
            "{ a { b } a { c } }",
            "{ x { a { b } ...F } } fragment F on X { a { c } }",
            "{ x { ... on A { k: a { b } } ... on B { k: b { c } } } }",
            "{ x { y { z { a { b } a { b } } } } }",
        ] {
            assert!(document(merging).merges(), "{merging}");
        }
        for plain in [
            "{ a b a }",
            "{ a { b } k: a { c } }",
            "{ a { b { c } } b { c { d } } }",
            "{ ...F } fragment F on Query { a { b } }",
        ] {
            assert!(!document(plain).merges(), "{plain}");
        }
    }

    #[test]
    fn the_operation_is_found_by_name_or_because_it_is_alone() {
        let one = document("query A { a }");
        assert_eq!(one.operation(None).unwrap().0.label.as_deref(), Some("query A"));
        assert!(one.operation(Some("B")).is_none());
        let two = document("query A { a } mutation B { b }");
        assert!(two.operation(None).is_none());
        assert_eq!(two.operation(Some("B")).unwrap().0.kind, OperationType::Mutation);
        assert_eq!(document("{ a }").operation(None).unwrap().0.label, None);
    }
}
