//! Bounds of a percentile that follow from count, sum and extremes: what an endpoint can reach at most, without its
//! distribution. Pure.
//!
//! Of `n` values, the one of rank `r` and the `n - r` above it are each at least as large as the percentile, and the `r - 1`
//! below are at least the smallest value. So the sum bounds the percentile from above (Markov's inequality), and likewise from
//! below. With few values, the rank is the last one, and the bound is the largest value itself.

use sea_orm::sea_query::{CaseStatement, Expr, Func};

use crate::{
    model::{Tally, rank::nearest_rank},
    reports::{Statistic, statistic::WorstValue},
};

/// Estimates are within 1 % of the true value, and sums are rounded.
const ABOVE: f64 = 1.02;
const BELOW: f64 = 0.98;
/// Estimates of values near zero are off by this at most.
const NEAR_ZERO: f64 = 1e-6;

/// The best case of a percentile for a place in a ranking: the highest value that is possible if high values are the worst
/// ones, else the lowest.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// In thousandths: 950 for p95.
    permille: i64,
    worst: WorstValue,
}

impl Bound {
    /// The bound of a percentile; `None` for other statistics.
    pub fn of(rank_by: Statistic, worst: WorstValue) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "at most 1,000")]
        rank_by.percentile().map(|p| Self { permille: (p * 10.0).round() as i64, worst })
    }

    /// The bound as SQL over the columns of totals in `table`.
    pub fn in_sql(self, table: &'static str) -> Expr {
        let column = |name: &'static str| Expr::col((table, name));
        let rank = format!("(({} * {table}.n + 999) / 1000)", self.permille);
        let (edge, extreme, bounded) = match self.worst {
            WorstValue::Highest => {
                let most = format!("({table}.sum - ({rank} - 1) * {table}.min) / ({table}.n - {rank} + 1)");
                let most = Expr::cust(format!("{ABOVE} * ({most}) + {NEAR_ZERO:.6}"));
                (Expr::cust(format!("{rank} = 1")), column("min"), Func::least([column("max"), most]))
            }
            WorstValue::Lowest => {
                let least = format!("({table}.sum - ({table}.n - {rank}) * {table}.max) / {rank}");
                let least = Expr::cust(format!("{BELOW} * ({least}) - {NEAR_ZERO:.6}"));
                (Expr::cust(format!("{rank} = {table}.n")), column("max"), Func::greatest([column("min"), least]))
            }
        };
        CaseStatement::new().case(edge, extreme).finally(bounded).into()
    }

    /// The bound of these measurements; `None` without any.
    pub fn of_tally<D>(self, tally: &Tally<D>) -> Option<f64> {
        let (min, max) = (tally.min()?, tally.max()?);
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let (count, rank) = (
            tally.count as f64,
            nearest_rank(f64::from(i32::try_from(self.permille).ok()?) / 10.0, tally.count) as f64,
        );
        let sum = tally.sum.value();
        #[expect(clippy::float_cmp, reason = "whole numbers")]
        Some(match self.worst {
            WorstValue::Highest if rank == 1.0 => min,
            WorstValue::Highest => max.min(ABOVE * ((sum - (rank - 1.0) * min) / (count - rank + 1.0)) + NEAR_ZERO),
            WorstValue::Lowest if rank == count => max,
            WorstValue::Lowest => min.max(BELOW * ((sum - (count - rank) * max) / rank) - NEAR_ZERO),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{Sketch, TimeRange, Timestamp},
        reports::{StatisticsNeeded, Stats},
    };

    const PERCENTILES: [Statistic; 6] =
        [Statistic::P50, Statistic::P75, Statistic::P90, Statistic::P95, Statistic::P99, Statistic::P999];

    fn tally(values: &[f64]) -> Tally<Sketch> {
        let mut tally = Tally::default();
        for value in values {
            tally.add(*value, 200);
        }
        tally
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![0.0..1e-7, 0.0..100.0, 1.0..1e9, Just(0.0), Just(250.0)];
        prop::collection::vec(value, 1..200)
    }

    proptest! {
        #[test]
        fn no_percentile_passes_its_bounds(values in values()) {
            let tally = tally(&values);
            let covers = TimeRange::new(Timestamp::from_micros(0), Timestamp::from_micros(1)).unwrap();
            let stats = Stats::of_tally(&tally, StatisticsNeeded::Percentiles, covers);
            for statistic in PERCENTILES {
                let value = statistic.of(&stats).unwrap();
                let bound = |worst| Bound::of(statistic, worst).unwrap().of_tally(&tally).unwrap();
                prop_assert!(value <= bound(WorstValue::Highest), "{:?}: {} above its bound", statistic, value);
                prop_assert!(value >= bound(WorstValue::Lowest), "{:?}: {} below its bound", statistic, value);
            }
        }
    }

    #[test]
    fn the_bound_of_few_values_is_the_value_itself() {
        let bound =
            |statistic, worst, values: &[f64]| Bound::of(statistic, worst).unwrap().of_tally(&tally(values)).unwrap();
        for values in [vec![3.0], vec![1.0, 7.0, 3.0], (1..20).map(f64::from).collect()] {
            let largest = values.iter().copied().fold(0.0, f64::max);
            for worst in [WorstValue::Highest, WorstValue::Lowest] {
                assert!((bound(Statistic::P95, worst, &values) - largest).abs() < 1e-9);
            }
        }
        let outlier: Vec<f64> = std::iter::repeat_n(1.0, 99).chain([1_000.0]).collect();
        assert!(bound(Statistic::P50, WorstValue::Highest, &outlier) < 22.0, "far below the largest value");
    }

    #[test]
    fn other_statistics_have_no_bound() {
        assert!(Bound::of(Statistic::Average, WorstValue::Highest).is_none());
    }
}
