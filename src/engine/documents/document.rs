//! A document that passed: parsed, bounded and valid, with what every run of it asks about.

use async_graphql::{
    Name,
    parser::types::{ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet},
};

use crate::engine::guard;

/// A document that passed the guard and validation.
pub struct Document {
    parsed: ExecutableDocument,
    operations: Vec<Operation>,
    text_bytes: usize,
    canonical: [u8; 32],
    /// Whether somewhere one response key stands for several fields with selections of their own: their answers have to
    /// be merged, so they cannot be written as text.
    merges: bool,
    introspects: bool,
}

/// One operation of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// `query Name`, where it has a name.
    pub label: Option<String>,
    /// Whether it has one field at its top, which can be seen without looking into fragments.
    pub is_lone: bool,
    name: Option<Name>,
}

/// What a parsed document weighs in memory, as a multiple of its text: a field of two letters is about two hundred bytes.
const BYTES_PER_TEXT_BYTE: usize = 80;

impl Document {
    /// Takes what the guard and validation let through. `merges`: whether answers have to be merged.
    pub fn new(parsed: ExecutableDocument, text: &str, merges: bool) -> Self {
        let operations = parsed.operations.iter().map(|(name, operation)| Operation {
            kind: operation.node.ty,
            label: name.map(|name| format!("{} {name}", operation.node.ty)),
            is_lone: is_lone(&operation.node.selection_set.node),
            name: name.cloned(),
        });
        let operations = operations.collect();
        let introspects = introspects(&parsed);
        Self { parsed, operations, text_bytes: text.len(), canonical: canonical(text), merges, introspects }
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

    /// The same for all texts that differ in nothing but layout.
    pub const fn canonical(&self) -> &[u8; 32] {
        &self.canonical
    }

    /// Whether answers have to be merged.
    pub const fn merges(&self) -> bool {
        self.merges
    }

    /// Whether it asks about the schema.
    pub const fn introspects(&self) -> bool {
        self.introspects
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> u32 {
        u32::try_from(self.text_bytes.saturating_mul(BYTES_PER_TEXT_BYTE)).unwrap_or(u32::MAX)
    }
}

/// A hash of a text's tokens: what stands between them makes no difference.
pub fn canonical(text: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for token in guard::tokens(text) {
        hasher.update(token).update(b"\n");
    }
    hasher.finalize().into()
}

/// Whether one field stands alone at the top, so that nothing can be loaded together with it.
fn is_lone(top: &SelectionSet) -> bool {
    matches!(top.items.as_slice(), [only] if matches!(only.node, Selection::Field(_)))
}

/// Whether it asks about the schema, in any of its operations and fragments.
fn introspects(document: &ExecutableDocument) -> bool {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    operations.chain(fragments).any(asks_about_schema)
}

fn asks_about_schema(set: &SelectionSet) -> bool {
    set.items.iter().any(|item| match &item.node {
        Selection::Field(field) => {
            matches!(field.node.name.node.as_str(), "__schema" | "__type")
                || asks_about_schema(&field.node.selection_set.node)
        }
        Selection::InlineFragment(fragment) => asks_about_schema(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn document(text: &str) -> Document {
        Document::new(parse_query(text).unwrap(), text, false)
    }

    #[test]
    fn questions_about_the_schema_are_noticed() {
        for asking in
            ["{ __schema { queryType { name } } }", "{ a { ...F } } fragment F on A { __type(name: \"B\") { name } }"]
        {
            assert!(document(asking).introspects(), "{asking}");
        }
        assert!(!document("{ a { __typename } }").introspects());
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
