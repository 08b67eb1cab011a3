//! A project and the list of projects.

use std::sync::Arc;

use async_graphql::{Context, Description, ID, Object, ServerResult};

use super::{
    Employee, Organization, ReleaseConnection, TeamConnection, connection,
    connection::Total,
    filter::EmployeeFilter,
    ingest_status::IngestStatus,
    order::{EmployeeOrder, order},
    organization,
    project_status::{ProjectStatus, status_word},
    reports::Reports,
};
use crate::{
    directory::{self, ReleaseOrderField},
    engine::rows::{Read, Row, Rows, Scalar},
    error::Result,
    graphql::{
        context::request,
        loaders::{AskedPage, AskedRow},
        node::NodeId,
        page::{self, PageArguments},
        scalars::DateTime,
        selection, sizes, version,
    },
    model::page::{ListRequest, PageRequest},
    reports::Parent,
};

/// A monitored service of an organization, with its members and the measurements recorded for it.
#[derive(Clone, Description)]
pub struct Project(pub Arc<directory::Project>);

#[Object(use_type_description)]
impl Project {
    /// Global id, opaque. Pass it to `node` to fetch the object again.
    pub async fn id(&self) -> ID {
        NodeId::Project(self.0.key).encode()
    }

    /// Display name.
    async fn name(&self) -> Result<&str> {
        self.0.name().map(String::as_str)
    }

    /// Name for use in URLs: lower case, unique within the organization.
    async fn slug(&self) -> Result<&str> {
        self.0.slug().map(String::as_str)
    }

    /// Status of the project.
    async fn status(&self) -> Result<ProjectStatus> {
        self.0.status().map(ProjectStatus::from)
    }

    /// True for a project of the organization in which the server records its own requests: see
    /// `Organization.isInternal`.
    async fn is_internal(&self, context: &Context<'_>) -> Result<bool> {
        Ok(self.0.key.organization == request(context)?.services.database.own_organization())
    }

    /// Time at which the record was created.
    async fn created_at(&self) -> Result<DateTime> {
        self.0.created_at().copied().map(DateTime)
    }

    /// Time at which the record was last changed. Not affected by members who join or leave. Pass it as `ifUpdatedAt`
    /// for an optimistic lock.
    async fn updated_at(&self) -> Result<DateTime> {
        self.0.updated_at().copied().map(DateTime)
    }

    /// Opaque version of the record, another one after each change. Pass it as `ifVersion` for an optimistic lock.
    async fn version(&self) -> Result<String> {
        self.0.updated_at().copied().map(version::encode)
    }

    /// The organization of the project. Null only if reading it failed.
    async fn organization(&self, context: &Context<'_>) -> Option<Result<Organization>> {
        async {
            let asked = AskedRow { id: self.0.key.organization, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().organization.load(asked).await?.map(Organization))
        }
        .await
        .transpose()
    }

    /// Number of members. Always current.
    async fn member_count(&self) -> Result<i32> {
        self.members_counted()
    }

    /// The former name of `memberCount`.
    #[graphql(deprecation = "Use `memberCount`.")]
    async fn team_size(&self) -> Result<i32> {
        self.members_counted()
    }

    /// The employees who work on the project, ordered by name by default. Each edge carries the membership.
    #[graphql(directive = sizes::Connection::apply())]
    async fn members(
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
    ) -> Result<TeamConnection> {
        let arguments = PageArguments { first, after, last, before };
        self.members_page(context, arguments, filter, order_by).await
    }

    /// The former name of `members`.
    #[graphql(deprecation = "Use `members`.", directive = sizes::Connection::apply())]
    async fn team(
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
    ) -> Result<TeamConnection> {
        let arguments = PageArguments { first, after, last, before };
        self.members_page(context, arguments, filter, order_by).await
    }

    /// Lists the first 20 members of the project, ordered by name.
    #[graphql(deprecation = "Plain list, at most 20 rows. Use `members`.", directive = sizes::Assumed::apply(20))]
    async fn team_members(&self, context: &Context<'_>) -> Result<Rows<Employee>> {
        let request = request(context)?;
        let fields = selection::of_object(context.field());
        // A hundred projects with their members must not cost more than an operation may.
        let page = PageRequest::from_start(0, request.services.limits.page_size_max.min(20));
        let list = Arc::new(ListRequest { filter: None, order: Vec::new(), page });
        let asked = AskedPage { parent: self.0.key, list, fields };
        let page = request.loaders().team.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|member| Employee(Arc::clone(&member.employee))).collect())
    }

    /// The releases of the project, latest deployment first.
    #[graphql(directive = sizes::Connection::apply())]
    async fn releases(
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
    ) -> Result<ReleaseConnection> {
        let arguments = PageArguments { first, after, last, before };
        let wanted = Arc::new(ListRequest {
            filter: None,
            order: Vec::new(),
            page: arguments.request::<ReleaseOrderField>(&[], &request(context)?.services.limits)?,
        });
        let page = page::load(context, |loaders| &loaders.releases, self.0.key, &wanted).await?;
        Ok(ReleaseConnection::new(page, wanted, Total::ReleasesOf(self.0.key)))
    }

    /// Counters of the measurements that arrived for the project, one for each way by which any did: those that were
    /// stored, and those that were refused, with the last reasons.
    #[graphql(directive = sizes::Assumed::apply(3))]
    async fn ingest_status(&self, context: &Context<'_>) -> Result<Vec<IngestStatus>> {
        let status = request(context)?.loaders().ingest_status.load(self.0.key).await?;
        Ok(IngestStatus::of_project(status.unwrap_or_default()))
    }

    #[graphql(flatten)]
    async fn reports(&self) -> Reports {
        Reports(Parent::Project(self.0.key))
    }
}

impl Project {
    fn members_counted(&self) -> Result<i32> {
        self.0.team_size().map(|size| i32::try_from(*size).unwrap_or(i32::MAX))
    }

    async fn members_page(
        &self,
        context: &Context<'_>,
        arguments: PageArguments,
        filter: Option<EmployeeFilter>,
        order_by: Option<Vec<EmployeeOrder>>,
    ) -> Result<TeamConnection> {
        let wanted = arguments.list(request(context)?, filter, order(order_by)?).await?;
        let page = page::load(context, |loaders| &loaders.team, self.0.key, &wanted).await?;
        let total = Total::TeamOf(self.0.key, wanted.filter.clone());
        Ok(TeamConnection::new(page, wanted, total))
    }
}

impl Row for Project {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "id" => |one, _| Ok(Scalar::Owned(NodeId::Project(one.0.key).encode().0)),
            "name" => |one, _| one.0.name().map(|name| Scalar::Text(name)),
            "slug" => |one, _| one.0.slug().map(|slug| Scalar::Text(slug)),
            "status" => |one, _| one.0.status().map(|status| Scalar::Word(status_word(status))),
            "createdAt" => |one, _| one.0.created_at().copied().map(Scalar::Time),
            "updatedAt" => |one, _| one.0.updated_at().copied().map(Scalar::Time),
            "version" => |one, _| one.0.updated_at().map(|at| Scalar::Owned(version::encode(*at))),
            "memberCount" | "teamSize" => |one, _| one.0.team_size().copied().map(Scalar::Whole),
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

connection::connection! {
    /// A page of projects.
    ProjectConnection,
    /// A project in a list, with its cursor.
    ProjectEdge {},
    Project(Arc<directory::Project>) = |row| Project(Arc::clone(row)),
    Project = |row| row
}
