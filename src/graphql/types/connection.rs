//! The common parts of connections: page info, totals, and the macro that defines a connection of a type.

use std::sync::Arc;

use async_graphql::SimpleObject;

use crate::{
    directory::{EmployeeFilter, OrganizationFilter, ProjectFilter},
    error::Result,
    graphql::{context::RequestContext, loaders::AskedCount, scalars::Long},
    model::{EmployeeId, Key, OrganizationId, ProjectId, filter::Filter},
};

/// Position of a page in its list.
#[derive(SimpleObject)]
pub struct PageInfo {
    /// True if more items follow this page. When paging backward: true if `before` was given.
    pub has_next_page: bool,
    /// True if items precede this page. When paging forward: true if `after` was given.
    pub has_previous_page: bool,
    /// Cursor of the first item, to be used as `before`. Null for an empty page.
    pub start_cursor: Option<String>,
    /// Cursor of the last item, to be used as `after`. Null for an empty page.
    pub end_cursor: Option<String>,
}

/// The list behind a connection, to be counted if `totalCount` is selected.
#[derive(Clone, Debug)]
pub enum Total {
    /// All organizations within the caller's scope.
    Organizations(Option<Arc<OrganizationFilter>>),
    /// All employees within the caller's scope.
    Employees(Option<Arc<EmployeeFilter>>),
    /// All projects within the caller's scope.
    Projects(Option<Arc<ProjectFilter>>),
    /// The employees of an organization.
    EmployeesOf(OrganizationId, Option<Arc<EmployeeFilter>>),
    /// The projects of an organization.
    ProjectsOf(OrganizationId, Option<Arc<ProjectFilter>>),
    /// The members of a project.
    TeamOf(Key<ProjectId>, Option<Arc<EmployeeFilter>>),
    /// The releases of a project.
    ReleasesOf(Key<ProjectId>),
    /// The projects of an employee.
    ProjectsOfEmployee(Key<EmployeeId>, Option<Arc<ProjectFilter>>),
}

impl Total {
    /// Counts the list. Siblings of the same kind share one statement.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count(&self, request: &RequestContext) -> Result<Long> {
        fn asked<Parent, C>(parent: Parent, filter: Option<&Arc<Filter<C>>>) -> AskedCount<Parent, C> {
            AskedCount { parent, filter: filter.cloned() }
        }
        let loaders = request.loaders();
        let count = match self {
            Self::Organizations(filter) => loaders.organization_count.load(asked((), filter.as_ref())).await?,
            Self::Employees(filter) => loaders.employee_count.load(asked((), filter.as_ref())).await?,
            Self::Projects(filter) => loaders.project_count.load(asked((), filter.as_ref())).await?,
            Self::EmployeesOf(id, filter) => {
                loaders.organization_employee_count.load(asked(*id, filter.as_ref())).await?
            }
            Self::ProjectsOf(id, filter) => {
                loaders.organization_project_count.load(asked(*id, filter.as_ref())).await?
            }
            Self::TeamOf(key, filter) => loaders.team_count.load(asked(*key, filter.as_ref())).await?,
            Self::ReleasesOf(key) => loaders.release_count.load(AskedCount { parent: *key, filter: None }).await?,
            Self::ProjectsOfEmployee(key, filter) => {
                loaders.employee_project_count.load(asked(*key, filter.as_ref())).await?
            }
        };
        Ok(count.unwrap_or(0).into())
    }
}

