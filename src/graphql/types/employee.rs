//! An employee and the list of employees.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, ServerResult};

use super::{
    Organization, ProjectConnection, connection,
    connection::Total,
    filter::ProjectFilter,
    order::{ProjectOrder, order},
    organization,
};
use crate::{
    directory,
    engine::rows::{Read, Row, Scalar},
    error::Result,
    graphql::{
        context::{RequestContext, request},
        loaders::Asked,
        node::NodeId,
        page::{self, PageArguments},
        scalars::DateTime,
        selection,
    },
    model::Role,
};

/// A person of an organization.
#[derive(Clone)]
pub struct Employee(pub Arc<directory::Employee>);

/// A person of an organization, who works on projects and so owns their endpoints.
#[Object]
impl Employee {
    /// Opaque, unique among everything; fetch it again with `node`.
    pub async fn id(&self) -> ID {
        NodeId::Employee(self.0.key).encode()
    }

    /// The full name.
    async fn name(&self) -> Result<&str> {
        self.0.name().map(String::as_str)
    }

    /// The e-mail address, unique in the organization.
    async fn email(&self) -> Result<&str> {
        self.0.email().map(String::as_str)
    }

    /// The department, as free text.
    async fn department(&self) -> Result<&str> {
        self.0.department().map(String::as_str)
    }

    /// Whether the person still works there.
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

    /// The yearly salary in the organization's currency; null when unknown, and for callers below administrator.
    async fn salary(&self, context: &Context<'_>) -> Option<Result<f64>> {
        request(context).and_then(|request| self.salary_for(request)).transpose()
    }

    /// The organization that the person belongs to.
    async fn organization(&self, context: &Context<'_>) -> Option<Result<Organization>> {
        async {
            let asked = Asked { id: self.0.key.organization, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().organization.load(asked).await?.map(Organization))
        }
        .await
        .transpose()
    }

    /// The projects that the person works on, by name.
    async fn projects(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The first so many, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those that pass.")] filter: Option<ProjectFilter>,
        #[graphql(desc = "By what, in turn; by name when left out. Equals stand by their ids.")] order_by: Option<
            Vec<ProjectOrder>,
        >,
    ) -> Result<ProjectConnection> {
        let arguments = PageArguments { first, after, last, before };
        let wanted = arguments.list(filter, order(order_by)?, &request(context)?.services.limits)?;
        let page = page::load(context, |loaders| &loaders.employee_projects, self.0.key, &wanted).await?;
        let total = Total::ProjectsOfEmployee(self.0.key, wanted.filter.clone());
        Ok(ProjectConnection::new(page, wanted, total))
    }
}

impl Row for Employee {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "id" => |one, _| Ok(Scalar::Id(NodeId::Employee(one.0.key))),
            "name" => |one, _| one.0.name().map(|name| Scalar::Text(name)),
            "email" => |one, _| one.0.email().map(|email| Scalar::Text(email)),
            "department" => |one, _| one.0.department().map(|department| Scalar::Text(department)),
            "isActive" => |one, _| one.0.is_active().copied().map(Scalar::Flag),
            "createdAt" => |one, _| one.0.created_at().copied().map(Scalar::Time),
            "updatedAt" => |one, _| one.0.updated_at().copied().map(Scalar::Time),
            "salary" => {
                |one, request| one.salary_for(request).map(|salary| salary.map_or(Scalar::Null, Scalar::Number))
            }
            _ => return None,
        })
    }

    async fn follow(rows: &[Self], at: &[Context<'_>]) -> ServerResult<Option<Vec<String>>> {
        match at.first().map(|place| place.item.node.name.node.as_str()) {
            Some("organization") => {
                organization::write_of_rows(rows.iter().map(|row| row.0.key.organization), at).await
            }
            _ => Ok(None),
        }
    }
}

impl Employee {
    /// Hidden from roles below administrator.
    fn salary_for(&self, request: &RequestContext) -> Result<Option<f64>> {
        if request.viewer.role() < Role::Admin {
            return Ok(None);
        }
        self.0.salary().copied()
    }
}

connection::connection! {
    /// A page of employees.
    EmployeeConnection,
    /// An employee in a list.
    EmployeeEdge {},
    Employee(Arc<directory::Employee>) = |row| Employee(Arc::clone(row)),
    Employee = |row| row
}
