//! Randomness of the server, handed to those who need it like the clock, so that tests can repeat what they saw.

use std::sync::{Arc, Mutex, PoisonError};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// A source of random numbers: the operating system's, or a generator with a fixed seed. Clones share the generator.
#[derive(Clone, Debug)]
pub struct Random(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    /// The generator that the operating system seeds, suitable for secrets.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A generator that returns the same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => rand::rng().fill_bytes(&mut bytes),
            Source::Seeded(generator) => {
                generator.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
            }
        }
        bytes
    }

    /// A random number.
    pub fn number(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A random number below this bound; 0 if the bound is 0.
    pub fn below(&self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        match &self.0 {
            Source::System => rand::rng().random_range(0..bound),
            Source::Seeded(generator) => {
                generator.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..bound)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers_and_others_do_not() {
        let numbers = |seed| {
            let random = Random::seeded(seed);
            (random.bytes::<32>(), random.number(), random.below(1_000_000))
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn clones_share_one_sequence() {
        let (random, whole) = (Random::seeded(1), Random::seeded(1));
        let clone = random.clone();
        assert_eq!([random.number(), clone.number()], [whole.number(), whole.number()]);
    }

    #[test]
    fn the_systems_bytes_differ_each_time_and_bounds_hold() {
        let random = Random::system();
        assert_ne!(random.bytes::<32>(), random.bytes::<32>());
        assert!((0..1_000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
    }
}
