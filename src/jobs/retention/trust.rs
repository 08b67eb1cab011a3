//! Decides whether retention believes the clock. Pure.
//!
//! A clock that is ahead makes every row look expired, so nothing is removed by a clock that jumped. The system clock is
//! compared with the clock of the database, with the time that has passed on the monotonic clock since it was last believed,
//! and at the start with the last time that retention remembers or with the newest data. A day of difference is ordinary: a
//! machine was off or asleep. So a wrong clock costs at most one day of data. A clock that jumped further is believed after it
//! has run evenly for `retention.clock_settle_hours`.

use std::{fmt, time::Duration};

use crate::model::{
    Timestamp,
    timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, whole_micros},
};

/// The most that a clock may differ from what was expected.
const JUMP_MAX_MICROS: i64 = DAY_MICROS;
/// The most that the system clock may differ from the database's.
const DIFFERENCE_MAX_MICROS: i64 = 10 * MINUTE_MICROS;
/// The time after which a believed clock becomes the new reference. In between, differences add up.
const REFERENCE_MICROS: i64 = HOUR_MICROS;

/// The readings of one pass.
#[derive(Clone, Copy, Debug)]
pub struct Readings {
    /// The system clock, uncorrected: one that differs from the database's removes nothing.
    pub now: Timestamp,
    /// The monotonic time since the start of the process.
    pub run: Duration,
    /// The clock of the database, where it has one of its own.
    pub database: Option<Timestamp>,
    /// The time at which retention, in any process, last believed the clock.
    pub remembered: Option<Timestamp>,
    /// The arrival of the newest data, if nothing is remembered.
    pub newest: Option<Timestamp>,
}

/// The reason why a clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The system clock differs from the clock of the database.
    Database {
        /// The clock of the database.
        database: Timestamp,
    },
    /// The system clock is not where it should be.
    Jump {
        /// The time that was expected.
        expected: Timestamp,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database { database } => write!(f, "the clock of the database says {database}"),
            Self::Jump { expected } => write!(f, "about {expected} was expected"),
        }
    }
}

/// A time of the system clock and the monotonic time of its reading.
type Reference = (Timestamp, Duration);

/// The clock as retention knows it.
#[derive(Debug)]
pub struct ClockTrust {
    settle: Duration,
    believed: Option<Reference>,
    /// The beginning of a run that is to last until it is believed.
    settling: Option<Reference>,
}

impl ClockTrust {
    /// Knows nothing yet. A `settle` of zero believes every clock.
    pub const fn new(settle: Duration) -> Self {
        Self { settle, believed: None, settling: None }
    }

    /// True if every clock is believed.
    pub const fn is_blind(&self) -> bool {
        self.settle.is_zero()
    }

    /// True until a clock was believed.
    pub const fn is_new(&self) -> bool {
        self.believed.is_none()
    }

    /// Decides about the clock of a pass.
    pub fn judge(&mut self, readings: &Readings) -> Result<(), Doubt> {
        let Readings { now, run, database, remembered, newest } = *readings;
        if self.is_blind() {
            return Ok(());
        }
        if let Some(database) = database.filter(|database| difference(now, *database) > DIFFERENCE_MAX_MICROS) {
            return Err(Doubt::Database { database });
        }
        let expected = match self.believed {
            Some(reference) => Some(after(reference, run)),
            None => remembered.or(newest),
        };
        let Some(expected) = expected.filter(|expected| difference(now, *expected) > JUMP_MAX_MICROS) else {
            self.believe((now, run));
            return Ok(());
        };
        match self.settling {
            Some(begun) if difference(now, after(begun, run)) <= JUMP_MAX_MICROS => {
                if run.saturating_sub(begun.1) >= self.settle {
                    self.believed = None;
                    self.believe((now, run));
                    return Ok(());
                }
            }
            _ => self.settling = Some((now, run)),
        }
        Err(Doubt::Jump { expected })
    }

