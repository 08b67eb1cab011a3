//! A mergeable sketch of a distribution with a guaranteed relative error of 1 %.
//!
//! `DDSketch` (Masson, Rim, Lee: "`DDSketch`: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees",
//! VLDB 2019). Own code because the bin number is also a column of every raw row: both databases group by the very
//! integers that a sketch holds, and the stored form is five to ten times smaller than what sketch crates serialise.

mod stored;

use std::sync::LazyLock;

use super::rank::nearest_rank;

pub use stored::SketchError;

/// The guaranteed relative error of every percentile: 1 %.
pub const RELATIVE_ERROR: f64 = 0.01;

/// The largest value that can be recorded; far above any latency (31 years in milliseconds) or percentage.
pub const VALUE_MAX: f64 = 1e12;

/// (1 + a) / (1 - a) for a = 1 %: the ratio of two neighbouring bin boundaries.
const GAMMA: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);
const BIN_MIN: i16 = -700;
/// Values below `GAMMA^-701` (8e-7, less than a nanosecond in milliseconds) count as zero.
const ZERO_BIN: i16 = BIN_MIN - 1;
const BIN_MAX: i16 = 1_400;
const BINS: usize = BIN_MAX.abs_diff(ZERO_BIN) as usize + 1;

/// The upper bound of every bin, from the lowest. A table, so that the bounds by which values are sorted into bins are those
/// that answers name, to the last bit.
static UPPER_BOUNDS: LazyLock<[f64; BINS]> = LazyLock::new(|| {
    let mut bounds = [0.0; BINS];
    for (bin, bound) in (i32::from(ZERO_BIN)..).zip(&mut bounds) {
        *bound = GAMMA.powi(bin);
    }
    bounds
});

/// The largest value of a bin. Bins beyond the known ones have the bound of the last one.
fn upper_bound(bin: i16) -> f64 {
    UPPER_BOUNDS[usize::from(bin.clamp(ZERO_BIN, BIN_MAX).abs_diff(ZERO_BIN))]
}

/// The bin of a value that passed validation (finite, not negative, at most [`VALUE_MAX`]): the lowest one whose upper bound
/// is not below the value. Rows of earlier versions may be one bin off where a value is within 1e-12 of a bound: the
/// logarithm alone placed them, and it rounds.
pub fn bin_of(value: f64) -> i16 {
    if value <= 0.0 {
        return ZERO_BIN;
    }
    let bin = (value.ln() / GAMMA.ln()).ceil();
    // The clamp keeps the number inside i16, so the cast cannot wrap.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of bins just before")]
    let bin = bin.clamp(f64::from(ZERO_BIN), f64::from(BIN_MAX)) as i16;
    // The logarithm rounds, so beside a bound it names the neighbour.
    if bin > ZERO_BIN && value <= upper_bound(bin - 1) {
        bin - 1
    } else if bin < BIN_MAX && value > upper_bound(bin) {
        bin + 1
    } else {
        bin
    }
}

/// The width of a bin on the logarithmic scale: bin `n` ends at `n` times this.
pub fn bin_width() -> f64 {
    GAMMA.ln()
}

/// An estimated percentile with guaranteed bounds of the true value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// Within [`RELATIVE_ERROR`] of the true value.
    pub value: f64,
    /// The lower bound of the true value.
    pub lower: f64,
    /// The upper bound of the true value.
    pub upper: f64,
}

/// Counts per bin, over the window of bins seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// The bin of `counts[0]`; meaningless while `counts` is empty.
    first_bin: i16,
    counts: Vec<u64>,
    total: u64,
}

impl Sketch {
    /// A sketch without values.
    pub const fn new() -> Self {
        Self { first_bin: 0, counts: Vec::new(), total: 0 }
    }

    /// A sketch with one value in each of these bins. Allocated at its final size.
    pub fn of(bins: impl Iterator<Item = i16> + Clone) -> Self {
        let mut sketch = Self::new();
        if let (Some(lowest), Some(highest)) = (bins.clone().min(), bins.clone().max()) {
            let first_bin = lowest.clamp(ZERO_BIN, BIN_MAX);
            let last_bin = highest.clamp(ZERO_BIN, BIN_MAX);
            sketch.counts = vec![0; usize::from(last_bin.abs_diff(first_bin)) + 1];
            sketch.first_bin = first_bin;
        }
        for bin in bins {
            sketch.record(bin, 1);
        }
        sketch
    }

