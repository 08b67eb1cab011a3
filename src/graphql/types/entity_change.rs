//! A change of something in the directory.

use async_graphql::{Context, Enum, ID, Object, SimpleObject, Union};

use super::{Employee, Organization, Project};
use crate::{
    error::Result,
    graphql::{context::request, loaders::Asked, node::NodeId, scalars::StreamCursor, selection},
    live::{CursorPurpose, Cursors, changes::ChangeEvent},
    model::{self, Position, change::EntityKey},
};

/// What happened to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::change::ChangeKind")]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// Some of its fields are different.
    Updated,
    /// It is gone.
    Deleted,
}

/// What can change.
#[derive(Union)]
pub enum Entity {
    /// A tenant.
    Organization(Organization),
    /// A person.
    Employee(Employee),
    /// A monitored service.
    Project(Project),
}

/// Changes that are no longer kept: read again whatever matters, and go on from here.
#[derive(SimpleObject)]
pub struct ChangeGap {
    /// The place before the first of them.
    pub from: StreamCursor,
    /// The place of the last of them.
    pub to: StreamCursor,
    /// How many there were, of everything in the organization.
    pub missed: i32,
}

/// A change of something in an organization.
pub struct EntityChange {
    /// What was logged.
    pub event: ChangeEvent,
    /// What its cursors are for.
    pub purpose: CursorPurpose,
    /// Seals them.
    pub cursors: Cursors,
}

impl EntityChange {
    fn place(&self, sequence: i64) -> StreamCursor {
        let organization = self.event.change.entity.organization();
        let positions = [(organization, Position::after(sequence))].into_iter().collect();
        StreamCursor(self.cursors.seal(self.purpose, &positions).into())
    }
}

/// A change of something in an organization, in the order of the commits.
#[Object]
impl EntityChange {
    /// Where the stream stands after this change: open it again with `after` to go on from here.
    async fn cursor(&self) -> StreamCursor {
        self.place(self.event.sequence)
    }

    /// What happened.
    async fn kind(&self) -> ChangeKind {
        self.event.change.kind.into()
    }

    /// The id of what it happened to.
    async fn id(&self) -> ID {
        match self.event.change.entity {
            EntityKey::Organization(id) => NodeId::Organization(id),
            EntityKey::Employee(key) => NodeId::Employee(key),
            EntityKey::Project(key) => NodeId::Project(key),
        }
        .encode()
    }

    /// What it happened to, as it is now; null when it is gone.
    async fn entity(&self, context: &Context<'_>) -> Option<Result<Entity>> {
        async {
            let (loaders, field) = (request(context)?.loaders(), context.field());
            // A selection may ask for fields of several types: each takes those it knows.
            Ok(match self.event.change.entity {
                EntityKey::Organization(id) => {
                    let asked = Asked { id, fields: selection::of_object(field) };
                    loaders.organization.load(asked).await?.map(|row| Entity::Organization(Organization(row)))
                }
                EntityKey::Employee(id) => {
                    let asked = Asked { id, fields: selection::of_object(field) };
                    loaders.employee.load(asked).await?.map(|row| Entity::Employee(Employee(row)))
                }
                EntityKey::Project(id) => {
                    let asked = Asked { id, fields: selection::of_object(field) };
                    loaders.project.load(asked).await?.map(|row| Entity::Project(Project(row)))
                }
            })
        }
        .await
        .transpose()
    }

    /// Which fields of it are different, by their names here; empty unless it was updated. `updatedAt` is not among them.
    async fn changed_fields(&self) -> Vec<String> {
        self.event.change.fields.iter().map(|column| field_name(column)).collect()
    }

    /// What is missing between the change before and this one, because it is no longer kept.
    async fn gap(&self) -> Option<ChangeGap> {
        let removed = self.event.removed?;
        let missed = removed.last - removed.first + 1;
        Some(ChangeGap {
            from: self.place(removed.first - 1),
            to: self.place(removed.last),
            missed: i32::try_from(missed).unwrap_or(i32::MAX),
        })
    }
}

/// `is_active` is `isActive` here.
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
