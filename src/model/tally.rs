//! Count, errors, sum, extremes and distribution of a set of measurements.
//!
//! Every set of measurements that the server adds up is a [`Tally`]: the rows of a commit, a rollup row, a slot of a live
//! window, an answer of a report. They differ in how they hold the distribution of the values, which is the type parameter.

use super::{
    Measurement, Sketch, Sum,
    metric::ERROR_STATUS_MIN,
    sketch::{SketchError, bin_of},
};

/// A set of measurements, added up. `D` holds the distribution of their values.
///
/// Merging is commutative and associative, and an empty tally changes nothing. Counts and extremes are exact. The sum
/// carries its rounding errors along, see [`Sum`]; a stored one is rounded once.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally<D = Sketch> {
    /// Number of measurements.
    pub count: u64,
    /// Number of measurements with an error status ([`ERROR_STATUS_MIN`] or above).
    pub errors: u64,
    /// Sum of the values, in the unit of their metric type.
    pub sum: Sum,
    // Infinite while the tally is empty, so that merging needs no branch.
    min: f64,
    max: f64,
    /// Distribution of the values.
    pub distribution: D,
}

/// A tally as a row of a rollup table stores it: with an encoded sketch.
pub type StoredTally = Tally<Vec<u8>>;

impl<D> Tally<D> {
    /// A tally with known figures. `extremes` are the smallest and the largest value.
    pub const fn new(count: u64, errors: u64, sum: Sum, extremes: Option<(f64, f64)>, distribution: D) -> Self {
        let (min, max) = match extremes {
            Some(extremes) => extremes,
            None => (f64::INFINITY, f64::NEG_INFINITY),
        };
        Self { count, errors, sum, min, max, distribution }
    }

    /// A tally without measurements: the identity of merging, with an empty distribution.
    pub const fn empty(distribution: D) -> Self {
        Self::new(0, 0, Sum::ZERO, None, distribution)
    }

