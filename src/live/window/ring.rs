//! The slots of one group: what is inside the window is kept merged, what leaves it is taken out again.
//!
//! Counts of bins are whole numbers, so a sketch can be subtracted from another without any error. Sums and extremes
//! cannot: they are added up anew from the slots, a few hundred additions per tick.

use std::collections::BTreeMap;

use super::cell::{Addend, Cell};
use crate::model::{Sketch, Tally};

/// The slots of a window: from the first one inside to the first one after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first slot inside.
    pub first: i64,
    /// The first slot after.
    pub end: i64,
}

impl Span {
    /// Whether a slot is inside.
    pub const fn holds(self, slot: i64) -> bool {
        self.first <= slot && slot < self.end
    }
}

/// The slots of one group that are in the window or after it.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    cells: BTreeMap<i64, Cell>,
    /// Of the cells inside the window.
    sketch: Sketch,
}

impl Ring {
    /// Adds measurements of a slot; the caller leaves out what lies before the window. Whether the slot is new.
    pub fn add(&mut self, span: Span, slot: i64, addend: &Addend) -> bool {
        let before = self.cells.len();
        self.cells.entry(slot).or_default().add(addend);
        if span.holds(slot) {
            self.sketch.record(addend.distribution, addend.count);
        }
        self.cells.len() > before
    }

    /// Moves the window on and forgets what lies before it.
    pub fn advance(&mut self, from: Span, to: Span) {
        let kept = self.cells.split_off(&to.first);
        let forgotten = std::mem::replace(&mut self.cells, kept);
        for (bin, count) in forgotten.range(from.first..).flat_map(|(_, cell)| cell.bins()) {
            self.sketch.remove(bin, count);
        }
        for (bin, count) in self.cells.range(from.end.max(to.first)..to.end).flat_map(|(_, cell)| cell.bins()) {
            self.sketch.record(bin, count);
        }
    }

    /// Everything inside the window.
    pub fn figures(&self, span: Span) -> Tally {
        Cell::merged(self.cells.range(span.first..span.end).map(|(_, cell)| cell), &self.sketch)
    }

    /// How many slots hold something.
    pub fn slots(&self) -> usize {
        self.cells.len()
    }
}
