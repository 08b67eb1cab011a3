//! The distribution of values: counts per bin, or every value. Pure.

use crate::model::{
    Sketch,
    sketch::{Quantile, bin_of},
};

/// A distribution of values.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Counts per bin: every value is known within 1 %.
    Sketch(Sketch),
    /// Every value in ascending order: all statistics are exact.
    Values(Vec<f64>),
}

/// An estimate with guaranteed bounds of the true value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundedValue {
    /// The estimate.
    pub value: f64,
    /// The lower bound of the true value.
    pub lower: f64,
    /// The upper bound of the true value.
    pub upper: f64,
}

/// One bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistogramBar {
    /// Exclusive lower bound of the values; inclusive when it is zero.
    pub from: f64,
    /// Inclusive upper bound of the values.
    pub to: f64,
    /// The number of values in the range.
    pub count: u64,
}

/// Tolerance for bin bounds, which are computed powers and inexact in their last bits.
const SLACK: f64 = 1e-9;

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}

impl Distribution {
    /// The number of values.
    pub fn count(&self) -> u64 {
        match self {
            Self::Sketch(sketch) => sketch.count(),
            Self::Values(values) => u64::try_from(values.len()).unwrap_or(u64::MAX),
        }
    }

    /// The value of a rank, counted from 1 in ascending order; `None` if there are fewer values.
    pub fn at_rank(&self, rank: u64) -> Option<Quantile> {
        match self {
            Self::Sketch(sketch) => sketch.at_rank(rank),
            Self::Values(values) => {
                let place = usize::try_from(rank.checked_sub(1)?).ok()?;
                values.get(place).map(|value| Quantile { value: *value, lower: *value, upper: *value })
            }
        }
    }

    /// The population standard deviation; `None` without values. From bins its error is at most 1.01 % of the root mean
    /// square, because each value moves by at most that share of itself. `bounded` moves the estimate of a bin between the
    /// extremes, which keeps the deviation below half their distance.
    ///
    /// Computed around the mean: a sum of squares cancels where values are large and close.
    pub fn deviation(&self, bounded: impl Fn(f64) -> f64) -> Option<f64> {
        let weighted: Vec<(f64, f64)> = match self {
            Self::Sketch(sketch) => {
                sketch.bounded_bins().map(|(_, bin, count)| (bounded(bin.value), float(count))).collect()
            }
            Self::Values(values) => values.iter().map(|value| (*value, 1.0)).collect(),
        };
        let count: f64 = weighted.iter().map(|(_, weight)| weight).sum();
        if count <= 0.0 {
            return None;
        }
        let mean = weighted.iter().map(|(value, weight)| value * (weight / count)).sum::<f64>();
        let squares = weighted.iter().map(|(value, weight)| (value - mean).powi(2) * (weight / count)).sum::<f64>();
        Some(squares.sqrt())
    }

    /// The number of values up to `bound`: estimate, lower bound, upper bound.
    fn at_most(&self, bound: f64) -> [u64; 3] {
        match self {
            Self::Sketch(sketch) => sketch.bounded_bins().fold([0; 3], |[guess, least, most], (_, bin, count)| {
                let if_so = |holds: bool| if holds { count } else { 0 };
                [
                    guess + if_so(bin.value <= bound),
                    least + if_so(bin.upper * (1.0 + SLACK) <= bound),
                    most + if_so(bin.lower * (1.0 - SLACK) <= bound),
                ]
            }),
            Self::Values(values) => {
                let count = u64::try_from(values.partition_point(|value| *value <= bound)).unwrap_or(u64::MAX);
                [count; 3]
            }
        }
    }

