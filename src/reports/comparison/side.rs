//! One side of a comparison: a statistic over minutes, as a logarithm, and how each minute deviates from it.
//!
//! The statistic is that of all minutes together, so busy minutes count for more and a side with more traffic is not
//! another one for it. How far off it may be is told by the minutes, which are the units here: the measurements of one
//! minute share its weather, and counting them one by one would promise far too much.

use std::collections::BTreeMap;

use super::batches::BATCHES_MIN;
use crate::{
    model::{Sketch, Tally, sketch},
    reports::Statistic,
};

/// The measurements of each minute, by its start.
pub type Minutes = BTreeMap<i64, Tally>;

/// Measurements beyond a percentile that a side needs at least.
const BEYOND_MIN: f64 = 20.0;
/// As many as so many independent ones. With fewer, nothing would bound the percentile at the certainty of a verdict.
const BEYOND_INDEPENDENT_MIN: f64 = 10.0;
/// Minutes with measurements that a side needs at least: two for each batch.
const MINUTES_MIN: usize = 2 * BATCHES_MIN;
/// Measurements that a side needs at least.
const COUNT_MIN: u64 = 100;

/// A statistic that is a logarithm here.
#[derive(Clone, Debug)]
pub struct Side {
    /// The statistic, in its unit.
    pub value: f64,
    /// Its logarithm, where it is not zero; of the average and percentiles the one of the smallest value that is not zero
    /// otherwise, and of a rate that of half an error more.
    pub log: f64,
    /// What each minute adds to the error, in order of time; together nothing.
    pub deviations: Vec<f64>,
    /// The variance of the error if measurements came independently; of an average, whose measurements may vary in any way,
    /// if their standard deviation were the average itself.
    pub variance: f64,
    /// In which proportion the weather of a minute adds to that: with more measurements in a minute, its weather is more of
    /// what varies. The same for all averages, where it cannot be told from what else varies.
    pub exposure: f64,
    scale: Scale,
}

/// What the error is one of.
#[derive(Clone, Debug)]
enum Scale {
    /// The average, as a part of it.
    Average,
    /// The share of measurements below a percentile.
    Share { share: f64, curve: Curve, beyond: f64 },
    /// The share of measurements that failed.
    Rate { rate: f64, count: f64 },
}

impl Side {
    /// The statistic over these minutes; `None` where they are too few, or hold too few measurements.
    ///
    /// Percentiles, averages and error rates can be compared. Counts, sums and extremes are `None`: they say how much was
    /// measured rather than how it did.
    pub fn of(minutes: &Minutes, statistic: Statistic) -> Option<Self> {
        let minutes: Vec<&Tally> = minutes.values().filter(|minute| minute.count > 0).collect();
        let count: u64 = minutes.iter().map(|minute| minute.count).sum();
        if count < COUNT_MIN || minutes.len() < MINUTES_MIN {
            return None;
        }
        match statistic {
            Statistic::Average => Some(mean(&minutes, float(count))),
            Statistic::ErrorRate => Some(rate(&minutes, float(count))),
            _ => percentile(&minutes, float(count), statistic.percentile()? / 100.0),
        }
    }

    /// The limits, as logarithms, where the error is at most so many times the one of independent measurements.
    pub fn limits(&self, times: f64) -> (f64, f64) {
        let reach = times * self.variance.sqrt();
        match &self.scale {
            // Few large values make most of an average: on its own scale it may be zero without them, and as a logarithm
            // be far larger with some more. The farther of both.
            Scale::Average => (self.log + (-reach.min(1.0)).ln_1p(), self.log + reach),
            // Woodruff, "Confidence intervals for medians and other position measures", JASA 47, 1952.
            Scale::Share { share, curve, .. } => (curve.at(share - reach), curve.at(share + reach)),
            // Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
            Scale::Rate { rate, count } => {
                let square = times * times / count;
                let middle = rate + square / 2.0;
                let width = (square * (rate * (1.0 - rate) + square / 4.0)).sqrt();
                // Without errors there is no lower limit; rounding would leave one.
                let low = if *rate > 0.0 { (middle - width).max(0.0) } else { 0.0 };
                ((low / (1.0 + square)).ln(), ((middle + width) / (1.0 + square)).ln())
            }
        }
    }

