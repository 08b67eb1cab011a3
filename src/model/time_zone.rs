//! Time zones and their days. The rules of all zones are a part of the binary.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::{Arc, LazyLock},
};

use jiff::tz::{AmbiguousOffset, Offset, TimeZoneDatabase};
use thiserror::Error;

use super::timestamp::{DAY_MICROS, Timestamp};

/// The rules of all zones. Zones of the machine are not read: all instances must cut the same days.
static RULES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The minimum similarity (0 to 1) of a suggested name, its maximum distance from the most similar one, and the number of
/// suggestions.
const SIMILARITY_MIN: f64 = 0.6;
const SIMILARITY_SPREAD: f64 = 0.1;
const SUGGESTIONS_MAX: usize = 3;

/// Fixed offsets are below this, in minutes.
const OFFSET_MINUTES: i32 = 24 * 60;

/// A time zone of the IANA database, or a fixed offset from UTC.
#[derive(Clone, Debug)]
pub struct TimeZone {
    name: Arc<str>,
    rules: jiff::tz::TimeZone,
}

/// A text that names no time zone.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{given}` is not a time zone; {advice}")]
pub struct UnknownTimeZone {
    given: String,
    advice: String,
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TimeZone {}

impl Hash for TimeZone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;

    /// Takes a name of the IANA database in any case, such as `Europe/Berlin`, or an offset such as `+05:30`.
    fn from_str(text: &str) -> Result<Self, UnknownTimeZone> {
        if let Some(rules) = fixed(text) {
            return Ok(Self { name: text.into(), rules });
        }
        // `Etc/Unknown` stands for no zone at all.
        match RULES.get(text).ok().filter(|rules| !rules.is_unknown()) {
            Some(rules) => Ok(Self { name: rules.iana_name().unwrap_or(text).into(), rules }),
            None => Err(UnknownTimeZone { given: text.chars().take(64).collect(), advice: advice(text) }),
        }
    }
}

impl TimeZone {
    /// True if the zone is UTC, without any other name or offset of the same time.
    pub fn is_utc(&self) -> bool {
        self.rules == jiff::tz::TimeZone::UTC
    }

    /// The day that contains a moment, as a number of days since 1970-01-01: the moment is not before the start of this
    /// day and before the start of the next one.
    pub fn day_of(&self, at: Timestamp) -> i64 {
        let mut day = self.date_of(at).unwrap_or_else(|| at.as_micros().div_euclid(DAY_MICROS));
        // Where clocks go back over midnight, the date of a moment is that of the day before.
        while self.start_of_day(day + 1) <= at {
            day += 1;
        }
        while self.start_of_day(day) > at {
            day -= 1;
        }
        day
    }

    /// The first moment of a day: midnight, or where clocks skip midnight, the moment at which they do so. A day that
    /// the zone skipped starts and ends at once.
    pub fn start_of_day(&self, day: i64) -> Timestamp {
        self.midnight(day).unwrap_or_else(|| Timestamp::from_micros(day.saturating_mul(DAY_MICROS)))
    }

    /// The date at a moment; `None` outside of the calendar.
    fn date_of(&self, at: Timestamp) -> Option<i64> {
        let moment = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let local = Offset::UTC.to_timestamp(self.rules.to_datetime(moment)).ok()?;
        Some(local.as_microsecond().div_euclid(DAY_MICROS))
    }

    fn midnight(&self, day: i64) -> Option<Timestamp> {
        let utc = jiff::Timestamp::from_microsecond(day.checked_mul(DAY_MICROS)?).ok()?;
        let midnight = Offset::UTC.to_datetime(utc);
        let start = match self.rules.to_ambiguous_timestamp(midnight).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(midnight).ok()?
            }
            AmbiguousOffset::Gap { before, .. } => {
                let later = before.to_timestamp(midnight).ok()?;
                let behind = later.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
                self.rules.preceding(behind).next().map_or(later, |jump| jump.timestamp())
            }
        };
        Some(Timestamp::from_micros(start.as_microsecond()))
    }
}

/// The zone of an offset such as `+05:30`, `-03:00`, `+0530` or `+02`.
fn fixed(text: &str) -> Option<jiff::tz::TimeZone> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match (rest.len(), rest.split_once(':')) {
        (5, Some(parts)) => parts,
        (4, None) => rest.split_at_checked(2)?,
        (2, None) => (rest, "00"),
        _ => return None,
    };
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let offset = hours * 60 + minutes;
    if minutes > 59 || offset >= OFFSET_MINUTES {
        return None;
    }
    Some(jiff::tz::TimeZone::fixed(Offset::from_seconds(sign * offset * 60).ok()?))
}

/// The names that are most similar to a misspelt one.
fn advice(given: &str) -> String {
    let given = given.chars().take(64).collect::<String>().to_lowercase();
    let mut names: Vec<(f64, String)> = RULES
        .available()
        .map(|name| (similarity(&given, &name.as_str().to_lowercase()), name.to_string()))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let least = names.first().map_or(0.0, |(best, _)| best - SIMILARITY_SPREAD);
    let near = names.into_iter().take_while(|(similarity, _)| *similarity >= least);
    let names: Vec<_> = near.take(SUGGESTIONS_MAX).map(|(_, name)| name).collect();
    match names.split_last() {
        None => "give a name of the IANA database, such as `Europe/Berlin`, or an offset, such as `+05:30`".to_owned(),
        Some((only, [])) => format!("did you mean `{only}`?"),
        Some((final_name, others)) => format!("did you mean `{}` or `{final_name}`?", others.join("`, `")),
    }
}