/// Defines the connection and edge types of an entity. `$node` wraps a `$row`, and `$of` finds the entity's row in it,
/// which holds the sort keys.
macro_rules! connection {
    (
        $(#[doc = $connection_doc:literal])+ $connection:ident,
        $(#[doc = $edge_doc:literal])+ $edge:ident { $($(#[doc = $extra_doc:literal])+ $extra:ident: $extra_type:ty = $extra_read:expr,)* },
        $node:ident($row:ty) = $wrap:expr, $noun:ident = $of:expr
    ) => {
        $(#[doc = $connection_doc])+
        #[derive(async_graphql::Description)]
        pub struct $connection {
            page: std::sync::Arc<$crate::model::page::Page<$row>>,
            list: std::sync::Arc<$crate::directory::ListOf<$crate::directory::$noun>>,
            total: $crate::graphql::types::connection::Total,
        }

        impl $connection {
            /// Wraps a page of a list; `total` counts the whole list on demand.
            pub fn new(
                page: std::sync::Arc<$crate::model::page::Page<$row>>,
                list: std::sync::Arc<$crate::directory::ListOf<$crate::directory::$noun>>,
                total: $crate::graphql::types::connection::Total,
            ) -> Self {
                Self { page, list, total }
            }

            fn cursor(
                list: &$crate::directory::ListOf<$crate::directory::$noun>,
                row: &$row,
            ) -> $crate::error::Result<String> {
                let of: fn(&$row) -> &$crate::directory::$noun = $of;
                $crate::directory::cursor::of(&list.order, of(row))
            }
        }

        #[async_graphql::Object(use_type_description)]
        impl $connection {
            /// The items of this page with their cursors.
            async fn edges(&self) -> $crate::engine::rows::Rows<$edge> {
                let edge = |index| $edge {
                    page: std::sync::Arc::clone(&self.page),
                    list: std::sync::Arc::clone(&self.list),
                    index,
                };
                (0..self.page.rows.len()).map(edge).collect()
            }

            /// The items of this page.
            async fn nodes(&self) -> $crate::engine::rows::Rows<$node> {
                let wrap: fn(&$row) -> $node = $wrap;
                self.page.rows.iter().map(wrap).collect()
            }

            /// Position of this page in the list.
            async fn page_info(
                &self,
                context: &async_graphql::Context<'_>,
            ) -> $crate::error::Result<$crate::graphql::types::connection::PageInfo> {
                let wants = |name| $crate::graphql::selection::has(context.field(), name);
                let cursor = |row: Option<&$row>| row.map(|row| Self::cursor(&self.list, row)).transpose();
                Ok($crate::graphql::types::connection::PageInfo {
                    has_next_page: self.page.has_next,
                    has_previous_page: self.page.has_previous,
                    start_cursor: if wants("startCursor") { cursor(self.page.rows.first())? } else { None },
                    end_cursor: if wants("endCursor") { cursor(self.page.rows.last())? } else { None },
                })
            }

            /// Number of items in the whole list, on all pages. Counted only if selected.
            async fn total_count(
                &self,
                context: &async_graphql::Context<'_>,
            ) -> $crate::error::Result<$crate::graphql::scalars::Long> {
                self.total.count($crate::graphql::context::request(context)?).await
            }
        }

        $(#[doc = $edge_doc])+
        #[derive(async_graphql::Description)]
        pub struct $edge {
            page: std::sync::Arc<$crate::model::page::Page<$row>>,
            list: std::sync::Arc<$crate::directory::ListOf<$crate::directory::$noun>>,
            index: usize,
        }

        impl $edge {
            fn row(&self) -> $crate::error::Result<&$row> {
                self.page.rows.get(self.index).ok_or_else(|| $crate::error::Error::internal("an edge beyond its page"))
            }
        }

        impl $crate::engine::rows::Row for $edge {
            fn column(field: &str) -> Option<$crate::engine::rows::Read<Self>> {
                match field {
                    "cursor" => Some(|edge, _| $connection::cursor(&edge.list, edge.row()?).map($crate::engine::rows::Scalar::Owned)),
                    _ => None,
                }
            }

            async fn follow(
                edges: &[&Self],
                at: &[async_graphql::Context<'_>],
            ) -> async_graphql::ServerResult<Option<Vec<String>>> {
                if at.first().is_none_or(|place| place.item.node.name.node != "node") {
                    return Ok(None);
                }
                let wrap: fn(&$row) -> $node = $wrap;
                let Ok(nodes) = edges.iter().map(|edge| edge.row().map(wrap)).collect::<Result<Vec<_>, _>>() else {
                    return Ok(None);
                };
                let places: Vec<_> =
                    at.iter().map(|place| place.with_selection_set(&place.item.node.selection_set)).collect();
                $crate::engine::rows::write_each(&nodes.iter().collect::<Vec<_>>(), &places).await
            }
        }

        #[async_graphql::Object(use_type_description)]
        impl $edge {
            /// Position of the item, to be used as `after` or `before`.
            async fn cursor(&self) -> $crate::error::Result<String> {
                $connection::cursor(&self.list, self.row()?)
            }

            /// The item itself.
            async fn node(&self) -> $crate::error::Result<$node> {
                let wrap: fn(&$row) -> $node = $wrap;
                self.row().map(wrap)
            }

            $(
                $(#[doc = $extra_doc])+
                async fn $extra(&self) -> $crate::error::Result<$extra_type> {
                    let read: fn(&$row) -> $extra_type = $extra_read;
                    self.row().map(read)
                }
            )*
        }
    };
}
pub(super) use connection;
