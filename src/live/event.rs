//! Events of a metric stream: committed measurements, packed into batches that each carry the position after them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    config,
    error::{Error, Result},
    model::{
        CommitPosition, CommitPositions, OrganizationId, RecordedMetric,
        timestamp::{duration_text, whole_micros},
    },
};

/// The size and rate of a stream's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPacing {
    /// Maximum rows of one event.
    pub batch_max: usize,
    /// Maximum delay of a row that waits for others. After a pause rows are sent at once.
    pub delay_max: Duration,
    /// Time without events after which one without rows reports the current position.
    pub heartbeat: Duration,
    /// Maximum number of organizations of one stream; each is part of every cursor.
    pub organizations_max: usize,
}

impl StreamPacing {
    /// Rows of one event if the caller requests no other number.
    pub const BATCH_DEFAULT: i32 = 100;
    /// Delay in microseconds if the caller requests no other one.
    pub const DELAY_DEFAULT_MICROS: i64 = 250_000;

    /// The requested pacing, within the limits of the settings. `max_delay` is in microseconds.
    ///
    /// # Errors
    /// [`Error::Input`] for values beyond the limits.
    pub fn requested(settings: &config::Live, max_batch: i32, max_delay: i64) -> Result<Self> {
        let limit = settings.event_metrics_max;
        let batch_max = usize::try_from(max_batch).ok().filter(|batch| (1..=limit).contains(batch));
        let batch_max = batch_max
            .ok_or_else(|| Error::input("maxBatch", format!("is {max_batch}; it must be from 1 to {limit}")))?;
        let delay_max = u64::try_from(max_delay).map(Duration::from_micros).unwrap_or_default();
        if delay_max > settings.delay_max {
            let (given, limit) = (duration_text(max_delay), duration_text(whole_micros(settings.delay_max)));
            return Err(Error::input("maxDelay", format!("is {given}; it must be at most {limit}")));
        }
        Ok(Self {
            batch_max,
            delay_max,
            heartbeat: settings.heartbeat_interval,
            organizations_max: settings.organizations_max,
        })
    }
}

/// An event of a stream: all rows that match the filter between two positions, in the order of commits.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEvent {
    /// The position at which the previous event ended.
    pub from: Arc<CommitPositions>,
    /// The position after this event; a stream opened after it continues with the next row.
    pub to: Arc<CommitPositions>,
    /// The matching rows; empty in a heartbeat.
    pub metrics: Vec<RecordedMetric>,
    /// The rows between the positions that could not be delivered.
    pub gap: Option<Gap>,
    /// True if all rows committed so far have been delivered.
    pub caught_up: bool,
}

/// Measurements that a stream could not deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The start of the gap.
    pub from: CommitPositions,
    /// The end of the gap.
    pub to: CommitPositions,
    /// The number of measurements, if still known.
    pub missed: Option<u64>,
    /// The reason.
    pub reason: GapReason,
}

/// The reason of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// Retention has removed the measurements.
    Retention,
    /// The client was too slow and had requested to skip.
    SlowConsumer,
}

impl GapReason {
    /// True if a stream opened after the start of the gap can still deliver the measurements.
    pub const fn is_recoverable(self) -> bool {
        match self {
            Self::Retention => false,
            Self::SlowConsumer => true,
        }
    }
}

/// Packs rows into events of bounded size, each starting where the previous one ended.
#[derive(Debug)]
pub(super) struct EventPacker {
    batch_max: usize,
    /// The end of the last event.
    from: Arc<CommitPositions>,
    /// The position up to which all rows have been added.
    at: CommitPositions,
    metrics: Vec<RecordedMetric>,
    gap: Option<Gap>,
    full: VecDeque<StreamEvent>,
}

/// Rows of one commit.
#[derive(Debug)]
pub(super) struct CommitRows<I> {
    pub organization: OrganizationId,
    pub sequence: i64,
    /// The number of rows of the commit, matching or not.
    pub total: u32,
    /// The matching rows, each with its index in the commit.
    pub matching: I,
    /// The position after these rows.
    pub end: CommitPosition,
}

impl EventPacker {
    pub fn new(start: CommitPositions, batch_max: usize) -> Self {
        Self {
            batch_max: batch_max.max(1),
            from: Arc::new(start.clone()),
            at: start,
            metrics: Vec::new(),
            gap: None,
            full: VecDeque::new(),
        }
    }

    /// The position up to which all rows have been added.
    pub const fn at(&self) -> &CommitPositions {
        &self.at
    }

    /// Adds rows of the next commit of an organization.
    pub fn add(&mut self, rows: CommitRows<impl Iterator<Item = (u32, RecordedMetric)>>) {
        let CommitRows { organization, sequence, total, matching, end } = rows;
        for (ordinal, metric) in matching {
            self.metrics.push(metric);
            if self.metrics.len() >= self.batch_max {
                self.at.set(organization, CommitPosition::inside(sequence, ordinal + 1, total));
                let event = self.cut(false);
                self.full.push_back(event);
            }
        }
        self.at.set(organization, end);
    }

    /// Reports a gap from a position to the current one; `missed` is the number of rows, if known.
    pub fn add_gap(&mut self, from: CommitPositions, missed: Option<u64>) {
        let to = self.at.clone();
        let empty = Gap { from, to: to.clone(), missed: Some(0), reason: GapReason::Retention };
        let gap = self.gap.get_or_insert(empty);
        gap.missed = gap.missed.zip(missed).map(|(sum, more)| sum + more);
        gap.to = to;
    }

    /// Takes a full event.
    pub fn pop_full(&mut self) -> Option<StreamEvent> {
        self.full.pop_front()
    }

    /// True if there are rows or a gap that fill no event yet.
    pub const fn has_pending(&self) -> bool {
        !self.metrics.is_empty() || self.gap.is_some()
    }

    /// Makes an event of the pending rows; without any, it carries only the position.
    pub fn cut(&mut self, caught_up: bool) -> StreamEvent {
        let to = if *self.from == self.at { Arc::clone(&self.from) } else { Arc::new(self.at.clone()) };
        let from = std::mem::replace(&mut self.from, Arc::clone(&to));
        StreamEvent { from, to, metrics: std::mem::take(&mut self.metrics), gap: self.gap.take(), caught_up }
    }
}
