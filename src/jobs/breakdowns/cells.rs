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
/// The same for rows by all columns, which come in addition.
const MEASUREMENTS_MIN_OF_ALL: u64 = 20;

/// Maximum number of rows of an hour or a day: the memory of a pass is bounded.
const ROWS_MAX: usize = 5_000;

/// Measurements by status, release or name, or all of these.
#[derive(Debug)]
pub struct Cells {
    detail: Detail,
    tallies: BTreeMap<CellKey, Tally>,
    /// True if there were more rows than [`ROWS_MAX`]. The rows are then dropped.
    are_too_many: bool,
}

impl Cells {
    /// No measurements yet. Other columns than those of the detail are left empty.
    pub const fn of(detail: Detail) -> Self {
        Self { detail, tallies: BTreeMap::new(), are_too_many: false }
    }

    /// The columns that they are told apart by.
    pub const fn detail(&self) -> Detail {
        self.detail
    }

    /// Leaves them out.
    pub fn drop_all(&mut self) {
        self.are_too_many = true;
        self.tallies.clear();
    }

    fn cell(&mut self, (status, release, name): &CellKey) -> &mut Tally {
        let of = |text: &String, detail| if self.detail.has(detail) { text.clone() } else { String::new() };
        let status = if self.detail.has(Detail::Status) { *status } else { 0 };
        let key = (status, of(release, Detail::Release), of(name, Detail::Name));
        self.tallies.entry(key).or_default()
    }

    fn check_count(&mut self) {
        if self.tallies.len() > ROWS_MAX {
            self.drop_all();
        }
    }

    /// Adds measurements of one bin.
    pub fn add_bin(&mut self, key: &CellKey, bin: i16, figures: &Tally<()>) {
        if !self.are_too_many {
            self.cell(key).merge_with(figures, |sketch, ()| sketch.record(bin, figures.count));
            self.check_count();
        }
    }

    /// Adds a stored row.
    ///
    /// # Errors
    /// Its sketch cannot be decoded.
    pub fn add_stored(&mut self, key: &CellKey, stored: &StoredTally) -> Result<()> {
        if !self.are_too_many {
            self.cell(key).merge_stored(stored).map_err(Error::internal)?;
            self.check_count();
        }
        Ok(())
    }

    /// Adds other rows if they have the same columns.
    pub fn merge(&mut self, other: &Self) {
        if self.detail != other.detail {
            return;
        }
        if other.are_too_many {
            self.drop_all();
        }
        for (key, tally) in &other.tallies {
            if !self.are_too_many {
                self.cell(key).merge(tally);
                self.check_count();
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty() && !self.are_too_many
    }

    /// The number of measurements; 0 if there were too many rows.
    pub fn measurements(&self) -> u64 {
        self.tallies.values().map(|tally| tally.count).sum()
    }

    /// True if rows are far fewer than measurements.
    pub fn pay(&self) -> bool {
        let rows = u64::try_from(self.tallies.len()).unwrap_or(u64::MAX);
        let measurements = self.measurements();
        let least = if self.detail == Detail::All { MEASUREMENTS_MIN_OF_ALL } else { MEASUREMENTS_MIN };
        rows > 0 && rows.saturating_mul(least) <= measurements
    }

    /// The rows to store, in the order of their keys.
    pub fn rows(&self) -> impl Iterator<Item = (&CellKey, StoredTally)> {
        self.tallies.iter().map(|(key, tally)| (key, tally.clone().encode()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sum;

    fn key(status: i16, release: &str, name: &str) -> CellKey {
        (status, release.to_owned(), name.to_owned())
    }

    fn of_bin(count: u64, value: f64) -> Tally<()> {
        Tally::new(count, 0, Sum::of(value), Some((value, value)), ())
    }

    #[test]
    fn rows_pay_from_ten_measurements_each_and_rows_of_all_columns_from_twenty() {
        for (detail, least) in [(Detail::Status, 10), (Detail::All, 20)] {
            let mut cells = Cells::of(detail);
            assert!(cells.is_empty() && !cells.pay());
            cells.add_bin(&key(200, "1", "a"), 3, &of_bin(2 * least - 2, 36.0));
            cells.add_bin(&key(200, "1", "a"), 5, &of_bin(1, 4.0));
            cells.add_bin(&key(500, "1", "a"), 3, &of_bin(1, 2.0));
            assert!(cells.pay(), "{detail:?}");
            cells.add_bin(&key(404, "1", "a"), 3, &of_bin(least - 1, 2.0));
            assert!(!cells.pay(), "{detail:?}");
            let rows: Vec<_> = cells.rows().map(|(key, tally)| (key.0, tally.count, tally.sum.value())).collect();
            assert_eq!(rows, [(200, 2 * least - 1, 40.0), (404, least - 1, 2.0), (500, 1, 2.0)]);
        }
    }

    #[test]
    fn other_columns_are_left_out() {
        let rows = |detail| {
            let mut cells = Cells::of(detail);
            for (status, release, name) in [(200, "1.0", "LCP"), (200, "1.1", "LCP"), (500, "1.1", "FCP")] {
                cells.add_bin(&key(status, release, name), 3, &of_bin(1, 1.0));
            }
            cells.rows().map(|(key, tally)| (key.clone(), tally.count)).collect::<Vec<_>>()
        };
        assert_eq!(rows(Detail::Status), [(key(200, "", ""), 2), (key(500, "", ""), 1)]);
        assert_eq!(rows(Detail::Release), [(key(0, "1.0", ""), 1), (key(0, "1.1", ""), 2)]);
        assert_eq!(rows(Detail::Name), [(key(0, "", "FCP"), 1), (key(0, "", "LCP"), 2)]);
        assert_eq!(rows(Detail::All).len(), 3);
    }

    #[test]
    fn too_many_rows_are_dropped() {
        let mut cells = Cells::of(Detail::Name);
        for number in 0..=ROWS_MAX {
            assert!(!cells.are_too_many);
            cells.add_bin(&key(200, "", &number.to_string()), 3, &of_bin(1_000, 1.0));
        }
        assert!(cells.are_too_many && !cells.pay() && !cells.is_empty());
        cells.add_bin(&key(200, "", "more"), 3, &of_bin(1_000, 1.0));
        let mut day = Cells::of(Detail::Name);
        day.merge(&cells);
        assert!(day.are_too_many);
        assert_eq!(cells.rows().count(), 0);
    }

    #[test]
    fn stored_rows_are_added_to_measurements() {
        let of = |counts: &[(u64, f64)]| {
            let mut cells = Cells::of(Detail::All);
            for (count, value) in counts {
                cells.add_bin(&key(200, "1", "a"), 3, &of_bin(*count, *value));
            }
            cells
        };
        let mut both = of(&[(1, 1.0)]);
        for (key, tally) in of(&[(2, 6.0)]).rows() {
            both.add_stored(key, &tally).unwrap();
        }
        assert!(both.rows().eq(of(&[(1, 1.0), (2, 6.0)]).rows()));
        let mut merged = of(&[(1, 1.0)]);
        merged.merge(&of(&[(2, 6.0)]));
        assert!(merged.rows().eq(both.rows()));
        let damaged = StoredTally::empty(vec![9]);
        assert!(of(&[]).add_stored(&key(200, "", ""), &damaged).is_err());
    }
}
