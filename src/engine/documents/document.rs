//! An admitted document: parsed, within limits and valid, with the facts that every execution needs.

use async_graphql::{
    Name,
    parser::types::{ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet},
};

use super::conditions::ConditionVariable;
use crate::engine::guard;

/// A document within limits and valid.
pub struct Document {
    parsed: ExecutableDocument,
    operations: Vec<DocumentOperation>,
    text_bytes: usize,
    canonical: [u8; 32],
    /// Somewhere one response key stands for several fields with selections. Their values have to be merged, so they
    /// cannot be written as text.
    merges: bool,
    introspects: bool,
}

/// One operation of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentOperation {
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// `query Name`, if it has a name.
    pub label: Option<String>,
    /// It has one root field and no root fragments.
    pub has_one_root: bool,
    /// The variables that stand for conditions and can be null.
    pub conditions: Vec<ConditionVariable>,
    name: Option<Name>,
}

/// Memory of a parsed document, as a multiple of its text: a field of two letters takes about two hundred bytes.
const BYTES_PER_TEXT_BYTE: usize = 80;

impl Document {
    /// A document that passed the guard and validation. `conditions` are the variables that stand for conditions, for
    /// each operation in their order. `merges` says that values have to be merged.
    pub fn new(parsed: ExecutableDocument, text: &str, conditions: Vec<Vec<ConditionVariable>>, merges: bool) -> Self {
        let operations =
            parsed.operations.iter().zip(conditions).map(|((name, operation), conditions)| DocumentOperation {
                kind: operation.node.ty,
                label: name.map(|name| format!("{} {name}", operation.node.ty)),
                has_one_root: has_one_root(&operation.node.selection_set.node),
                conditions,
                name: name.cloned(),
            });
        let operations = operations.collect();
        let introspects = introspects(&parsed);
        Self { parsed, operations, text_bytes: text.len(), canonical: canonical(text), merges, introspects }
    }

    /// The parsed document.
    pub const fn parsed(&self) -> &ExecutableDocument {
        &self.parsed
    }

    /// The operations, in no particular order.
    pub fn operations(&self) -> &[DocumentOperation] {
        &self.operations
    }

    /// The operation that a request names; `None` when no operation has that name, or when the name is missing and there are
    /// several.
    pub fn operation(&self, wanted: Option<&str>) -> Option<(&DocumentOperation, &OperationDefinition)> {
        let found = match wanted {
            Some(wanted) => self.operations.iter().find(|one| one.name.as_deref() == Some(wanted)),
            None => self.operations.first().filter(|_| self.operations.len() == 1),
        }?;
        let mut definitions = self.parsed.operations.iter();
        let (_, definition) = definitions.find(|(name, _)| *name == found.name.as_ref())?;
        Some((found, &definition.node))
    }

    /// A hash that is equal for texts that differ only in layout.
    pub const fn canonical(&self) -> &[u8; 32] {
        &self.canonical
    }

    /// Values have to be merged.
    pub const fn merges(&self) -> bool {
        self.merges
    }

    /// It reads the schema.
    pub const fn introspects(&self) -> bool {
        self.introspects
    }

    /// The approximate memory in bytes.
    pub fn bytes(&self) -> u32 {
        u32::try_from(self.text_bytes.saturating_mul(BYTES_PER_TEXT_BYTE)).unwrap_or(u32::MAX)
    }
}

/// A hash of the tokens of a text. White space, commas and comments make no difference.
pub fn canonical(text: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for token in guard::tokens(text) {
        hasher.update(token).update(b"\n");
    }
    hasher.finalize().into()
}

/// One field stands alone at the root, so nothing can be loaded together with it.
fn has_one_root(top: &SelectionSet) -> bool {
    matches!(top.items.as_slice(), [only] if matches!(only.node, Selection::Field(_)))
}

/// It reads the schema in any of its operations and fragments.
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
        let parsed = parse_query(text).unwrap();
        let conditions = vec![Vec::new(); parsed.operations.iter().count()];
        Document::new(parsed, text, conditions, false)
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
