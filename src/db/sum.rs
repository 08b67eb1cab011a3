//! `SUM` of floating-point numbers, with the same result on both databases and in any order of the rows.

use sea_orm::{DbBackend, sea_query::Expr};

/// Adding one of these to a number, and subtracting it again, rounds the number to a multiple of 1 or 2^-34: the last bit of
/// 1.5 times 2^52 and of 1.5 times 2^18. Larger numbers, whose own last bit is above that, stay as they are.
const COARSE: &str = "6755399441055744.0";
const FINE: &str = "393216.0";

/// The sum of a column of `DOUBLE PRECISION`; NULL without rows.
///
/// SQLite carries the error of each addition along (Kahan and Babuska, since 3.43). PostgreSQL rounds each addition, so that
/// its result depends on the order of the rows. There, each number is cut into a whole number, a multiple of 2^-34 and a rest,
/// and the parts are added apart. The whole numbers add up exactly below 2^53 (9e15), the multiples for a million rows, and
/// the rest is too small to matter beside numbers above 1e-6. Beyond these limits the last bits may differ as those of a
/// plain sum do. Together with count and extremes this takes a third longer than a plain sum.
pub fn sum(backend: DbBackend, column: &str) -> Expr {
    Expr::cust(sum_text(backend, column))
}

/// The text of [`sum`].
pub fn sum_text(backend: DbBackend, column: &str) -> String {
    if backend != DbBackend::Postgres {
        return format!("SUM({column})");
    }
    let coarse = format!("(({column} + {COARSE}) - {COARSE})");
    let fine = format!("(({column} + {FINE}) - {FINE})");
    format!("SUM({coarse}) + (SUM({fine} - {coarse}) + SUM({column} - {fine}))")
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the parts are exact")]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_number_add_up_to_it() {
        let (coarse, fine): (f64, f64) = (COARSE.parse().unwrap(), FINE.parse().unwrap());
        assert_eq!((coarse, fine), (1.5 * 2_f64.powi(52), 1.5 * 2_f64.powi(18)));
        for number in [0.1, 1.81, 123.456_789, 1e12, 999_999_999_999.9, 1e-9, 5e-324, 0.0, 1e18 / 3.0] {
            let high = (number + coarse) - coarse;
            let both = (number + fine) - fine;
            assert_eq!(high + ((both - high) + (number - both)), number);
            assert_eq!((both - high) + high, both, "exact");
        }
    }
}
