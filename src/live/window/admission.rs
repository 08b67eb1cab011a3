//! Whether everything that a window names is there and in sight.

use sea_orm::EntityTrait;

use super::query::WindowQuery;
use crate::{
    db::{Database, StatementLog},
    directory::reach::{self, ORGANIZATION, PROJECT},
    entity::organization_stream,
    error::{Error, Result},
    model::{Scope, StreamCursor},
};

/// Refuses what is absent and what the scope does not see alike.
///
/// # Errors
/// [`Error::NotFound`], or that of a database which cannot answer.
pub async fn check(scope: &Scope, database: &Database, query: &WindowQuery) -> Result<()> {
    let session = database.reader(StatementLog::default());
    if query.projects.is_empty() {
        reach::organization(scope, &session, query.organization).await?.require(ORGANIZATION)
    } else {
        reach::projects(scope, &session, &query.project_keys().collect()).await?.require(PROJECT)
    }
}

/// Refuses a position that the stream of the window's organization does not have: it would be waited for in vain.
///
/// # Errors
/// [`Error::Input`], or that of a database which cannot answer.
pub async fn check_cursor(database: &Database, query: &WindowQuery, after: StreamCursor) -> Result<()> {
    if after.organization != query.organization {
        return Err(Error::input("after", "belongs to a stream of another organization"));
    }
    let session = database.reader(StatementLog::default());
    let stream = organization_stream::Entity::find_by_id(query.organization).one(&session).await?;
    if after.sequence < 0 || after.sequence > stream.map_or(0, |stream| stream.last_seq) {
        return Err(Error::input("after", "is not a position of this stream; use a cursor as the server sent it"));
    }
    Ok(())
}