    fn believe(&mut self, reference: Reference) {
        self.settling = None;
        let is_old = |(_, run): Reference| whole_micros(reference.1.saturating_sub(run)) >= REFERENCE_MICROS;
        if self.believed.is_none_or(is_old) {
            self.believed = Some(reference);
        }
    }
}

fn after((at, run): Reference, now: Duration) -> Timestamp {
    at.plus_micros(whole_micros(now.saturating_sub(run)))
}

fn difference(one: Timestamp, other: Timestamp) -> i64 {
    one.as_micros().saturating_sub(other.as_micros()).saturating_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
    const YEAR: i64 = 365 * DAY_MICROS;
    const SETTLE: Duration = Duration::from_hours(24);

    fn at(micros: i64, run: Duration) -> Readings {
        Readings { now: NOW.plus_micros(micros), run, database: None, remembered: None, newest: None }
    }

    const fn minutes(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    #[test]
    fn a_clock_that_jumps_while_the_server_runs_is_not_believed_and_one_that_returns_is() {
        let mut trust = ClockTrust::new(SETTLE);
        assert_eq!(trust.judge(&at(0, minutes(0))), Ok(()));
        for micros in [YEAR, -YEAR, 2 * DAY_MICROS] {
            let doubt = trust.judge(&at(micros, minutes(1)));
            assert_eq!(doubt, Err(Doubt::Jump { expected: NOW.plus_micros(MINUTE_MICROS) }));
        }
        assert_eq!(trust.judge(&at(2 * MINUTE_MICROS, minutes(2))), Ok(()));
        // A night asleep: the monotonic clock stands still meanwhile.
        assert_eq!(trust.judge(&at(9 * HOUR_MICROS, minutes(3))), Ok(()));
    }

    #[test]
    fn a_clock_that_runs_evenly_for_long_enough_is_believed() {
        let mut trust = ClockTrust::new(SETTLE);
        trust.judge(&at(0, minutes(0))).unwrap();
        let after_a_year = |hours: i64| at(YEAR + hours * HOUR_MICROS, Duration::from_hours(hours.unsigned_abs()));
        for hours in 1..25 {
            assert!(trust.judge(&after_a_year(hours)).is_err(), "{hours}");
        }
        assert_eq!(trust.judge(&after_a_year(25)), Ok(()));
        assert!(trust.judge(&at(0, Duration::from_hours(26))).is_err(), "it is the reference now");
    }

    #[test]
    fn a_start_is_compared_with_what_is_remembered_or_else_with_the_newest_data() {
        let judge = |readings: Readings| ClockTrust::new(SETTLE).judge(&readings).is_ok();
        let start = at(0, minutes(0));
        assert!(judge(start));
        for (micros, is_believed) in
            [(0, true), (-DAY_MICROS, true), (DAY_MICROS, true), (-DAY_MICROS - 1, false), (YEAR, false)]
        {
            let known = Some(NOW.plus_micros(micros));
            assert_eq!(judge(Readings { remembered: known, ..start }), is_believed, "{micros}");
            assert_eq!(judge(Readings { newest: known, ..start }), is_believed, "{micros}");
            assert!(judge(Readings { remembered: Some(NOW), newest: known, ..start }), "an idle server");
        }
    }

    #[test]
    fn the_database_has_a_say_and_the_setting_the_last_word() {
        let wrong = Readings { database: Some(NOW.plus_micros(-YEAR)), ..at(0, minutes(0)) };
        assert!(matches!(ClockTrust::new(SETTLE).judge(&wrong), Err(Doubt::Database { .. })));
        assert_eq!(ClockTrust::new(Duration::ZERO).judge(&wrong), Ok(()));
        let near = Readings { database: Some(NOW.plus_micros(-MINUTE_MICROS)), ..at(0, minutes(0)) };
        assert_eq!(ClockTrust::new(SETTLE).judge(&near), Ok(()));
    }
}
