//! The estimate of a statistic of one release, as a logarithm, with the deviation of each minute from it.
//!
//! The statistic is that of all minutes together: busy minutes weigh more, and more traffic alone changes nothing. The unit
//! of sampling for its error is the minute. Measurements of the same minute share an effect (load, neighbours, garbage
//! collection), so treating them as independent would make the error far too small.

use std::collections::BTreeMap;

use super::batches::BATCHES_MIN;
use crate::{
    model::{Sketch, Tally, sketch},
    reports::Statistic,
};

/// The measurements of each minute, by its start.
pub type Minutes = BTreeMap<i64, Tally>;

/// The minimum number of measurements beyond a percentile.
const BEYOND_MIN: f64 = 20.0;
/// The minimum effective number of independent measurements beyond a percentile. With fewer, nothing bounds the percentile
/// at the confidence of a verdict.
const BEYOND_INDEPENDENT_MIN: f64 = 10.0;
/// The minimum number of minutes with measurements: two for each batch.
const MINUTES_MIN: usize = 2 * BATCHES_MIN;
/// The rounding error of a share, which is far below the share of one measurement.
const SHARE_SLACK: f64 = 1e-14;
/// The minimum number of measurements.
const COUNT_MIN: u64 = 100;

/// The estimate of a statistic on a logarithmic scale.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// The statistic, in its unit.
    pub value: f64,
    /// The logarithm of the statistic. For an average or a percentile of zero, the logarithm of the smallest value above
    /// zero; for an error rate, that of the rate with half an error more.
    pub log: f64,
    /// The contribution of each minute to the error, in order of time. Their sum is zero.
    pub deviations: Vec<f64>,
    /// The variance of the error for independent measurements; for an average, whose distribution is unknown, with a standard
    /// deviation equal to the average.
    pub variance: f64,
    /// The weight of the minute effect relative to that variance: it grows with the number of measurements per minute.
    /// Constant for averages, where the effect cannot be separated from other variation.
    pub exposure: f64,
    model: ErrorModel,
}

/// The scale of the error.
#[derive(Clone, Debug)]
enum ErrorModel {
    /// Relative to the average.
    Average,
    /// The share of measurements below a percentile.
    Share { share: f64, curve: CumulativeShare, beyond: f64 },
    /// The share of measurements with an error status.
    Rate { rate: f64, count: f64 },
}

impl Estimate {
    /// The estimate over these minutes; `None` with too few minutes or measurements.
    ///
    /// Percentiles, averages and error rates can be compared. Counts, sums and extremes are `None`: they depend on the amount
    /// of traffic.
    pub fn of(minutes: &Minutes, statistic: Statistic) -> Option<Self> {
        let minutes: Vec<&Tally> = minutes.values().filter(|minute| minute.count > 0).collect();
        let count: u64 = minutes.iter().map(|minute| minute.count).sum();
        if count < COUNT_MIN || minutes.len() < MINUTES_MIN {
            return None;
        }
        let mut all = Tally::default();
        for minute in &minutes {
            all.merge(minute);
        }
        match statistic {
            Statistic::Average => Some(mean(&minutes, &all)),
            Statistic::ErrorRate => Some(rate(&minutes, float(count))),
            _ => percentile(&minutes, &all, statistic.percentile()? / 100.0),
        }
    }

    /// The confidence limits, as logarithms, for an error of `times` standard errors of independent measurements.
    pub fn limits(&self, times: f64) -> (f64, f64) {
        let reach = times * self.variance.sqrt();
        match &self.model {
            // Few large values can make up most of an average, so both the linear and the logarithmic limit may be too
            // narrow. The wider one of both is used.
            ErrorModel::Average => (self.log + (-reach.min(1.0)).ln_1p(), self.log + reach),
            // Woodruff, "Confidence intervals for medians and other position measures", JASA 47, 1952.
            ErrorModel::Share { share, curve, .. } => (curve.at(share - reach), curve.at(share + reach)),
            // Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
            ErrorModel::Rate { rate, count } => {
                let square = times * times / count;
                let middle = rate + square / 2.0;
                let width = (square * (rate * (1.0 - rate) + square / 4.0)).sqrt();
                // Without errors there is no lower limit; rounding would leave one.
                let low = if *rate > 0.0 { (middle - width).max(0.0) } else { 0.0 };
                ((low / (1.0 + square)).ln(), ((middle + width) / (1.0 + square)).ln())
            }
        }
    }

