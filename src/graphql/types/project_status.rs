//! The status of a project, which inputs, filters and projects name.

use async_graphql::{Enum, resolver_utils::EnumType};

use crate::directory;

/// The status of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "directory::ProjectStatus")]
pub enum ProjectStatus {
    /// The project is in use.
    Active,
    /// The project is not in use for now. A label for clients: new measurements are still recorded.
    Paused,
    /// The project is kept for reading. New measurements are rejected.
    Archived,
}

/// The name of a status in the schema.
pub fn status_word(status: directory::ProjectStatus) -> &'static str {
    let status = ProjectStatus::from(status);
    ProjectStatus::items().iter().find(|item| item.value == status).map_or("", |item| item.name)
}
