//! The live end of a stream. The publisher's channel is the quick way; the sequence says whether it was complete, and what
//! was missed is read from the database.

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
    CommittedBatch, Filter, StreamEvent,
    event::{Packer, Rows},
    replay,
    stream::Pace,
};
use crate::{
    db::Database,
    error::Result,
    model::{OrganizationId, Position, Positions},
};

/// How long to wait before a database that did not answer is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Tail {
    database: Database,
    filter: Filter,
    organizations: Option<BTreeSet<OrganizationId>>,
    receiver: Receiver<Arc<CommittedBatch>>,
    packer: Packer,
    pace: Pace,
    /// Organizations to be read from the database, and up to which sequence.
    behind: VecDeque<(OrganizationId, i64)>,
    /// Whether the channel dropped something, and nobody knows what.
    has_lagged: bool,
    /// Since the last event; until it is over, rows wait for others.
    pause: Option<Pin<Box<Sleep>>>,
    heartbeat: Pin<Box<Sleep>>,
}

impl Tail {
    pub fn new(
        database: Database,
        filter: Filter,
        organizations: Option<BTreeSet<OrganizationId>>,
        receiver: Receiver<Arc<CommittedBatch>>,
        start: Positions,
        pace: Pace,
    ) -> Self {
        Self {
            database,
            filter,
            organizations,
            receiver,
            packer: Packer::new(start, pace.batch_max),
            pace,
            behind: VecDeque::new(),
            has_lagged: false,
            pause: None,
            heartbeat: Box::pin(sleep(pace.heartbeat)),
        }
    }

    /// The next event; nothing when the server has stopped publishing.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some(mut event) = self.packer.pop_full() {
                event.caught_up = self.behind.is_empty() && !self.has_lagged;
                return Some(self.rest(event));
            }
            if self.has_lagged || !self.behind.is_empty() {
                if let Err(error) = self.read_on().await {
                    tracing::warn!(%error, "a stream cannot read what it missed; trying again");
                    sleep(RETRY_INTERVAL).await;
                }
                continue;
            }
            match self.receiver.try_recv() {
                Ok(batch) => {
                    self.take(&batch);
                    continue;
                }
                Err(TryRecvError::Lagged(_)) => {
                    self.has_lagged = true;
                    continue;
                }
                Err(TryRecvError::Closed) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if self.pause.is_none() && self.packer.has_news() {
                let event = self.packer.cut(true);
                return Some(self.rest(event));
            }
            tokio::select! {
                received = self.receiver.recv() => match received {
                    Ok(batch) => self.take(&batch),
                    Err(RecvError::Lagged(_)) => self.has_lagged = true,
                    Err(RecvError::Closed) => return None,
                },
                () = over(&mut self.pause), if self.pause.is_some() => self.pause = None,
                () = self.heartbeat.as_mut() => {
                    let event = self.packer.cut(true);
                    return Some(self.rest(event));
                }
            }
        }
    }

    /// After an event rows wait for others again, and silence begins anew.
    fn rest(&mut self, event: StreamEvent) -> StreamEvent {
        self.pause = Some(Box::pin(sleep(self.pace.delay_max)));
        self.heartbeat = Box::pin(sleep(self.pace.heartbeat));
        event
    }

    fn watches(&self, organization: OrganizationId) -> bool {
        self.organizations.as_ref().is_none_or(|watched| watched.contains(&organization))
    }

    /// Takes a batch that follows what was reached; anything else is known already or has a gap before it.
    fn take(&mut self, batch: &CommittedBatch) {
        let CommittedBatch { organization, sequence, .. } = *batch;
        let reached = self.packer.at().of(organization).sequence;
        if !self.watches(organization) || sequence <= reached {
            return;
        }
        if sequence > reached + 1 {
            self.behind.push_back((organization, sequence));
            return;
        }
        let watches = self.filter.watches(batch.project);
        let rows = (0..).zip(&batch.measurements).filter(|(_, row)| watches && self.filter.passes(row));
        let passing = rows.filter_map(|(ordinal, _)| Some((ordinal, batch.recorded(ordinal)?)));
        let end = Position::after(sequence);
        self.packer.take(Rows { organization, sequence, total: batch.rows(), passing, end });
    }

    /// Reads a page of what was missed.
    async fn read_on(&mut self) -> Result<()> {
        if self.has_lagged {
            let last = replay::last_sequences(&self.database, self.organizations.as_ref()).await?;
            self.has_lagged = false;
            self.behind.extend(last);
        }
        if let Some((organization, to)) = self.behind.front().copied() {
            let (from, to) = (self.packer.at().of(organization), Position::after(to));
            if from < to {
                replay::page(&self.database, &self.filter, organization, from, to).await?.pack(&mut self.packer);
            } else {
                self.behind.pop_front();
            }
        }
        Ok(())
    }
}

async fn over(pause: &mut Option<Pin<Box<Sleep>>>) {
    if let Some(pause) = pause {
        pause.await;
    }
}
