//! Whether everything that a window names is there and in sight.

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::query::WindowQuery;
use crate::{
    db::{Database, StatementLog},
    entity::{organization, organization_stream, project},
    error::{Error, Result},
    model::{Scope, StreamCursor},
};

/// Refuses what is absent and what the scope does not see alike.
///
/// # Errors
/// [`Error::NotFound`], or that of a database which cannot answer.
pub async fn check(scope: &Scope, database: &Database, query: &WindowQuery) -> Result<()> {
    let session = database.reader(StatementLog::default());
    let (what, named) = if query.projects.is_empty() { ("organization", 1) } else { ("project", query.projects.len()) };
    let found = if !scope.sees(query.organization) {
        0
    } else if query.projects.is_empty() {
        organization::Entity::find_by_id(query.organization).count(&session).await?
    } else {
        project::Entity::find()
            .filter(project::Column::OrganizationId.eq(query.organization))
            .filter(project::Column::Id.is_in(query.projects.iter().copied()))
            .count(&session)
            .await?
    };
    if usize::try_from(found).is_ok_and(|found| found == named) { Ok(()) } else { Err(Error::not_found(what)) }
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