    /// The number of recorded values.
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// True when no value was recorded.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Adds `count` values of one bin, as [`bin_of`] or the `bin` column names it.
    pub fn record(&mut self, bin: i16, count: u64) {
        if count == 0 {
            return;
        }
        let bin = bin.clamp(ZERO_BIN, BIN_MAX);
        let index = self.index_for(bin);
        // A damaged sketch may contain any count; it must not crash the server.
        self.counts[index] = self.counts[index].saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// Removes up to `count` values from one bin.
    pub fn remove(&mut self, bin: i16, count: u64) {
        let Ok(index) = usize::try_from(i32::from(bin.clamp(ZERO_BIN, BIN_MAX)) - i32::from(self.first_bin)) else {
            return;
        };
        let Some(recorded) = self.counts.get_mut(index) else { return };
        let count = count.min(*recorded);
        *recorded -= count;
        self.total -= count;
        // Empty bins at the ends would slow down every percentile.
        while self.counts.last() == Some(&0) {
            self.counts.pop();
        }
        let empty = self.counts.iter().take_while(|count| **count == 0).count();
        self.counts.drain(..empty);
        // At most the number of bins there are.
        self.first_bin = self.first_bin.saturating_add(i16::try_from(empty).unwrap_or(i16::MAX));
    }

    /// Adds the counts of another sketch. Lossless in any order.
    pub fn merge(&mut self, other: &Self) {
        for (offset, count) in (0_i16..).zip(&other.counts) {
            self.record(other.first_bin + offset, *count);
        }
    }

    /// The bins with values, with their counts.
    pub fn bins(&self) -> impl Iterator<Item = (i16, u64)> {
        (self.first_bin..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// The `p`-th percentile (0 to 100): the value of the [`nearest_rank`]. `None` without values.
    pub fn percentile(&self, p: f64) -> Option<Quantile> {
        self.at_rank(nearest_rank(p, self.total))
    }

    /// The value of a rank, counted from 1 in ascending order; `None` if there are fewer values.
    pub fn at_rank(&self, rank: u64) -> Option<Quantile> {
        if rank == 0 {
            return None;
        }
        let mut seen = 0_u64;
        for (offset, count) in (0_i16..).zip(&self.counts) {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return Some(Self::of_bin(self.first_bin + offset));
            }
        }
        None
    }

    /// The bins with values from low to high: number, bounds of the values, count.
    pub fn bounded_bins(&self) -> impl Iterator<Item = (i16, Quantile, u64)> {
        let used = (0_i16..).zip(&self.counts).filter(|(_, count)| **count > 0);
        used.map(|(offset, count)| {
            let bin = self.first_bin + offset;
            (bin, Self::of_bin(bin), *count)
        })
    }

    /// The upper bound of the bin that lies `above` bins above `bin`.
    pub fn upper_bound(bin: i16, above: usize) -> f64 {
        let above = i16::try_from(above).unwrap_or(i16::MAX);
        upper_bound(bin.saturating_add(above))
    }

    fn of_bin(bin: i16) -> Quantile {
        let upper = upper_bound(bin);
        if bin == ZERO_BIN {
            return Quantile { value: 0.0, lower: 0.0, upper };
        }
        Quantile { value: 2.0 * upper / (GAMMA + 1.0), lower: upper_bound(bin - 1), upper }
    }

    fn index_for(&mut self, bin: i16) -> usize {
        if self.counts.is_empty() {
            self.first_bin = bin;
        }
        if bin < self.first_bin {
            let missing = usize::from(self.first_bin.abs_diff(bin));
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first_bin = bin;
        }
        let index = usize::from(bin.abs_diff(self.first_bin));
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    pub fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::new();
        for value in values {
            sketch.record(bin_of(*value), 1);
        }
        sketch
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            3 => (-6.0..12.0_f64).prop_map(|exponent| 10_f64.powf(exponent)),
            1 => Just(0.0),
            // Exact powers of the bin ratio sit on a boundary, where rounding is most likely to err.
            1 => (-690..1_380_i32).prop_map(|power| GAMMA.powi(power)),
        ]
    }

    proptest! {
        #[test]
        fn every_percentile_is_within_one_percent_and_its_bounds(mut values in vec(value(), 1..400), p in 0..=100_usize) {
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let estimate = sketch(&values).percentile(p as f64).unwrap();
            values.sort_by(f64::total_cmp);
            let exact = values[(p * values.len()).div_ceil(100).max(1) - 1];
            prop_assert!((estimate.value - exact).abs() <= exact * RELATIVE_ERROR * (1.0 + 1e-12), "{estimate:?} for {exact}");
            prop_assert!(estimate.lower <= exact && exact <= estimate.upper, "{estimate:?} for {exact}");
        }

        #[test]
        fn merging_in_any_order_equals_recording_all(a in vec(value(), 0..100), b in vec(value(), 0..100)) {
            let mut ab = sketch(&a);
            ab.merge(&sketch(&b));
            let mut ba = sketch(&b);
            ba.merge_encoded(&sketch(&a).encode()).unwrap();
            let whole = sketch(&[a, b].concat());
            prop_assert_eq!(ab.encode(), whole.encode());
            prop_assert_eq!(ba.encode(), whole.encode());
            prop_assert_eq!(ab.count(), whole.count());
        }

        #[test]
        fn removing_values_leaves_the_others(a in vec(value(), 0..100), b in vec(value(), 0..100)) {
            let mut both = sketch(&[a.clone(), b.clone()].concat());
            for value in &b {
                both.remove(bin_of(*value), 1);
            }
            prop_assert_eq!(both.encode(), sketch(&a).encode());
            prop_assert_eq!(both.percentile(95.0), sketch(&a).percentile(95.0));
            both.remove(3, 1_000);
            prop_assert!(both.count() <= u64::try_from(a.len()).unwrap());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Sketch::new().merge_encoded(&bytes);
        }
    }

    #[test]
    fn an_empty_sketch_has_no_quantile_and_zeros_count() {
        assert_eq!(Sketch::new().percentile(50.0), None);
        assert_eq!(sketch(&[0.0, -0.0, 1e-300]).percentile(50.0).map(|quantile| quantile.value), Some(0.0));
    }

    #[test]
    fn values_beside_a_bound_lie_in_their_bin() {
        for bin in BIN_MIN..BIN_MAX {
            let bound = upper_bound(bin);
            assert_eq!([bound.next_down(), bound, bound.next_up()].map(bin_of), [bin, bin, bin + 1]);
        }
    }

    #[test]
    fn the_95th_of_ten_is_the_largest() {
        let mut values = vec![1.0; 9];
        values.push(1_000.0);
        let told = |p| sketch(&values).percentile(p).map(|quantile| quantile.upper).unwrap();
        assert_eq!([told(90.0), told(95.0)].map(bin_of), [1.0, 1_000.0].map(bin_of));
    }
}