    /// The minimum variance inflation over independent measurements.
    pub const fn inflation_min(&self) -> f64 {
        match self.model {
            ErrorModel::Average => 0.0,
            ErrorModel::Share { .. } | ErrorModel::Rate { .. } => 1.0,
        }
    }

    /// The squared slope of the cumulative distribution over the logarithm, relative to the variance of one value. The variance
    /// of a minute effect that scales all values is proportional to it. One for statistics other than percentiles.
    pub fn steepness(&self) -> f64 {
        match &self.model {
            ErrorModel::Share { share, curve, .. } => {
                let near = share.min(1.0 - share) / 2.0;
                let rise = 2.0 * near / (curve.at(share + near) - curve.at(share - near));
                rise * rise / (share * (1.0 - share))
            }
            ErrorModel::Average | ErrorModel::Rate { .. } => 1.0,
        }
    }

    /// True when there is enough data for a verdict at this variance inflation over independent measurements.
    pub fn is_enough(&self, inflation: f64) -> bool {
        match &self.model {
            ErrorModel::Share { beyond, .. } => *beyond >= BEYOND_INDEPENDENT_MIN * inflation,
            ErrorModel::Average | ErrorModel::Rate { .. } => true,
        }
    }
}

fn mean(minutes: &[&Tally], all: &Tally) -> Estimate {
    let (mean, count) = (all.mean().unwrap_or_default(), float(all.count));
    let scale = if mean > 0.0 { mean.recip() } else { 0.0 };
    // The ratio of two sums over minutes, linearised (Cochran, "Sampling Techniques", 1977, chapter 6).
    let deviation = |minute: &&Tally| (minute.sum.value() - mean * float(minute.count)) * scale / count;
    Estimate {
        value: mean,
        log: mean.ln().max(zero_log()),
        deviations: minutes.iter().map(deviation).collect(),
        variance: count.recip(),
        exposure: 1.0,
        model: ErrorModel::Average,
    }
}

fn rate(minutes: &[&Tally], count: f64) -> Estimate {
    let errors = float(minutes.iter().map(|minute| minute.errors).sum());
    let rate = errors / count;
    // No observed error does not make the rate zero.
    let likely = (errors + 0.5) / (count + 1.0);
    Estimate {
        value: rate,
        log: likely.ln(),
        deviations: minutes.iter().map(|minute| (float(minute.errors) - rate * float(minute.count)) / count).collect(),
        variance: likely * (1.0 - likely) / count,
        exposure: likely * per_minute(minutes, count),
        model: ErrorModel::Rate { rate, count },
    }
}

fn percentile(minutes: &[&Tally], all: &Tally, share: f64) -> Option<Estimate> {
    let count = float(all.count);
    let beyond = count * (1.0 - share).min(share);
    if beyond < BEYOND_MIN {
        return None;
    }
    let curve = CumulativeShare::of(&all.distribution);
    let log = curve.at(share);
    let deviations: Vec<_> =
        minutes.iter().map(|minute| (below(&minute.distribution, log) - share * float(minute.count)) / count).collect();
    Some(Estimate {
        // Interpolated within the bin of the nearest rank, whose bounds may lie beyond the extremes.
        value: all.bounded(if log > zero_log() { log.exp() } else { 0.0 }),
        log,
        deviations,
        variance: share * (1.0 - share) / count,
        exposure: per_minute(minutes, count),
        model: ErrorModel::Share { share, curve, beyond },
    })
}

fn per_minute(minutes: &[&Tally], count: f64) -> f64 {
    count / minutes.iter().map(|_| 1.0).sum::<f64>()
}

/// The logarithm up to which values count as zero.
fn zero_log() -> f64 {
    f64::from(sketch::bin_of(0.0)) * sketch::bin_width()
}

/// The number of values up to a logarithm; the values of its bin count in part.
fn below(sketch: &Sketch, log: f64) -> f64 {
    let at = log / sketch::bin_width();
    sketch.bins().map(|(bin, count)| float(count) * (at - f64::from(bin) + 1.0).clamp(0.0, 1.0)).sum()
}

/// The cumulative distribution, made continuous: the values of a bin spread evenly over its logarithms.
#[derive(Clone, Debug)]
struct CumulativeShare {
    /// The end of each bin with values, and the share of values up to it.
    ends: Vec<(i16, f64)>,
}

