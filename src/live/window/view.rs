//! One window as it is watched: what it counts, when it moves on, and when it is pushed.
//!
//! Windows end at multiples of their pace since the epoch. Each is pushed a moment (`delay`) after its end, so that what
//! was on its way is in it; late measurements revise it until `grace` after its end, when it is final, or until the next
//! one takes its place. Whatever comes later still counts in every later window that it belongs to.

use std::sync::Arc;

use super::{
    query::WindowQuery,
    ring::Span,
    rings::{Rings, WindowGroup},
};
use crate::{
    live::CommittedBatch,
    model::{Measurement, ProjectId, StreamCursor, TimeRange, Timestamp},
};

/// When windows are pushed, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So long after its end a window is pushed, and so long after that it is revised at the earliest.
    pub delay: i64,
    /// So long after its end a window may be revised.
    pub grace: i64,
}

/// A window at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveWindow {
    /// Every commit up to here is counted, and none after it.
    pub cursor: StreamCursor,
    /// When what it counts happened.
    pub range: TimeRange,
    /// When it was put together.
    pub as_of: Timestamp,
    /// How often this window was pushed before.
    pub revision: u32,
    /// Whether it is not going to be revised any more.
    pub is_final: bool,
    /// In the order of their keys.
    pub groups: Vec<WindowGroup>,
}

/// The state behind a window.
#[derive(Debug)]
pub struct View {
    query: Arc<WindowQuery>,
    pace: Pace,
    rings: Rings,
    span: Span,
    /// When this window was last pushed, if it was.
    pushed_at: Option<Timestamp>,
    revision: u32,
    is_final: bool,
    /// Whether it counts something that was not pushed yet.
    changed: bool,
}

/// The slots of the window that is to be seen at a moment.
pub fn span_at(query: &WindowQuery, pace: Pace, now: Timestamp) -> Span {
    let width = query.slot_width();
    let end = now.plus_micros(-pace.delay).floor(query.every).as_micros() / width;
    Span { first: end - query.window / width, end }
}

impl View {
    /// A window over what the database held.
    pub const fn new(query: Arc<WindowQuery>, pace: Pace, span: Span, rings: Rings) -> Self {
        Self { query, pace, rings, span, pushed_at: None, revision: 0, is_final: false, changed: false }
    }

    /// Starts over with what the database holds now.
    pub fn refill(&mut self, span: Span, rings: Rings) {
        // The clock may have been set back in between; the window never moves back.
        if span.end >= self.span.end {
            self.changed = true;
            self.restart_at(span);
            self.rings = rings;
        }
    }

    /// What is counted.
    pub const fn rings(&self) -> &Rings {
        &self.rings
    }

    /// Counts what passes of a batch.
    pub fn take(&mut self, batch: &CommittedBatch) {
        let (query, project) = (Arc::clone(&self.query), batch.project.id);
        if query.projects.is_empty() || query.projects.contains(&project) {
            let named = |one: &&Measurement| query.endpoints.is_empty() || query.endpoints.contains(&one.endpoint);
            batch.measurements.iter().filter(named).for_each(|one| self.record(project, one));
        }
    }

    /// Counts a measurement of a project and an endpoint that are watched, if it passes.
    pub fn record(&mut self, project: ProjectId, one: &Measurement) {
        if self.query.passes(one) {
            let slot = one.timestamp.as_micros().div_euclid(self.query.slot_width());
            self.rings.record(&self.query, self.span, slot, project, one);
            self.changed |= self.span.holds(slot);
        }
    }

    /// When [`View::push`] will next have something to push.
    pub fn due(&self) -> Timestamp {
        let next = self.end().plus_micros(self.query.every.saturating_add(self.pace.delay));
        let Some(pushed_at) = self.pushed_at else { return self.end() };
        if self.is_final {
            return next;
        }
        let revised = if self.changed { pushed_at.plus_micros(self.pace.delay) } else { next };
        next.min(revised).min(self.end().plus_micros(self.pace.grace))
    }

    /// Moves on to the window of now; answers it where it is new, was revised or has become final.
    pub fn push(&mut self, now: Timestamp, cursor: StreamCursor) -> Option<LiveWindow> {
        let span = span_at(&self.query, self.pace, now);
        if span.end > self.span.end {
            self.rings.advance(self.span, span);
            self.restart_at(span);
        }
        let is_over = now >= self.end().plus_micros(self.pace.grace);
        if let Some(pushed_at) = self.pushed_at {
            let is_revised = self.changed && now >= pushed_at.plus_micros(self.pace.delay);
            if self.is_final || !(is_over || is_revised) {
                return None;
            }
            self.revision += 1;
        }
        (self.pushed_at, self.is_final, self.changed) = (Some(now), is_over, false);
        Some(LiveWindow {
            cursor,
            range: TimeRange::last(self.query.window, self.end()),
            as_of: now,
            revision: self.revision,
            is_final: self.is_final,
            groups: self.rings.read(&self.query, self.span),
        })
    }

    fn restart_at(&mut self, span: Span) {
        if span.end > self.span.end {
            (self.pushed_at, self.revision, self.is_final, self.changed) = (None, 0, false, false);
        }
        self.span = span;
    }

    fn at(&self, slot: i64) -> Timestamp {
        Timestamp::from_micros(slot.saturating_mul(self.query.slot_width()))
    }

    fn end(&self) -> Timestamp {
        self.at(self.span.end)
    }
}
