//! The slots of one group. Those inside the window are kept merged; a slot that leaves the window is subtracted.
//!
//! Counts of bins are whole numbers, so a sketch is subtracted from another exactly. Sums and extremes are not: they are
//! added up from the slots at each tick, a few hundred additions.

use std::collections::BTreeMap;

use super::slot::{BinTally, SlotTally};
use crate::model::{Sketch, Tally};

/// The slots of a window, as a half-open range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRange {
    /// The first slot of the window.
    pub first: i64,
    /// The first slot after the window.
    pub end: i64,
}

impl SlotRange {
    /// True if a slot is in the window.
    pub const fn contains(self, slot: i64) -> bool {
        self.first <= slot && slot < self.end
    }
}

/// The slots of one group that are in the window or after it.
#[derive(Clone, Debug, Default)]
pub struct GroupSlots {
    slots: BTreeMap<i64, SlotTally>,
    /// The merged sketch of the slots in the window.
    sketch: Sketch,
}

impl GroupSlots {
    /// Adds measurements to a slot, which must not lie before the window. Returns true if the slot is new.
    pub fn add(&mut self, range: SlotRange, slot: i64, added: &BinTally) -> bool {
        let before = self.slots.len();
        self.slots.entry(slot).or_default().add(added);
        if range.contains(slot) {
            self.sketch.record(added.distribution, added.count);
        }
        self.slots.len() > before
    }

    /// Advances the window and drops the slots before it.
    pub fn advance(&mut self, from: SlotRange, to: SlotRange) {
        let kept = self.slots.split_off(&to.first);
        let dropped = std::mem::replace(&mut self.slots, kept);
        for (bin, count) in dropped.range(from.first..).flat_map(|(_, slot)| slot.bins()) {
            self.sketch.remove(bin, count);
        }
        for (bin, count) in self.slots.range(from.end.max(to.first)..to.end).flat_map(|(_, slot)| slot.bins()) {
            self.sketch.record(bin, count);
        }
    }

    /// The tally of the window.
    pub fn tally(&self, range: SlotRange) -> Tally {
        SlotTally::merged(self.slots.range(range.first..range.end).map(|(_, slot)| slot), &self.sketch)
    }

    /// The number of slots with measurements.
    pub fn len(&self) -> usize {
        self.slots.len()
    }
}