impl CumulativeShare {
    fn of(sketch: &Sketch) -> Self {
        let (total, mut seen) = (float(sketch.count()), 0.0);
        let ends = sketch.bins().map(|(bin, count)| {
            seen += float(count);
            (bin, seen / total)
        });
        Self { ends: ends.collect() }
    }

    /// The logarithm of the quantile of this share; infinite beyond the measured values.
    fn at(&self, share: f64) -> f64 {
        if share <= 0.0 {
            return f64::NEG_INFINITY;
        }
        // 99.9 / 100 is above 999 / 1000: without the slack the rank would be the next one, in a bin that may lie far above.
        let index = self.ends.partition_point(|(_, end)| *end < share - SHARE_SLACK);
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0.0, |(_, end)| *end);
        match self.ends.get(index) {
            Some((bin, end)) if share < 1.0 => {
                (f64::from(*bin) - 1.0 + ((share - before) / (end - before)).min(1.0)) * sketch::bin_width()
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
    use crate::model::Sum;

    /// Minutes of a hundred values each, from 1 to 100 times `factor`; every tenth failed.
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
        let of = |statistic| Estimate::of(&minutes(30, 2.0), statistic).unwrap().log.exp();
        for (statistic, expected) in [
            // Between two values.
            (Statistic::P50, 101.0),
            (Statistic::P95, 190.0),
            (Statistic::P99, 198.0),
            (Statistic::Average, 101.0),
            (Statistic::ErrorRate, 0.1),
        ] {
            // A bin is two percent wide.
            assert!((of(statistic) / expected - 1.0).abs() < 0.021, "{statistic:?}: {}", of(statistic));
        }
    }

    #[test]
    fn limits_hold_the_statistic_and_widen() {
        for statistic in [Statistic::P50, Statistic::P95, Statistic::Average, Statistic::ErrorRate] {
            let estimate = Estimate::of(&minutes(30, 1.0), statistic).unwrap();
            let (near, far) = (estimate.limits(1.0), estimate.limits(3.0));
            assert!(
                far.0 <= near.0 && near.0 <= estimate.log && estimate.log <= near.1 && near.1 <= far.1,
                "{near:?} {far:?}"
            );
        }
    }

    #[test]
    fn zero_values_have_a_finite_logarithm() {
        for statistic in [Statistic::Average, Statistic::P50, Statistic::P95] {
            let estimate = Estimate::of(&minutes(30, 0.0), statistic).unwrap();
            assert!(estimate.value == 0.0 && estimate.log.is_finite(), "{estimate:?}");
        }
    }

    /// By hand, Wilson's limits of 10 in 100 are 0.0552 and 0.1744 at 95 %.
    #[test]
    fn limits_of_rates_are_wilsons() {
        let minute = |errors| Tally::new(5, errors, Sum::ZERO, None, Sketch::new());
        let hundred: Minutes = (0..20).map(|at| (at, minute(u64::from(at % 2 == 0)))).collect();
        let (low, high) = Estimate::of(&hundred, Statistic::ErrorRate).unwrap().limits(1.959_964);
        assert!((low.exp() - 0.0552).abs() < 1e-4 && (high.exp() - 0.1744).abs() < 1e-4, "{low} {high}");
        let none: Minutes = (0..20).map(|at| (at, minute(0))).collect();
        let none = Estimate::of(&none, Statistic::ErrorRate).unwrap();
        assert!(none.value == 0.0 && none.limits(1.0).0 == f64::NEG_INFINITY && none.limits(1.959_964).1.exp() < 0.04);
    }

    #[test]
    fn too_little_data_has_no_estimate() {
        assert!(Estimate::of(&minutes(19, 1.0), Statistic::P50).is_none(), "minutes");
        assert!(Estimate::of(&minutes(20, 1.0), Statistic::P50).is_some());
        assert!(Estimate::of(&minutes(100, 1.0), Statistic::P999).is_none(), "ten values beyond it");
        let few = Estimate::of(&minutes(20, 1.0), Statistic::P99).unwrap();
        assert!(few.is_enough(1.5) && !few.is_enough(3.0), "twenty values beyond it, as many as 7 independent ones");
        assert!(Estimate::of(&Minutes::new(), Statistic::Average).is_none());
        for statistic in [Statistic::Count, Statistic::Sum, Statistic::Min, Statistic::Max] {
            assert!(Estimate::of(&minutes(100, 1.0), statistic).is_none());
        }
    }
}
