//! Writes rows and lists of rows as JSON text, without the library's resolution field by field.
//!
//! The library resolves each field of each row with a boxed future, a hash map entry and a value: about two microseconds
//! per field. Columns of a row need no future, so their text is written at once. Relations to one object are loaded for all
//! rows together, and only the remaining fields go through the library, row by row. Responses are equal either way.

mod plan;
mod text;

use std::borrow::Cow;

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value, indexmap::IndexMap,
    parser::types::Field, registry::Registry,
};
use async_graphql_value::RAW_VALUE_TOKEN;
use futures_util::future::{BoxFuture, try_join_all};

use plan::located;
pub use plan::{write_columns, write_each};
pub use text::Scalar;
pub use text::list as write_list;
pub(super) use text::value as write_value;

use crate::{auth::Viewer, error::Result};

/// Reads a column of a row, for a caller whose role may hide its value.
pub type Read<T> = for<'a> fn(&'a T, &Viewer) -> Result<Scalar<'a>>;

/// Reads a figure of a row that depends on arguments, which are the same in all rows.
pub type Figure<T> = Box<dyn Fn(&T) -> Scalar<'static> + Send + Sync>;

/// An object most of whose fields are columns of one row: of the database, or of a report.
pub trait Row: ContainerType + Sized {
    /// The reader of a field that needs nothing but the row; `None` for all other fields.
    fn column(field: &str) -> Option<Read<Self>>;

    /// The reader of a field that needs the row and arguments; `None` for all other fields, and for arguments that are refused,
    /// which the library has to report.
    fn figure(_at: &Context<'_>) -> Option<Figure<Self>> {
        None
    }

    /// The related objects of a field, one for each row, as text; `None` when the library has to resolve them row by row.
    /// `at` holds the context of the field in each row.
    fn follow(_rows: &[&Self], _at: &[Context<'_>]) -> impl Future<Output = ServerResult<Option<Vec<String>>>> + Send {
        async { Ok(None) }
    }
}

/// Allows rows to be written as text: no values of the document have to be merged.
#[derive(Clone, Copy, Debug)]
pub struct TextRows {
    /// The caller.
    pub viewer: Viewer,
}

/// A list of rows. In the schema, a list of their type.
pub struct Rows<T>(pub Vec<T>);

impl<T> FromIterator<T> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl<T: Row> OutputType for Rows<T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if context.data_opt::<TextRows>().is_some() {
            let places: Vec<_> = (0..self.0.len()).map(|index| context.with_index(index)).collect();
            if let Some(texts) = write_each(&self.0.iter().collect::<Vec<_>>(), &places).await? {
                return Ok(raw(text::list(&texts)));
            }
        }
        let items = self.0.iter().enumerate();
        resolve_all(items.map(|(index, item)| resolve_item(item, context.with_index(index), field)).collect()).await
    }
}

/// Like the library, except for the path of an error, which there ends at the index.
fn resolve_item<'a, T: Row>(
    item: &'a T,
    place: ContextSelectionSet<'a>,
    field: &'a Positioned<Field>,
) -> BoxFuture<'a, ServerResult<Value>> {
    Box::pin(async move { item.resolve(&place, field).await.map_err(|error| located(error, &place)) })
}

/// Resolves the items of a list side by side. Boxed futures, so that it is compiled once and not once per type.
async fn resolve_all(items: Vec<BoxFuture<'_, ServerResult<Value>>>) -> ServerResult<Value> {
    try_join_all(items).await.map(Value::List)
}

/// One row. In the schema, its type.
pub struct One<T>(pub T);

impl<T: Row> OutputType for One<T> {
    fn type_name() -> Cow<'static, str> {
        <T as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <T as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <T as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if context.data_opt::<TextRows>().is_some() {
            let written = write_each(&[&self.0], std::slice::from_ref(context)).await?;
            if let Some(text) = written.and_then(|mut texts| texts.pop()) {
                return Ok(raw(text));
            }
        }
        self.0.resolve(context, field).await
    }
}

/// A value that is written without escapes.
fn raw(text: String) -> Value {
    let mut object = IndexMap::with_capacity(1);
    object.insert(Name::new(RAW_VALUE_TOKEN), Value::String(text));
    Value::Object(object)
}
