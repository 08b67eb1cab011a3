//! The change between two estimates, its significance, and the verdict. Pure.

use super::{
    batches::{SumVariances, sum_variances},
    estimate::{Estimate, Minutes},
    normal::{self, student},
};
use crate::{
    model::sketch,
    reports::{Statistic, statistic::WorstValue},
};

/// The expected share of false positives among the reported changes. Of releases that change nothing, one comparison in a
/// hundred reports a change.
pub const FALSE_DISCOVERY_RATE: f64 = 0.01;

/// The minimum relevant ratio. Smaller changes are not reported, however significant.
pub const RATIO_MIN: f64 = 1.05;

/// Larger ratios count as infinite: the smallest value above zero is about 1e-6.
const RATIO_MAX: f64 = 1e6;
/// The normal quantile of the confidence interval of a ratio: 95 %.
const INTERVAL_Z: f64 = 1.959_964;
/// The normal quantile whose p-value counts as zero.
const Z_MAX: f64 = 8.0;
/// The share of the variance of independent measurements that counts as uncorrelated between minutes; below one to be
/// conservative. Beside the median, which has estimated the minute effect already, it is larger: counting chance as a minute
/// effect twice would hide changes. Both were set by simulation.
const KNOWN_ALONE: f64 = 0.6;
const KNOWN_BESIDE_MEDIAN: f64 = 1.2;
/// The degrees of freedom from which Student's distribution counts as normal.
const DEGREES_MAX: f64 = 1e6;
const BISECTIONS: usize = 50;

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Worse: significant, and by at least 5 %.
    Regressed,
    /// Better: significant, and by at least 5 %.
    Improved,
    /// Not significant, or below 5 %.
    NoChange,
    /// Too few minutes or measurements of one release.
    InsufficientData,
}

/// The ratio of candidate to baseline, with its significance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The statistic of the baseline, in its unit.
    pub baseline: f64,
    /// The statistic of the candidate, in its unit.
    pub candidate: f64,
    /// Candidate divided by baseline; one if both are zero, infinite if only the baseline is.
    pub ratio: f64,
    /// The lower end of the 95 % confidence interval of the ratio.
    pub ratio_low: f64,
    /// The upper end of the 95 % confidence interval of the ratio.
    pub ratio_high: f64,
    /// The probability of a ratio as far from one by chance alone.
    pub p_value: f64,
}

impl Change {
    /// True when the change is large enough to be reported.
    pub fn is_relevant(&self) -> bool {
        self.ratio.max(self.ratio.recip()) >= RATIO_MIN
    }
}

/// The change between two releases; `None` with insufficient data.
pub fn change(baseline: &Minutes, candidate: &Minutes, statistic: Statistic) -> Option<Change> {
    let sides = |statistic| Some([Estimate::of(baseline, statistic)?, Estimate::of(candidate, statistic)?]);
    let (effect_min, known) = match statistic {
        Statistic::P50 | Statistic::Average | Statistic::ErrorRate => (0.0, KNOWN_ALONE),
        _ => (minute_effect_by_median(&sides(Statistic::P50)?, &sides(statistic)?)?, KNOWN_BESIDE_MEDIAN),
    };
    let pair = EstimatePair::of(sides(statistic)?, effect_min, known)?;
    let (low, high) = pair.limits(INTERVAL_Z);
    // Percentiles come from sketches, and both may be off by the error of the sketch.
    let blur = if statistic.percentile().is_some() { sketch::bin_width() } else { 0.0 };
    let [before, after] = pair.sides.each_ref().map(|side| side.value);
    Some(Change {
        baseline: before,
        candidate: after,
        ratio: ratio(before, after),
        ratio_low: bound(low - blur),
        ratio_high: bound(high + blur),
        p_value: pair.p_value(),
    })
}

/// The minute effect estimated from the median, which uses all measurements instead of the few in the tail. An effect that
/// scales a whole minute moves other percentiles in proportion to the slope of the distribution there. The factor is at most
/// one: a steeper tail, as at a timeout, has another cause.
fn minute_effect_by_median(medians: &[Estimate; 2], sides: &[Estimate; 2]) -> Option<f64> {
    let steepness = |sides: &[Estimate; 2]| sides[0].steepness() + sides[1].steepness();
    Some(MinuteEffect::of(medians, 1.0)?.strength * (steepness(sides) / steepness(medians)).min(1.0))
}

fn ratio(baseline: f64, candidate: f64) -> f64 {
    if baseline > 0.0 {
        candidate / baseline
    } else if candidate > 0.0 {
        f64::INFINITY
    } else {
        1.0
    }
}

/// A limit of a ratio from its logarithm. Ratios beyond [`RATIO_MAX`] become infinite or zero.
fn bound(log: f64) -> f64 {
    match log.exp() {
        high if high > RATIO_MAX => f64::INFINITY,
        low if low < RATIO_MAX.recip() => 0.0,
        ratio => ratio,
    }
}

/// The effect shared by all measurements of a minute, beyond the variance of independent measurements.
struct MinuteEffect {
    /// The variance that it adds for each unit of exposure, relative to independent measurements.
    strength: f64,
    /// The degrees of freedom of its estimate.
    degrees: f64,
}