    /// How much more the error surely varies than if measurements came independently.
    pub const fn inflation_min(&self) -> f64 {
        match self.scale {
            Scale::Average => 0.0,
            Scale::Share { .. } | Scale::Rate { .. } => 1.0,
        }
    }

    /// How steeply the share of smaller values rises with the logarithm, squared and against the variance of one value:
    /// what weather that scales all values adds to the variance is in proportion. One for what is no percentile.
    pub fn steepness(&self) -> f64 {
        match &self.scale {
            Scale::Share { share, curve, .. } => {
                let near = share.min(1.0 - share) / 2.0;
                let rise = 2.0 * near / (curve.at(share + near) - curve.at(share - near));
                rise * rise / (share * (1.0 - share))
            }
            Scale::Average | Scale::Rate { .. } => 1.0,
        }
    }

    /// Whether there is enough for a verdict, where the error varies so many times as much as if measurements came
    /// independently.
    pub fn is_enough(&self, inflation: f64) -> bool {
        match &self.scale {
            Scale::Share { beyond, .. } => *beyond >= BEYOND_INDEPENDENT_MIN * inflation,
            Scale::Average | Scale::Rate { .. } => true,
        }
    }
}

fn mean(minutes: &[&Tally], count: f64) -> Side {
    let mean = minutes.iter().map(|minute| minute.sum).sum::<f64>() / count;
    let scale = if mean > 0.0 { mean.recip() } else { 0.0 };
    // The ratio of two sums over minutes, linearised (Cochran, "Sampling Techniques", 1977, chapter 6).
    let deviation = |minute: &&Tally| (minute.sum - mean * float(minute.count)) * scale / count;
    Side {
        value: mean,
        log: mean.ln().max(zero_log()),
        deviations: minutes.iter().map(deviation).collect(),
        variance: count.recip(),
        exposure: 1.0,
        scale: Scale::Average,
    }
}

fn rate(minutes: &[&Tally], count: f64) -> Side {
    let errors = float(minutes.iter().map(|minute| minute.errors).sum());
    let rate = errors / count;
    // No error at all is not yet a rate of zero.
    let likely = (errors + 0.5) / (count + 1.0);
    Side {
        value: rate,
        log: likely.ln(),
        deviations: minutes.iter().map(|minute| (float(minute.errors) - rate * float(minute.count)) / count).collect(),
        variance: likely * (1.0 - likely) / count,
        exposure: likely * per_minute(minutes, count),
        scale: Scale::Rate { rate, count },
    }
}

fn percentile(minutes: &[&Tally], count: f64, share: f64) -> Option<Side> {
    let beyond = count * (1.0 - share).min(share);
    if beyond < BEYOND_MIN {
        return None;
    }
    let mut all = Sketch::new();
    for minute in minutes {
        all.merge(&minute.distribution);
    }
    let curve = Curve::of(&all);
    let log = curve.at(share);
    let deviations: Vec<_> =
        minutes.iter().map(|minute| (below(&minute.distribution, log) - share * float(minute.count)) / count).collect();
    Some(Side {
        value: if log > zero_log() { log.exp() } else { 0.0 },
        log,
        deviations,
        variance: share * (1.0 - share) / count,
        exposure: per_minute(minutes, count),
        scale: Scale::Share { share, curve, beyond },
    })
}

fn per_minute(minutes: &[&Tally], count: f64) -> f64 {
    count / minutes.iter().map(|_| 1.0).sum::<f64>()
}

/// Up to here values count as zero, as logarithms.
fn zero_log() -> f64 {
    f64::from(sketch::bin_of(0.0)) * sketch::bin_width()
}

/// How many values have a logarithm up to this, those of its bin in part.
fn below(sketch: &Sketch, log: f64) -> f64 {
    let at = log / sketch::bin_width();
    sketch.bins().map(|(bin, count)| float(count) * (at - f64::from(bin) + 1.0).clamp(0.0, 1.0)).sum()
}

/// The share of values up to each bin, made continuous: the values of a bin spread evenly over its logarithms.
#[derive(Clone, Debug)]
struct Curve {
    /// The end of each bin that holds values, and the share up to there.
    ends: Vec<(i16, f64)>,
}

impl Curve {
    fn of(sketch: &Sketch) -> Self {
        let (total, mut seen) = (float(sketch.count()), 0.0);
        let ends = sketch.bins().map(|(bin, count)| {
            seen += float(count);
            (bin, seen / total)
        });
        Self { ends: ends.collect() }
    }

