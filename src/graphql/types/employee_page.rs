//! A page of employees by its number, for tables that jump to any page.

use std::sync::Arc;

use async_graphql::{Context, Description, Object};

use super::Employee;
use crate::{
    directory::{self, ListOf},
    engine::rows::Rows,
    error::Result,
    graphql::{
        context::request,
        loaders::{AskedCount, AskedPage},
        scalars::Long,
        selection,
    },
};

/// A page of employees, addressed by number.
#[derive(Description)]
pub struct EmployeePage {
    /// The list and the requested page.
    pub list: Arc<ListOf<directory::Employee>>,
    /// The number of the page.
    pub page: i32,
    /// The size of a page.
    pub page_size: i32,
}

impl EmployeePage {
    async fn count(&self, context: &Context<'_>) -> Result<u64> {
        let asked = AskedCount { parent: (), filter: self.list.filter.clone() };
        Ok(request(context)?.loaders().employee_count.load(asked).await?.unwrap_or(0))
    }

    async fn pages_counted(&self, context: &Context<'_>) -> Result<i32> {
        let size = u64::from(self.list.page.size).max(1);
        Ok(i32::try_from(self.count(context).await?.div_ceil(size)).unwrap_or(i32::MAX))
    }

    async fn rows(&self, context: &Context<'_>) -> Result<Rows<Employee>> {
        let fields = selection::of_object(context.field());
        let asked = AskedPage { parent: (), list: Arc::clone(&self.list), fields };
        let page = request(context)?.loaders().employees.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|row| Employee(Arc::clone(row))).collect())
    }
}

#[Object(use_type_description)]
impl EmployeePage {
    /// The employees on this page. Empty after the last page.
    async fn nodes(&self, context: &Context<'_>) -> Result<Rows<Employee>> {
        self.rows(context).await
    }

    /// The former name of `nodes`.
    #[graphql(deprecation = "Use `nodes`.")]
    async fn items(&self, context: &Context<'_>) -> Result<Rows<Employee>> {
        self.rows(context).await
    }

    /// Number of employees on all pages. Counted only if selected.
    async fn total_count(&self, context: &Context<'_>) -> Result<Long> {
        Ok(self.count(context).await?.into())
    }

    /// The former name of `totalCount`.
    #[graphql(deprecation = "Use `totalCount`.")]
    async fn total(&self, context: &Context<'_>) -> Result<Long> {
        Ok(self.count(context).await?.into())
    }

    /// Number of this page, counted from 1.
    async fn page(&self) -> i32 {
        self.page
    }

    /// Maximum number of employees on a page.
    async fn page_size(&self) -> i32 {
        self.page_size
    }

    /// Number of pages. Counted only if selected.
    async fn page_count(&self, context: &Context<'_>) -> Result<i32> {
        self.pages_counted(context).await
    }

    /// The former name of `pageCount`.
    #[graphql(deprecation = "Use `pageCount`.")]
    async fn pages(&self, context: &Context<'_>) -> Result<i32> {
        self.pages_counted(context).await
    }
}
