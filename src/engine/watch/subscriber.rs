//! A subscriber: follows the shared execution, and replays for itself the events that it misses.

use std::{collections::VecDeque, sync::Arc};

use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio::sync::broadcast::error::RecvError;

use super::{
    EncodedResponse, Event, Overflow, ResumeCursor, Segment, StreamKind, Subscription,
    shared::{SharedReceiver, Stage, StreamPosition, started},
};
use crate::{engine::Engine, model::CommitPositions};

/// One subscriber of a subscription.
pub struct Subscriber {
    engine: Engine,
    /// `None` after the join.
    subscription: Option<Subscription>,
    /// The cursor after which it resumes, until it has.
    after: Option<ResumeCursor>,
    /// The cursor of the start, until the client has it.
    opened: Option<Arc<str>>,
    receiver: Option<SharedReceiver>,
    kind: StreamKind,
    /// Events to deliver before any other.
    pending: VecDeque<Arc<EncodedResponse>>,
    /// The position after the pending events.
    at: Option<Arc<CommitPositions>>,
    /// The cursor of that position.
    cursor: Option<Arc<str>>,
    /// The number of rows that the shared execution had delivered there, if known.
    rows: Option<u64>,
    /// The position of the shared execution at which a replay ends.
    until: Option<StreamPosition>,
    /// It has skipped events and has not reported them.
    has_skipped: bool,
    is_over: bool,
}

impl Subscriber {
    /// The events of a subscription, after a cursor or from now on.
    pub fn events(
        engine: Engine,
        subscription: Subscription,
        after: Option<ResumeCursor>,
    ) -> BoxStream<'static, Event> {
        let subscriber = Self {
            engine,
            subscription: Some(subscription),
            after,
            opened: None,
            receiver: None,
            kind: StreamKind::Events { start: None },
            pending: VecDeque::new(),
            at: None,
            cursor: None,
            rows: None,
            until: None,
            has_skipped: false,
            is_over: false,
        };
        unfold(subscriber, |mut subscriber| async move { subscriber.next().await.map(|event| (event, subscriber)) })
            .boxed()
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(cursor) = self.opened.take() {
                return Some(Event::Opened(cursor));
            }
            if let Some(response) = self.pending.pop_front() {
                return Some(Event::Response(response));
            }
            if self.is_over {
                return None;
            }
            if let Some(subscription) = self.subscription.take() {
                self.begin(subscription).await;
            } else if let Some(until) = self.until.take() {
                self.read_up_to(until).await;
            } else if let Some(slow) = self.follow().await {
                return Some(slow);
            }
        }
    }

    async fn begin(&mut self, subscription: Subscription) {
        let mut receiver = self.engine.join(subscription);
        match started(&mut receiver.stage).await {
            Stage::Open(kind) => self.kind = kind,
            Stage::Refused(response) => {
                self.pending.push_back(response);
                self.is_over = true;
            }
            Stage::Starting | Stage::Ended => self.is_over = true,
        }
        // A subscriber that joined before the start gets all events.
        match (receiver.position.take().or_else(|| self.kind.position()), &self.after) {
            (Some(position), Some(after)) => {
                (self.cursor, self.until) = (Some(Arc::clone(&after.text)), Some(position));
            }
            (Some(StreamPosition { at, cursor, rows }), None) => {
                (self.at, self.cursor, self.rows) = (Some(at), Some(cursor), Some(rows));
                self.opened.clone_from(&self.cursor);
            }
            (None, _) => {
                let start = self.kind.start().cloned();
                self.cursor = start.map(|start| receiver.cursor.take().unwrap_or(start));
                self.opened.clone_from(&self.cursor);
            }
        }
        for response in receiver.before.drain(..) {
            self.cursor = response.mark.cursor.clone().or(self.cursor.take());
            self.pending.push_back(response);
        }
        self.receiver = Some(receiver);
    }

    /// Replays the events up to a position of the shared execution, or a chunk of them.
    async fn read_up_to(&mut self, until: StreamPosition) {
        let (Some(receiver), Some(cursor)) = (&self.receiver, &self.cursor) else {
            self.is_over = true;
            return;
        };
        let after = self.after.take().unwrap_or_else(|| ResumeCursor::argument(Arc::clone(cursor)));
        let replay = self.engine.replay(&receiver.shared.subscription, &after, &until).await;
        self.pending.extend(replay.responses.iter().cloned());
        self.rows = None;
        match replay.end() {
            Some((at, cursor)) => {
                (self.at, self.cursor) = (Some(Arc::clone(at)), Some(Arc::clone(cursor)));
                self.until = (!at.reaches(&until.at)).then_some(until);
            }
            None => self.is_over = true,
        }
    }

    /// Waits for the next event of the shared execution. Returns the last event of a subscriber that is too slow.
    async fn follow(&mut self) -> Option<Event> {
        let Some(receiver) = &mut self.receiver else {
            self.is_over = true;
            return None;
        };
        let mut outcome = receiver.responses.recv().await;
        if matches!(self.kind, StreamKind::Snapshots) {
            // Only the last snapshot counts.
            while !receiver.responses.is_empty() {
                outcome = receiver.responses.recv().await;
            }
        }
        match (outcome, &self.kind) {
            (Ok(response), _) => self.consider(response).await,
            (Err(RecvError::Closed), _) => self.is_over = true,
            (
                Err(RecvError::Lagged(_)),
                StreamKind::Snapshots | StreamKind::Resumable { overflow: Overflow::Replay, .. },
            ) => {}
            (Err(RecvError::Lagged(_)), StreamKind::Resumable { overflow: Overflow::Skip, .. }) => {
                self.has_skipped = true;
            }
            (
                Err(RecvError::Lagged(_)),
                StreamKind::Events { .. } | StreamKind::Resumable { overflow: Overflow::Close, .. },
            ) => {
                self.is_over = true;
                return Some(Event::Lagged(self.cursor.clone()));
            }
        }
        None
    }

    /// Delivers an event that starts at the current position, ignores one that was delivered, and replays up to a later one.
    async fn consider(&mut self, response: Arc<EncodedResponse>) {
        let (Some(span), Some(at)) = (&response.mark.span, &self.at) else {
            self.cursor = response.mark.cursor.clone().or(self.cursor.take());
            self.pending.push_back(response);
            return;
        };
        let has_skipped = std::mem::take(&mut self.has_skipped);
        if Arc::ptr_eq(at, &span.from) || *at == span.from {
            self.rows = Some(span.rows_before + span.rows);
        } else if at.reaches(&span.to) {
            return;
        } else if let (true, Some(rows), Some(cursor), Some(receiver)) =
            (has_skipped, self.rows, &self.cursor, &self.receiver)
        {
            let missed = span.rows_before.saturating_sub(rows);
            let segment = Segment::Skipped { from: Arc::clone(cursor), to: Arc::clone(&span.before), missed };
            let notice = self.engine.skip(&receiver.shared.subscription, segment).await;
            self.pending.extend(notice.responses.iter().cloned());
            self.rows = Some(span.rows_before + span.rows);
        } else {
            self.until = Some(span.end());
            return;
        }
        (self.at, self.cursor) = (Some(Arc::clone(&span.to)), Some(Arc::clone(&span.cursor)));
        self.pending.push_back(response);
    }
}
