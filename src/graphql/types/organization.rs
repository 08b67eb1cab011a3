//! An organization and the list of organizations.

use std::sync::Arc;

use async_graphql::{Context, Description, ID, Object, ServerResult};

use super::{
    EmployeeConnection, ProjectConnection, connection,
    connection::Total,
    employee_stats::{self, EmployeeAggregate},
    filter::{EmployeeFilter, ProjectFilter, nested},
    order::{EmployeeOrder, ProjectOrder, order},
    related,
    reports::Reports,
};
use crate::{
    directory::{self, filter::EmployeeCondition},
    engine::rows::{One, Read, Row, Scalar},
    error::{Error, Result},
    graphql::{
        context::request,
        loaders::{AskedCount, AskedEmployeeStats, AskedRow},
        node::NodeId,
        page::{self, PageArguments},
        scalars::DateTime,
        selection, sizes, version,
    },
    model::{OrganizationId, filter::Filter},
    reports::Parent,
};

/// A tenant with its own employees, projects and measurements. Nothing is shared between organizations.
#[derive(Clone, Description)]
pub struct Organization(pub Arc<directory::Organization>);

#[Object(use_type_description)]
impl Organization {
    /// Global id, opaque. Pass it to `node` to fetch the object again.
    pub async fn id(&self) -> ID {
        NodeId::Organization(self.0.key).encode()
    }

    /// Display name.
    async fn name(&self) -> Result<&str> {
        self.0.name().map(String::as_str)
    }

    /// Name for use in URLs: lower case, unique.
    async fn slug(&self) -> Result<&str> {
        self.0.slug().map(String::as_str)
    }

    /// True if the organization is in use. A label for clients: false restricts nothing.
    async fn is_active(&self) -> Result<bool> {
        self.0.is_active().copied()
    }

    /// True for the organization in which the server records its own requests. Reports and streams leave out its
    /// measurements, unless the filter names the organization, a project or a release of it, or the report is a field
    /// of one of them.
    async fn is_internal(&self, context: &Context<'_>) -> Result<bool> {
        Ok(self.0.key == request(context)?.services.database.own_organization())
    }

    /// Time at which the record was created.
    async fn created_at(&self) -> Result<DateTime> {
        self.0.created_at().copied().map(DateTime)
    }

    /// Time at which the record was last changed. Not affected by changes of `employeeCount`. Pass it as `ifUpdatedAt`
    /// for an optimistic lock.
    async fn updated_at(&self) -> Result<DateTime> {
        self.0.updated_at().copied().map(DateTime)
    }

    /// Opaque version of the record, another one after each change. Pass it as `ifVersion` for an optimistic lock.
    async fn version(&self) -> Result<String> {
        self.0.updated_at().copied().map(version::encode)
    }

    /// Number of all employees, active or not. Always current.
    async fn employee_count(&self) -> Result<i32> {
        self.0.employee_count().map(|count| i32::try_from(*count).unwrap_or(i32::MAX))
    }

    /// Number of the employees who are active. Always current. Counted in an index, in one statement for all organizations
    /// of the request.
    async fn active_employee_count(&self, context: &Context<'_>) -> Result<i32> {
        let active = Filter::Is(EmployeeCondition::IsActive(true));
        let asked = AskedCount { parent: self.0.key, filter: Some(Arc::new(active)) };
        let count = request(context)?.loaders().organization_employee_count.load(asked).await?;
        Ok(i32::try_from(count.unwrap_or(0)).unwrap_or(i32::MAX))
    }

    /// The employees of the organization, ordered by name by default.
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
        let page = page::load(context, |loaders| &loaders.organization_employees, self.0.key, &wanted).await?;
        let total = Total::EmployeesOf(self.0.key, wanted.filter.clone());
        Ok(EmployeeConnection::new(page, wanted, total))
    }

    /// The projects of the organization, ordered by name by default.
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
        let page = page::load(context, |loaders| &loaders.organization_projects, self.0.key, &wanted).await?;
        let total = Total::ProjectsOf(self.0.key, wanted.filter.clone());
        Ok(ProjectConnection::new(page, wanted, total))
    }

    /// Aggregate statistics of the organization's employees that match the filter.
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
        let asked = AskedEmployeeStats { parent: self.0.key, filter, fields: employee_stats::wants(context.field()) };
        let found = request.loaders().organization_employee_stats.load(asked).await?;
        found.map(EmployeeAggregate).map(One).ok_or_else(|| Error::internal("the statistics left out an organization"))
    }

    #[graphql(flatten)]
    async fn reports(&self) -> Reports {
        Reports(Parent::Organization(self.0.key))
    }
}

impl Row for Organization {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "id" => |one, _| Ok(Scalar::Owned(NodeId::Organization(one.0.key).encode().0)),
            "name" => |one, _| one.0.name().map(|name| Scalar::Text(name)),
            "slug" => |one, _| one.0.slug().map(|slug| Scalar::Text(slug)),
            "isActive" => |one, _| one.0.is_active().copied().map(Scalar::Flag),
            "employeeCount" => |one, _| one.0.employee_count().copied().map(Scalar::Whole),
            "createdAt" => |one, _| one.0.created_at().copied().map(Scalar::Time),
            "updatedAt" => |one, _| one.0.updated_at().copied().map(Scalar::Time),
            "version" => |one, _| one.0.updated_at().map(|at| Scalar::Owned(version::encode(*at))),
            _ => return None,
        })
    }
}

/// The organizations of rows as text. `None` if the library has to resolve them.
pub(super) async fn write_of_rows(
    ids: impl Iterator<Item = OrganizationId>,
    at: &[Context<'_>],
) -> ServerResult<Option<Vec<String>>> {
    let Some(first) = at.first() else { return Ok(Some(Vec::new())) };
    let Ok(request) = request(first) else { return Ok(None) };
    let (loaders, fields) = (&request.loaders(), selection::of_object(first.field()));
    let load = async |id| Ok(loaders.organization.load(AskedRow { id, fields }).await?.map(Organization));
    related::write_of_rows(ids, at, load).await
}

connection::connection! {
    /// A page of organizations.
    OrganizationConnection,
    /// An organization in a list, with its cursor.
    OrganizationEdge {},
    Organization(Arc<directory::Organization>) = |row| Organization(Arc::clone(row)),
    Organization = |row| row
}
