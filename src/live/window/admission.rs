//! Admission of a window: everything that it names exists within the caller's scope.

use sea_orm::EntityTrait;

use super::query::WindowQuery;
use crate::{
    db::{Database, StatementLog},
    directory::reach::{self, ORGANIZATION, PROJECT},
    entity::organization_stream,
    error::{Error, Result},
    model::{Scope, StreamCursor},
};

/// Checks a window and the position that its first state must include. An unknown position would be awaited in vain.
///
/// # Errors
/// [`Error::NotFound`] for an organization or project that is absent or outside of the scope, [`Error::Input`] for a
/// position that the organization's stream does not have, and when the database cannot answer.
pub async fn check(scope: &Scope, database: &Database, query: &WindowQuery, after: Option<StreamCursor>) -> Result<()> {
    let session = database.reader(StatementLog::default());
    if query.projects.is_empty() {
        reach::organization(scope, &session, query.organization).await?.require(ORGANIZATION)?;
    } else {
        reach::projects(scope, &session, &query.project_keys().collect()).await?.require(PROJECT)?;
    }
    let Some(after) = after else { return Ok(()) };
    if after.organization != query.organization {
        return Err(Error::input("after", "belongs to a stream of another organization"));
    }
    let stream = organization_stream::Entity::find_by_id(query.organization).one(&session).await?;
    if after.sequence < 0 || after.sequence > stream.map_or(0, |stream| stream.last_seq) {
        return Err(Error::input("after", "is not a position of this stream; use a cursor as the server sent it"));
    }
    Ok(())
}
