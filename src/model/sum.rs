//! Sums that do not depend on the order of their terms.

/// A sum of floating-point numbers with its rounding errors (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation
/// endlicher Summen", 1974).
///
/// The error of `n` terms is about `n²` times `2^-106` of the sum. It is nearly always lost when the sum is rounded, so the
/// result is that of exact addition, whatever the order and the grouping of the terms. Merging keeps this property. A stored
/// sum has been rounded: merging stored sums rounds once for each of them, so a sum over rollups may differ from that over
/// their measurements by half a unit in the last place per rollup row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// The sum as the terms were added, each addition rounded.
    rounded: f64,
    /// The sum of the rounding errors.
    errors: f64,
}

impl Sum {
    /// The sum without terms.
    pub const ZERO: Self = Self::of(0.0);

    /// The sum of one term.
    pub const fn of(term: f64) -> Self {
        Self { rounded: term, errors: 0.0 }
    }

    /// Adds a term.
    pub fn add(&mut self, term: f64) {
        let before = self.rounded;
        self.rounded += term;
        // What the addition lost, exactly (Knuth, "The Art of Computer Programming", volume 2, 4.2.2, theorem B).
        let added = self.rounded - before;
        self.errors += (before - (self.rounded - added)) + (term - added);
    }

    /// Adds the terms of another sum.
    pub fn merge(&mut self, other: Self) {
        self.add(other.rounded);
        self.errors += other.errors;
    }

    /// The sum, rounded to a floating-point number.
    pub fn value(self) -> f64 {
        self.rounded + self.errors
    }
}

/// Sums are equal when their values are: the same terms leave other rounding errors in another order.
impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        self.value().total_cmp(&other.value()).is_eq()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn sum(terms: &[f64]) -> Sum {
        let mut sum = Sum::ZERO;
        for term in terms {
            sum.add(*term);
        }
        sum
    }

    #[test]
    fn small_terms_beside_large_ones_count() {
        assert_eq!(sum(&[1e12, 0.1, 0.2, 1e12, 0.3]), Sum::of(2_000_000_000_000.6));
        // One unit in the last place above 0.3, which is what adding the three numbers of 0.1 exactly rounds to.
        assert_eq!(sum(&[0.1; 3]).value().to_bits(), 0.3_f64.to_bits() + 1);
        assert_eq!(sum(&[0.1; 10]), Sum::of(1.0));
        assert_eq!(sum(&[5e-324; 3]), Sum::of(1.5e-323));
    }

    proptest! {
        #[test]
        fn order_and_grouping_change_nothing(
            mut terms in vec(prop_oneof![0.0..1e12_f64, 0.0..1.0_f64, Just(0.1)], 0..200), cut in 0.0..1.0_f64,
        ) {
            let forward = sum(&terms);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
            let (one, other) = terms.split_at((cut * terms.len() as f64) as usize);
            let mut merged = sum(other);
            merged.merge(sum(one));
            prop_assert_eq!(merged, forward);
            terms.reverse();
            prop_assert_eq!(sum(&terms), forward);
            terms.sort_by(f64::total_cmp);
            prop_assert_eq!(sum(&terms), forward);
        }
    }
}