    /// The Apdex score (Apdex Alliance, "Application Performance Index Technical Specification" 1.1, 2007): a value up to the
    /// threshold counts one, a value up to four times the threshold a half. `None` without values.
    pub fn apdex(&self, threshold: f64) -> Option<BoundedValue> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let (satisfied, tolerated) = (self.at_most(threshold), self.at_most(4.0 * threshold));
        let score = |of: usize| float(satisfied[of] + tolerated[of]) / (2.0 * float(count));
        Some(BoundedValue { value: score(0), lower: score(1), upper: score(2) })
    }

    /// A histogram of at most `bars_max` (at least 1) adjacent bars. All bars span the same number of bins, so the ratio of
    /// their bounds is the same. Zeros have a bar of their own if `bars_max` is above one.
    pub fn histogram(&self, bars_max: usize) -> Vec<HistogramBar> {
        let recorded;
        let sketch = match self {
            Self::Sketch(sketch) => sketch,
            Self::Values(values) => {
                let mut sketch = Sketch::new();
                for value in values {
                    sketch.record(bin_of(*value), 1);
                }
                recorded = sketch;
                &recorded
            }
        };
        let mut bins: Vec<_> = sketch.bounded_bins().collect();
        let mut bars = Vec::new();
        if bars_max > 1 && bins.first().is_some_and(|(_, bin, _)| bin.lower <= 0.0) {
            let (_, bin, count) = bins.remove(0);
            bars.push(HistogramBar { from: 0.0, to: bin.upper, count });
        }
        let (Some((first, ..)), Some((last, ..))) = (bins.first(), bins.last()) else { return bars };
        let span = usize::from(last.abs_diff(*first)) + 1;
        let width = span.div_ceil(bars_max.saturating_sub(bars.len()).max(1));
        let mut rest = bins.iter().peekable();
        let (start, mut from) = (*first, bins.first().map_or(0.0, |(_, bin, _)| bin.lower));
        for end in (1..=span.div_ceil(width)).map(|bar| bar * width) {
            let mut count = 0;
            while let Some((_, _, more)) = rest.next_if(|(bin, ..)| usize::from(bin.abs_diff(start)) < end) {
                count += more;
            }
            let to = Sketch::upper_bound(start, end.min(span) - 1);
            bars.push(HistogramBar { from, to, count });
            from = to;
        }
        bars
    }

    /// Merges another distribution.
    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Sketch(sketch), Self::Sketch(more)) => sketch.merge(more),
            (Self::Values(values), Self::Values(more)) => {
                values.extend_from_slice(more);
                values.sort_by(f64::total_cmp);
            }
            // One statement returns either form; merging both forms falls back to bins.
            (Self::Sketch(sketch), Self::Values(values)) => {
                for value in values {
                    sketch.record(bin_of(*value), 1);
                }
            }
            (Self::Values(_), Self::Sketch(more)) => {
                let mut both = Self::Sketch(more.clone());
                both.merge(self);
                *self = both;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::model::sketch::RELATIVE_ERROR;

    fn both(mut values: Vec<f64>) -> (Distribution, Distribution) {
        let mut sketch = Sketch::new();
        for value in &values {
            sketch.record(bin_of(*value), 1);
        }
        values.sort_by(f64::total_cmp);
        (Distribution::Sketch(sketch), Distribution::Values(values))
    }

    fn deviation(distribution: &Distribution) -> Option<f64> {
        distribution.deviation(|value| value)
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-5.0..9.0_f64).prop_map(|exponent| 10_f64.powf(exponent)),
            2 => 99.0..101.0_f64,
            1 => Just(0.0),
        ]
    }

    proptest! {
        #[test]
        fn bins_agree_with_values_within_their_bounds(
            values in vec(value(), 1..300), threshold in value(), bars_max in 1..40_usize,
        ) {
            let (bins, exact) = both(values.clone());
            let square = values.iter().map(|value| value * value).sum::<f64>() / float(exact.count());
            let off = (deviation(&bins).unwrap() - deviation(&exact).unwrap()).abs();
            prop_assert!(off <= square.sqrt() * RELATIVE_ERROR / (1.0 - RELATIVE_ERROR) + 1e-6, "{off}");

            let (told, truth) = (bins.apdex(threshold).unwrap(), exact.apdex(threshold).unwrap());
            prop_assert!(told.lower <= truth.value && truth.value <= told.upper, "{told:?} {truth:?}");
            prop_assert!(told.lower <= told.value && told.value <= told.upper);
            let score = |value: &f64| if *value <= threshold { 1.0 } else if *value <= 4.0 * threshold { 0.5 } else { 0.0 };
            let by_hand = values.iter().map(score).sum::<f64>() / float(exact.count());
            prop_assert!((truth.value - by_hand).abs() < 1e-9);

            let bars = bins.histogram(bars_max);
            prop_assert_eq!(&bars, &exact.histogram(bars_max));
            prop_assert!(bars.len() <= bars_max, "{} of {}", bars.len(), bars_max);
            prop_assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), exact.count());
            for pair in bars.windows(2) {
                prop_assert!(pair[0].to <= pair[1].from * (1.0 + SLACK));
            }
            for bar in bars {
                let inside = |slack: f64| values.iter().filter(|value| {
                    bar.from * (1.0 - slack) <= **value && **value <= bar.to * (1.0 + slack) + slack * 1e-6
                }).count();
                prop_assert!(bar.count <= u64::try_from(inside(SLACK)).unwrap(), "{bar:?}");
            }
        }
    }

    #[test]
    fn close_values_far_from_zero_keep_their_deviation() {
        let (_, exact) = both(vec![1e9, 1e9 + 1.0, 1e9 + 2.0]);
        assert!((deviation(&exact).unwrap() - (2.0_f64 / 3.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn an_empty_distribution_has_no_statistics() {
        for nothing in [Distribution::Sketch(Sketch::new()), Distribution::Values(Vec::new())] {
            assert_eq!((deviation(&nothing), nothing.apdex(1.0), nothing.at_rank(1)), (None, None, None));
            assert_eq!(nothing.histogram(10), vec![]);
        }
    }
}
