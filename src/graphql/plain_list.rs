//! Lists without cursors: pages by number, and the deprecated short lists.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{
    context::request,
    loaders::AskedPage,
    named::NamedObjects,
    selection, sizes,
    types::{
        Employee, Organization, Project,
        employee_page::EmployeePage,
        filter::{EmployeeFilter, nested},
        order::{EmployeeOrder, order},
    },
};
use crate::{
    config::Limits,
    engine::rows::Rows,
    error::{Error, Result},
    model::page::{ListRequest, PageRequest},
};

/// Queries of lists without cursors.
#[derive(Default)]
pub struct PlainListQuery;

#[Object]
impl PlainListQuery {
    /// Lists employees by page number, for tables that jump to any page. Reading a page costs as much as reading all
    /// pages up to it: use `employees` for long lists.
    #[graphql(directive = sizes::NumberedPage::apply())]
    async fn employees_page(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Page number, counted from 1 (default 1). An error if more than 10,000 items precede the page.",
            default = 1
        )]
        page: Option<i32>,
        #[graphql(desc = "Number of employees on a page (1 to 100; default 20).")] page_size: Option<i32>,
        #[graphql(desc = "Returns only items that match this filter.")] filter: Option<EmployeeFilter>,
        #[graphql(
            desc = "Sort keys in order of priority; each field at most once. Defaults to name, ascending. Ties are \
                    broken by id."
        )]
        order_by: Option<Vec<EmployeeOrder>>,
    ) -> Result<EmployeePage> {
        let request = request(context)?;
        let page = page.unwrap_or(1);
        let page_request = numbered(page, page_size, &request.services.limits)?;
        let page_size = i32::try_from(page_request.size).unwrap_or(i32::MAX);
        let filter = match filter {
            Some(input) => Some(Arc::new(Box::pin(nested::filter(request, input)).await?)),
            None => None,
        };
        let list = ListRequest { filter, order: order(order_by)?, page: page_request };
        Ok(EmployeePage { list: list.into(), page, page_size })
    }

    /// Lists the first 100 organizations within the caller's scope, ordered by name.
    #[graphql(deprecation = "Plain list, at most 100 rows. Use `organizations`.", directive = sizes::FullPage::apply())]
    async fn all_organizations(&self, context: &Context<'_>) -> Result<Rows<Organization>> {
        let request = request(context)?;
        let fields = selection::of_object(context.field());
        let asked = AskedPage { parent: (), list: Arc::new(start(&request.services.limits)), fields };
        let page = request.loaders().organizations.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|row| Organization(Arc::clone(row))).collect())
    }

    /// Lists the first 100 employees within the caller's scope, ordered by name.
    #[graphql(deprecation = "Plain list, at most 100 rows. Use `employees`.", directive = sizes::FullPage::apply())]
    async fn all_employees(&self, context: &Context<'_>) -> Result<Rows<Employee>> {
        let request = request(context)?;
        let fields = selection::of_object(context.field());
        let asked = AskedPage { parent: (), list: Arc::new(start(&request.services.limits)), fields };
        let page = request.loaders().employees.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|row| Employee(Arc::clone(row))).collect())
    }

    /// Lists the first 100 projects within the caller's scope, ordered by name.
    #[graphql(deprecation = "Plain list, at most 100 rows. Use `projects`.", directive = sizes::FullPage::apply())]
    async fn all_projects(&self, context: &Context<'_>) -> Result<Rows<Project>> {
        let request = request(context)?;
        let fields = selection::of_object(context.field());
        let asked = AskedPage { parent: (), list: Arc::new(start(&request.services.limits)), fields };
        let page = request.loaders().projects.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|row| Project(Arc::clone(row))).collect())
    }

    /// Lists the first 100 employees of an organization, ordered by name. `NOT_FOUND` if there is no such
    /// organization.
    #[graphql(deprecation = "Plain list, at most 100 rows. Use `organization.employees`.", directive = sizes::FullPage::apply())]
    async fn employees_by_organization(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The id of the organization.")] organization_id: ID,
    ) -> Result<Rows<Employee>> {
        let request = request(context)?;
        let mut named = NamedObjects::default();
        let parent = named.organization("organizationId", &organization_id)?;
        let fields = selection::of_object(context.field());
        let asked = AskedPage { parent, list: Arc::new(start(&request.services.limits)), fields };
        let page = request.loaders().organization_employees.load(asked).await?.unwrap_or_default();
        if page.rows.is_empty() {
            // An organization with employees exists.
            named.require(request).await?;
        }
        Ok(page.rows.iter().map(|row| Employee(Arc::clone(row))).collect())
    }
}

/// A page of the maximum size, from the start.
const fn start<C, F>(limits: &Limits) -> ListRequest<C, F> {
    ListRequest { filter: None, order: Vec::new(), page: PageRequest::from_start(0, limits.page_size_max) }
}

fn numbered(page: i32, page_size: Option<i32>, limits: &Limits) -> Result<PageRequest> {
    let (size_max, offset_max) = (limits.page_size_max, limits.page_offset_max);
    let size = match page_size {
        None => limits.page_size_default,
        Some(asked) => u32::try_from(asked)
            .ok()
            .filter(|size| (1..=size_max).contains(size))
            .ok_or_else(|| Error::input("pageSize", format!("must be between 1 and {size_max}, got {asked}")))?,
    };
    let before = u64::try_from(page).ok().and_then(|page| page.checked_sub(1));
    let before = before.ok_or_else(|| Error::input("page", format!("must be at least 1, got {page}")))?;
    let skip = before * u64::from(size);
    if skip > offset_max {
        let advice = "narrow the list with a filter, or page through `employees` by cursor";
        return Err(Error::input(
            "page",
            format!("lies behind {skip} rows, at most {offset_max} can be passed: {advice}"),
        ));
    }
    Ok(PageRequest::from_start(skip, size))
}
