//! The shape of an operation with every fragment spread out. Each fragment is measured once, so the work is linear in the
//! document however often fragments spread each other.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};

/// The shape of a selection set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// Fields at the top.
    pub breadth: usize,
    /// Fields at all levels.
    pub fields: usize,
    /// Aliased fields.
    pub aliases: usize,
    /// Directives on fields, fragments and spreads.
    pub directives: usize,
    /// Levels of nested fields.
    pub depth: usize,
    /// Levels of nested fields below `__schema` and `__type`.
    pub introspection_depth: usize,
}

impl Shape {
    fn beside(self, other: Self) -> Self {
        Self {
            breadth: self.breadth.saturating_add(other.breadth),
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            introspection_depth: self.introspection_depth.max(other.introspection_depth),
        }
    }

    fn with_directives(self, count: usize) -> Self {
        Self { directives: self.directives.saturating_add(count), ..self }
    }

    /// The same selections below `__schema` or `__type`.
    pub fn of_introspection(self) -> Self {
        Self { depth: 0, introspection_depth: self.introspection_depth.max(self.depth), ..self }
    }
}

/// Measures the selections of one document.
pub struct ShapeMeasurement<'a> {
    document: &'a ExecutableDocument,
    /// Fragments, `None` while they are being measured.
    fragments: HashMap<&'a str, Option<Shape>>,
}

impl<'a> ShapeMeasurement<'a> {
    /// Measures selections of this document.
    pub fn new(document: &'a ExecutableDocument) -> Self {
        Self { document, fragments: HashMap::new() }
    }

    /// The shape of a selection set.
    pub fn selection_set(&mut self, set: &'a SelectionSet) -> Shape {
        set.items.iter().fold(Shape::default(), |total, item| total.beside(self.selection(&item.node)))
    }

    fn selection(&mut self, selection: &'a Selection) -> Shape {
        match selection {
            Selection::Field(field) => self.field(&field.node),
            Selection::InlineFragment(fragment) => {
                let shape = self.selection_set(&fragment.node.selection_set.node);
                shape.with_directives(fragment.node.directives.len())
            }
            Selection::FragmentSpread(spread) => {
                let shape = self.fragment(spread.node.fragment_name.node.as_str());
                // A chain of spreads is as much work as a chain of fields, also when it selects nothing.
                Shape { fields: shape.fields.saturating_add(1), ..shape }.with_directives(spread.node.directives.len())
            }
        }
    }

    fn field(&mut self, field: &'a Field) -> Shape {
        let inner = self.selection_set(&field.selection_set.node);
        let shape = Shape {
            breadth: 1,
            fields: inner.fields.saturating_add(1),
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
            directives: inner.directives.saturating_add(field.directives.len()),
            depth: inner.depth.saturating_add(1),
            introspection_depth: inner.introspection_depth,
        };
        let is_introspection = field.name.node.starts_with("__");
        if is_introspection { Shape { depth: 1, ..shape.of_introspection() } } else { shape }
    }

    /// The shape of a fragment. A fragment that spreads itself is empty here: validation refuses the cycle.
    pub fn fragment(&mut self, name: &str) -> Shape {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else { return Shape::default() };
        if let Some(known) = self.fragments.get(name.as_str()) {
            return known.unwrap_or_default();
        }
        self.fragments.insert(name, None);
        let shape = self.selection_set(&fragment.node.selection_set.node);
        let shape = shape.with_directives(fragment.node.directives.len());
        self.fragments.insert(name, Some(shape));
        shape
    }
}
