//! The state of one window: its counts, and the times at which it advances and is pushed.
//!
//! Windows end at multiples of their interval since the epoch. A window is pushed `delay` after its end, so that
//! measurements under way are included. Late measurements revise it until `grace` after its end, when it is final, or until
//! the next window replaces it. Later measurements still count in every later window that they belong to.

use std::sync::Arc;

use super::{
    group::SlotRange,
    groups::{WindowGroup, WindowGroups},
    query::WindowQuery,
};
use crate::{
    config,
    live::publisher::CommittedBatch,
    model::{Measurement, ProjectId, StreamCursor, TimeRange, Timestamp, timestamp::whole_micros},
};

/// The times at which windows are pushed, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct WindowTiming {
    /// Time from the end of a window to its push, and minimum time from a push to a revision.
    delay: i64,
    /// Time from the end of a window to its last revision.
    grace: i64,
}

impl From<&config::Live> for WindowTiming {
    fn from(settings: &config::Live) -> Self {
        Self { delay: whole_micros(settings.window_delay), grace: whole_micros(settings.window_grace) }
    }
}

/// A window as it is pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveWindow {
    /// The last commit that is counted; all commits up to it are, and none after it.
    pub cursor: StreamCursor,
    /// The range of time that the window covers.
    pub range: TimeRange,
    /// The time at which the window was computed.
    pub as_of: Timestamp,
    /// The number of earlier pushes of this window.
    pub revision: u32,
    /// True if the window will not be revised any more.
    pub is_final: bool,
    /// The groups, sorted by their keys.
    pub groups: Vec<WindowGroup>,
}

/// The state of a window.
#[derive(Debug)]
pub struct WindowState {
    query: Arc<WindowQuery>,
    timing: WindowTiming,
    groups: WindowGroups,
    range: SlotRange,
    /// The time of the window's last push.
    pushed_at: Option<Timestamp>,
    revision: u32,
    is_final: bool,
    /// True if measurements were counted since the last push.
    changed: bool,
}

/// The slots of the window that is current at this time.
pub fn range_at(query: &WindowQuery, timing: WindowTiming, now: Timestamp) -> SlotRange {
    let width = query.slot_width();
    let end = now.plus_micros(-timing.delay).floor(query.every).as_micros() / width;
    SlotRange { first: end - query.length / width, end }
}

impl WindowState {
    /// A window with groups read from the database.
    pub const fn new(query: Arc<WindowQuery>, timing: WindowTiming, range: SlotRange, groups: WindowGroups) -> Self {
        Self { query, timing, groups, range, pushed_at: None, revision: 0, is_final: false, changed: false }
    }

    /// Replaces the groups with those read from the database.
    pub fn reload(&mut self, range: SlotRange, groups: WindowGroups) {
        // The clock may have been set back in between; the window never moves back.
        if range.end >= self.range.end {
            self.changed = true;
            self.restart_at(range);
            self.groups = groups;
        }
    }

    /// The groups.
    pub const fn groups(&self) -> &WindowGroups {
        &self.groups
    }

    /// Counts the matching measurements of a batch.
    pub fn add(&mut self, batch: &CommittedBatch) {
        let (query, project) = (Arc::clone(&self.query), batch.project.id);
        if query.projects.is_empty() || query.projects.contains(&project) {
            let named = |one: &&Measurement| query.endpoints.is_empty() || query.endpoints.contains(&one.endpoint);
            batch.measurements.iter().filter(named).for_each(|one| self.record(project, one));
        }
    }

    /// Counts a measurement, if it matches; its project and endpoint are those of the window.
    pub fn record(&mut self, project: ProjectId, one: &Measurement) {
        if self.query.matches(one) {
            let slot = one.timestamp.as_micros().div_euclid(self.query.slot_width());
            self.groups.record(&self.query, self.range, slot, project, one);
            self.changed |= self.range.contains(slot);
        }
    }

    /// The next time at which [`WindowState::push`] has something to push.
    pub fn due(&self) -> Timestamp {
        let next = self.end().plus_micros(self.query.every.saturating_add(self.timing.delay));
        let Some(pushed_at) = self.pushed_at else { return self.end() };
        if self.is_final {
            return next;
        }
        let revised = if self.changed { pushed_at.plus_micros(self.timing.delay) } else { next };
        next.min(revised).min(self.end().plus_micros(self.timing.grace))
    }

    /// Advances to the current window. Returns it if it is new, was revised or has become final.
    pub fn push(&mut self, now: Timestamp, cursor: StreamCursor) -> Option<LiveWindow> {
        let range = range_at(&self.query, self.timing, now);
        if range.end > self.range.end {
            self.groups.advance(self.range, range);
            self.restart_at(range);
        }
        let is_over = now >= self.end().plus_micros(self.timing.grace);
        if let Some(pushed_at) = self.pushed_at {
            let is_revised = self.changed && now >= pushed_at.plus_micros(self.timing.delay);
            if self.is_final || !(is_over || is_revised) {
                return None;
            }
            self.revision += 1;
        }
        (self.pushed_at, self.is_final, self.changed) = (Some(now), is_over, false);
        Some(LiveWindow {
            cursor,
            range: TimeRange::last(self.query.length, self.end()),
            as_of: now,
            revision: self.revision,
            is_final: self.is_final,
            groups: self.groups.read(&self.query, self.range),
        })
    }

    fn restart_at(&mut self, range: SlotRange) {
        if range.end > self.range.end {
            (self.pushed_at, self.revision, self.is_final, self.changed) = (None, 0, false, false);
        }
        self.range = range;
    }

    fn at(&self, slot: i64) -> Timestamp {
        Timestamp::from_micros(slot.saturating_mul(self.query.slot_width()))
    }

    fn end(&self) -> Timestamp {
        self.at(self.range.end)
    }
}
