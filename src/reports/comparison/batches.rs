//! The variance of sums over minutes that are correlated with their neighbours.
//!
//! Minutes are joined to batches, and the variance of the batch sums estimates the variance of the whole, because most of the
//! correlation is then within a batch (Schmeiser, "Batch size effects in the analysis of simulation output",
//! Operations Research 30, 1982: ten to thirty batches suffice). Batches overlap: one begins with every minute, which adds up to half as much
//! information (Meketon and Schmeiser, "Overlapping batch means: something for nothing?", Winter Simulation Conference,
//! 1984): 50 % with long batches, 42 % with three minutes, a third with two.
//!
//! Neighbouring batches may still be correlated. A first-order autoregressive process with the correlation `r` of neighbours
//! has sums whose variance is `(1 + r) / (1 - r)` times that of independent ones (Zwiers and von Storch, "Taking serial
//! correlation into account in tests of the mean", Journal of Climate 8, 1995). Its degrees of freedom shrink
//! by about `1 - r`. From few batches `r` is biased low (Kendall, "Note on bias in the estimation of
//! autocorrelation", Biometrika 41, 1954; Marriott and Pope, the same volume) and imprecise (Bartlett, "On the
//! theoretical specification and sampling properties of autocorrelated time-series", Supplement to the Journal of the
//! Royal Statistical Society 8, 1946), so an upper estimate is used, higher with fewer batches. The variance
//! of independent measurements is known to be uncorrelated, so `r` is at most the share of the variance beyond it. These
//! margins were set by simulation.

/// The minimum number of batches for an estimate.
pub const BATCHES_MIN: usize = 10;
/// The number of batches that is preferred over longer batches.
const BATCHES_WANTED: usize = 15;
const BATCHES_MAX: usize = 30;
const MINUTES_MIN: usize = 2;
/// The preferred length of a batch in minutes.
const MINUTES: usize = 3;
/// The maximum gain in information from overlapping batches.
const OVERLAP_GAIN: f64 = 1.5;
/// The number of batches of an hour of both releases, for which the margins below were set.
const BATCHES_OF_HOURS: f64 = 40.0;
/// The margin of the correlation, in standard errors.
const CORRELATION_ERRORS: f64 = 2.0;
/// The margin of the variance, in standard errors, when its correlated share is bounded. Negative, because the correlation
/// has a margin already; larger with fewer batches.
const VARIANCE_ERRORS: f64 = -0.7;
const VARIANCE_ERRORS_OF_FEWER: f64 = 3.0;
/// The maximum correlation. Beyond it, the minutes are too few to separate a correlation from a trend.
const CORRELATION_MAX: f64 = 0.92;

/// The variances of two sums, with their degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SumVariances {
    /// The variance of each sum.
    pub variances: [f64; 2],
    /// The degrees of freedom of each variance.
    pub degrees: [f64; 2],
}

/// Estimates the variances of two sums of deviations, which are in order of time and sum to zero; `None` with too few minutes.
/// `independent` is the part of each variance that is known to be uncorrelated. The correlation is estimated from both sums
/// together, because each alone has too few batches.
pub fn sum_variances(deviations: [&[f64]; 2], independent: [f64; 2]) -> Option<SumVariances> {
    if deviations.iter().any(|side| side.len() < MINUTES_MIN * BATCHES_MIN) {
        return None;
    }
    let sides = deviations.map(BatchMeans::of);
    let count = sides[0].count + sides[1].count;
    let pooled = |figure: [f64; 2]| (figure[0] * sides[0].count + figure[1] * sides[1].count) / count;
    let fewness = BATCHES_OF_HOURS / count;

    let seen = pooled([0, 1].map(|side| sides[side].correlation));
    let unbiased = ((seen + 2.0 / count) / (1.0 - 8.0 / count)).clamp(-1.0, 1.0);
    let error = ((1.0 - unbiased * unbiased) / (OVERLAP_GAIN * count)).sqrt();
    let high = unbiased + CORRELATION_ERRORS * fewness * error;

    let excess = pooled([0, 1].map(|side| sides[side].variance / independent[side].max(f64::MIN_POSITIVE)));
    let errors = VARIANCE_ERRORS + VARIANCE_ERRORS_OF_FEWER * (fewness - 1.0).max(0.0);
    let excess = excess * (1.0 + errors * (2.0 / (OVERLAP_GAIN * count)).sqrt());
    let correlation = high.min(1.0 - excess.recip()).clamp(0.0, CORRELATION_MAX);

    let more = (1.0 + correlation) / (1.0 - correlation);
    Some(SumVariances {
        variances: sides.map(|side| more * side.variance),
        degrees: sides.map(|side| OVERLAP_GAIN * (side.count - 1.0) * (1.0 - correlation)),
    })
}

/// The batches of one sum.
#[derive(Clone, Copy)]
struct BatchMeans {
    /// The number of adjacent, non-overlapping batches.
    count: f64,
    /// The variance of the whole sum for independent batches.
    variance: f64,
    /// The correlation of adjacent batches.
    correlation: f64,
}

impl BatchMeans {
    fn of(deviations: &[f64]) -> Self {
        let minutes = deviations
            .len()
            .div_ceil(BATCHES_MAX)
            .max(MINUTES.min(deviations.len() / BATCHES_WANTED))
            .clamp(MINUTES_MIN, deviations.len().max(MINUTES_MIN));
        let count = float(deviations.len()) / float(minutes);
        let sums: Vec<f64> = deviations.windows(minutes).map(|batch| batch.iter().sum()).collect();
        let square = mean(sums.iter().map(|sum| sum * sum));
        let product = mean(sums.iter().zip(sums.iter().skip(minutes)).map(|(one, next)| one * next));
        Self {
            count,
            // The sums deviate from their own mean, which costs one degree of freedom.
            variance: count * square * count / (count - 1.0),
            correlation: if square > 0.0 { product / square * (count - 1.0) / count } else { 0.0 },
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "minutes of a day or so")]
const fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(length: u32, turn: u32, independent: f64) -> SumVariances {
        let side: Vec<f64> =
            (0..length).map(|minute| if (minute / turn).is_multiple_of(2) { 1.0 } else { -1.0 }).collect();
        sum_variances([&side, &side], [independent; 2]).unwrap()
    }

    #[test]
    fn correlated_neighbours_increase_the_variance() {
        for length in [20, 60, 1_440] {
            let (alternating, slow) = (of(length, 1, 0.0), of(length, length / 4, 0.0));
            assert!(slow.variances[0] > 20.0 * alternating.variances[0], "{slow:?} {alternating:?}");
            assert!(slow.degrees[0] < alternating.degrees[0], "{slow:?} {alternating:?}");
        }
        assert_eq!(sum_variances([&[0.0; 19], &[0.0; 60]], [0.0; 2]), None);
        assert_eq!(sum_variances([&[0.0; 20], &[0.0; 60]], [0.0; 2]).map(|both| both.variances), Some([0.0, 0.0]));
    }

    #[test]
    fn independent_variance_is_not_taken_as_correlated() {
        let (unknown, known) = (of(60, 15, 0.0), of(60, 15, 1e6));
        assert!(unknown.variances[0] > 5.0 * known.variances[0], "{unknown:?} {known:?}");
    }
}
