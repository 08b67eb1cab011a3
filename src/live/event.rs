//! Events of a metric stream: what was committed, packed into portions that each say where the stream stands after them.

use std::{collections::VecDeque, sync::Arc};

use crate::model::{OrganizationId, Position, Positions, RecordedMetric};

/// A portion of a stream: everything that passed the filter between two places, in the order of commits.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEvent {
    /// Where the event before this one ended.
    pub from: Arc<Positions>,
    /// Where the stream stands now: a stream that is opened after it goes on with the next row.
    pub to: Arc<Positions>,
    /// The rows that passed; none in a sign of life.
    pub metrics: Vec<RecordedMetric>,
    /// What of the stretch could not be delivered.
    pub gap: Option<Gap>,
    /// Whether nothing that was committed before is still to come.
    pub caught_up: bool,
}

/// Measurements that a stream could not deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins.
    pub from: Positions,
    /// Where it ends.
    pub to: Positions,
    /// How many measurements; nothing where even that is no longer known.
    pub missed: Option<u64>,
    /// Why.
    pub reason: GapReason,
}

/// Why a stream could not deliver something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// It is no longer kept.
    Retention,
    /// The client was too slow and had asked not to wait for it.
    SlowConsumer,
}

impl GapReason {
    /// Whether it can still be had by opening a stream after the beginning of the gap.
    pub const fn is_recoverable(self) -> bool {
        match self {
            Self::Retention => false,
            Self::SlowConsumer => true,
        }
    }
}

/// Packs rows into events of at most so many, each beginning where the one before ended.
#[derive(Debug)]
pub(super) struct Packer {
    batch_max: usize,
    /// Where the last event ended.
    from: Arc<Positions>,
    /// Where everything up to is taken.
    at: Positions,
    metrics: Vec<RecordedMetric>,
    gap: Option<Gap>,
    full: VecDeque<StreamEvent>,
}

/// Rows of one commit.
#[derive(Debug)]
pub(super) struct Rows<I> {
    pub organization: OrganizationId,
    pub sequence: i64,
    /// How many rows the commit has, whether they pass or not.
    pub total: u32,
    /// Those that pass, each behind its place in the commit.
    pub passing: I,
    /// Where the stream stands behind them.
    pub end: Position,
}

impl Packer {
    pub fn new(start: Positions, batch_max: usize) -> Self {
        Self {
            batch_max: batch_max.max(1),
            from: Arc::new(start.clone()),
            at: start,
            metrics: Vec::new(),
            gap: None,
            full: VecDeque::new(),
        }
    }

    /// Where everything up to is taken.
    pub const fn at(&self) -> &Positions {
        &self.at
    }

    /// Takes rows of the next commit of an organization.
    pub fn take(&mut self, rows: Rows<impl Iterator<Item = (u32, RecordedMetric)>>) {
        let Rows { organization, sequence, total, passing, end } = rows;
        for (ordinal, metric) in passing {
            self.metrics.push(metric);
            if self.metrics.len() >= self.batch_max {
                self.at.set(organization, Position::inside(sequence, ordinal + 1, total));
                let event = self.cut(false);
                self.full.push_back(event);
            }
        }
        self.at.set(organization, end);
    }

    /// Notes that rows are lost between a place and what is taken; `None`: nobody knows how many.
    pub fn lose(&mut self, from: Positions, missed: Option<u64>) {
        let to = self.at.clone();
        let empty = Gap { from, to: to.clone(), missed: Some(0), reason: GapReason::Retention };
        let gap = self.gap.get_or_insert(empty);
        gap.missed = gap.missed.zip(missed).map(|(sum, more)| sum + more);
        gap.to = to;
    }

    /// An event that is full.
    pub fn pop_full(&mut self) -> Option<StreamEvent> {
        self.full.pop_front()
    }

    /// Whether there is anything to tell that is no full event yet.
    pub const fn has_news(&self) -> bool {
        !self.metrics.is_empty() || self.gap.is_some()
    }

    /// An event of what is there, perhaps of nothing but the place.
    pub fn cut(&mut self, caught_up: bool) -> StreamEvent {
        let to = if *self.from == self.at { Arc::clone(&self.from) } else { Arc::new(self.at.clone()) };
        let from = std::mem::replace(&mut self.from, Arc::clone(&to));
        StreamEvent { from, to, metrics: std::mem::take(&mut self.metrics), gap: self.gap.take(), caught_up }
    }
}