    /// The smallest value, in the unit of its metric type; `None` without measurements.
    pub fn min(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.min)
    }

    /// The largest value, in the unit of its metric type; `None` without measurements.
    pub fn max(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.max)
    }

    /// The arithmetic mean, in the unit of its metric type; `None` without measurements.
    ///
    /// It lies between the smallest and the largest value: the sum and the quotient are rounded, so the mean of equal values
    /// could otherwise pass them. Only the answer is bounded and not the sum, so merged tallies have the mean of all their
    /// measurements.
    pub fn mean(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let mean = (self.count > 0).then(|| self.sum.value() / self.count as f64)?;
        Some(self.bounded(mean))
    }

    /// The nearest value between the extremes. Not `clamp`, which panics where a damaged row has them swapped.
    pub fn bounded(&self, value: f64) -> f64 {
        if self.min <= self.max { value.max(self.min).min(self.max) } else { value }
    }

    /// Merges the figures of another tally into this one. `merge` does the same for the distributions; its result is
    /// returned.
    pub fn merge_with<E, R>(&mut self, other: &Tally<E>, merge: impl FnOnce(&mut D, &E) -> R) -> R {
        self.count = self.count.saturating_add(other.count);
        self.errors = self.errors.saturating_add(other.errors);
        self.sum.merge(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        merge(&mut self.distribution, &other.distribution)
    }

    /// Replaces the distribution.
    pub fn with_distribution<E>(self, distribution: E) -> Tally<E> {
        let Self { count, errors, sum, min, max, distribution: _ } = self;
        Tally { count, errors, sum, min, max, distribution }
    }

    /// Adds one measurement to everything but the distribution, which the caller keeps: its value and its HTTP status (0
    /// where there is none).
    pub fn add_figures(&mut self, value: f64, status: i16) {
        self.count += 1;
        self.errors += u64::from(status >= ERROR_STATUS_MIN);
        self.sum.add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

impl<D: Default> Default for Tally<D> {
    fn default() -> Self {
        Self::empty(D::default())
    }
}

impl Tally<Sketch> {
    /// Adds one measurement: its value and its HTTP status (0 where there is none).
    pub fn add(&mut self, value: f64, status: i16) {
        self.add_figures(value, status);
        self.distribution.record(bin_of(value), 1);
    }

    /// Merges another tally into this one.
    pub fn merge(&mut self, other: &Self) {
        self.merge_with(other, Sketch::merge);
    }

    /// Merges a stored tally into this one.
    ///
    /// # Errors
    /// [`SketchError`] when the stored sketch cannot be decoded. The figures have been merged by then.
    pub fn merge_stored(&mut self, stored: &StoredTally) -> Result<(), SketchError> {
        self.merge_with(stored, |sketch, bytes| sketch.merge_encoded(bytes))
    }

    /// The stored form.
    pub fn encode(self) -> StoredTally {
        let bytes = self.distribution.encode();
        self.with_distribution(bytes)
    }
}

impl StoredTally {
    /// The column `n` of a rollup row.
    pub fn n(&self) -> i64 {
        i64::try_from(self.count).unwrap_or(i64::MAX)
    }

    /// The column `n_err` of a rollup row.
    pub fn n_err(&self) -> i64 {
        i64::try_from(self.errors).unwrap_or(i64::MAX)
    }

    /// A tally from the columns of a rollup row: `n`, `n_err`, `sum`, `min`, `max`, `sketch`.
    pub fn from_columns((n, n_err, sum, min, max, sketch): (i64, i64, f64, f64, f64, Vec<u8>)) -> Self {
        let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
        Self::new(unsigned(n), unsigned(n_err), Sum::of(sum), Some((min, max)), sketch)
    }
}

/// Measurements of one sketch bin; the distribution is the number of the bin.
impl From<&Measurement> for Tally<i16> {
    fn from(measurement: &Measurement) -> Self {
        let mut tally = Self::empty(bin_of(measurement.value));
        tally.add_figures(measurement.value, measurement.status);
        tally
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{super::sketch::RELATIVE_ERROR, *};

    /// Values and statuses. Whole numbers, so that sums are exact in any order.
    fn measurements() -> impl Strategy<Value = Vec<(f64, i16)>> {
        vec(((0..1_000_000_u32).prop_map(f64::from), prop_oneof![Just(0_i16), 200..600_i16]), 0..60)
    }

    fn tally(measurements: &[(f64, i16)]) -> Tally {
        let mut tally = Tally::default();
        for (value, status) in measurements {
            tally.add(*value, *status);
        }
        tally
    }

    fn merged(mut one: Tally, other: &Tally) -> Tally {
        one.merge(other);
        one
    }

    /// Equal sets have equal stored forms; the bins that a sketch has room for may differ.
    fn stored(tally: Tally) -> StoredTally {
        tally.encode()
    }

    proptest! {
        #[test]
        fn merging_equals_adding_all_values_in_any_order_and_grouping(
            a in measurements(), b in measurements(), c in measurements(),
        ) {
            let all = stored(tally(&[a.clone(), b.clone(), c.clone()].concat()));
            let (a, b, c) = (tally(&a), tally(&b), tally(&c));
            let left = merged(merged(a.clone(), &b), &c);
            let right = merged(a.clone(), &merged(b.clone(), &c));
            let reversed = merged(c, &merged(b, &a));
            prop_assert_eq!(&stored(left), &all);
            prop_assert_eq!(&stored(right), &all);
            prop_assert_eq!(&stored(reversed), &all);
        }

        #[test]
        fn an_empty_tally_changes_nothing(a in measurements()) {
            let known = tally(&a);
            prop_assert_eq!(merged(known.clone(), &Tally::default()), known.clone());
            prop_assert_eq!(merged(Tally::default(), &known), known);
        }

        #[test]
        fn a_tally_knows_its_measurements(a in measurements(), p in 0..=100_usize) {
            let known = tally(&a);
            let mut values: Vec<f64> = a.iter().map(|(value, _)| *value).collect();
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(known.count, u64::try_from(a.len()).unwrap());
            prop_assert_eq!(known.distribution.count(), known.count);
            prop_assert_eq!(known.errors, u64::try_from(a.iter().filter(|(_, status)| *status >= 400).count()).unwrap());
            prop_assert_eq!(known.sum, Sum::of(values.iter().fold(0.0, |sum, value| sum + value)));
            prop_assert_eq!((known.min(), known.max()), (values.first().copied(), values.last().copied()));
            if values.is_empty() {
                return Ok(());
            }
            let exact = values[(p * values.len()).div_ceil(100).max(1) - 1];
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let estimate = known.distribution.percentile(p as f64).unwrap().value;
            prop_assert!((estimate - exact).abs() <= exact * RELATIVE_ERROR * (1.0 + 1e-9), "{estimate} for {exact}");
        }

        #[test]
        fn sums_and_means_of_any_values_do_not_depend_on_their_order(
            a in vec(0.0..1e12_f64, 0..60), b in vec(0.0..1e12_f64, 0..60),
        ) {
            let of = |values: &[f64]| tally(&values.iter().map(|value| (*value, 0)).collect::<Vec<_>>());
            let (there, back) = (merged(of(&a), &of(&b)), merged(of(&b), &of(&a)));
            prop_assert_eq!(there.sum, back.sum);
            let all = of(&[a, b].concat());
            prop_assert_eq!(there.sum, all.sum);
            prop_assert_eq!(there.mean().map(f64::to_bits), all.mean().map(f64::to_bits));
            prop_assert!(all.mean().is_none_or(|mean| all.min() <= Some(mean) && Some(mean) <= all.max()));
        }

        #[test]
        fn the_stored_form_merges_like_the_tally(a in measurements(), b in measurements()) {
            let mut known = tally(&a);
            known.merge_stored(&stored(tally(&b))).unwrap();
            prop_assert_eq!(stored(known), stored(merged(tally(&a), &tally(&b))));
            let row = stored(tally(&a));
            if let (Some(min), Some(max)) = (row.min(), row.max()) {
                let columns = (row.n(), row.n_err(), row.sum.value(), min, max, row.distribution.clone());
                prop_assert_eq!(StoredTally::from_columns(columns), row);
            }
        }
    }

    #[test]
    fn the_mean_of_equal_values_is_that_value() {
        for (value, count) in [(0.1, 3), (0.1, 10), (1.81, 1_448), (5e-324, 7), (1e12, 9), (0.0, 2)] {
            let equal = tally(&vec![(value, 0); count]);
            assert_eq!(equal.mean().map(f64::to_bits), Some(value.to_bits()), "{count} times {value}");
        }
        assert_eq!(tally(&[]).mean(), None);
    }

    #[test]
    fn a_damaged_sketch_is_an_error() {
        assert!(Tally::default().merge_stored(&StoredTally::empty(vec![9])).is_err());
    }
}
