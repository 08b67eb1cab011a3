//! What is known of the measurements of one group in one slot of time.

use crate::model::{Sketch, Tally};

/// Measurements of one bin, added up; one measurement is the usual case. The distribution is the number of the bin.
pub type Addend = Tally<i16>;

/// The measurements of one slot. Bins are few here, so they stand in a sorted list and not in the array of a sketch.
#[derive(Clone, Debug, Default)]
pub struct Cell(Tally<Vec<(i16, u32)>>);

impl Cell {
    /// Adds measurements.
    pub fn add(&mut self, addend: &Addend) {
        let count = u32::try_from(addend.count).unwrap_or(u32::MAX);
        self.0.merge_with(addend, |bins, bin| match bins.binary_search_by_key(bin, |(bin, _)| *bin) {
            Ok(place) => bins[place].1 = bins[place].1.saturating_add(count),
            Err(place) => bins.insert(place, (*bin, count)),
        });
    }

    /// The sketch of the cell, bin by bin.
    pub fn bins(&self) -> impl Iterator<Item = (i16, u64)> {
        self.0.distribution.iter().map(|(bin, count)| (*bin, u64::from(*count)))
    }

    /// The tally of these cells, added up in their order; their sketches are merged already.
    pub fn merged<'a>(cells: impl Iterator<Item = &'a Self>, sketch: &Sketch) -> Tally {
        let mut tally = Tally::empty(sketch.clone());
        for Self(cell) in cells {
            tally.merge_with(cell, |_, _| ());
        }
        tally
    }
}
