//! The plan of a selection for many rows: its columns, and the fields that need resolution.

use async_graphql::{
    Context, ContextBase, ContextSelectionSet, Positioned, ServerError, ServerResult, Value,
    parser::types::{Field, Selection, SelectionSet},
};
use futures_util::future::{BoxFuture, join_all, try_join_all};

use super::{Figure, Read, Row, TextRows, text};
use crate::auth::Viewer;

/// A selected field, in the order of the response.
struct SelectedField<'a, T> {
    /// The response key.
    key: &'a str,
    kind: FieldKind<'a, T>,
}

enum FieldKind<'a, T> {
    Typename,
    Column(Read<T>),
    Figure(Figure<T>),
    /// Needs resolution: its index among such fields.
    Resolved(usize, &'a Positioned<Field>),
}

struct Plan<'a, T> {
    entries: Vec<SelectedField<'a, T>>,
    resolved: usize,
}

impl<'a, T: Row> Plan<'a, T> {
    /// The plan; `None` when the selection needs something that only the library does.
    fn of(context: &ContextSelectionSet<'a>) -> Option<Self> {
        let mut plan = Self { entries: Vec::new(), resolved: 0 };
        plan.add(context, &context.item.node).then_some(plan)
    }

    fn add(&mut self, context: &ContextSelectionSet<'a>, set: &'a SelectionSet) -> bool {
        set.items.iter().all(|item| match &item.node {
            Selection::Field(field) => self.add_field(context, field),
            Selection::InlineFragment(fragment) => {
                let condition = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                !applies::<T>(context, condition) || self.add(context, &fragment.node.selection_set.node)
            }
            Selection::FragmentSpread(spread) => {
                let Some(fragment) = context.query_env.fragments.get(&spread.node.fragment_name.node) else {
                    return false;
                };
                let condition = Some(fragment.node.type_condition.node.on.node.as_str());
                !applies::<T>(context, condition) || self.add(context, &fragment.node.selection_set.node)
            }
        })
    }

    fn add_field(&mut self, context: &ContextSelectionSet<'a>, field: &'a Positioned<Field>) -> bool {
        // The library has applied `skip` and `include`; other directives are unknown here.
        if !field.node.directives.is_empty() {
            return false;
        }
        let (key, name) = (field.node.response_key().node.as_str(), field.node.name.node.as_str());
        if self.entries.iter().any(|entry| entry.key == key) {
            // `documents/merging` has made sure that this is the same column. A field that needs resolution has its key alone, or
            // the document would not be written as text.
            return true;
        }
        let kind = if name == "__typename" {
            FieldKind::Typename
        } else if let Some(read) = T::column(name) {
            FieldKind::Column(read)
        } else if let Some(figure) = T::figure(&context.with_field(field)) {
            FieldKind::Figure(figure)
        } else {
            self.resolved += 1;
            FieldKind::Resolved(self.resolved - 1, field)
        };
        self.entries.push(SelectedField { key, kind });
        true
    }
}

/// A fragment with this condition applies to objects of the type.
fn applies<T: Row>(context: &ContextSelectionSet<'_>, condition: Option<&str>) -> bool {
    let name = T::type_name();
    condition.is_none_or(|condition| {
        let interfaces = context.schema_env.registry.implements.get(name.as_ref());
        condition == name || interfaces.is_some_and(|interfaces| interfaces.contains(condition))
    })
}

