//! An employee and the list of employees.

use std::sync::Arc;

use async_graphql::{Context, Description, ID, Object, ServerResult};

use super::{
    Organization, ProjectConnection, connection,
    connection::Total,
    filter::ProjectFilter,
    order::{ProjectOrder, order},
    organization,
};
use crate::{
    auth::Viewer,
    directory,
    engine::rows::{Read, Row, Scalar},
    error::Result,
    graphql::{
        context::request,
        loaders::AskedRow,
        node::NodeId,
        page::{self, PageArguments},
        scalars::DateTime,
        selection, sizes, version,
    },
    model::Role,
};

/// A person who belongs to an organization and works on its projects.
#[derive(Clone, Description)]
pub struct Employee(pub Arc<directory::Employee>);

#[Object(use_type_description)]
impl Employee {
    /// Global id, opaque. Pass it to `node` to fetch the object again.
    pub async fn id(&self) -> ID {
        NodeId::Employee(self.0.key).encode()
    }

    /// Full name of the person.
    async fn name(&self) -> Result<&str> {
        self.0.name().map(String::as_str)
    }

    /// E-mail address in lower case, unique within the organization.
    async fn email(&self) -> Result<&str> {
        self.0.email().map(String::as_str)
    }

    /// Department, as free text.
    async fn department(&self) -> Result<&str> {
        self.0.department().map(String::as_str)
    }

    /// True if the person still works for the organization.
    async fn is_active(&self) -> Result<bool> {
        self.0.is_active().copied()
    }

    /// Time at which the record was created.
    async fn created_at(&self) -> Result<DateTime> {
        self.0.created_at().copied().map(DateTime)
    }

    /// Time at which the record was last changed. Pass it as `ifUpdatedAt` for an optimistic lock.
    async fn updated_at(&self) -> Result<DateTime> {
        self.0.updated_at().copied().map(DateTime)
    }

    /// Opaque version of the record, another one after each change. Pass it as `ifVersion` for an optimistic lock.
    async fn version(&self) -> Result<String> {
        self.0.updated_at().copied().map(version::encode)
    }

    /// Yearly salary in the currency of the organization. Null if unknown, and for callers below the role `ADMIN`.
    async fn salary(&self, context: &Context<'_>) -> Option<Result<f64>> {
        request(context).and_then(|request| self.salary_for(&request.viewer)).transpose()
    }

    /// The organization of the employee. Null only if reading it failed.
    async fn organization(&self, context: &Context<'_>) -> Option<Result<Organization>> {
        async {
            let asked = AskedRow { id: self.0.key.organization, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().organization.load(asked).await?.map(Organization))
        }
        .await
        .transpose()
    }

    /// The projects that the employee is a member of, ordered by name by default.
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
        let page = page::load(context, |loaders| &loaders.employee_projects, self.0.key, &wanted).await?;
        let total = Total::ProjectsOfEmployee(self.0.key, wanted.filter.clone());
        Ok(ProjectConnection::new(page, wanted, total))
    }
}

impl Row for Employee {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "id" => |one, _| Ok(Scalar::Owned(NodeId::Employee(one.0.key).encode().0)),
            "name" => |one, _| one.0.name().map(|name| Scalar::Text(name)),
            "email" => |one, _| one.0.email().map(|email| Scalar::Text(email)),
            "department" => |one, _| one.0.department().map(|department| Scalar::Text(department)),
            "isActive" => |one, _| one.0.is_active().copied().map(Scalar::Flag),
            "createdAt" => |one, _| one.0.created_at().copied().map(Scalar::Time),
            "updatedAt" => |one, _| one.0.updated_at().copied().map(Scalar::Time),
            "version" => |one, _| one.0.updated_at().map(|at| Scalar::Owned(version::encode(*at))),
            "salary" => |one, viewer| one.salary_for(viewer).map(|salary| salary.map_or(Scalar::Null, Scalar::Number)),
            _ => return None,
        })
    }

    async fn follow(rows: &[&Self], at: &[Context<'_>]) -> ServerResult<Option<Vec<String>>> {
        match at.first().map(|place| place.item.node.name.node.as_str()) {
            Some("organization") => {
                organization::write_of_rows(rows.iter().map(|row| row.0.key.organization), at).await
            }
            _ => Ok(None),
        }
    }
}

impl Employee {
    /// The salary, or nothing for roles below administrator.
    fn salary_for(&self, viewer: &Viewer) -> Result<Option<f64>> {
        if viewer.role() < Role::Admin {
            return Ok(None);
        }
        self.0.salary().copied()
    }
}

connection::connection! {
    /// A page of employees.
    EmployeeConnection,
    /// An employee in a list, with its cursor.
    EmployeeEdge {},
    Employee(Arc<directory::Employee>) = |row| Employee(Arc::clone(row)),
    Employee = |row| row
}
