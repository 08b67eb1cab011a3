//! From two sides to a verdict, and from many to verdicts that are rarely wrong. Pure.

use super::{
    batches::{Spreads, spreads},
    normal::{self, student},
    side::{Minutes, Side},
};
use crate::{
    model::sketch,
    reports::{Statistic, statistic::Worst},
};

/// The share of wrong ones among the changes that are reported, on average: of a release that changes nothing, one in a
/// hundred comparisons reports anything at all.
pub const FALSE_DISCOVERY_RATE: f64 = 0.01;

/// Changes below this are none that anybody would act upon, however sure.
pub const RATIO_MIN: f64 = 1.05;

/// Beyond this a ratio is one to zero: the smallest value that is not is about 1e-6.
const RATIO_MAX: f64 = 1e6;
/// The certainty of the interval of a ratio: 95 %.
const INTERVAL_Z: f64 = 1.959_964;
/// Beyond this all p-values are as good as zero.
const Z_MAX: f64 = 8.0;
/// How many times the variance of independent measurements counts as not correlated from minute to minute: less than it is,
/// to be safe. Beside the median, which has told the weather already, more: taking chance for weather once again would hide
/// changes. Both were set by simulation.
const KNOWN_ALONE: f64 = 0.6;
const KNOWN_BESIDE_MEDIAN: f64 = 1.2;
/// From here on a Student variable is a normal one.
const DEGREES_MAX: f64 = 1e6;
const BISECTIONS: usize = 50;

/// What became of something from one release to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Worse, beyond chance and by at least 5 %.
    Regressed,
    /// Better, beyond chance and by at least 5 %.
    Improved,
    /// Nothing that can be told from chance, or too little to matter.
    NoChange,
    /// Too few minutes or measurements on one side.
    InsufficientData,
}

/// A ratio of candidate to baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The statistic of the baseline, in its unit.
    pub baseline: f64,
    /// The statistic of the candidate, in its unit.
    pub candidate: f64,
    /// Candidate through baseline; one where both are zero, infinite where only the baseline is.
    pub ratio: f64,
    /// The ratio is not below, with 95 % certainty.
    pub ratio_low: f64,
    /// The ratio is not above, with 95 % certainty.
    pub ratio_high: f64,
    /// How often chance alone would make a ratio as far from one.
    pub p_value: f64,
}

impl Change {
    /// Whether it is large enough to matter.
    pub fn is_relevant(&self) -> bool {
        self.ratio.max(self.ratio.recip()) >= RATIO_MIN
    }
}

