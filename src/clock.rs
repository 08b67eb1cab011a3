//! The only file that reads the time. All other code is given a [`Clock`], so that tests can set it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::model::Timestamp;

/// A source of the current time: the system clock, or a fixed time that a test sets.
#[derive(Clone, Debug, Default)]
pub struct Clock(TimeSource);

#[derive(Clone, Debug, Default)]
enum TimeSource {
    #[default]
    System,
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The system clock.
    pub const fn system() -> Self {
        Self(TimeSource::System)
    }

    /// A clock that keeps its time until [`Self::set`].
    pub fn fixed(at: Timestamp) -> Self {
        Self(TimeSource::Fixed(Arc::new(AtomicI64::new(at.as_micros()))))
    }

    /// Sets a fixed clock. Has no effect on the system clock.
    pub fn set(&self, to: Timestamp) {
        if let TimeSource::Fixed(micros) = &self.0 {
            micros.store(to.as_micros(), Ordering::Relaxed);
        }
    }

    /// The current time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            TimeSource::System => Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()),
            TimeSource::Fixed(micros) => Timestamp::from_micros(micros.load(Ordering::Relaxed)),
        }
    }
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
