//! From two sides to a verdict, and from many to verdicts that are rarely wrong. Pure.

use super::{
    batches::{Spreads, spreads},
    normal::{self, student},
    side::{Minutes, Side},
};
use crate::reports::{Statistic, statistic::Worst};

/// The share of wrong ones among the changes that are reported, on average: of a release that changes nothing, one in a
/// hundred comparisons reports anything at all.
pub const FALSE_DISCOVERY_RATE: f64 = 0.01;

/// Changes below this are none that anybody would act upon, however sure.
pub const RATIO_MIN: f64 = 1.05;

/// The certainty of the interval of a ratio: 95 %.
const INTERVAL_Z: f64 = 1.959_964;
/// Beyond this all p-values are as good as zero.
const Z_MAX: f64 = 8.0;
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
    /// Candidate through baseline.
    pub ratio: f64,
    /// The ratio is not below, with 95 % certainty.
    pub ratio_low: f64,
    /// The ratio is not above, with 95 % certainty.
    pub ratio_high: f64,
    /// How often chance alone would make a ratio as far from one.
    pub p_value: f64,
}

/// Compares two sides; `None` where one says too little.
pub fn change(baseline: &Minutes, candidate: &Minutes, statistic: Statistic) -> Option<Change> {
    let pair = Pair::of(Side::of(baseline, statistic)?, Side::of(candidate, statistic)?)?;
    let (low, high) = pair.limits(INTERVAL_Z);
    Some(Change {
        baseline: pair.baseline.log.exp(),
        candidate: pair.candidate.log.exp(),
        ratio: pair.difference().exp(),
        ratio_low: low.exp(),
        ratio_high: high.exp(),
        p_value: pair.p_value(),
    })
}

/// Two sides and how far both may be off.
struct Pair {
    baseline: Side,
    candidate: Side,
    /// The standard errors, of baseline and candidate.
    errors: [f64; 2],
    /// How well they are known.
    degrees: f64,
}

impl Pair {
    fn of(baseline: Side, candidate: Side) -> Option<Self> {
        let Spreads { variances, degrees } = spreads([&baseline.deviations, &candidate.deviations])?;
        let (variances, degrees) = if let (Some(before), Some(after)) = (baseline.variance_min, candidate.variance_min)
        {
            // How much more the minutes scatter than chance would is the same thing on both sides, and better known
            // together.
            let more =
                (variances[0] / before * degrees[0] + variances[1] / after * degrees[1]) / (degrees[0] + degrees[1]);
            ([before * more.max(1.0), after * more.max(1.0)], degrees[0] + degrees[1])
        } else {
            (variances, satterthwaite(variances, degrees))
        };
        Some(Self { baseline, candidate, errors: variances.map(f64::sqrt), degrees })
    }

    fn difference(&self) -> f64 {
        self.candidate.log - self.baseline.log
    }

    /// The limits of the difference from those of its terms (Zou and Donner, "Construction of confidence limits about
    /// effect measures: a general approach", Statistics in Medicine 27, 2008), at the certainty of a normal variable that
    /// is within `z`.
    fn limits(&self, z: f64) -> (f64, f64) {
        let reach = student(z, self.degrees);
        let of_baseline = self.baseline.limits(reach * self.errors[0]);
        let of_candidate = self.candidate.limits(reach * self.errors[1]);
        (
            self.difference() - f64::hypot(self.candidate.log - of_candidate.0, of_baseline.1 - self.baseline.log),
            self.difference() + f64::hypot(of_candidate.1 - self.candidate.log, self.baseline.log - of_baseline.0),
        )
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

/// How well the sum of two variances is known (Satterthwaite, "An approximate distribution of estimates of variance
/// components", Biometrics Bulletin 2, 1946).
fn satterthwaite(variances: [f64; 2], degrees: [f64; 2]) -> f64 {
    let sum = variances[0] + variances[1];
    let parts = variances[0].powi(2) / degrees[0] + variances[1].powi(2) / degrees[1];
    if parts > 0.0 { sum * sum / parts } else { degrees[0] + degrees[1] }
}

/// For each p-value the false discovery rate at which it would still be reported (Benjamini and Hochberg, "Controlling
/// the false discovery rate", Journal of the Royal Statistical Society B 57, 1995). It holds also where tests hang
/// together as endpoints of one server do (Benjamini and Yekutieli, Annals of Statistics 29, 2001).
pub fn q_values(p_values: &[f64]) -> Vec<f64> {
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
    let is_large = change.ratio.max(change.ratio.recip()) >= RATIO_MIN;
    if q_value > FALSE_DISCOVERY_RATE || !is_large {
        Verdict::NoChange
    } else if (change.ratio > 1.0) == (worst == Worst::Highest) {
        Verdict::Regressed
    } else {
        Verdict::Improved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
