//! One side of a comparison: a statistic over minutes, as a logarithm, and how each minute deviates from it.
//!
//! The statistic is that of all minutes together, so busy minutes count for more and a side with more traffic is not
//! another one for it. How far off it may be is told by the minutes, which are the units here: the measurements of one
//! minute share its weather, and counting them one by one would promise far too much.

use std::collections::BTreeMap;

use super::batches::BATCHES_MIN;
use crate::{
    model::{Sketch, sketch},
    reports::Statistic,
};

/// What was measured in one minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Minute {
    /// How many.
    pub count: u64,
    /// How many with an error status.
    pub errors: u64,
    /// All values added up.
    pub sum: f64,
    /// The values.
    pub sketch: Sketch,
}

/// Minutes by their start.
pub type Minutes = BTreeMap<i64, Minute>;

/// Measurements beyond a percentile that a side needs at least.
const BEYOND_MIN: f64 = 20.0;
/// Minutes with measurements that a side needs at least: two for each batch.
const MINUTES_MIN: usize = 2 * BATCHES_MIN;
/// Measurements that a side needs at least.
const COUNT_MIN: u64 = 100;

/// A statistic that is a logarithm here.
#[derive(Clone, Debug)]
pub struct Side {
    /// The logarithm of the statistic.
    pub log: f64,
    /// What each minute adds to the error, in order of time; together nothing.
    pub deviations: Vec<f64>,
    /// The variance of the error if measurements came independently, where that is known: it is not less.
    pub variance_min: Option<f64>,
    scale: Scale,
}

/// What the error is one of.
#[derive(Clone, Debug)]
enum Scale {
    /// The logarithm itself.
    Logarithm,
    /// The share of measurements below a percentile.
    Share { share: f64, curve: Curve },
}

impl Side {
    /// The statistic over these minutes; `None` where they are too few, or hold too few measurements.
    ///
    /// Percentiles, averages and error rates can be compared. Counts, sums and extremes are `None`: they say how much was
    /// measured rather than how it did.
    pub fn of(minutes: &Minutes, statistic: Statistic) -> Option<Self> {
        let minutes: Vec<&Minute> = minutes.values().filter(|minute| minute.count > 0).collect();
        let count: u64 = minutes.iter().map(|minute| minute.count).sum();
        if count < COUNT_MIN || minutes.len() < MINUTES_MIN {
            return None;
        }
        match statistic {
            Statistic::Average => mean(&minutes, float(count)),
            Statistic::ErrorRate => Some(rate(&minutes, float(count))),
            _ => percentile(&minutes, float(count), statistic.percentile()? / 100.0),
        }
    }

    /// The limits, as logarithms, where the error is at most `reach`.
    pub fn limits(&self, reach: f64) -> (f64, f64) {
        match &self.scale {
            Scale::Logarithm => (self.log - reach, self.log + reach),
            // Woodruff, "Confidence intervals for medians and other position measures", JASA 47, 1952.
            Scale::Share { share, curve } => (curve.at(share - reach), curve.at(share + reach)),
        }
    }
}

fn mean(minutes: &[&Minute], count: f64) -> Option<Side> {
    let mean = minutes.iter().map(|minute| minute.sum).sum::<f64>() / count;
    if mean <= 0.0 {
        return None;
    }
    // The ratio of two sums over minutes, linearised (Cochran, "Sampling Techniques", 1977, chapter 6).
    let deviations: Vec<_> = minutes.iter().map(|minute| (minute.sum / mean - float(minute.count)) / count).collect();
    Some(Side { log: mean.ln(), deviations, variance_min: None, scale: Scale::Logarithm })
}

/// Half an error more than there were: none at all is not yet a rate of zero.
fn rate(minutes: &[&Minute], count: f64) -> Side {
    let errors = float(minutes.iter().map(|minute| minute.errors).sum()) + 0.5;
    let rate = errors / (count + 1.0);
    let plain = (errors - 0.5) / count;
    let deviations: Vec<_> =
        minutes.iter().map(|minute| (float(minute.errors) - plain * float(minute.count)) / errors).collect();
    Side { log: rate.ln(), deviations, variance_min: Some(errors.recip()), scale: Scale::Logarithm }
}

fn percentile(minutes: &[&Minute], count: f64, share: f64) -> Option<Side> {
    if count * (1.0 - share).min(share) < BEYOND_MIN {
        return None;
    }
    let mut all = Sketch::new();
    for minute in minutes {
        all.merge(&minute.sketch);
    }
    let curve = Curve::of(&all);
    let log = curve.at(share);
    let deviations: Vec<_> =
        minutes.iter().map(|minute| (below(&minute.sketch, log) - share * float(minute.count)) / count).collect();
    let variance_min = Some(share * (1.0 - share) / count);
    Some(Side { log, deviations, variance_min, scale: Scale::Share { share, curve } })
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
    use crate::model::sketch::bin_of;

    /// So many minutes of a hundred values each, from 1 to 100, `factor` times as large; every tenth failed.
    fn minutes(count: i64, factor: f64) -> Minutes {
        let minute = || {
            let mut minute = Minute::default();
            for value in (1..=100_u32).map(|value| f64::from(value) * factor) {
                minute.count += 1;
                minute.sum += value;
                minute.sketch.record(bin_of(value), 1);
            }
            minute.errors = 10;
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
            let (near, far) = (side.limits(0.01), side.limits(0.03));
            assert!(far.0 <= near.0 && near.0 <= side.log && side.log <= near.1 && near.1 <= far.1, "{near:?} {far:?}");
        }
    }

    #[test]
    fn what_is_too_little_says_nothing() {
        assert!(Side::of(&minutes(19, 1.0), Statistic::P50).is_none(), "minutes");
        assert!(Side::of(&minutes(20, 1.0), Statistic::P50).is_some());
        assert!(Side::of(&minutes(100, 1.0), Statistic::P999).is_none(), "ten values beyond it");
        assert!(Side::of(&minutes(30, 0.0), Statistic::Average).is_none(), "no ratio with nothing");
        assert!(Side::of(&Minutes::new(), Statistic::Average).is_none());
        for statistic in [Statistic::Count, Statistic::Sum, Statistic::Min, Statistic::Max] {
            assert!(Side::of(&minutes(100, 1.0), statistic).is_none());
        }
    }
}
