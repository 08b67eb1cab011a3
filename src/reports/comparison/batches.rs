//! How far sums over minutes may be off, when neighbouring minutes are alike.
//!
//! Minutes are joined to batches, and the spread of the batches' sums tells the spread of the whole: what links
//! neighbours is inside of a batch then (Schmeiser, "Batch size effects in the analysis of simulation output",
//! Operations Research 30, 1982: ten to thirty batches serve). A batch begins with every minute, which tells up to half as
//! much again (Meketon and Schmeiser, "Overlapping batch means: something for nothing?", Winter Simulation Conference,
//! 1984): that much with long batches, 42 % more with three minutes, a third with two.
//!
//! Neighbouring batches may still be alike. A first-order autoregressive process with the correlation `r` of neighbours
//! has sums whose variance is `(1 + r) / (1 - r)` times that of independent ones (Zwiers and von Storch, "Taking serial
//! correlation into account in tests of the mean", Journal of Climate 8, 1995). That variance itself is then known about
//! `1 - r` times as well. From few batches `r` comes out too low (Kendall, "Note on bias in the estimation of
//! autocorrelation", Biometrika 41, 1954; Marriott and Pope, the same volume) and is hardly known (Bartlett, "On the
//! theoretical specification and sampling properties of autocorrelated time-series", Supplement to the Journal of the
//! Royal Statistical Society 8, 1946), so it is taken higher than it looks, and the more so the fewer they are. What is
//! known to be independent is not alike, however: `r` is at most the share of the variance beyond that. How much higher and
//! at most was set by simulation.

/// With fewer batches the spread is hardly known.
pub const BATCHES_MIN: usize = 10;
/// So many, where shorter batches are enough for them.
const BATCHES_WANTED: usize = 15;
const BATCHES_MAX: usize = 30;
const MINUTES_MIN: usize = 2;
/// Minutes of a batch, where there are enough minutes.
const MINUTES: usize = 3;
/// How much more overlapping batches tell, at most.
const OVERLAP_GAIN: f64 = 1.5;
/// The batches of an hour on both sides, for which the next two were set.
const BATCHES_OF_HOURS: f64 = 40.0;
/// How many standard errors higher than it looks a correlation is taken.
const CORRELATION_ERRORS: f64 = 2.0;
/// How many standard errors higher than it looks the variance is taken, to tell what part of it may be correlated: less,
/// since the correlation is taken high already; with fewer batches more.
const VARIANCE_ERRORS: f64 = -0.7;
const VARIANCE_ERRORS_OF_FEWER: f64 = 3.0;
/// Beyond this the minutes are too few to tell a correlation from a trend.
const CORRELATION_MAX: f64 = 0.92;

/// The variances of two sums, and how well they are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spreads {
    /// The variance of each sum.
    pub variances: [f64; 2],
    /// How many independent values would tell each variance as well, less one.
    pub degrees: [f64; 2],
}

/// The spreads of two sums of deviations, which are in order of time and add up to nothing. `None` where there are too
/// few minutes. `independent` is the part of each variance that is surely not correlated. How alike neighbours are is told
/// by both sides together: alone, each knows too little of it.
pub fn spreads(deviations: [&[f64]; 2], independent: [f64; 2]) -> Option<Spreads> {
    if deviations.iter().any(|side| side.len() < MINUTES_MIN * BATCHES_MIN) {
        return None;
    }
    let sides = deviations.map(Batches::of);
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
    Some(Spreads {
        variances: sides.map(|side| more * side.variance),
        degrees: sides.map(|side| OVERLAP_GAIN * (side.count - 1.0) * (1.0 - correlation)),
    })
}

/// The batches of one side.
#[derive(Clone, Copy)]
struct Batches {
    /// How many there are side by side.
    count: f64,
    /// Of the sum of all, if batches are independent.
    variance: f64,
    /// Of those that follow on each other.
    correlation: f64,
}

impl Batches {
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
            // The sums deviate from their own mean, which takes one of them away.
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

    fn of(length: u32, turn: u32, independent: f64) -> Spreads {
        let side: Vec<f64> =
            (0..length).map(|minute| if (minute / turn).is_multiple_of(2) { 1.0 } else { -1.0 }).collect();
        spreads([&side, &side], [independent; 2]).unwrap()
    }

    #[test]
    fn neighbours_that_are_alike_widen_the_spread() {
        for length in [20, 60, 1_440] {
            let (alternating, slow) = (of(length, 1, 0.0), of(length, length / 4, 0.0));
            assert!(slow.variances[0] > 20.0 * alternating.variances[0], "{slow:?} {alternating:?}");
            assert!(slow.degrees[0] < alternating.degrees[0], "{slow:?} {alternating:?}");
        }
        assert_eq!(spreads([&[0.0; 19], &[0.0; 60]], [0.0; 2]), None);
        assert_eq!(spreads([&[0.0; 20], &[0.0; 60]], [0.0; 2]).map(|both| both.variances), Some([0.0, 0.0]));
    }

    #[test]
    fn what_is_independent_is_not_taken_as_alike() {
        let (unknown, known) = (of(60, 15, 0.0), of(60, 15, 1e6));
        assert!(unknown.variances[0] > 5.0 * known.variances[0], "{unknown:?} {known:?}");
    }
}
