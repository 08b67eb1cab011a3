//! Measurements by status, release and name. Pure.

use std::collections::BTreeMap;

use crate::{
    error::{Error, Result},
    model::{Detail, StoredTally, Tally},
};

/// Status, release, name.
pub type CellKey = (i16, String, String);

/// Rows pay if there are at least this many measurements for each: they take two to three times the bytes of one.
const MEASUREMENTS_MIN: u64 = 10;

/// Maximum number of rows of an hour or a day: the memory of a pass is bounded.
const ROWS_MAX: usize = 5_000;

/// Measurements by status, release and name, or some of these.
#[derive(Debug)]
pub struct Cells {
    detail: Detail,
    tallies: BTreeMap<CellKey, Tally>,
}

impl Cells {
    /// No measurements yet. Columns beyond the detail are left empty.
    pub const fn of(detail: Detail) -> Self {
        Self { detail, tallies: BTreeMap::new() }
    }

    fn cell(&mut self, (status, release, name): CellKey) -> &mut Tally {
        let release = if self.detail >= Detail::Release { release } else { String::new() };
        let name = if self.detail >= Detail::Name { name } else { String::new() };
        self.tallies.entry((status, release, name)).or_default()
    }

    /// Adds measurements of one bin.
    pub fn add_bin(&mut self, key: CellKey, bin: i16, figures: &Tally<()>) {
        self.cell(key).merge_with(figures, |sketch, ()| sketch.record(bin, figures.count));
    }

    /// Adds a stored row.
    ///
    /// # Errors
    /// Its sketch cannot be decoded.
    pub fn add_stored(&mut self, key: CellKey, stored: &StoredTally) -> Result<()> {
        self.cell(key).merge_stored(stored).map_err(Error::internal)
    }

    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    /// The columns that they are told apart by.
    pub const fn detail(&self) -> Detail {
        self.detail
    }

    /// True if there are more rows than an hour or a day may have.
    pub fn are_too_many(&self) -> bool {
        self.tallies.len() > ROWS_MAX
    }

    /// True if rows are far fewer than measurements.
    pub fn pay(&self) -> bool {
        let rows = u64::try_from(self.tallies.len()).unwrap_or(u64::MAX);
        let measurements: u64 = self.tallies.values().map(|tally| tally.count).sum();
        rows.saturating_mul(MEASUREMENTS_MIN) <= measurements
    }

    /// The rows to store, in the order of their keys.
    pub fn into_rows(self) -> impl Iterator<Item = (CellKey, StoredTally)> {
        self.tallies.into_iter().map(|(key, tally)| (key, tally.encode()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sum;

    fn key(status: i16) -> CellKey {
        (status, String::new(), "LCP".to_owned())
    }

    fn of_bin(count: u64, value: f64) -> Tally<()> {
        Tally::new(count, 0, Sum::of(value), Some((value, value)), ())
    }

    #[test]
    fn rows_pay_from_ten_measurements_each() {
        let mut cells = Cells::of(Detail::Name);
        assert!(cells.is_empty());
        cells.add_bin(key(200), 3, &of_bin(18, 36.0));
        cells.add_bin(key(200), 5, &of_bin(1, 4.0));
        cells.add_bin(key(500), 3, &of_bin(1, 2.0));
        assert!(cells.pay(), "20 in two rows");
        cells.add_bin(key(404), 3, &of_bin(9, 2.0));
        assert!(!cells.pay(), "29 in three");
        let rows: Vec<_> = cells.into_rows().map(|(key, tally)| (key.0, tally.count, tally.sum.value())).collect();
        assert_eq!(rows, [(200, 19, 40.0), (404, 9, 2.0), (500, 1, 2.0)]);
    }

    #[test]
    fn columns_beyond_the_detail_are_left_out() {
        let rows = |detail| {
            let mut cells = Cells::of(detail);
            for (release, name) in [("1.0", "LCP"), ("1.1", "LCP"), ("1.1", "FCP")] {
                cells.add_bin((200, release.to_owned(), name.to_owned()), 3, &of_bin(1, 1.0));
            }
            cells.into_rows().map(|((_, release, name), tally)| (release, name, tally.count)).collect::<Vec<_>>()
        };
        let row = |release: &str, name: &str, count| (release.to_owned(), name.to_owned(), count);
        assert_eq!(rows(Detail::Status), [row("", "", 3)]);
        assert_eq!(rows(Detail::Release), [row("1.0", "", 1), row("1.1", "", 2)]);
        assert_eq!(rows(Detail::Name), [row("1.0", "LCP", 1), row("1.1", "FCP", 1), row("1.1", "LCP", 1)]);
    }

    #[test]
    fn stored_rows_are_added_to_measurements() {
        let mut first = Cells::of(Detail::Name);
        first.add_bin(key(200), 3, &of_bin(2, 6.0));
        let stored: Vec<_> = first.into_rows().collect();
        let mut both = Cells::of(Detail::Name);
        both.add_bin(key(200), 3, &of_bin(1, 1.0));
        for (key, tally) in &stored {
            both.add_stored(key.clone(), tally).unwrap();
        }
        let mut all = Cells::of(Detail::Name);
        all.add_bin(key(200), 3, &of_bin(1, 1.0));
        all.add_bin(key(200), 3, &of_bin(2, 6.0));
        assert!(both.into_rows().eq(all.into_rows()));
        let damaged = StoredTally::empty(vec![9]);
        assert!(Cells::of(Detail::Name).add_stored(key(200), &damaged).is_err());
    }
}