/// The JSON text of each row; `None` when the selection needs something that only the library does. `places` are the
/// contexts of the rows in the response.
pub async fn write_each<T: Row>(rows: &[&T], places: &[ContextSelectionSet<'_>]) -> ServerResult<Option<Vec<String>>> {
    let Some(first) = places.first() else { return Ok(Some(Vec::new())) };
    let Some(plan) = Plan::<T>::of(first) else { return Ok(None) };
    let Some(access) = first.data_opt::<TextRows>() else { return Ok(None) };
    let further: Vec<Following<'_>> = plan
        .entries
        .iter()
        .filter_map(|entry| match entry.kind {
            FieldKind::Resolved(_, field) => Some(Box::pin(follow(rows, places, field)) as Following<'_>),
            _ => None,
        })
        .collect();
    let further = if further.is_empty() { Vec::new() } else { try_join_all(further).await? };
    let mut texts = Vec::with_capacity(rows.len());
    let mut capacity = 64;
    for (index, row) in rows.iter().enumerate() {
        let mut text = String::with_capacity(capacity);
        let write =
            write(&plan, row, &access.viewer, |place| further.get(place)?.get(index).map(String::as_str), &mut text);
        write.map_err(|fault| {
            places.get(index).map_or_else(|| refuse(first, fault.clone()), |at| refuse(at, fault.clone()))
        })?;
        capacity = text.len() + text.len() / 4;
        texts.push(text);
    }
    Ok(Some(texts))
}

fn write<'b, T: Row>(
    plan: &Plan<'_, T>,
    row: &T,
    viewer: &Viewer,
    further: impl Fn(usize) -> Option<&'b str>,
    text: &mut String,
) -> crate::error::Result<()> {
    let mut separator = '{';
    for entry in &plan.entries {
        text.push(separator);
        separator = ',';
        text.push('"');
        text.push_str(entry.key);
        text.push_str("\":");
        match &entry.kind {
            FieldKind::Typename => {
                text.push('"');
                text.push_str(&row.introspection_type_name());
                text.push('"');
            }
            FieldKind::Column(read) => read(row, viewer)?.write(text),
            FieldKind::Figure(read) => read(row).write(text),
            FieldKind::Resolved(place, _) => text.push_str(further(*place).unwrap_or("null")),
        }
    }
    text.push_str(if plan.entries.is_empty() { "{}" } else { "}" });
    Ok(())
}

// Boxed, so that waiting for them is compiled once and not once per type.
/// The texts of a field, one for each row.
type Following<'a> = BoxFuture<'a, ServerResult<Vec<String>>>;
/// The value of a field in one row.
type Resolving<'a> = BoxFuture<'a, ServerResult<Option<Value>>>;

/// The related objects of each row: written together if the type can, else resolved row by row.
async fn follow<T: Row>(
    rows: &[&T],
    places: &[ContextSelectionSet<'_>],
    field: &Positioned<Field>,
) -> ServerResult<Vec<String>> {
    let at: Vec<_> = places.iter().map(|place| place.with_field(field)).collect();
    if let Some(texts) = T::follow(rows, &at).await? {
        return Ok(texts);
    }
    let resolved = rows.iter().zip(&at).map(|(row, context)| Box::pin(row.resolve_field(context)) as Resolving<'_>);
    resolve_each(resolved.collect(), &at).await
}

async fn resolve_each(resolved: Vec<Resolving<'_>>, at: &[Context<'_>]) -> ServerResult<Vec<String>> {
    let mut texts = Vec::with_capacity(resolved.len());
    for (value, context) in join_all(resolved).await.into_iter().zip(at) {
        let value = value.map_err(|error| located(error, context))?;
        let mut text = String::new();
        text::value(&value.unwrap_or_default(), &mut text);
        texts.push(text);
    }
    Ok(texts)
}

/// The JSON text of each row, if the selection has only columns and all of them can be read. Such a text contains no error,
/// so it serves every path at which the row appears.
pub fn write_columns<T: Row>(rows: &[T], place: &ContextSelectionSet<'_>) -> Option<Vec<String>> {
    let plan = Plan::<T>::of(place).filter(|plan| plan.resolved == 0)?;
    let access = place.data_opt::<TextRows>()?;
    let write_one = |row| {
        let mut text = String::with_capacity(64);
        write(&plan, row, &access.viewer, |_| None, &mut text).ok().map(|()| text)
    };
    rows.iter().map(write_one).collect()
}

/// An error with its path. An error of a nested field has one already.
pub(super) fn located<T>(error: ServerError, place: &ContextBase<'_, T>) -> ServerError {
    if error.path.is_empty() { place.set_error_path(error) } else { error }
}

fn refuse(place: &ContextSelectionSet<'_>, fault: crate::error::Error) -> ServerError {
    let error = async_graphql::Error::from(fault).into_server_error(place.item.pos);
    place.set_error_path(error)
}
