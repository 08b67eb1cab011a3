//! An organization and the list of organizations.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{
    EmployeeConnection, ProjectConnection, connection,
    connection::Total,
    filter::{EmployeeFilter, ProjectFilter},
};
use crate::{
    directory,
    error::Result,
    graphql::{context::request, loaders::AskedPage, node::NodeId, page::PageArguments, scalars::DateTime, selection},
    model::page::Position,
};

/// A tenant: a company or a unit with its own people, projects and metrics.
#[derive(Clone)]
pub struct Organization(pub Arc<directory::Organization>);

/// A tenant: a company or a unit with its own employees, projects and metrics. Nothing is shared between tenants.
#[Object]
impl Organization {
    /// Opaque, unique among everything; fetch it again with `node`.
    pub async fn id(&self) -> ID {
        NodeId::Organization(self.0.key).encode()
    }

    /// The name that people read.
    async fn name(&self) -> Result<&str> {
        self.0.name().map(String::as_str)
    }

    /// The name in addresses: lower case, unique.
    async fn slug(&self) -> Result<&str> {
        self.0.slug().map(String::as_str)
    }

    /// Whether the organization is in use.
    async fn is_active(&self) -> Result<bool> {
        self.0.is_active().copied()
    }

    /// When the record was created.
    async fn created_at(&self) -> Result<DateTime> {
        self.0.created_at().copied().map(DateTime)
    }

    /// When the record was last changed.
    async fn updated_at(&self) -> Result<DateTime> {
        self.0.updated_at().copied().map(DateTime)
    }

    /// How many employees the organization has. A maintained counter: costs nothing and is never stale.
    async fn employee_count(&self) -> Result<i32> {
        self.0.employee_count().map(|count| i32::try_from(*count).unwrap_or(i32::MAX))
    }

    /// The employees, by name.
    async fn employees(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The first so many, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those that pass.")] filter: Option<EmployeeFilter>,
    ) -> Result<EmployeeConnection> {
        let request = request(context)?;
        let wanted = PageArguments { first, after, last, before }.list(filter, &request.services.limits)?;
        let fields = selection::of_connection(context.field());
        let asked = AskedPage { parent: self.0.key, list: Arc::clone(&wanted), fields };
        let page = request.loaders().organization_employees.load(asked).await?.unwrap_or_default();
        Ok(EmployeeConnection::new(page, Total::EmployeesOf(self.0.key, wanted.filter.clone())))
    }

    /// The projects, by name.
    async fn projects(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The first so many, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those that pass.")] filter: Option<ProjectFilter>,
    ) -> Result<ProjectConnection> {
        let request = request(context)?;
        let wanted = PageArguments { first, after, last, before }.list(filter, &request.services.limits)?;
        let fields = selection::of_connection(context.field());
        let asked = AskedPage { parent: self.0.key, list: Arc::clone(&wanted), fields };
        let page = request.loaders().organization_projects.load(asked).await?.unwrap_or_default();
        Ok(ProjectConnection::new(page, Total::ProjectsOf(self.0.key, wanted.filter.clone())))
    }
}

connection::connection! {
    /// A page of organizations.
    OrganizationConnection,
    /// An organization in a list.
    OrganizationEdge {},
    Organization(Arc<directory::Organization>) = |row| Organization(Arc::clone(row)),
    |row| Ok(Position { name: row.name()?.clone(), id: row.key.0 })
}
