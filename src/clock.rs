//! The only file that reads the time. All other code is given a [`Clock`], so that tests can set it.
//!
//! The clock of a machine can be wrong. Where another clock is known, that of a database that several instances share, a
//! [`Clock`] that differs from it by more than a minute goes by the other one ([`Clock::compare`]).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::model::{
    Timestamp,
    timestamp::{MINUTE_MICROS, whole_micros},
};

/// The most that the clock of the machine may differ from another clock before it is no longer believed.
const DIFFERENCE_MAX_MICROS: i64 = MINUTE_MICROS;

/// A source of the current time: the clock of the machine, or a time that a test sets. Clones know the same other clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    source: TimeSource,
    reference: Arc<Mutex<Option<Reference>>>,
}

#[derive(Clone, Debug, Default)]
enum TimeSource {
    #[default]
    System,
    Fixed(Arc<AtomicI64>),
    /// Microseconds by which a system clock is ahead of the true one.
    Wrong(Arc<AtomicI64>),
}

/// A reading of another clock. From then on it is counted by a clock that nobody can set.
#[derive(Clone, Copy, Debug)]
struct Reference {
    at: Timestamp,
    read: Stopwatch,
}

impl Reference {
    fn now(self) -> Timestamp {
        self.at.plus_micros(whole_micros(self.read.elapsed()))
    }
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that keeps its time until [`Self::set`] and believes no other.
    pub fn fixed(at: Timestamp) -> Self {
        Self { source: TimeSource::Fixed(Arc::new(AtomicI64::new(at.as_micros()))), ..Self::default() }
    }

    /// A system clock that is wrong by this many microseconds, for tests.
    pub fn wrong_by(micros: i64) -> Self {
        Self { source: TimeSource::Wrong(Arc::new(AtomicI64::new(micros))), ..Self::default() }
    }

    /// Sets a fixed or wrong clock. Has no effect on the system clock.
    pub fn set(&self, to: Timestamp) {
        match &self.source {
            TimeSource::System => {}
            TimeSource::Fixed(micros) => micros.store(to.as_micros(), Ordering::Relaxed),
            TimeSource::Wrong(ahead) => {
                ahead.store(to.as_micros().saturating_sub(system_now().as_micros()), Ordering::Relaxed);
            }
        }
    }

    /// The current time: that of the machine, unless another clock is known that differs too much from it.
    pub fn now(&self) -> Timestamp {
        let (local, reference) = (self.local(), *self.reference());
        match reference.map(Reference::now) {
            Some(other) if difference(local, other).saturating_abs() > DIFFERENCE_MAX_MICROS => other,
            _ => local,
        }
    }

    /// The time of the machine, whatever others say.
    pub fn local(&self) -> Timestamp {
        match &self.source {
            TimeSource::System => system_now(),
            TimeSource::Fixed(micros) => Timestamp::from_micros(micros.load(Ordering::Relaxed)),
            TimeSource::Wrong(ahead) => system_now().plus_micros(ahead.load(Ordering::Relaxed)),
        }
    }

    /// Compares with a clock that was read just now, which is known from then on. Returns the microseconds by which the clock
    /// of the machine is ahead of it if it differs too much.
    pub fn compare(&self, other: Timestamp) -> Option<i64> {
        if !matches!(self.source, TimeSource::Fixed(_)) {
            *self.reference() = Some(Reference { at: other, read: Stopwatch::start() });
        }
        let ahead = difference(self.local(), other);
        (ahead.saturating_abs() > DIFFERENCE_MAX_MICROS).then_some(ahead)
    }

    fn reference(&self) -> MutexGuard<'_, Option<Reference>> {
        self.reference.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn difference(one: Timestamp, other: Timestamp) -> i64 {
    one.as_micros().saturating_sub(other.as_micros())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
fn system_now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// Measures a duration. Not affected by a fixed [`Clock`].
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start, by a clock that nobody can set.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// The milliseconds since the start.
    pub fn elapsed_ms(&self) -> f64 {
        self.elapsed().as_secs_f64() * 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: i64 = 365 * 24 * 60 * MINUTE_MICROS;

    fn is_near(one: Timestamp, other: Timestamp) -> bool {
        difference(one, other).abs() < MINUTE_MICROS / 2
    }

    #[test]
    fn a_clock_that_differs_from_another_goes_by_it() {
        for ahead in [YEAR, -YEAR, -system_now().as_micros()] {
            let clock = Clock::wrong_by(ahead);
            assert!(is_near(clock.now(), system_now().plus_micros(ahead)), "it knows no other");
            let clone = clock.clone();
            let told = clock.compare(system_now()).unwrap();
            assert!((told - ahead).abs() < MINUTE_MICROS / 2, "{told}");
            assert!(is_near(clone.now(), system_now()));
            assert!(is_near(clone.local(), system_now().plus_micros(ahead)));
            clock.set(system_now());
            assert_eq!(clock.compare(system_now()), None);
            assert!(is_near(clock.now(), system_now()), "its own time again");
        }
    }

    #[test]
    fn a_clock_that_jumps_after_the_comparison_is_not_believed() {
        let clock = Clock::wrong_by(0);
        assert_eq!(clock.compare(system_now()), None);
        clock.set(system_now().plus_micros(YEAR));
        assert!(is_near(clock.now(), system_now()));
    }

    #[test]
    fn small_differences_are_ordinary_and_fixed_clocks_stay() {
        let clock = Clock::wrong_by(DIFFERENCE_MAX_MICROS / 2);
        assert_eq!(clock.compare(system_now()), None);
        assert!(!is_near(clock.now(), system_now().plus_micros(-DIFFERENCE_MAX_MICROS / 4)));
        let fixed = Clock::fixed(Timestamp::from_micros(0));
        assert!(fixed.compare(system_now()).is_some());
        assert_eq!(fixed.now(), Timestamp::from_micros(0));
    }
}
