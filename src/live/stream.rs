//! Streams of what was committed: every row once, in the order of commits, and nothing lost silently.
//!
//! A stream is either the live tail, which never ends, or a stretch between two places, read from the database. Whoever
//! resumes reads a stretch up to a place of the tail and goes on there.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{Stream, stream::try_unfold};

use super::{Filter, StreamEvent, Unsealed, publisher::Publisher, replay::Stretch, replay::last_sequences, tail::Tail};
use crate::{
    db::Database,
    error::{Error, Result},
    model::{OrganizationId, Position, Positions, Scope},
};

/// How events of a stream are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Rows of one event.
    pub batch_max: usize,
    /// How long a row may wait for others. After a pause it waits for none.
    pub delay_max: Duration,
    /// How long a stream is silent before an event without rows says where it stands.
    pub heartbeat: Duration,
    /// Organizations that one stream may span: each is a part of every cursor.
    pub organizations_max: usize,
}

/// What streams read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// What is missing on the way is read here.
    pub database: Database,
    /// What is committed arrives here.
    pub publisher: Publisher,
}

/// Opens the tail of everything that commits from now on. Answers also where it begins.
///
/// # Errors
/// [`Error::NotFound`] for an organization or project that is absent or outside the scope, [`Error::Input`] for a filter
/// that nothing can pass, [`Error::Limit`] for one that spans too many organizations.
pub async fn tail(
    scope: &Scope,
    source: Source,
    filter: Filter,
    pace: Pace,
) -> Result<(Arc<Positions>, impl Stream<Item = Result<StreamEvent>> + Send + 'static + use<>)> {
    let Source { database, publisher } = source;
    filter.check(scope, &database).await?;
    // Before the sequences are read: what commits in between arrives here and is known by its sequence.
    let receiver = publisher.subscribe();
    let organizations = filter.organizations(scope);
    let start = standing(&database, organizations.as_ref()).await?;
    if start.organizations() > pace.organizations_max {
        return Err(Error::Limit {
            what: "the number of organizations that the stream spans",
            actual: start.organizations() as u64,
            limit: pace.organizations_max as u64,
            advice: "name one of them, or projects, in the filter",
        });
    }
    let beginning = Arc::new(start.clone());
    let tail = Tail::new(database, filter, organizations, receiver, start, pace);
    Ok((beginning, try_unfold(tail, |mut tail| async move { Ok(tail.next().await.map(|event| (event, tail))) })))
}

/// Opens the stretch that begins after a cursor and ends where `until` stands, or at the cursor where that is further. Its
/// last event, and no other, has caught up.
///
/// # Errors
/// [`Error::NotFound`] as for the tail, [`Error::Input`] for a cursor that cannot belong to this stream.
pub async fn stretch(
    scope: &Scope,
    source: Source,
    filter: Filter,
    after: Unsealed,
    until: &Positions,
    batch_max: usize,
) -> Result<impl Stream<Item = Result<StreamEvent>> + Send + 'static + use<>> {
    let Source { database, .. } = source;
    filter.check(scope, &database).await?;
    let organizations = filter.organizations(scope);
    let from = after.positions;
    if after.is_receipt {
        let only = organizations.as_ref().filter(|watched| watched.len() == 1).and_then(|watched| watched.first());
        let Some(only) = only else {
            let advice = "stands in the stream of one organization: name it, or projects of it, in the filter";
            return Err(Error::input("after", advice));
        };
        if from.iter().any(|(organization, _)| organization != *only) {
            return Err(Error::input("after", "belongs to a stream of another organization"));
        }
    }
    let is_ahead =
        |known: &Positions| from.iter().any(|(organization, at)| at.touched() > known.of(organization).touched());
    if is_ahead(until) && is_ahead(&standing(&database, organizations.as_ref()).await?) {
        return Err(Error::input(
            "after",
            "lies ahead of everything committed; was the database put back to an earlier time?",
        ));
    }
    let stretch = Stretch::new(database, filter, from, until, batch_max);
    Ok(try_unfold(stretch, |mut stretch| async move { Ok(stretch.next().await?.map(|event| (event, stretch))) }))
}

async fn standing(database: &Database, organizations: Option<&BTreeSet<OrganizationId>>) -> Result<Positions> {
    let last = last_sequences(database, organizations).await?;
    Ok(last.into_iter().map(|(organization, sequence)| (organization, Position::after(sequence))).collect())
}
