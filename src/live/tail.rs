//! The live end of a stream. Batches arrive over the publisher's channel; their sequences show which ones are missing, and
//! those are read from the database.

use std::{
    collections::{BTreeSet, VecDeque},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::{Sleep, sleep},
};

use super::{
    event::{CommitRows, EventPacker, StreamEvent, StreamPacing},
    filter::Filter,
    publisher::CommittedBatch,
    replay,
};
use crate::{
    db::Database,
    error::Result,
    model::{CommitPosition, CommitPositions, OrganizationId, Scope},
};

/// Delay before a failed read is retried.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct LiveTail {
    scope: Scope,
    database: Database,
    filter: Filter,
    organizations: Option<BTreeSet<OrganizationId>>,
    receiver: Receiver<Arc<CommittedBatch>>,
    packer: EventPacker,
    pacing: StreamPacing,
    /// Organizations to be read from the database, each up to a sequence.
    behind: VecDeque<(OrganizationId, i64)>,
    /// True after the channel dropped batches of unknown organizations.
    has_lagged: bool,
    /// The pause since the last event; until it is over, rows wait for others.
    pause: Option<Pin<Box<Sleep>>>,
    heartbeat: Pin<Box<Sleep>>,
}

impl LiveTail {
    pub fn new(
        scope: &Scope,
        database: Database,
        filter: Filter,
        organizations: Option<BTreeSet<OrganizationId>>,
        receiver: Receiver<Arc<CommittedBatch>>,
        start: CommitPositions,
        pacing: StreamPacing,
    ) -> Self {
        Self {
            scope: *scope,
            database,
            filter,
            organizations,
            receiver,
            packer: EventPacker::new(start, pacing.batch_max),
            pacing,
            behind: VecDeque::new(),
            has_lagged: false,
            pause: None,
            heartbeat: Box::pin(sleep(pacing.heartbeat)),
        }
    }

    /// The next event; `None` when the server has stopped publishing.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some(mut event) = self.packer.pop_full() {
                event.caught_up = self.behind.is_empty() && !self.has_lagged;
                return Some(self.restart_timers(event));
            }
            if self.has_lagged || !self.behind.is_empty() {
                if let Err(error) = self.read_page().await {
                    tracing::warn!(%error, "a stream cannot read missed batches; retrying");
                    sleep(RETRY_INTERVAL).await;
                }
                continue;
            }
            match self.receiver.try_recv() {
                Ok(batch) => {
                    self.add(&batch);
                    continue;
                }
                Err(TryRecvError::Lagged(_)) => {
                    self.has_lagged = true;
                    continue;
                }
                Err(TryRecvError::Closed) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if self.pause.is_none() && self.packer.has_pending() {
                let event = self.packer.cut(true);
                return Some(self.restart_timers(event));
            }
            tokio::select! {
                received = self.receiver.recv() => match received {
                    Ok(batch) => self.add(&batch),
                    Err(RecvError::Lagged(_)) => self.has_lagged = true,
                    Err(RecvError::Closed) => return None,
                },
                () = wait(&mut self.pause), if self.pause.is_some() => self.pause = None,
                () = self.heartbeat.as_mut() => {
                    let event = self.packer.cut(true);
                    return Some(self.restart_timers(event));
                }
            }
        }
    }

    /// Restarts the pause and the heartbeat after an event.
    fn restart_timers(&mut self, event: StreamEvent) -> StreamEvent {
        self.pause = Some(Box::pin(sleep(self.pacing.delay_max)));
        self.heartbeat = Box::pin(sleep(self.pacing.heartbeat));
        event
    }

    fn covers(&self, organization: OrganizationId) -> bool {
        match &self.organizations {
            Some(organizations) => organizations.contains(&organization),
            None => organization != self.database.own_organization(),
        }
    }

    /// Adds a batch if it follows the position; any other is known already or has missing batches before it.
    fn add(&mut self, batch: &CommittedBatch) {
        let CommittedBatch { organization, sequence, .. } = *batch;
        let reached = self.packer.at().of(organization).sequence;
        if !self.covers(organization) || sequence <= reached {
            return;
        }
        if sequence > reached + 1 {
            self.behind.push_back((organization, sequence));
            return;
        }
        let is_covered = self.filter.covers(batch.project);
        let rows = (0..).zip(&batch.measurements).filter(|(_, row)| is_covered && self.filter.matches(row));
        let matching = rows.filter_map(|(ordinal, _)| Some((ordinal, batch.recorded(ordinal)?)));
        let end = CommitPosition::after(sequence);
        self.packer.add(CommitRows { organization, sequence, total: batch.rows(), matching, end });
    }

    /// Reads a page of missed batches.
    async fn read_page(&mut self) -> Result<()> {
        if self.has_lagged {
            let last = replay::last_sequences(&self.scope, &self.database, self.organizations.as_ref()).await?;
            self.has_lagged = false;
            self.behind.extend(last);
        }
        if let Some((organization, to)) = self.behind.front().copied() {
            let (from, to) = (self.packer.at().of(organization), CommitPosition::after(to));
            if from < to {
                let page = replay::page(&self.scope, &self.database, &self.filter, organization, from, to).await?;
                page.pack(&mut self.packer);
            } else {
                self.behind.pop_front();
            }
        }
        Ok(())
    }
}

async fn wait(pause: &mut Option<Pin<Box<Sleep>>>) {
    if let Some(pause) = pause {
        pause.await;
    }
}