impl MinuteEffect {
    /// Pools both releases: with nothing changed, a release with a rare event and one without are equally uncertain. The
    /// effect grows with the number of measurements per minute.
    ///
    /// `known` times the variance of independent measurements counts as uncorrelated between minutes.
    fn of(sides: &[Estimate; 2], known: f64) -> Option<Self> {
        let independent = sides.each_ref().map(|side| known * side.inflation_min() * side.variance);
        let SumVariances { variances, degrees } =
            sum_variances([&sides[0].deviations, &sides[1].deviations], independent)?;
        let weights = [0, 1].map(|side| degrees[side] * sides[side].exposure.powi(2));
        let strength = |side: usize| {
            let more = variances[side] / sides[side].variance - sides[side].inflation_min();
            weights[side] * more / sides[side].exposure
        };
        let weight = weights[0] + weights[1];
        Some(Self {
            strength: ((strength(0) + strength(1)) / weight).max(0.0),
            degrees: weight.powi(2) / (weights[0].powi(2) / degrees[0] + weights[1].powi(2) / degrees[1]),
        })
    }
}

/// The estimates of both releases, with their errors.
struct EstimatePair {
    /// Baseline and candidate.
    sides: [Estimate; 2],
    /// The standard error of each, relative to independent measurements.
    errors: [f64; 2],
    /// The degrees of freedom of the errors.
    degrees: f64,
}

impl EstimatePair {
    /// `effect_min` is the minimum strength of the minute effect, known from another statistic.
    fn of(sides: [Estimate; 2], effect_min: f64, known: f64) -> Option<Self> {
        let effect = MinuteEffect::of(&sides, known)?;
        let strength = effect.strength.max(effect_min);
        let inflations = sides.each_ref().map(|side| side.inflation_min() + strength * side.exposure);
        if [0, 1].into_iter().any(|side| !sides[side].is_enough(inflations[side])) {
            return None;
        }
        let sum =
            |inflation: &dyn Fn(usize) -> f64| inflation(0) * sides[0].variance + inflation(1) * sides[1].variance;
        let unknown = sum(&|side| strength * sides[side].exposure) / sum(&|side| inflations[side]);
        // After Satterthwaite ("An approximate distribution of estimates of variance components", Biometrics Bulletin 2,
        // 1946), with the known part of the variance taken as certain. It is less certain, because it was subtracted from the
        // same estimate; the simulations show that the conservative correlation compensates for it.
        let degrees = (effect.degrees / unknown.powi(2)).min(DEGREES_MAX);
        Some(Self { sides, errors: inflations.map(f64::sqrt), degrees })
    }

    fn difference(&self) -> f64 {
        self.sides[1].log - self.sides[0].log
    }

    /// The limits of the difference from those of its terms (Zou and Donner, "Construction of confidence limits about
    /// effect measures: a general approach", Statistics in Medicine 27, 2008), at the certainty of a normal variable that
    /// is within `z`.
    fn limits(&self, z: f64) -> (f64, f64) {
        let reach = student(z, self.degrees);
        let [before, after] = [0, 1].map(|side| {
            let (low, high) = self.sides[side].limits(reach * self.errors[side]);
            (self.sides[side].log - low, high - self.sides[side].log)
        });
        let width = |one: f64, other: f64| f64::hypot(one.max(0.0), other.max(0.0));
        (self.difference() - width(after.0, before.1), self.difference() + width(after.1, before.0))
    }

    /// The confidence at which the limits of the difference just reach zero, as a p-value.
    fn p_value(&self) -> f64 {
        let holds_zero = |z| {
            let (low, high) = self.limits(z);
            low <= 0.0 && 0.0 <= high
        };
        let (mut below, mut above) = (0.0, Z_MAX);
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(below, above);
            if holds_zero(middle) {
                above = middle;
            } else {
                below = middle;
            }
        }
        (2.0 * normal::tail(f64::midpoint(below, above))).min(1.0)
    }
}

/// The smallest false discovery rate at which each change is reported. Changes that are too small to report count with a
/// p-value of one: removing them afterwards would exceed the false discovery rate among the rest.
pub fn q_values_of(changes: &[Change]) -> Vec<f64> {
    let p_value = |change: &Change| if change.is_relevant() { change.p_value } else { 1.0 };
    q_values(&changes.iter().map(p_value).collect::<Vec<_>>())
}

/// The q-value of each p-value (Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal
/// Statistical Society B 57, 1995). Endpoints of one server are dependent tests. For these the rate is proven for one-sided
/// tests of positively correlated normal variables (Benjamini and Yekutieli, "The control of the false discovery rate in
/// multiple testing under dependency", Annals of Statistics 29, 2001); for two-sided tests, as here, simulations confirm it.
fn q_values(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*b].total_cmp(&p_values[*a]));
    let (mut q_values, mut least) = (vec![1.0; p_values.len()], 1.0_f64);
    for (passed, place) in order.into_iter().enumerate() {
        let rank = p_values.len() - passed;
        #[expect(clippy::cast_precision_loss, reason = "endpoints of one project")]
        let adjusted = p_values[place] * p_values.len() as f64 / rank as f64;
        least = least.min(adjusted);
        q_values[place] = least;
    }
    q_values
}

