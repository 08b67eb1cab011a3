//! What is known of the measurements of one group in one slot of time.

use crate::model::{Measurement, Sketch, metric::ERROR_STATUS_MIN, sketch::bin_of};

/// Measurements of one bin, added up; one measurement is the usual case.
#[derive(Clone, Copy, Debug)]
pub struct Addend {
    /// The bin of the sketch that they fall into.
    pub bin: i16,
    /// How many.
    pub count: u32,
    /// How many of them carry an error status.
    pub errors: u32,
    /// All values added up.
    pub sum: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl From<&Measurement> for Addend {
    fn from(measurement: &Measurement) -> Self {
        let value = measurement.value;
        let errors = u32::from(measurement.status >= ERROR_STATUS_MIN);
        Self { bin: bin_of(value), count: 1, errors, sum: value, min: value, max: value }
    }
}

/// The measurements of one slot. Bins are few here, so they stand in a sorted list and not in the array of a sketch.
#[derive(Clone, Debug)]
pub struct Cell {
    count: u64,
    errors: u64,
    sum: f64,
    min: f64,
    max: f64,
    bins: Vec<(i16, u32)>,
}

impl Cell {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { count: 0, errors: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, bins: Vec::new() }
    }

    /// Adds measurements.
    pub fn add(&mut self, addend: &Addend) {
        self.count += u64::from(addend.count);
        self.errors += u64::from(addend.errors);
        self.sum += addend.sum;
        self.min = self.min.min(addend.min);
        self.max = self.max.max(addend.max);
        match self.bins.binary_search_by_key(&addend.bin, |(bin, _)| *bin) {
            Ok(place) => self.bins[place].1 = self.bins[place].1.saturating_add(addend.count),
            Err(place) => self.bins.insert(place, (addend.bin, addend.count)),
        }
    }

    /// The sketch of the cell, bin by bin.
    pub fn bins(&self) -> impl Iterator<Item = (i16, u64)> {
        self.bins.iter().map(|(bin, count)| (*bin, u64::from(*count)))
    }
}

/// What is known of a group in a window. Values are in the unit of their type.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// How many measurements.
    pub count: u64,
    /// How many carry an error status.
    pub errors: u64,
    /// All values added up, slot by slot in the order of time.
    pub sum: f64,
    /// The smallest value; `None` when there is none.
    pub min: Option<f64>,
    /// The largest value; `None` when there is none.
    pub max: Option<f64>,
    /// Where percentiles come from.
    pub sketch: Sketch,
}

impl Figures {
    /// Of nothing.
    pub const fn empty() -> Self {
        Self { count: 0, errors: 0, sum: 0.0, min: None, max: None, sketch: Sketch::new() }
    }

    /// The figures of these cells, whose sketches are merged already.
    pub fn of<'a>(cells: impl Iterator<Item = &'a Cell>, sketch: &Sketch) -> Self {
        let mut figures = Self::empty();
        for cell in cells {
            figures.count += cell.count;
            figures.errors += cell.errors;
            figures.sum += cell.sum;
            figures.min = figures.min.into_iter().chain([cell.min]).reduce(f64::min);
            figures.max = figures.max.into_iter().chain([cell.max]).reduce(f64::max);
        }
        figures.sketch = sketch.clone();
        figures
    }
}
