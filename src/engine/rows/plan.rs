//! How a selection is written for many rows: which fields are columns, and which lead further.

use async_graphql::{
    ContextBase, ContextSelectionSet, Positioned, ServerError, ServerResult,
    parser::types::{Field, Selection, SelectionSet},
};
use futures_util::future::{join_all, try_join_all};

use super::{Read, Row, text};
use crate::graphql::{RequestContext, context::request};

/// One field of an object, in the order of the answer.
struct Entry<'a, T> {
    /// The key in the answer.
    key: &'a str,
    kind: Kind<'a, T>,
}

enum Kind<'a, T> {
    Typename,
    Column(Read<T>),
    /// Leads further: the place among those that do.
    Further(usize, &'a Positioned<Field>),
}

struct Plan<'a, T> {
    entries: Vec<Entry<'a, T>>,
    further: usize,
}

impl<'a, T: Row> Plan<'a, T> {
    /// `None` where the selection asks for something that only the library does.
    fn of(context: &ContextSelectionSet<'a>) -> Option<Self> {
        let mut plan = Self { entries: Vec::new(), further: 0 };
        plan.add(context, &context.item.node).then_some(plan)
    }

    fn add(&mut self, context: &ContextSelectionSet<'a>, set: &'a SelectionSet) -> bool {
        set.items.iter().all(|item| match &item.node {
            Selection::Field(field) => self.add_field(field),
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

    fn add_field(&mut self, field: &'a Positioned<Field>) -> bool {
        // `skip` and `include` were applied before; nothing here knows any other directive.
        if !field.node.directives.is_empty() {
            return false;
        }
        let (key, name) = (field.node.response_key().node.as_str(), field.node.name.node.as_str());
        if self.entries.iter().any(|entry| entry.key == key) {
            // The same column again, as `documents/merging` has made sure. (A field that leads further is there once, or the
            // document would not be written as text.)
            return true;
        }
        let kind = match T::column(name) {
            _ if name == "__typename" => Kind::Typename,
            Some(read) => Kind::Column(read),
            None => {
                self.further += 1;
                Kind::Further(self.further - 1, field)
            }
        };
        self.entries.push(Entry { key, kind });
        true
    }
}

/// Whether a fragment with this condition means objects of the type.
fn applies<T: Row>(context: &ContextSelectionSet<'_>, condition: Option<&str>) -> bool {
    let name = T::type_name();
    condition.is_none_or(|condition| {
        let interfaces = context.schema_env.registry.implements.get(name.as_ref());
        condition == name || interfaces.is_some_and(|interfaces| interfaces.contains(condition))
    })
}

/// Each of the rows as JSON text, or `None` where the selection asks for something that only the library does. `places`
/// are those of the rows in the answer.
pub async fn write_each<T: Row>(rows: &[T], places: &[ContextSelectionSet<'_>]) -> ServerResult<Option<Vec<String>>> {
    let Some(first) = places.first() else { return Ok(Some(Vec::new())) };
    let Some(plan) = Plan::<T>::of(first) else { return Ok(None) };
    let request = request(first).map_err(|fault| refuse(first, fault))?;
    let further = plan.entries.iter().filter_map(|entry| match entry.kind {
        Kind::Further(_, field) => Some(follow(rows, places, field)),
        _ => None,
    });
    let further = try_join_all(further).await?;
    let mut texts = Vec::with_capacity(rows.len());
    let mut capacity = 64;
    for (index, row) in rows.iter().enumerate() {
        let mut text = String::with_capacity(capacity);
        let write = write(&plan, row, request, |place| further.get(place)?.get(index).map(String::as_str), &mut text);
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
    request: &RequestContext,
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
            Kind::Typename => {
                text.push('"');
                text.push_str(&row.introspection_type_name());
                text.push('"');
            }
            Kind::Column(read) => read(row, request)?.write(text),
            Kind::Further(place, _) => text.push_str(further(*place).unwrap_or("null")),
        }
    }
    text.push_str(if plan.entries.is_empty() { "{}" } else { "}" });
    Ok(())
}

/// What a field leads to from each row: written together where the type knows how, else resolved row by row.
async fn follow<T: Row>(
    rows: &[T],
    places: &[ContextSelectionSet<'_>],
    field: &Positioned<Field>,
) -> ServerResult<Vec<String>> {
    let at: Vec<_> = places.iter().map(|place| place.with_field(field)).collect();
    if let Some(texts) = T::follow(rows, &at).await? {
        return Ok(texts);
    }
    let resolved = rows
        .iter()
        .zip(&at)
        .map(async |(row, context)| row.resolve_field(context).await.map_err(|error| located(error, context)));
    let mut texts = Vec::with_capacity(rows.len());
    for value in join_all(resolved).await {
        let mut text = String::new();
        text::value(&value?.unwrap_or_default(), &mut text);
        texts.push(text);
    }
    Ok(texts)
}

/// Each of the rows as JSON text, where the selection asks for nothing but columns and all of them can be read: then no
/// error can be inside, and one text serves every place that the row stands in.
pub fn write_columns<T: Row>(rows: &[T], place: &ContextSelectionSet<'_>) -> Option<Vec<String>> {
    let plan = Plan::<T>::of(place).filter(|plan| plan.further == 0)?;
    let request = request(place).ok()?;
    let write_one = |row| {
        let mut text = String::with_capacity(64);
        write(&plan, row, request, |_| None, &mut text).ok().map(|()| text)
    };
    rows.iter().map(write_one).collect()
}

/// An error with its path; one that comes from further down has it already.
pub(super) fn located<T>(error: ServerError, place: &ContextBase<'_, T>) -> ServerError {
    if error.path.is_empty() { place.set_error_path(error) } else { error }
}

fn refuse(place: &ContextSelectionSet<'_>, fault: crate::error::Error) -> ServerError {
    let error = async_graphql::Error::from(fault).into_server_error(place.item.pos);
    place.set_error_path(error)
}
