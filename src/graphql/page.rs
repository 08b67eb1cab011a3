//! Relay pagination: converts the arguments of a connection to a list request and loads its page.

use std::{fmt::Debug, hash::Hash, sync::Arc};

use async_graphql::Context;

use super::{
    context::{RequestContext, request},
    loaders::{AskedPage, ByParent, Loaders},
    selection::{self, FieldSet},
    types::filter::nested::{self, Conditions},
};
use crate::{
    config::Limits,
    directory::{
        cursor,
        filter::Condition,
        order::{OrderField, keys},
    },
    error::Result,
    model::{
        order::OrderBy,
        page::{ListRequest, Page, PageRequest},
    },
};

/// The pagination arguments of every connection.
#[derive(Clone, Debug, Default)]
pub struct PageArguments {
    /// Maximum number of items from the start of the list.
    pub first: Option<i32>,
    /// Cursor after which the page starts.
    pub after: Option<String>,
    /// Maximum number of items from the end of the list.
    pub last: Option<i32>,
    /// Cursor before which the page ends.
    pub before: Option<String>,
}

impl PageArguments {
    /// The list request for a filter and an order.
    ///
    /// # Errors
    /// [`Error::Input`](crate::error::Error::Input) with the argument that exceeds its bounds, contradicts another or is not
    /// a cursor of such a list, [`Error::NotFound`](crate::error::Error::NotFound) for an unknown id in the filter.
    pub async fn list<I: Conditions, F: OrderField>(
        self,
        request: &RequestContext,
        filter: Option<I>,
        order: Vec<OrderBy<F>>,
    ) -> Result<Arc<ListRequest<I::Condition, F>>> {
        let page = self.request(&order, &request.services.limits)?;
        let filter = match filter {
            // Boxed: this future is a part of those of all lists, which are moved as they begin.
            Some(input) => Some(Arc::new(Box::pin(nested::filter(request, input)).await?)),
            None => None,
        };
        Ok(Arc::new(ListRequest { filter, order, page }))
    }

    /// The page request for an order. It does not depend on the filter.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn request<F: OrderField>(self, order: &[OrderBy<F>], limits: &Limits) -> Result<PageRequest> {
        let after = self.after.map(|cursor| cursor::decode("after", &cursor, order)).transpose()?;
        let before = self.before.map(|cursor| cursor::decode("before", &cursor, order)).transpose()?;
        Ok(PageRequest::from_arguments(
            (self.first, after),
            (self.last, before),
            limits.page_size_default,
            limits.page_size_max,
        )?)
    }
}

/// Loads the page of a connection with the columns that are selected. Loads nothing if only the total is selected.
///
/// # Errors
/// The database fails, or the caller's role does not permit the filter or the order.
pub async fn load<Parent, C, F, Row>(
    context: &Context<'_>,
    loader: impl Fn(&Loaders) -> &ByParent<Parent, C, F, Row>,
    parent: Parent,
    list: &Arc<ListRequest<C, F>>,
) -> Result<Arc<Page<Row>>>
where
    Parent: Copy + Debug + Eq + Hash + Send + Sync + 'static,
    C: Condition + Clone + Debug + Eq + Hash,
    F: OrderField,
    F::Fields: FieldSet + Debug + Eq + Hash + Send + Sync,
    Row: Send + Sync + 'static,
{
    let position = keys(&list.order).iter().fold(F::Fields::default(), |fields, key| fields | key.field.fields());
    let Some(fields) = selection::of_connection(context.field(), position) else { return Ok(Arc::default()) };
    let asked = AskedPage { parent, list: Arc::clone(list), fields };
    Ok(loader(&request(context)?.loaders()).load(asked).await?.unwrap_or_default())
}
