//! Stratified random numbers: random in a short run, evenly spread in a long one.

use rand::{Rng, RngExt, seq::SliceRandom};

/// A source of numbers from 0 to 1. Of each `size` numbers in a row, one lies in each of `size` equal parts of the range, in
/// random order. Quantiles of values drawn by them differ much less from the distribution than those of independent values,
/// so that no comparison of two spans finds a change by chance.
#[derive(Clone, Debug)]
pub struct Strata {
    size: u32,
    left: Vec<u32>,
}

impl Strata {
    /// Strata of this number of equal parts.
    pub fn new(size: u32) -> Self {
        Self { size: size.max(1), left: Vec::new() }
    }

    /// The next number, above 0 and below 1.
    pub fn next(&mut self, random: &mut impl Rng) -> f64 {
        if self.left.is_empty() {
            self.left.extend(0..self.size);
            self.left.shuffle(random);
        }
        let part = f64::from(self.left.pop().unwrap_or_default());
        (part + random.random_range(0.001..0.999)) / f64::from(self.size)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn each_part_of_the_range_has_one_number_of_each_round() {
        let (mut strata, mut random) = (Strata::new(20), StdRng::seed_from_u64(1));
        let mut orders = Vec::new();
        for _ in 0..5 {
            let round: Vec<f64> = (0..20).map(|_| strata.next(&mut random)).collect();
            let mut sorted = round.clone();
            sorted.sort_by(f64::total_cmp);
            for (part, number) in (0_u32..).zip(&sorted) {
                let lower = f64::from(part) / 20.0;
                assert!(*number > lower && *number < lower + 0.05, "{number} in part {part}");
            }
            assert_ne!(round, sorted, "in random order");
            orders.push(round);
        }
        assert_ne!(orders[0], orders[1]);
    }
}
