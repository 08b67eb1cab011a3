//! Streams of committed measurements: every row once, in the order of commits, with gaps reported.
//!
//! A stream is either the live tail, which never ends, or a replay between two positions, read from the database. A
//! resuming subscriber replays up to a position of the tail and continues there.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{Stream, stream::try_unfold};

use super::{
    cursors::OpenedCursor,
    event::{StreamEvent, StreamPacing},
    filter::Filter,
    publisher::Publisher,
    replay::{Replay, last_sequences},
    tail::LiveTail,
};
use crate::{
    db::Database,
    error::{Error, Result},
    model::{CommitPosition, CommitPositions, OrganizationId, Scope},
};

/// The sources of a stream.
#[derive(Clone, Debug)]
pub struct StreamSource {
    /// The source of measurements that the publisher did not deliver.
    pub database: Database,
    /// The source of new commits.
    pub publisher: Publisher,
}

/// Opens the tail: all commits from now on. Returns its start position, too.
///
/// # Errors
/// [`Error::NotFound`] for an organization or project that is absent or outside the scope, [`Error::Input`] for a filter
/// that nothing can match, [`Error::Limit`] for one that spans too many organizations.
pub async fn tail(
    scope: &Scope,
    source: StreamSource,
    filter: Filter,
    pacing: StreamPacing,
) -> Result<(Arc<CommitPositions>, impl Stream<Item = Result<StreamEvent>> + Send + 'static + use<>)> {
    let StreamSource { database, publisher } = source;
    filter.check(scope, &database).await?;
    // Before the sequences are read: commits in between arrive here and are recognized by their sequence.
    let receiver = publisher.subscribe();
    let organizations = filter.organizations(scope);
    let start = last_positions(scope, &database, organizations.as_ref()).await?;
    if start.organizations() > pacing.organizations_max {
        return Err(Error::Limit {
            what: "the number of organizations that the stream spans",
            actual: start.organizations() as u64,
            limit: pacing.organizations_max as u64,
            advice: "name one of them, or projects, in the filter",
        });
    }
    let beginning = Arc::new(start.clone());
    let tail = LiveTail::new(scope, database, filter, organizations, receiver, start, pacing);
    Ok((beginning, try_unfold(tail, |mut tail| async move { Ok(tail.next().await.map(|event| (event, tail))) })))
}

/// Opens the replay from a cursor to `until`, or to the cursor if that is further. Only its last event has caught up.
///
/// # Errors
/// [`Error::NotFound`] as for the tail, [`Error::Input`] for a cursor that cannot belong to this stream.
pub async fn replay(
    scope: &Scope,
    source: StreamSource,
    filter: Filter,
    after: OpenedCursor,
    until: &CommitPositions,
    batch_max: usize,
) -> Result<impl Stream<Item = Result<StreamEvent>> + Send + 'static + use<>> {
    let StreamSource { database, .. } = source;
    filter.check(scope, &database).await?;
    let organizations = filter.organizations(scope);
    let mut from = after.positions;
    if organizations.is_none() {
        // Earlier versions counted the server's own organization, so their cursors contain a position of it.
        from = from.iter().filter(|(organization, _)| *organization != database.own_organization()).collect();
    }
    if after.is_receipt {
        let only = organizations.as_ref().filter(|organizations| organizations.len() == 1).and_then(BTreeSet::first);
        let Some(only) = only else {
            let advice =
                "is a position in one organization's stream; name this organization, or projects of it, in the filter";
            return Err(Error::input("after", advice));
        };
        if from.iter().any(|(organization, _)| organization != *only) {
            return Err(Error::input("after", "belongs to a stream of another organization"));
        }
    }
    let is_ahead =
        |known: &CommitPositions| from.iter().any(|(organization, at)| at.touched() > known.of(organization).touched());
    if is_ahead(until) && is_ahead(&last_positions(scope, &database, organizations.as_ref()).await?) {
        return Err(Error::input(
            "after",
            "is ahead of the last commit; the database may have been restored to an earlier time",
        ));
    }
    let replay = Replay::new(scope, database, filter, from, until, batch_max);
    Ok(try_unfold(replay, |mut replay| async move { Ok(replay.next().await?.map(|event| (event, replay))) }))
}

async fn last_positions(
    scope: &Scope,
    database: &Database,
    organizations: Option<&BTreeSet<OrganizationId>>,
) -> Result<CommitPositions> {
    let last = last_sequences(scope, database, organizations).await?;
    Ok(last.into_iter().map(|(organization, sequence)| (organization, CommitPosition::after(sequence))).collect())
}
