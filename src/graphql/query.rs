//! The queries: they decode arguments and call rooms and loaders.
//!
//! A nullable field returns `Option<Result<_>>`, here and in `types`: a failure sets only this field to null. With
//! `Result<Option<_>>` the library would set its parent to null.

use std::sync::Arc;

use async_graphql::{Context, ID, MergedObject, Object};

use super::{
    context::request,
    loaders::{AskedEmployeeStats, AskedRow},
    named::{self, Name, NameFields},
    node::NodeId,
    page::{self, PageArguments},
    plain_list::PlainListQuery,
    release_query::ReleaseQuery,
    selection, sizes,
    types::{
        Employee, EmployeeConnection, Metric, Node, Organization, OrganizationConnection, Project, ProjectConnection,
        Release,
        connection::Total,
        employee_stats::{self, EmployeeAggregate},
        filter::{EmployeeFilter, OrganizationFilter, ProjectFilter, nested},
        metric_type::MetricTypeQuery,
        order::{EmployeeOrder, ProjectOrder, order},
        reports::Reports,
        viewer::Viewer,
    },
};
use crate::{
    engine::rows::One,
    error::{Error, Result},
};

/// Entry points for reading data. The caller's scope is the organizations that the caller can access; nothing outside
/// of it can be read.
#[derive(Default, MergedObject)]
pub struct Query(DirectoryQuery, PlainListQuery, Reports, ReleaseQuery, MetricTypeQuery);

/// Queries of organizations, employees and projects.
#[derive(Default)]
pub struct DirectoryQuery;

