//! A change of an organization, an employee or a project.

use async_graphql::{Context, Description, Enum, ID, Object, SimpleObject, Union};

use super::{Employee, Organization, Project};
use crate::{
    error::Result,
    graphql::{
        context::request,
        loaders::AskedRow,
        node::NodeId,
        scalars::{Long, StreamCursor},
        selection, sizes,
    },
    live::{CursorPurpose, Cursors, changes::ChangeEvent},
    model::{self, CommitPosition, OrganizationId, change::EntityKey},
};

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::change::ChangeKind")]
pub enum ChangeKind {
    /// The entity was created.
    Created,
    /// At least one field of the entity changed.
    Updated,
    /// The entity was deleted.
    Deleted,
}

/// An entity whose changes can be subscribed to.
#[derive(Union)]
pub enum Entity {
    /// An organization.
    Organization(Organization),
    /// An employee.
    Employee(Employee),
    /// A project.
    Project(Project),
}

/// Changes that are no longer kept (30 days by default). Read the affected entities again and continue after the gap.
#[derive(SimpleObject)]
pub struct ChangeGap {
    /// Position before the first missing change.
    pub start: StreamCursor,
    /// Position after the last missing change. Resume here to skip the gap.
    pub end: StreamCursor,
    /// Number of missing changes of the whole organization, including changes that the subscription would not have
    /// delivered.
    pub missed: Long,
    /// The former name of `start`.
    #[graphql(deprecation = "Use `start`.")]
    pub from: StreamCursor,
    /// The former name of `end`.
    #[graphql(deprecation = "Use `end`.")]
    pub to: StreamCursor,
}

/// A change of an organization, an employee or a project, in commit order.
#[derive(Description)]
pub struct EntityChange {
    /// The log entry.
    pub event: ChangeEvent,
    /// Makes cursors of its log.
    pub log: LogCursors,
}

/// Makes the cursors of an organization's change log.
#[derive(Clone)]
pub struct LogCursors {
    /// Seals the cursors.
    pub cursors: Cursors,
    /// The stream that they are valid for.
    pub purpose: CursorPurpose,
    /// The organization.
    pub organization: OrganizationId,
}

impl LogCursors {
    /// The cursor after the entry with this number.
    pub fn after(&self, sequence: i64) -> StreamCursor {
        let positions = [(self.organization, CommitPosition::after(sequence))].into_iter().collect();
        StreamCursor(self.cursors.seal(self.purpose, &positions).into())
    }
}

#[Object(use_type_description)]
impl EntityChange {
    /// Position after this change. Pass it as `after` to resume here.
    async fn cursor(&self) -> StreamCursor {
        self.log.after(self.event.sequence)
    }

    /// The kind of the change.
    async fn kind(&self) -> ChangeKind {
        self.event.change.kind.into()
    }

    /// Global id of the changed entity.
    async fn id(&self) -> ID {
        match self.event.change.entity {
            EntityKey::Organization(id) => NodeId::Organization(id),
            EntityKey::Employee(key) => NodeId::Employee(key),
            EntityKey::Project(key) => NodeId::Project(key),
        }
        .encode()
    }

    /// The changed entity in its current state. Null if it has been deleted.
    async fn entity(&self, context: &Context<'_>) -> Option<Result<Entity>> {
        async {
            let (loaders, field) = (request(context)?.loaders(), context.field());
            // A selection may contain fields of several types: each type reads those that it has.
            Ok(match self.event.change.entity {
                EntityKey::Organization(id) => {
                    let asked = AskedRow { id, fields: selection::of_object(field) };
                    loaders.organization.load(asked).await?.map(|row| Entity::Organization(Organization(row)))
                }
                EntityKey::Employee(id) => {
                    let asked = AskedRow { id, fields: selection::of_object(field) };
                    loaders.employee.load(asked).await?.map(|row| Entity::Employee(Employee(row)))
                }
                EntityKey::Project(id) => {
                    let asked = AskedRow { id, fields: selection::of_object(field) };
                    loaders.project.load(asked).await?.map(|row| Entity::Project(Project(row)))
                }
            })
        }
        .await
        .transpose()
    }

    /// Names of the changed fields, including deprecated names. Empty unless the kind is `UPDATED`. Never contains
    /// `updatedAt`.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn changed_fields(&self) -> Vec<String> {
        self.event.change.fields.iter().flat_map(|column| field_names(column)).collect()
    }

    /// Changes between the previous change and this one that are no longer kept. Null if none are missing.
    async fn gap(&self) -> Option<ChangeGap> {
        let removed = self.event.removed?;
        let missed = removed.last - removed.first + 1;
        Some(ChangeGap {
            start: self.log.after(removed.first - 1),
            end: self.log.after(removed.last),
            missed: Long(missed),
            from: self.log.after(removed.first - 1),
            to: self.log.after(removed.last),
        })
    }
}

/// The names in the schema of a column: clients that know only the deprecated spelling look for that one.
fn field_names(column: &str) -> Vec<String> {
    let current = match column {
        "team" => Some("members"),
        "team_size" => Some("memberCount"),
        _ => None,
    };
    current.map(str::to_owned).into_iter().chain([field_name(column)]).collect()
}

/// The name in the schema of a column: `isActive` for `is_active`.
fn field_name(column: &str) -> String {
    let mut words = column.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}
