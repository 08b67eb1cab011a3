//! The normal distribution.

/// The value that a standard normal variable falls below with this probability, within 0.00045 (formula 26.2.23 in Abramowitz
/// and Stegun, "Handbook of Mathematical Functions", 1964).
pub fn quantile(probability: f64) -> f64 {
    let tail = probability.min(1.0 - probability).max(f64::MIN_POSITIVE);
    let t = (-2.0 * tail.ln()).sqrt();
    let numerator = 0.010_328_f64.mul_add(t, 0.802_853).mul_add(t, 2.515_517);
    let denominator = 0.001_308_f64.mul_add(t, 0.189_269).mul_add(t, 1.432_788).mul_add(t, 1.0);
    (t - numerator / denominator).copysign(probability - 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, expected) in [(0.5, 0.0), (0.841_345, 1.0), (0.95, 1.644_854), (0.01, -2.326_348)] {
            assert!((quantile(probability) - expected).abs() < 0.000_45, "{probability}: {}", quantile(probability));
        }
    }
}
