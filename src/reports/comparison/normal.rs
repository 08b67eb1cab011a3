//! The normal and Student's distribution. Pure arithmetic.

use std::f64::consts::PI;

/// The quantile up to which the tail is summed as a series; beyond it, as a continued fraction.
const SERIES_MAX: f64 = 3.0;

/// The probability that a standard normal variable exceeds `z` (not negative).
///
/// The series of Marsaglia ("Evaluating the Normal Distribution", Journal of Statistical Software 11(4), 2004), and far out
/// Laplace's continued fraction.
pub fn tail(z: f64) -> f64 {
    let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    if z < SERIES_MAX {
        let (mut term, mut sum) = (z, z);
        for odd in (3..200).step_by(2) {
            term *= z * z / f64::from(odd);
            sum += term;
        }
        (0.5 - density * sum).max(0.0)
    } else {
        let fraction = (1..60).rev().fold(z, |fraction, step| z + f64::from(step) / fraction);
        density / fraction
    }
}

/// The quantile of Student's distribution with the same tail probability as the standard normal quantile `z`.
///
/// The approximation of Wallace ("Bounds on normal approximations to Student's and the chi-square distributions", Annals
/// of Mathematical Statistics 30, 1959), which holds for few degrees of freedom as well. Up to p-values of 0.001 it is at most
/// 0.5 % too large from nine degrees of freedom on, and 5 % from four.
pub fn student(z: f64, degrees: f64) -> f64 {
    let scaled = z * (8.0 * degrees + 3.0) / (8.0 * degrees + 1.0);
    (degrees * (scaled * scaled / degrees).exp_m1()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(actual: f64, expected: f64) {
        assert_within(actual, expected, 1e-3);
    }

    fn assert_within(actual: f64, expected: f64, error: f64) {
        assert!((actual / expected - 1.0).abs() < error, "{actual} is not near {expected}");
    }

    /// Tables in Abramowitz and Stegun.
    #[test]
    fn tails_are_those_of_the_tables() {
        for (z, expected) in [
            (0.0, 0.5),
            (1.0, 0.158_655),
            (1.959_964, 0.025),
            (3.090_232, 0.001),
            (4.753_424, 1e-6),
            (6.0, 9.865_9e-10),
        ] {
            assert_near(tail(z), expected);
        }
        assert_near(tail(SERIES_MAX - 1e-9), tail(SERIES_MAX));
    }

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        for (z, degrees, expected, error) in [
            (2.575_829, 4.0, 4.604_095, 0.02),
            (3.290_527, 4.0, 8.610_302, 0.05),
            (1.959_964, 9.0, 2.262_157, 0.001),
            (2.575_829, 9.0, 3.249_836, 0.002),
            (3.290_527, 9.0, 4.780_913, 0.005),
            (2.575_829, 19.0, 2.860_935, 0.001),
            (3.290_527, 29.0, 3.659_405, 0.001),
            (1.959_964, 1e6, 1.959_964, 0.001),
        ] {
            let actual = student(z, degrees);
            assert_within(actual, expected, error);
            assert!(actual >= expected, "rather too far out: {actual} {expected}");
        }
    }
}
