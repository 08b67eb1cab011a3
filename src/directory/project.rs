//! Projects: the monitored services of an organization.

mod change;

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait},
};

pub use change::{NewProject, ProjectChange, archive, create, delete, update};

use super::{
    filter::ProjectCondition,
    keyset::LISTED,
    lookup,
    order::{OrderField, SortKind},
    record::{self, Record, add_columns},
    row::row,
    status::ProjectStatus,
};
use crate::{
    db::Session,
    entity::{organization, project as table},
    error::Result,
    model::{
        Key, OrganizationId, ProjectId, ProjectSlug, Scope, Timestamp,
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
    lookup::one(scope, db, &["organization_id", "slug"], vec![organization.into(), slug.into()], fields).await
}

/// Reads the projects with these slugs in one statement; missing ones are left out.
///
/// # Errors
/// The database fails.
pub async fn by_slugs(
    scope: &Scope,
    db: &Session,
    slugs: &[ProjectSlug],
    fields: ProjectFields,
) -> Result<HashMap<ProjectSlug, Project>> {
    let organizations: BTreeSet<_> = slugs.iter().map(|slug| slug.organization.as_str()).collect();
    let projects: BTreeSet<_> = slugs.iter().map(|slug| slug.project.as_str()).collect();
    let organization = |column| Expr::col((organization::Entity, column));
    let mut select = record::seen::<Project>(scope);
    select
        .column((organization::Entity, organization::Column::Slug))
        .inner_join(
            organization::Entity,
            organization(organization::Column::Id).equals((LISTED, table::Column::OrganizationId)),
        )
        .and_where(organization(organization::Column::Slug).is_in(organizations))
        .and_where(Expr::col((LISTED, table::Column::Slug)).is_in(projects));
    let fields = fields | ProjectFields::SLUG;
    add_columns::<Project>(&mut select, fields);
    let mut found = HashMap::with_capacity(slugs.len());
    for row in db.query_all(&select).await? {
        let organization = row.try_get_by_index::<String>(0)?;
        let project = Project::read(&row, 1, fields)?;
        found.insert(ProjectSlug { organization, project: project.slug()?.clone() }, project);
    }
    // Two organizations may have projects of the same slug, of which one is asked for.
    found.retain(|slug, _| slugs.contains(slug));
    Ok(found)
}
