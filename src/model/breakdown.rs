//! Which measurements of a series are broken down by status, release and name. Pure.
//!
//! Rows of a breakdown are made after an hour is over, from its single measurements, where they are far fewer. As long as
//! there are measurements, they are a copy for speed: what has none is answered from these, with the same figures.

use super::{
    Timestamp,
    timestamp::{DAY_MICROS, HOUR_MICROS},
};

/// The columns that the rows of a breakdown tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detail {
    /// The HTTP status.
    Status,
    /// The version of the release.
    Release,
    /// The name.
    Name,
    /// Status, release and name, for questions about several of them.
    All,
}

impl Detail {
    /// Each of them.
    pub const EACH: [Self; 4] = [Self::Status, Self::Release, Self::Name, Self::All];
    /// Those of one column.
    pub const ONE_COLUMN: [Self; 3] = [Self::Status, Self::Release, Self::Name];

    /// The columns of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        if self == other { self } else { Self::All }
    }

    /// True for one column. Rows by one column outlive the single measurements.
    pub fn is_one_column(self) -> bool {
        self != Self::All
    }

    /// True if it has the columns of the other.
    pub fn has(self, other: Self) -> bool {
        self.with(other) == self
    }

    /// The column of `metric_grain` with the parts of a day that have such rows, as [`DayParts`].
    pub const fn parts_column(self) -> &'static str {
        match self {
            Self::Status => "status_parts",
            Self::Release => "release_parts",
            Self::Name => "name_parts",
            Self::All => "all_parts",
        }
    }

    /// The number that is stored.
    pub const fn code(self) -> i16 {
        match self {
            Self::Status => 1,
            Self::Release => 2,
            Self::Name => 3,
            Self::All => 4,
        }
    }
}

/// Hours of a UTC day, and the day as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayParts(i32);

impl DayParts {
    /// The day as a whole.
    pub const DAY: Self = Self(1 << 24);
    /// All hours, without the day.
    pub const HOURS: Self = Self((1 << 24) - 1);
    /// A bit that is stored with the parts that were decided about: commits added rows to those that are there, to be merged.
    pub const ADDED: i32 = 1 << 25;
    /// All hours, and the day.
    pub const ALL: Self = Self(Self::DAY.0 | Self::HOURS.0);

    /// Parts from the stored bits: one per hour from the lowest, then that of the day.
    pub const fn from_bits(bits: i32) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The bits that are stored.
    pub const fn bits(self) -> i32 {
        self.0
    }

    /// The hour with this number, from 0 to 23.
    pub const fn hour(hour: u8) -> Self {
        Self::from_bits(1 << (hour % 24))
    }

    /// The hour of a moment, and its day.
    pub fn around(at: Timestamp) -> Self {
        let hour = at.as_micros().rem_euclid(DAY_MICROS) / HOUR_MICROS;
        Self::hour(u8::try_from(hour).unwrap_or(0)).with(Self::DAY)
    }

    /// The parts of a day that begins at `day` and ends at or before `until`.
    pub fn over(day: i64, until: Timestamp) -> Self {
        let over = until.as_micros().saturating_sub(day).div_euclid(HOUR_MICROS);
        match u32::try_from(over) {
            Ok(over) if over < 24 => Self((1 << over) - 1),
            Ok(_) => Self::ALL,
            Err(_) => Self(0),
        }
    }

    /// Both.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These, but none of the others.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// True if all others are among these.
    pub const fn contains(self, others: Self) -> bool {
        others.without(self).is_empty()
    }

    /// True if there is no part.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All of it if it has at most this many hours; otherwise its first hours, as many as that, without the day.
    #[must_use]
    pub fn first_hours(self, count: usize) -> Self {
        if self.hours().count() + usize::from(self.contains(Self::DAY)) <= count.max(1) {
            return self;
        }
        self.hours().take(count.max(1)).map(Self::hour).fold(Self::default(), Self::with)
    }

    /// The first half of the hours, at least one, without the day.
    #[must_use]
    pub fn first_half(self) -> Self {
        self.hours().take(self.hours().count().div_ceil(2)).map(Self::hour).fold(Self::default(), Self::with)
    }

    /// The numbers of the hours.
    pub fn hours(self) -> impl Iterator<Item = u8> {
        (0..24).filter(move |hour| self.contains(Self::hour(*hour)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_columns_are_in_the_rows_of_all() {
        assert_eq!(Detail::Status.with(Detail::Status), Detail::Status);
        assert_eq!(Detail::Status.with(Detail::Name), Detail::All);
        assert_eq!(Detail::All.with(Detail::Release), Detail::All);
        for detail in Detail::EACH {
            assert!(detail.has(detail) && Detail::All.has(detail));
            assert_eq!(detail.has(Detail::All), detail == Detail::All);
        }
        assert!(!Detail::Status.has(Detail::Release));
    }

    #[test]
    fn a_day_has_hours_that_are_over_and_is_over_with_the_last() {
        let at = |hours: i64| Timestamp::from_micros(3 * DAY_MICROS + hours * HOUR_MICROS);
        let over = |hours: i64| DayParts::over(3 * DAY_MICROS, at(hours));
        assert_eq!([over(-50), over(-1), over(0)], [DayParts::default(); 3]);
        assert_eq!(over(2).hours().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(DayParts::over(3 * DAY_MICROS, at(3).plus_micros(-1)), over(2));
        assert_eq!(over(23), DayParts::HOURS.without(DayParts::hour(23)));
        assert_eq!([over(24), over(1_000)], [DayParts::ALL; 2]);
        assert_eq!(DayParts::over(i64::MIN, Timestamp::from_micros(i64::MAX)), DayParts::ALL);
    }

    #[test]
    fn halves_end_with_one_hour() {
        let mut parts = DayParts::ALL;
        let mut counts = Vec::new();
        for _ in 0..6 {
            parts = parts.first_half();
            counts.push(parts.hours().count());
        }
        assert_eq!(counts, [12, 6, 3, 2, 1, 1]);
        assert_eq!(parts, DayParts::hour(0));
        let two = DayParts::hour(7).with(DayParts::hour(9)).with(DayParts::DAY);
        assert_eq!([two.first_hours(1), two.first_hours(0), two.first_half()], [DayParts::hour(7); 3]);
        assert_eq!([two.first_hours(2), two.first_hours(3)], [two.without(DayParts::DAY), two]);
        assert_eq!(DayParts::DAY.first_hours(1), DayParts::DAY);
        assert_eq!(DayParts::ALL.first_hours(usize::MAX), DayParts::ALL);
        assert_eq!(DayParts::hour(7).with(DayParts::DAY).first_half(), DayParts::hour(7));
    }

    #[test]
    fn a_moment_is_in_one_hour_and_in_the_day() {
        let before_1970 = Timestamp::from_micros(-1);
        assert_eq!(DayParts::around(before_1970), DayParts::hour(23).with(DayParts::DAY));
        assert_eq!(DayParts::around(Timestamp::from_micros(HOUR_MICROS)), DayParts::hour(1).with(DayParts::DAY));
        assert_eq!(DayParts::from_bits(-1), DayParts::ALL);
    }
}
