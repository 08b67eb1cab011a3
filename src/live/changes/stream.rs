//! A stream of changes: each once, in their order, from now on or after a cursor.

use std::collections::VecDeque;

use futures_util::{Stream, stream::try_unfold};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    page::{self, ChangeEvent, RemovedChanges},
    signal::ChangeSignal,
};
use crate::{
    db::Database,
    directory::reach::{self, ORGANIZATION},
    error::{Error, Result},
    model::{
        OrganizationId, Scope,
        change::{ChangeKind, EntityKey, LogPosition},
    },
};

/// A filter of an organization's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeFilter {
    /// The organization.
    pub organization: OrganizationId,
    /// Only changes of this entity.
    pub entity: Option<EntityKey>,
    /// Only changes of these kinds; of all kinds if empty.
    pub kinds: Vec<ChangeKind>,
}

impl ChangeFilter {
    fn passes(&self, event: &ChangeEvent) -> bool {
        self.entity.is_none_or(|only| only == event.change.entity)
            && (self.kinds.is_empty() || self.kinds.contains(&event.change.kind))
    }
}

/// Opens a stream of all changes from now on or, with `after`, of all changes after that number. It ends when the
/// organization is deleted. Also returns the number of the last change before it.
///
/// # Errors
/// [`Error::NotFound`] for an organization that is absent or outside of the scope, [`Error::Input`] for a number that its
/// log does not have.
pub async fn watch(
    scope: &Scope,
    database: Database,
    signal: &ChangeSignal,
    filter: ChangeFilter,
    after: Option<i64>,
) -> Result<(i64, impl Stream<Item = Result<ChangeEvent>> + Send + 'static + use<>)> {
    // Before the last number is read, so that no change in between is missed.
    let signals = signal.subscribe();
    let last = page::last(scope, &database, filter.organization).await?.ok_or_else(|| reach::unknown(ORGANIZATION))?;
    let reached = after.unwrap_or(last);
    if !(0..=last).contains(&reached) {
        return Err(Error::input("after", "is not a position of this stream; use a cursor as the server sent it"));
    }
    let (scope, pending) = (*scope, VecDeque::new());
    let tail = ChangeTail {
        scope,
        database,
        filter,
        signals,
        reached,
        target: last,
        pending,
        removed: None,
        has_ended: false,
    };
    let events = try_unfold(tail, |mut tail| async move { Ok(tail.next().await?.map(|event| (event, tail))) });
    Ok((reached, events))
}

/// The state of a stream.
struct ChangeTail {
    scope: Scope,
    database: Database,
    filter: ChangeFilter,
    signals: Receiver<LogPosition>,
    /// The last change that was read.
    reached: i64,
    /// The last change that was signalled.
    target: i64,
    /// Changes that were read and not yet delivered.
    pending: VecDeque<ChangeEvent>,
    /// Removed changes that were not reported yet.
    removed: Option<RemovedChanges>,
    /// True after the organization was deleted, which ends its log.
    has_ended: bool,
}

impl ChangeTail {
    async fn next(&mut self) -> Result<Option<ChangeEvent>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(Some(event));
            }
            if self.has_ended {
                return Ok(None);
            }
            if self.reached < self.target {
                self.read_page().await?;
                continue;
            }
            match self.signals.recv().await {
                Ok((organization, last)) if organization == self.filter.organization => {
                    self.target = last.max(self.target);
                }
                Ok(_) => {}
                // The lost signals may have concerned this organization.
                Err(RecvError::Lagged(_)) => self.target = self.reached + 1,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    async fn read_page(&mut self) -> Result<()> {
        let page = page::after(&self.scope, &self.database, self.filter.organization, self.reached).await?;
        let is_last = page.len() < page::ROWS_MAX;
        for mut event in page {
            if event.sequence > self.reached + 1 {
                let first = self.removed.map_or(self.reached + 1, |removed| removed.first);
                self.removed = Some(RemovedChanges { first, last: event.sequence - 1 });
            }
            self.reached = event.sequence;
            let own = EntityKey::Organization(self.filter.organization);
            self.has_ended |= event.change.kind == ChangeKind::Deleted && event.change.entity == own;
            if self.filter.passes(&event) {
                event.removed = self.removed.take();
                self.pending.push_back(event);
            }
        }
        if is_last {
            // Signalled changes that are not in the log were removed; the next change will report them.
            self.target = self.reached;
        }
        Ok(())
    }
}