/// Compares two sides; `None` where one says too little.
pub fn change(baseline: &Minutes, candidate: &Minutes, statistic: Statistic) -> Option<Change> {
    let sides = |statistic| Some([Side::of(baseline, statistic)?, Side::of(candidate, statistic)?]);
    let (weather_min, known) = match statistic {
        Statistic::P50 | Statistic::Average | Statistic::ErrorRate => (0.0, KNOWN_ALONE),
        _ => (weather_by_median(&sides(Statistic::P50)?, &sides(statistic)?)?, KNOWN_BESIDE_MEDIAN),
    };
    let pair = Pair::of(sides(statistic)?, weather_min, known)?;
    let (low, high) = pair.limits(INTERVAL_Z);
    // Percentiles come from sketches, and both sides may be off by their error.
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

/// The weather of minutes as the median shows it, which all measurements tell of and not only those far out. What makes a
/// minute slower as a whole moves other percentiles as well, in proportion to how steep the distribution is there: less
/// than in its middle, and where it is steeper, as at a timeout, that is for another reason.
fn weather_by_median(medians: &[Side; 2], sides: &[Side; 2]) -> Option<f64> {
    let steepness = |sides: &[Side; 2]| sides[0].steepness() + sides[1].steepness();
    Some(Weather::of(medians, 1.0)?.strength * (steepness(sides) / steepness(medians)).min(1.0))
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

/// A limit of a ratio from its logarithm. What is as far as that from one is a limit to zero.
fn bound(log: f64) -> f64 {
    match log.exp() {
        high if high > RATIO_MAX => f64::INFINITY,
        low if low < RATIO_MAX.recip() => 0.0,
        ratio => ratio,
    }
}

/// What minutes have in common beyond the chance of single measurements.
struct Weather {
    /// What it adds to the variance of independent measurements, for each unit of exposure.
    strength: f64,
    /// How well it is known.
    degrees: f64,
}

impl Weather {
    /// Weather is the same thing on both sides, and better known together: with nothing changed, a side that saw a rare
    /// event and one that did not are as uncertain. It counts in proportion to how busy minutes are.
    ///
    /// `known` times the variance of independent measurements is not taken as correlated from minute to minute.
    fn of(sides: &[Side; 2], known: f64) -> Option<Self> {
        let independent = sides.each_ref().map(|side| known * side.inflation_min() * side.variance);
        let Spreads { variances, degrees } = spreads([&sides[0].deviations, &sides[1].deviations], independent)?;
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

/// Two sides and how far both may be off.
struct Pair {
    /// Baseline and candidate.
    sides: [Side; 2],
    /// The standard error of each, in those of independent measurements.
    errors: [f64; 2],
    /// How well they are known.
    degrees: f64,
}

impl Pair {
    /// `weather_min` is the strength of the weather that is known otherwise.
    fn of(sides: [Side; 2], weather_min: f64, known: f64) -> Option<Self> {
        let weather = Weather::of(&sides, known)?;
        let strength = weather.strength.max(weather_min);
        let inflations = sides.each_ref().map(|side| side.inflation_min() + strength * side.exposure);
        if [0, 1].into_iter().any(|side| !sides[side].is_enough(inflations[side])) {
            return None;
        }
        let sum =
            |inflation: &dyn Fn(usize) -> f64| inflation(0) * sides[0].variance + inflation(1) * sides[1].variance;
        let unknown = sum(&|side| strength * sides[side].exposure) / sum(&|side| inflations[side]);
        // After Satterthwaite ("An approximate distribution of estimates of variance components", Biometrics Bulletin 2,
        // 1946), with what is known of the variance taken as certain. That is more than it is, since it was subtracted from
        // the same estimate; the simulations say that the correlation, which is taken high, makes up for it.
        let degrees = (weather.degrees / unknown.powi(2)).min(DEGREES_MAX);
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

    /// The certainty at which the limits of the difference just reach zero.
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

/// For each change the false discovery rate at which it would still be reported: its p-value, or one where it is too small
/// to be reported at all. Sorting those out afterwards would leave more wrong ones among the rest than was promised.
pub fn q_values_of(changes: &[Change]) -> Vec<f64> {
    let p_value = |change: &Change| if change.is_relevant() { change.p_value } else { 1.0 };
    q_values(&changes.iter().map(p_value).collect::<Vec<_>>())
}

/// For each p-value the false discovery rate at which it would still be reported (Benjamini and Hochberg, "Controlling
/// the false discovery rate", Journal of the Royal Statistical Society B 57, 1995). That it holds also where tests hang
/// together as endpoints of one server do is shown for one-sided tests of positively correlated normal variables
/// (Benjamini and Yekutieli, "The control of the false discovery rate in multiple testing under dependency", Annals of
/// Statistics 29, 2001); of two-sided ones, as here, it is what simulations find.
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

/// What a change comes to, where `worst` says which direction is bad.
pub fn verdict(change: &Change, q_value: f64, worst: Worst) -> Verdict {
    if q_value > FALSE_DISCOVERY_RATE || !change.is_relevant() {
        Verdict::NoChange
    } else if (change.ratio > 1.0) == (worst == Worst::Highest) {
        Verdict::Regressed
    } else {
        Verdict::Improved
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "zero and one are exact")]
mod tests {
    use super::*;
    use crate::model::{Sketch, Tally};

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
    fn what_is_too_small_to_report_takes_no_part() {
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
            Tally::new(20, errors, 20.0 * value, Some((value, value)), sketch)
        };
        (0..60).map(|at| (i64::try_from(at).unwrap_or_default(), minute(at))).collect()
    }

    /// Fisher's exact test gives 0.0077 for none and eight in 1200 each.
    #[test]
    fn new_errors_are_found_as_soon_as_they_are_not_chance() {
        let of = |failed| super::change(&minutes(0, 1.0), &minutes(failed, 1.0), Statistic::ErrorRate).unwrap();
        let eight = of(8);
        assert!(eight.p_value > 0.003 && eight.p_value < 0.02, "{eight:?}");
        assert!(eight.baseline == 0.0 && eight.ratio.is_infinite() && eight.ratio_low > 1.0, "{eight:?}");
        assert_eq!(verdict(&of(9), of(9).p_value, Worst::Highest), Verdict::Regressed);
        assert!(of(3).p_value > 0.05 && of(0).p_value > 0.9, "{:?}", of(3));
    }

    #[test]
    fn zeros_are_told_as_such() {
        for statistic in [Statistic::Average, Statistic::P50, Statistic::P95] {
            let of = |before, after| super::change(&minutes(0, before), &minutes(0, after), statistic).unwrap();
            let (same, from, to) = (of(0.0, 0.0), of(0.0, 5.0), of(5.0, 0.0));
            assert!(same.ratio == 1.0 && same.p_value > 0.9, "{same:?}");
            assert!(from.baseline == 0.0 && from.ratio.is_infinite() && from.ratio_high.is_infinite(), "{from:?}");
            assert!(to.candidate == 0.0 && to.ratio == 0.0 && to.ratio_low == 0.0, "{to:?}");
            assert_eq!(verdict(&from, from.p_value, Worst::Highest), Verdict::Regressed);
            assert_eq!(verdict(&to, to.p_value, Worst::Highest), Verdict::Improved);
        }
    }

    #[test]
    fn a_verdict_takes_certainty_and_size() {
        let of = |ratio, q, worst| verdict(&change(ratio), q, worst);
        assert_eq!(of(1.2, 0.001, Worst::Highest), Verdict::Regressed);
        assert_eq!(of(0.8, 0.001, Worst::Highest), Verdict::Improved);
        assert_eq!(of(0.8, 0.001, Worst::Lowest), Verdict::Regressed);
        assert_eq!(of(1.2, 0.02, Worst::Highest), Verdict::NoChange);
        assert_eq!(of(1.04, 0.0, Worst::Highest), Verdict::NoChange);
        assert_eq!(of(0.96, 0.0, Worst::Lowest), Verdict::NoChange);
    }
}
