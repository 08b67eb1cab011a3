//! One who watches: goes along with the shared execution, and reads for itself what it misses of it.

use std::{collections::VecDeque, sync::Arc};

use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio::sync::broadcast::error::RecvError;

use super::{
    Event, Frame, Opening, Overflow, Part, Subscription,
    shared::{Boundary, Joined, Stage, started},
};
use crate::{engine::Engine, model::Positions};

/// One who watches a subscription.
pub struct Watcher {
    engine: Engine,
    /// Taken when it joins.
    subscription: Option<Subscription>,
    /// Where it resumes.
    after: Option<Arc<str>>,
    joined: Option<Joined>,
    opening: Opening,
    /// To be handed over before anything else.
    pending: VecDeque<Arc<Frame>>,
    /// Where the stream stands behind what is pending.
    at: Option<Arc<Positions>>,
    /// The cursor of that.
    cursor: Option<Arc<str>>,
    /// What the shared execution had delivered there, where that is known.
    rows: Option<u64>,
    /// The place of the shared execution that is to be read up to.
    until: Option<Boundary>,
    /// Whether it let go of something and has not been told yet.
    has_skipped: bool,
    is_over: bool,
}

impl Watcher {
    /// The events of a subscription, behind a cursor or from now on.
    pub fn events(engine: Engine, subscription: Subscription, after: Option<Arc<str>>) -> BoxStream<'static, Event> {
        let watcher = Self {
            engine,
            subscription: Some(subscription),
            after,
            joined: None,
            opening: Opening::Plain,
            pending: VecDeque::new(),
            at: None,
            cursor: None,
            rows: None,
            until: None,
            has_skipped: false,
            is_over: false,
        };
        unfold(watcher, |mut watcher| async move { watcher.next().await.map(|event| (event, watcher)) }).boxed()
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(frame) = self.pending.pop_front() {
                return Some(Event::Answer(frame));
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
        let mut joined = self.engine.join(subscription);
        match started(&mut joined.stage).await {
            Stage::Open(opening) => self.opening = opening,
            Stage::Refused(frame) => {
                self.pending.push_back(frame);
                self.is_over = true;
            }
            Stage::Starting | Stage::Ended => self.is_over = true,
        }
        // Who listens since before it began gets everything from its beginning.
        match (joined.boundary.take().or_else(|| self.opening.boundary()), self.after.take()) {
            (Some(boundary), Some(after)) => (self.cursor, self.until) = (Some(after), Some(boundary)),
            (Some(Boundary { at, cursor, rows }), None) => {
                (self.at, self.cursor, self.rows) = (Some(at), Some(cursor), Some(rows));
            }
            (None, _) => {}
        }
        self.pending.extend(joined.before.drain(..));
        self.joined = Some(joined);
    }

    /// Reads what lies between here and a place of the shared execution, or a part of it.
    async fn read_up_to(&mut self, until: Boundary) {
        let (Some(joined), Some(cursor)) = (&self.joined, &self.cursor) else {
            self.is_over = true;
            return;
        };
        let stretch = self.engine.stretch(&joined.shared.subscription, cursor, &until).await;
        self.pending.extend(stretch.frames.iter().cloned());
        self.rows = None;
        match stretch.end() {
            Some((at, cursor)) => {
                (self.at, self.cursor) = (Some(Arc::clone(at)), Some(Arc::clone(cursor)));
                self.until = (!at.reaches(&until.at)).then_some(until);
            }
            None => self.is_over = true,
        }
    }

    /// Waits for the next event of the shared execution; says so where this one is too slow for that.
    async fn follow(&mut self) -> Option<Event> {
        let Some(joined) = &mut self.joined else {
            self.is_over = true;
            return None;
        };
        let mut received = joined.frames.recv().await;
        if matches!(self.opening, Opening::State) {
            // Only the last one counts.
            while !joined.frames.is_empty() {
                received = joined.frames.recv().await;
            }
        }
        match (received, &self.opening) {
            (Ok(frame), _) => self.consider(frame).await,
            (Err(RecvError::Closed), _) => self.is_over = true,
            (Err(RecvError::Lagged(_)), Opening::State | Opening::Places { overflow: Overflow::Replay, .. }) => {}
            (Err(RecvError::Lagged(_)), Opening::Places { overflow: Overflow::Skip, .. }) => self.has_skipped = true,
            (Err(RecvError::Lagged(_)), Opening::Plain | Opening::Places { overflow: Overflow::Close, .. }) => {
                self.is_over = true;
                return Some(Event::TooSlow(self.cursor.clone()));
            }
        }
        None
    }

    /// Takes an event that begins where this one stands; passes over what it has, and reads what it has not.
    async fn consider(&mut self, frame: Arc<Frame>) {
        let (Some(place), Some(at)) = (&frame.place, &self.at) else {
            self.pending.push_back(frame);
            return;
        };
        let has_skipped = std::mem::take(&mut self.has_skipped);
        if Arc::ptr_eq(at, &place.from) || *at == place.from {
            self.rows = Some(place.rows_before + place.rows);
        } else if at.reaches(&place.to) {
            return;
        } else if let (true, Some(rows), Some(cursor), Some(joined)) =
            (has_skipped, self.rows, &self.cursor, &self.joined)
        {
            let missed = place.rows_before.saturating_sub(rows);
            let part = Part::Skip { from: Arc::clone(cursor), to: Arc::clone(&place.before), missed };
            let note = self.engine.skip(&joined.shared.subscription, part).await;
            self.pending.extend(note.frames.iter().cloned());
            self.rows = Some(place.rows_before + place.rows);
        } else {
            self.until = Some(place.end());
            return;
        }
        (self.at, self.cursor) = (Some(Arc::clone(&place.to)), Some(Arc::clone(&place.cursor)));
        self.pending.push_back(frame);
    }
}
