//! A stream of changes: each once, in their order, from where it was opened or from a cursor on.

use std::collections::VecDeque;

use futures_util::{Stream, stream::try_unfold};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Moved,
    page::{self, ChangeEvent, Removed},
};
use crate::{
    db::{Database, moves::Move},
    directory::reach::{self, ORGANIZATION},
    error::{Error, Result},
    model::{
        OrganizationId, Role, Scope,
        change::{ChangeKind, EntityKey},
    },
};

/// Which changes of an organization are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Whose.
    pub organization: OrganizationId,
    /// Only of this.
    pub entity: Option<EntityKey>,
    /// Only of these kinds; of every kind where none is named.
    pub kinds: Vec<ChangeKind>,
}

impl ChangeFilter {
    fn passes(&self, event: &ChangeEvent) -> bool {
        self.entity.is_none_or(|only| only == event.change.entity)
            && (self.kinds.is_empty() || self.kinds.contains(&event.change.kind))
    }
}

/// Opens a stream of everything that changes from now on or, with `after`, of everything since then. It ends when the
/// organization is gone.
///
/// # Errors
/// [`Error::NotFound`] for an organization that is absent or outside of the scope, [`Error::Input`] for a position that
/// its log does not have.
pub async fn watch(
    scope: &Scope,
    database: Database,
    moved: &Moved,
    filter: ChangeFilter,
    after: Option<i64>,
) -> Result<impl Stream<Item = Result<ChangeEvent>> + Send + 'static + use<>> {
    reach::to_organization(scope, filter.organization, Role::Viewer).require(ORGANIZATION)?;
    // Before the log is asked where it stands: what happens in between is told here.
    let news = moved.listen();
    let last = page::last(&database, filter.organization).await?.ok_or_else(|| reach::unknown(ORGANIZATION))?;
    let reached = after.unwrap_or(last);
    if !(0..=last).contains(&reached) {
        return Err(Error::input("after", "is not a position of this stream; use a cursor as the server sent it"));
    }
    let tail =
        Tail { database, filter, news, reached, target: last, pending: VecDeque::new(), removed: None, is_over: false };
    Ok(try_unfold(tail, |mut tail| async move { Ok(tail.next().await?.map(|event| (event, tail))) }))
}

/// A stream's own state.
struct Tail {
    database: Database,
    filter: ChangeFilter,
    news: Receiver<Move>,
    /// The last change that is behind it.
    reached: i64,
    /// How far the log is said to be.
    target: i64,
    /// Read and not yet delivered.
    pending: VecDeque<ChangeEvent>,
    /// Not yet told.
    removed: Option<Removed>,
    /// The organization is gone, and its log goes no further.
    is_over: bool,
}

impl Tail {
    async fn next(&mut self) -> Result<Option<ChangeEvent>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(Some(event));
            }
            if self.is_over {
                return Ok(None);
            }
            if self.reached < self.target {
                self.read_on().await?;
                continue;
            }
            match self.news.recv().await {
                Ok((organization, last)) if organization == self.filter.organization => {
                    self.target = last.max(self.target);
                }
                Ok(_) => {}
                // It may have been about us.
                Err(RecvError::Lagged(_)) => self.target = self.reached + 1,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    async fn read_on(&mut self) -> Result<()> {
        let page = page::after(&self.database, self.filter.organization, self.reached).await?;
        let is_last = page.len() < page::ROWS_MAX;
        for mut event in page {
            if event.sequence > self.reached + 1 {
                let first = self.removed.map_or(self.reached + 1, |removed| removed.first);
                self.removed = Some(Removed { first, last: event.sequence - 1 });
            }
            self.reached = event.sequence;
            let gone = EntityKey::Organization(self.filter.organization);
            self.is_over |= event.change.kind == ChangeKind::Deleted && event.change.entity == gone;
            if self.filter.passes(&event) {
                event.removed = self.removed.take();
                self.pending.push_back(event);
            }
        }
        if is_last {
            // What was said and is not there was removed, and the next change will tell.
            self.target = self.reached;
        }
        Ok(())
    }
}