/// A city without its continent counts nearly as much as the whole name.
fn similarity(given: &str, name: &str) -> f64 {
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let words = |text: &str| text.replace([' ', '-'], "_");
    let whole = strsim::normalized_damerau_levenshtein(&words(given), name);
    whole.max(0.95 * strsim::normalized_damerau_levenshtein(&words(&city(given)), &city(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timestamp::{HOUR_MICROS, MINUTE_MICROS};

    fn zone(name: &str) -> TimeZone {
        name.parse().unwrap()
    }

    fn day(date: &str) -> i64 {
        format!("{date}T00:00:00Z").parse::<Timestamp>().unwrap().as_micros() / DAY_MICROS
    }

    fn start(zone: &TimeZone, date: &str) -> String {
        zone.start_of_day(day(date)).to_string()
    }

    #[test]
    fn days_begin_at_midnight_of_their_zone() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(start(&berlin, "2026-10-25"), "2026-10-24T22:00:00Z");
        assert_eq!(start(&berlin, "2026-10-26"), "2026-10-25T23:00:00Z");
        assert_eq!(start(&zone("Asia/Kolkata"), "2026-11-01"), "2026-10-31T18:30:00Z");
        assert_eq!(start(&zone("Australia/Lord_Howe"), "2026-07-01"), "2026-06-30T13:30:00Z");
        assert_eq!(start(&zone("Australia/Lord_Howe"), "2026-12-01"), "2026-11-30T13:00:00Z");
        assert_eq!(start(&zone("-03:30"), "2026-11-01"), "2026-11-01T03:30:00Z");
        // Clocks skip midnight: from 00:00 to 01:00, and from 23:30 to 00:30.
        assert_eq!(start(&zone("America/Sao_Paulo"), "2018-11-04"), "2018-11-04T03:00:00Z");
        assert_eq!(start(&zone("America/Toronto"), "1919-03-31"), "1919-03-31T04:30:00Z");
        // Clocks go from 00:01 back to 23:01: the day has begun.
        let newfoundland = zone("America/St_Johns");
        assert_eq!(start(&newfoundland, "2006-10-29"), "2006-10-29T02:30:00Z");
        let again: Timestamp = "2006-10-29T03:00:00Z".parse().unwrap();
        assert_eq!(newfoundland.day_of(again), day("2006-10-29"));
    }

    #[test]
    fn a_skipped_day_is_empty() {
        let samoa = zone("Pacific/Apia");
        assert_eq!(start(&samoa, "2011-12-30"), "2011-12-30T10:00:00Z");
        assert_eq!(start(&samoa, "2011-12-31"), "2011-12-30T10:00:00Z");
        assert_eq!(start(&samoa, "2012-01-01"), "2011-12-31T10:00:00Z");
        let at: Timestamp = "2011-12-30T10:00:00Z".parse().unwrap();
        assert_eq!((samoa.day_of(at), samoa.day_of(at.plus_micros(-1))), (day("2011-12-31"), day("2011-12-29")));
    }

    #[test]
    fn every_moment_is_in_one_day() {
        for name in RULES.available() {
            let zone = zone(name.as_str());
            let mut at: Timestamp = "1969-12-20T00:00:00Z".parse().unwrap();
            let end: Timestamp = "2040-01-01T00:00:00Z".parse().unwrap();
            while at < end {
                let day = zone.day_of(at);
                let (start, end) = (zone.start_of_day(day), zone.start_of_day(day + 1));
                assert!(start <= at && at < end, "{name} {at}");
                assert!(end.as_micros() - start.as_micros() <= 2 * DAY_MICROS, "{name} {at}");
                at = at.plus_micros(97 * DAY_MICROS + 5 * HOUR_MICROS + 7 * MINUTE_MICROS);
            }
        }
        for end in [i64::MIN, i64::MIN + 1, i64::MAX / 2] {
            zone("Asia/Kolkata").day_of(Timestamp::from_micros(end));
        }
    }

    #[test]
    fn a_misspelt_zone_is_told_the_nearest_names() {
        let refused = |text: &str| text.parse::<TimeZone>().unwrap_err().to_string();
        assert_eq!(refused("Europe/Berln"), "`Europe/Berln` is not a time zone; did you mean `Europe/Berlin`?");
        assert!(refused("berlin").contains("`Europe/Berlin`"));
        assert!(refused("America/New York").contains("`America/New_York`"));
        assert!(refused("New York").contains("`America/New_York`"));
        for nothing in ["", "+", "+25:00", "+02:60", "+2", "+1:30", "++1", "+-1:00", "CET-1CEST", "Etc/Unknown", "\0"] {
            assert!(nothing.parse::<TimeZone>().is_err(), "{nothing}");
        }
        assert!(refused("qqqqqqqqqqqq").ends_with("such as `+05:30`"));
        assert_eq!(zone("europe/BERLIN"), zone("Europe/Berlin"));
        for utc in ["UTC", "utc", "+00:00"] {
            assert!(zone(utc).is_utc(), "{utc}");
        }
        assert!(!zone("Europe/London").is_utc());
    }
}
