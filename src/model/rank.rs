//! The rank of a percentile, defined once for every answer that takes one.

/// Percentiles are decimal numbers of at most this many places: a trillion units are one percent.
const UNITS_PER_PERCENT: f64 = 1e12;
/// The units of one hundred percent.
const UNITS: u128 = 100_000_000_000_000;

/// The rank of the `p`-th percentile (0 to 100) among `count` values in ascending order, from 1 to `count`: the nearest rank
/// `ceil(p / 100 * count)`, at least 1. So at least `p` percent of the values are at or below the value of this rank; p0 is
/// the smallest value and p100 the largest one. Zero without values.
///
/// The arithmetic is exact on `p` rounded to twelve decimal places. Binary fractions would miss whole ranks: 0.95 * 20 is 19,
/// but 99.9 is slightly more than 99.9 in binary, and its product with ten above 999.
pub fn nearest_rank(p: f64, count: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "p is clamped, so at most UNITS")]
    let units = (p.clamp(0.0, 100.0) * UNITS_PER_PERCENT).round() as u128;
    // At most 10^14 * 2^64, which is far below 2^128.
    let rank = (units * u128::from(count)).div_ceil(UNITS);
    u64::try_from(rank).unwrap_or(count).clamp(count.min(1), count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranks_are_those_counted_by_hand() {
        for (p, count, rank) in [
            (0.0, 10, 1),
            (95.0, 10, 10),
            (90.0, 10, 9),
            (50.0, 1, 1),
            (50.0, 2, 1),
            (50.0, 3, 2),
            (95.0, 20, 19),
            (95.000_001, 20, 20),
            (99.0, 100, 99),
            (99.0, 101, 100),
            (99.9, 1_000, 999),
            (99.9, 10_000, 9_990),
            (99.9, 1_001, 1_000),
            (7.0, 100, 7),
            (28.0, 25, 7),
            (55.0, 100, 55),
            (1e-9, 1_000_000, 1),
            (100.0, 10, 10),
            (100.0, u64::MAX, u64::MAX),
            (f64::NAN, 10, 1),
        ] {
            assert_eq!(nearest_rank(p, count), rank, "p{p} of {count}");
        }
        assert_eq!(nearest_rank(50.0, 0), 0);
    }

    proptest! {
        /// Percentiles of three decimal places, against the definition in whole numbers.
        #[test]
        fn decimal_percentiles_have_exact_ranks(thousandths in 0..=100_000_u64, count in 1..10_000_000_u64) {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let p = thousandths as f64 / 1_000.0;
            let rank = (thousandths * count).div_ceil(100_000).max(1);
            prop_assert_eq!(nearest_rank(p, count), rank);
        }
    }
}
