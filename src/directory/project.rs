//! Projects: the monitored services of an organization.

mod change;

use sea_orm::sea_query::{Cond, Expr, ExprTrait};

pub use change::{NewProject, ProjectChange, archive, create, delete, update};

use super::{
    filter::ProjectCondition,
    keyset::LISTED,
    order::{OrderField, SortKind},
    record,
    row::row,
    status::ProjectStatus,
};
use crate::{
    db::Session,
    entity::project as table,
    error::Result,
    model::{
        Key, OrganizationId, ProjectId, Scope, Timestamp,
        order::{OrderBy, Sort, SortValue},
    },
};

row! {
    /// A project.
    Project, ProjectFields, project, Key<ProjectId>, ProjectCondition, ProjectOrderField;
    /// The display name.
    NAME = 0, name: String, Name;
    /// The name in URLs, unique in the organization.
    SLUG = 1, slug: String, Slug;
    /// The stored number of the [`ProjectStatus`].
    STATUS = 2, status_code: i16, Status;
    /// The time at which the project was created.
    CREATED_AT = 3, created_at: Timestamp, CreatedAt;
    /// The time of the last change.
    UPDATED_AT = 4, updated_at: Timestamp, UpdatedAt;
    /// The number of team members, a counter that every change of the team maintains.
    TEAM_SIZE = 5, team_size: i64, TeamSize;
}

/// Sort keys of projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProjectOrderField {
    /// The name.
    Name,
    /// The status: active, paused, archived.
    Status,
    /// The time at which the project was created.
    CreatedAt,
    /// The number of team members.
    TeamSize,
}

impl OrderField for ProjectOrderField {
    type Row = Project;
    type Fields = ProjectFields;
    const LIST: u8 = b'p';
    const ALL: &'static [Self] = &[Self::Name, Self::Status, Self::CreatedAt, Self::TeamSize];
    const DEFAULT: &'static [OrderBy<Self>] = &[OrderBy { field: Self::Name, sort: Sort::Ascending }];

    fn column(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Status => "status",
            Self::CreatedAt => "created_at",
            Self::TeamSize => "team_size",
        }
    }

    fn kind(self) -> SortKind {
        match self {
            Self::Name => SortKind::Text,
            Self::Status | Self::CreatedAt | Self::TeamSize => SortKind::Integer,
        }
    }

    fn fields(self) -> ProjectFields {
        match self {
            Self::Name => ProjectFields::NAME,
            Self::Status => ProjectFields::STATUS,
            Self::CreatedAt => ProjectFields::CREATED_AT,
            Self::TeamSize => ProjectFields::TEAM_SIZE,
        }
    }

    fn value(self, row: &Project) -> Result<SortValue<&str>> {
        Ok(match self {
            Self::Name => SortValue::Text(row.name()?),
            Self::Status => SortValue::Integer(i64::from(*row.status_code()?)),
            Self::CreatedAt => SortValue::Integer(row.created_at()?.as_micros()),
            Self::TeamSize => SortValue::Integer(*row.team_size()?),
        })
    }
}

impl Project {
    /// The status of the project.
    ///
    /// # Errors
    /// The field was not requested.
    pub fn status(&self) -> Result<ProjectStatus> {
        Ok(ProjectStatus::from_code(*self.status_code()?))
    }
}

/// Reads the project of an organization with this slug.
///
/// # Errors
/// The database fails.
pub async fn by_slug(
    scope: &Scope,
    db: &Session,
    organization: OrganizationId,
    slug: &str,
    fields: ProjectFields,
) -> Result<Option<Project>> {
    let condition = Cond::all()
        .add(Expr::col((LISTED, table::Column::OrganizationId)).eq(organization))
        .add(Expr::col((LISTED, table::Column::Slug)).eq(slug));
    record::by_unique(scope, db, condition, fields).await
}