#[Object]
impl DirectoryQuery {
    /// Looks up any object by its global id. Null if there is no such object within the caller's scope. An error if `id`
    /// is not the id of any object.
    async fn node(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "A global id, exactly as an `id` field returned it.")] id: ID,
    ) -> Option<Result<Node>> {
        node(context, "id", &id).await.transpose()
    }

    /// Looks up several objects by their global ids, in the order of `ids`. Null for each id without an object within
    /// the caller's scope, and with an error of its own for each text that is not an id. More than 100 ids are an error.
    #[graphql(directive = sizes::Sliced::apply("ids"))]
    async fn nodes(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Global ids, exactly as `id` fields returned them. At most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Result<Node>>>> {
        let limit = usize::try_from(request(context)?.services.limits.page_size_max).unwrap_or(usize::MAX);
        if ids.len() > limit {
            return Err(Error::input("ids", format!("at most {limit} at once, got {}", ids.len())));
        }
        let load = async |(index, id): (usize, &ID)| node(context, &format!("ids.{index}"), id).await.transpose();
        Ok(futures_util::future::join_all(ids.iter().enumerate().map(load)).await)
    }

    /// The authenticated caller. Null only if reading it failed.
    async fn viewer(&self, context: &Context<'_>) -> Option<Result<Viewer>> {
        Some(request(context).map(|request| Viewer(request.viewer)))
    }

    /// Looks up an organization by id or by slug. Null if there is no such organization within the caller's scope.
    /// Giving both arguments, or neither, is an error, and so is an id of another type.
    async fn organization(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The id of the organization.")] id: Option<ID>,
        #[graphql(desc = "The slug of the organization.")] slug: Option<String>,
    ) -> Option<Result<One<Organization>>> {
        async {
            let request = request(context)?;
            let fields = selection::of_object(context.field());
            match NameFields::WANTED_ORGANIZATION.given(id, slug)? {
                Name::Id(id) => {
                    let id = NodeId::organization(&id).map_err(|error| error.in_field("id"))?;
                    let row = request.load_at_top(|loaders| &loaders.organization, AskedRow { id, fields }).await?;
                    Ok(row.map(Organization).map(One))
                }
                Name::Slug(slug) => {
                    // PostgreSQL cannot store NUL in text, so no slug contains it.
                    if slug.contains('\0') {
                        return Ok(None);
                    }
                    let row = request
                        .load_at_top(|loaders| &loaders.organization_by_slug, AskedRow { id: slug, fields })
                        .await?;
                    Ok(row.map(Organization).map(One))
                }
            }
        }
        .await
        .transpose()
    }

    /// Lists the organizations within the caller's scope, ordered by name.
    #[graphql(directive = sizes::Connection::apply())]
    async fn organizations(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Returns at most this many items from the start of the list (1 to 100; default 20). Not allowed \
                    with `last` or `before`."
        )]
        first: Option<i32>,
        #[graphql(
            desc = "Returns only items after this cursor. Take it from a page of the same list with the same order \
                    and filter. A cursor of another list or order is an error."
        )]
        after: Option<String>,
        #[graphql(
            desc = "Returns at most this many items from the end of the list (1 to 100; default 20). Not allowed with \
                    `first` or `after`."
        )]
        last: Option<i32>,
        #[graphql(
            desc = "Returns only items before this cursor. Take it from a page of the same list with the same order \
                    and filter. A cursor of another list or order is an error."
        )]
        before: Option<String>,
        #[graphql(desc = "Returns only items that match this filter.")] filter: Option<OrganizationFilter>,
    ) -> Result<OrganizationConnection> {
        let arguments = PageArguments { first, after, last, before };
        let wanted = arguments.list(request(context)?, filter, Vec::new()).await?;
        let page = page::load(context, |loaders| &loaders.organizations, (), &wanted).await?;
        let total = Total::Organizations(wanted.filter.clone());
        Ok(OrganizationConnection::new(page, wanted, total))
    }

    /// Looks up an employee by id. Null if there is no such employee within the caller's scope. An error
    /// if `id` is not the id of an employee.
    async fn employee(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The id of the employee.")] id: ID,
    ) -> Option<Result<One<Employee>>> {
        async {
            let id = NodeId::employee(&id).map_err(|error| error.in_field("id"))?;
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.load_at_top(|loaders| &loaders.employee, asked).await?.map(Employee).map(One))
        }
        .await
        .transpose()
    }

    /// Lists the employees within the caller's scope, ordered by name by default.
    #[graphql(directive = sizes::Connection::apply())]
    async fn employees(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Returns at most this many items from the start of the list (1 to 100; default 20). Not allowed \
                    with `last` or `before`."
        )]
        first: Option<i32>,
        #[graphql(
            desc = "Returns only items after this cursor. Take it from a page of the same list with the same order \
                    and filter. A cursor of another list or order is an error."
        )]
        after: Option<String>,
        #[graphql(
            desc = "Returns at most this many items from the end of the list (1 to 100; default 20). Not allowed with \
                    `first` or `after`."
        )]
        last: Option<i32>,
        #[graphql(
            desc = "Returns only items before this cursor. Take it from a page of the same list with the same order \
                    and filter. A cursor of another list or order is an error."
        )]
        before: Option<String>,
        #[graphql(desc = "Returns only items that match this filter.")] filter: Option<EmployeeFilter>,
        #[graphql(
            desc = "Sort keys in order of priority; each field at most once. Defaults to name, ascending. Ties are \
                    broken by id."
        )]
        order_by: Option<Vec<EmployeeOrder>>,
    ) -> Result<EmployeeConnection> {
        let arguments = PageArguments { first, after, last, before };
        let wanted = arguments.list(request(context)?, filter, order(order_by)?).await?;
        let page = page::load(context, |loaders| &loaders.employees, (), &wanted).await?;
        let total = Total::Employees(wanted.filter.clone());
        Ok(EmployeeConnection::new(page, wanted, total))
    }

    /// Aggregate statistics of the employees within the caller's scope that match the filter.
    async fn employee_stats(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The employees to aggregate. Defaults to all.")] filter: Option<EmployeeFilter>,
    ) -> Result<One<EmployeeAggregate>> {
        let request = request(context)?;
        let filter = match filter {
            Some(input) => Some(Arc::new(Box::pin(nested::filter(request, input)).await?)),
            None => None,
        };
        let asked = AskedEmployeeStats { parent: (), filter, fields: employee_stats::wants(context.field()) };
        let found = request.load_at_top(|loaders| &loaders.employee_stats, asked).await?;
        found.map(EmployeeAggregate).map(One).ok_or_else(|| Error::internal("the report left out its only parent"))
    }

    /// Looks up a project by id or by slugs. Null if there is no such project within the caller's scope. An error if `id` is
    /// not the id of a project. Giving both arguments, or neither, is an error.
    async fn project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The id of the project.")] id: Option<ID>,
        #[graphql(desc = "The slugs of the project and its organization, such as `acme/web-shop`.")] slug: Option<
            String,
        >,
    ) -> Option<Result<One<Project>>> {
        async {
            let request = request(context)?;
            let fields = selection::of_object(context.field());
            let row = match NameFields::WANTED_PROJECT.given(id, slug)? {
                Name::Id(id) => {
                    let id = NodeId::project(&id).map_err(|error| error.in_field("id"))?;
                    request.load_at_top(|loaders| &loaders.project, AskedRow { id, fields }).await?
                }
                Name::Slug(slug) => {
                    let id = named::slug(&slug, "slug")?;
                    request.load_at_top(|loaders| &loaders.project_by_slug, AskedRow { id, fields }).await?
                }
            };
            Ok(row.map(Project).map(One))
        }
        .await
        .transpose()
    }

    /// Lists the projects within the caller's scope, ordered by name by default.
    #[graphql(directive = sizes::Connection::apply())]
    async fn projects(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Returns at most this many items from the start of the list (1 to 100; default 20). Not allowed \
                    with `last` or `before`."
        )]
        first: Option<i32>,
        #[graphql(
            desc = "Returns only items after this cursor. Take it from a page of the same list with the same order \
                    and filter. A cursor of another list or order is an error."
        )]
        after: Option<String>,
        #[graphql(
            desc = "Returns at most this many items from the end of the list (1 to 100; default 20). Not allowed with \
                    `first` or `after`."
        )]
        last: Option<i32>,
        #[graphql(
            desc = "Returns only items before this cursor. Take it from a page of the same list with the same order \
                    and filter. A cursor of another list or order is an error."
        )]
        before: Option<String>,
        #[graphql(desc = "Returns only items that match this filter.")] filter: Option<ProjectFilter>,
        #[graphql(
            desc = "Sort keys in order of priority; each field at most once. Defaults to name, ascending. Ties are \
                    broken by id."
        )]
        order_by: Option<Vec<ProjectOrder>>,
    ) -> Result<ProjectConnection> {
        let arguments = PageArguments { first, after, last, before };
        let wanted = arguments.list(request(context)?, filter, order(order_by)?).await?;
        let page = page::load(context, |loaders| &loaders.projects, (), &wanted).await?;
        let total = Total::Projects(wanted.filter.clone());
        Ok(ProjectConnection::new(page, wanted, total))
    }
}

async fn node(context: &Context<'_>, field: &str, id: &ID) -> Result<Option<Node>> {
    let loaders = request(context)?.loaders();
    // A selection on an interface may contain fields of several types: each type reads those that it has.
    Ok(match NodeId::decode(id).map_err(|error| error.in_field(field))? {
        NodeId::Organization(id) => {
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            loaders.organization.load(asked).await?.map(|row| Node::Organization(Organization(row)))
        }
        NodeId::Employee(id) => {
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            loaders.employee.load(asked).await?.map(|row| Node::Employee(Employee(row)))
        }
        NodeId::Project(id) => {
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            loaders.project.load(asked).await?.map(|row| Node::Project(Project(row)))
        }
        NodeId::Release(id) => {
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            loaders.release.load(asked).await?.map(|row| Node::Release(Release(row)))
        }
        NodeId::Metric(key) => {
            let metric = |measurement| Metric { id: key.id, project: key.project, measurement };
            loaders.metric.load(key).await?.map(metric).map(Node::Metric)
        }
    })
}
