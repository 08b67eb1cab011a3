//! Projects: the monitored services of an organization.

mod change;

use sea_orm::sea_query::{Cond, Expr, ExprTrait};

pub use super::status::ProjectStatus;
pub use change::{NewProject, ProjectChange, archive, create, delete, update};

use super::{filter::ProjectCondition, noun, order::ProjectOrderField, page::LISTED, row::row};
use crate::{
    db::Session,
    entity::project as table,
    error::Result,
    model::{Key, OrganizationId, ProjectId, Scope, Timestamp},
};

row! {
    /// A project as read.
    Project, ProjectFields, project, Key<ProjectId>, ProjectCondition, ProjectOrderField;
    /// The name that people read.
    NAME = 0, name: String, Name;
    /// The name in addresses, unique in the organization.
    SLUG = 1, slug: String, Slug;
    /// The stored number of [`ProjectStatus`].
    STATUS = 2, status_code: i16, Status;
    /// When it was created.
    CREATED_AT = 3, created_at: Timestamp, CreatedAt;
    /// When it was last changed.
    UPDATED_AT = 4, updated_at: Timestamp, UpdatedAt;
    /// How many people work on it: a counter that every change of the team maintains.
    TEAM_SIZE = 5, team_size: i64, TeamSize;
}

impl Project {
    /// Whether the project takes metrics.
    ///
    /// # Errors
    /// When the field was not among those asked for.
    pub fn status(&self) -> Result<ProjectStatus> {
        Ok(ProjectStatus::from_code(*self.status_code()?))
    }
}

/// The project of an organization with this slug.
///
/// # Errors
/// When the database cannot answer.
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
    noun::by_unique(scope, db, condition, fields).await
}
