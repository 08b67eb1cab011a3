//! Lists without cursors: pages by number, and the short lists that older clients know.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{
    context::request,
    loaders::AskedPage,
    node::NodeId,
    selection,
    types::{
        Employee, Organization,
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

/// Questions for lists without cursors.
#[derive(Default)]
pub struct PlainListQuery;

#[Object]
impl PlainListQuery {
    /// One page of the employees that the caller sees, by number: for small tables and grids. The rows before it are
    /// passed over one by one, so pages far behind are refused; `employees` goes on from anywhere at the same price.
    async fn employees_page(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number of the page, from 1.", default = 1)] page: Option<i32>,
        #[graphql(desc = "How many employees a page has, at most 100; 20 when left out.")] page_size: Option<i32>,
        #[graphql(desc = "Only those that pass.")] filter: Option<EmployeeFilter>,
        #[graphql(desc = "By what, in turn; by name when left out. Equals stand by their ids.")] order_by: Option<
            Vec<EmployeeOrder>,
        >,
    ) -> Result<EmployeePage> {
        let limits = &request(context)?.services.limits;
        let page = page.unwrap_or(1);
        let page_request = numbered(page, page_size, limits)?;
        let page_size = i32::try_from(page_request.size).unwrap_or(i32::MAX);
        let filter = filter.map(|input| nested::filter(input, limits)).transpose()?.map(Arc::new);
        let list = ListRequest { filter, order: order(order_by)?, page: page_request };
        Ok(EmployeePage { list: list.into(), page, page_size })
    }

    /// The first organizations that the caller sees, by name.
    #[graphql(deprecation = "Plain list, at most 100 rows. Use `organizations`.")]
    async fn all_organizations(&self, context: &Context<'_>) -> Result<Rows<Organization>> {
        let request = request(context)?;
        let fields = selection::of_object(context.field());
        let asked = AskedPage { parent: (), list: Arc::new(start(&request.services.limits)), fields };
        let page = request.loaders().organizations.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|row| Organization(Arc::clone(row))).collect())
    }

    /// The first employees that the caller sees, by name.
    #[graphql(deprecation = "Plain list, at most 100 rows. Use `employees`.")]
    async fn all_employees(&self, context: &Context<'_>) -> Result<Rows<Employee>> {
        let request = request(context)?;
        let fields = selection::of_object(context.field());
        let asked = AskedPage { parent: (), list: Arc::new(start(&request.services.limits)), fields };
        let page = request.loaders().employees.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|row| Employee(Arc::clone(row))).collect())
    }

    /// The first employees of an organization, by name; none when there is no such organization.
    #[graphql(deprecation = "Plain list, at most 100 rows. Use `organization.employees`.")]
    async fn employees_by_organization(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The organization's id.")] organization_id: ID,
    ) -> Result<Rows<Employee>> {
        let Some(parent) = NodeId::organization(&organization_id) else { return Ok(Rows(Vec::new())) };
        let request = request(context)?;
        let fields = selection::of_object(context.field());
        let asked = AskedPage { parent, list: Arc::new(start(&request.services.limits)), fields };
        let page = request.loaders().organization_employees.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|row| Employee(Arc::clone(row))).collect())
    }
}

/// The largest page, from the start.
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