/// The verdict on a change; `worst` says which direction is bad.
pub fn verdict(change: &Change, q_value: f64, worst: WorstValue) -> Verdict {
    if q_value > FALSE_DISCOVERY_RATE || !change.is_relevant() {
        Verdict::NoChange
    } else if (change.ratio > 1.0) == (worst == WorstValue::Highest) {
        Verdict::Regressed
    } else {
        Verdict::Improved
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "zero and one are exact")]
mod tests {
    use super::*;
    use crate::model::{Sketch, Sum, Tally};

    fn change(ratio: f64) -> Change {
        Change { baseline: 1.0, candidate: ratio, ratio, ratio_low: 0.9, ratio_high: 1.1, p_value: 0.0 }
    }

    /// The fifteen p-values of the example in Benjamini and Hochberg (1995), of which four are rejected at 5 %.
    #[test]
    fn discoveries_are_those_of_the_paper() {
        let p_values = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0000,
        ];
        let q_values = q_values(&p_values);
        assert_eq!(q_values.iter().filter(|q| **q <= 0.05).count(), 4);
        assert!(q_values.is_sorted() && q_values.iter().zip(p_values).all(|(q, p)| *q >= p && *q <= 1.0));
        assert_eq!(super::q_values(&[]), Vec::<f64>::new());
    }

    #[test]
    fn irrelevant_changes_do_not_affect_the_others() {
        let changes = [1.01, 1.02, 1.03, 1.2].map(|ratio| Change { p_value: 0.004, ..change(ratio) });
        let q_values = q_values_of(&changes);
        assert!((q_values[3] - 0.016).abs() < 1e-12 && q_values[..3].iter().all(|q| *q >= 1.0), "{q_values:?}");
    }

    /// An hour of twenty measurements of `value` a minute, of which `failed` failed in all.
    fn minutes(failed: u64, value: f64) -> Minutes {
        let minute = |at: u64| {
            let mut sketch = Sketch::new();
            sketch.record(sketch::bin_of(value), 20);
            let errors = u64::from(at.is_multiple_of(7) && at / 7 < failed);
            Tally::new(20, errors, Sum::of(20.0 * value), Some((value, value)), sketch)
        };
        (0..60).map(|at| (i64::try_from(at).unwrap_or_default(), minute(at))).collect()
    }

    /// Fisher's exact test gives 0.0077 for none and eight in 1200 each.
    #[test]
    fn new_errors_are_found_once_they_are_significant() {
        let of = |failed| super::change(&minutes(0, 1.0), &minutes(failed, 1.0), Statistic::ErrorRate).unwrap();
        let eight = of(8);
        assert!(eight.p_value > 0.003 && eight.p_value < 0.02, "{eight:?}");
        assert!(eight.baseline == 0.0 && eight.ratio.is_infinite() && eight.ratio_low > 1.0, "{eight:?}");
        assert_eq!(verdict(&of(9), of(9).p_value, WorstValue::Highest), Verdict::Regressed);
        assert!(of(3).p_value > 0.05 && of(0).p_value > 0.9, "{:?}", of(3));
    }

    #[test]
    fn zeros_give_finite_verdicts() {
        for statistic in [Statistic::Average, Statistic::P50, Statistic::P95] {
            let of = |before, after| super::change(&minutes(0, before), &minutes(0, after), statistic).unwrap();
            let (same, from, to) = (of(0.0, 0.0), of(0.0, 5.0), of(5.0, 0.0));
            assert!(same.ratio == 1.0 && same.p_value > 0.9, "{same:?}");
            assert!(from.baseline == 0.0 && from.ratio.is_infinite() && from.ratio_high.is_infinite(), "{from:?}");
            assert!(to.candidate == 0.0 && to.ratio == 0.0 && to.ratio_low == 0.0, "{to:?}");
            assert_eq!(verdict(&from, from.p_value, WorstValue::Highest), Verdict::Regressed);
            assert_eq!(verdict(&to, to.p_value, WorstValue::Highest), Verdict::Improved);
        }
    }

    #[test]
    fn a_verdict_needs_significance_and_size() {
        let of = |ratio, q, worst| verdict(&change(ratio), q, worst);
        assert_eq!(of(1.2, 0.001, WorstValue::Highest), Verdict::Regressed);
        assert_eq!(of(0.8, 0.001, WorstValue::Highest), Verdict::Improved);
        assert_eq!(of(0.8, 0.001, WorstValue::Lowest), Verdict::Regressed);
        assert_eq!(of(1.2, 0.02, WorstValue::Highest), Verdict::NoChange);
        assert_eq!(of(1.04, 0.0, WorstValue::Highest), Verdict::NoChange);
        assert_eq!(of(0.96, 0.0, WorstValue::Lowest), Verdict::NoChange);
    }
}