    /// The logarithm that this share of the values does not pass. Beyond what was measured there is no limit.
    fn at(&self, share: f64) -> f64 {
        if share <= 0.0 {
            return f64::NEG_INFINITY;
        }
        let place = self.ends.partition_point(|(_, end)| *end < share);
        let before = place.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0.0, |(_, end)| *end);
        match self.ends.get(place) {
            Some((bin, end)) if share < 1.0 => {
                (f64::from(*bin) - 1.0 + (share - before) / (end - before)) * sketch::bin_width()
            }
            _ => f64::INFINITY,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    /// So many minutes of a hundred values each, from 1 to 100, `factor` times as large; every tenth failed.
    fn minutes(count: i64, factor: f64) -> Minutes {
        let minute = || {
            let mut minute = Tally::default();
            for value in 1..=100_u32 {
                minute.add(f64::from(value) * factor, if value % 10 == 0 { 500 } else { 200 });
            }
            minute
        };
        (0..count).map(|at| (at, minute())).collect()
    }

    #[test]
    fn statistics_are_those_of_all_values() {
        let of = |statistic| Side::of(&minutes(30, 2.0), statistic).unwrap().log.exp();
        for (statistic, expected) in [
            // Between two values.
            (Statistic::P50, 101.0),
            (Statistic::P95, 190.0),
            (Statistic::P99, 198.0),
            (Statistic::Average, 101.0),
            (Statistic::ErrorRate, 0.1),
        ] {
            // A bin is two percent wide, and all that is known of a value is its bin.
            assert!((of(statistic) / expected - 1.0).abs() < 0.021, "{statistic:?}: {}", of(statistic));
        }
    }

    #[test]
    fn limits_hold_the_statistic_and_widen() {
        for statistic in [Statistic::P50, Statistic::P95, Statistic::Average, Statistic::ErrorRate] {
            let side = Side::of(&minutes(30, 1.0), statistic).unwrap();
            let (near, far) = (side.limits(1.0), side.limits(3.0));
            assert!(far.0 <= near.0 && near.0 <= side.log && side.log <= near.1 && near.1 <= far.1, "{near:?} {far:?}");
        }
    }

    #[test]
    fn nothing_is_zero() {
        for statistic in [Statistic::Average, Statistic::P50, Statistic::P95] {
            let side = Side::of(&minutes(30, 0.0), statistic).unwrap();
            assert!(side.value == 0.0 && side.log.is_finite(), "{side:?}");
        }
    }

    /// By hand, Wilson's limits of 10 in 100 are 0.0552 and 0.1744 at 95 %.
    #[test]
    fn limits_of_rates_are_wilsons() {
        let minute = |errors| Tally::new(5, errors, 0.0, None, Sketch::new());
        let hundred: Minutes = (0..20).map(|at| (at, minute(u64::from(at % 2 == 0)))).collect();
        let (low, high) = Side::of(&hundred, Statistic::ErrorRate).unwrap().limits(1.959_964);
        assert!((low.exp() - 0.0552).abs() < 1e-4 && (high.exp() - 0.1744).abs() < 1e-4, "{low} {high}");
        let none: Minutes = (0..20).map(|at| (at, minute(0))).collect();
        let none = Side::of(&none, Statistic::ErrorRate).unwrap();
        assert!(none.value == 0.0 && none.limits(1.0).0 == f64::NEG_INFINITY && none.limits(1.959_964).1.exp() < 0.04);
    }

    #[test]
    fn what_is_too_little_says_nothing() {
        assert!(Side::of(&minutes(19, 1.0), Statistic::P50).is_none(), "minutes");
        assert!(Side::of(&minutes(20, 1.0), Statistic::P50).is_some());
        assert!(Side::of(&minutes(100, 1.0), Statistic::P999).is_none(), "ten values beyond it");
        let few = Side::of(&minutes(20, 1.0), Statistic::P99).unwrap();
        assert!(few.is_enough(1.5) && !few.is_enough(3.0), "twenty values beyond it, as many as 7 independent ones");
        assert!(Side::of(&Minutes::new(), Statistic::Average).is_none());
        for statistic in [Statistic::Count, Statistic::Sum, Statistic::Min, Statistic::Max] {
            assert!(Side::of(&minutes(100, 1.0), statistic).is_none());
        }
    }
}
