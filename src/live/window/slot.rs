//! The measurements of one group in one slot of time.

use crate::model::{Sketch, Tally};

/// Measurements of one bin, added up, usually a single one. The distribution is the number of the bin.
pub type BinTally = Tally<i16>;

/// The measurements of one slot. A slot has few bins, so they are a sorted list and not the array of a sketch.
#[derive(Clone, Debug, Default)]
pub struct SlotTally(Tally<Vec<(i16, u32)>>);

impl SlotTally {
    /// Adds measurements.
    pub fn add(&mut self, added: &BinTally) {
        let count = u32::try_from(added.count).unwrap_or(u32::MAX);
        self.0.merge_with(added, |bins, bin| match bins.binary_search_by_key(bin, |(bin, _)| *bin) {
            Ok(index) => bins[index].1 = bins[index].1.saturating_add(count),
            Err(index) => bins.insert(index, (*bin, count)),
        });
    }

    /// The bins with their counts.
    pub fn bins(&self) -> impl Iterator<Item = (i16, u64)> {
        self.0.distribution.iter().map(|(bin, count)| (*bin, u64::from(*count)))
    }

    /// The tally of these slots, added up in their order; `sketch` is the merged one.
    pub fn merged<'a>(slots: impl Iterator<Item = &'a Self>, sketch: &Sketch) -> Tally {
        let mut tally = Tally::empty(sketch.clone());
        for Self(slot) in slots {
            tally.merge_with(slot, |_, _| ());
        }
        tally
    }
}
