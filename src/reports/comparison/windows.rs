//! The minutes of two releases that are compared. Pure.

use super::question::ComparisonQuestion;
use crate::{
    error::{Error, Result},
    model::{TimeRange, Timestamp, timestamp::MINUTE_MICROS},
};

/// The minimum length of the baseline, for a candidate that has run for a shorter time.
const BASELINE_MIN: i64 = 60 * MINUTE_MICROS;

/// Whole minutes of both releases: the last of the baseline and the first of the candidate, which are nearest to each other.
/// The baseline is as long as the candidate, at least an hour. A longer baseline would compare other times of day, and only
/// it would contain rare events.
///
/// # Errors
/// No whole minute of a release is retained.
pub fn of(question: &ComparisonQuestion, kept: Timestamp, minutes_max: u32) -> Result<[TimeRange; 2]> {
    let most = i64::from(minutes_max) * MINUTE_MICROS;
    let whole = |range: TimeRange, field: &str| {
        TimeRange::new(range.from().max(kept).ceil(MINUTE_MICROS), range.to().floor(MINUTE_MICROS)).map_err(|_| {
            let message = format!("ran for no whole minute since {kept}, from when on minutes are kept");
            Error::input(field, message)
        })
    };
    let baseline = whole(question.baseline, "baselineId")?;
    let candidate = whole(question.candidate, "candidateId")?;
    let first = TimeRange::new(candidate.from(), candidate.to().min(candidate.from().plus_micros(most)));
    let candidate = first.unwrap_or(candidate);
    let length = candidate.to().as_micros() - candidate.from().as_micros();
    let most = most.min(length.max(BASELINE_MIN));
    let last = TimeRange::new(baseline.from().max(baseline.to().plus_micros(-most)), baseline.to());
    Ok([last.unwrap_or(baseline), candidate])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Key, MetricType, OrganizationId, ProjectId},
        reports::Statistic,
    };

    fn minutes(from: i64, to: i64) -> TimeRange {
        let at = |minute: i64| Timestamp::from_micros(minute * MINUTE_MICROS);
        TimeRange::new(at(from), at(to)).unwrap()
    }

    fn question(baseline: TimeRange, candidate: TimeRange) -> ComparisonQuestion {
        let project = Key::new(OrganizationId(1), ProjectId(1));
        ComparisonQuestion { project, kind: MetricType::ApiResponse, statistic: Statistic::P95, baseline, candidate }
    }

    #[test]
    fn whole_retained_minutes_next_to_the_change_are_compared() {
        let ragged =
            TimeRange::new(Timestamp::from_micros(1), Timestamp::from_micros(100 * MINUTE_MICROS + 1)).unwrap();
        let kept = Timestamp::from_micros(0);
        let asked = question(ragged, minutes(100, 300));
        assert_eq!(of(&asked, kept, 1_000).unwrap(), [minutes(1, 100), minutes(100, 300)]);
        assert_eq!(of(&asked, kept, 60).unwrap(), [minutes(40, 100), minutes(100, 160)]);
        let day = question(minutes(0, 2_000), minutes(2_000, 2_020));
        assert_eq!(of(&day, kept, 1_000).unwrap(), [minutes(1_940, 2_000), minutes(2_000, 2_020)], "at least an hour");
        let day = question(minutes(0, 2_000), minutes(2_000, 2_200));
        assert_eq!(of(&day, kept, 1_000).unwrap(), [minutes(1_800, 2_000), minutes(2_000, 2_200)], "as long");
        let kept = Timestamp::from_micros(90 * MINUTE_MICROS);
        assert_eq!(of(&asked, kept, 60).unwrap(), [minutes(90, 100), minutes(100, 160)]);
        let gone = of(&asked, Timestamp::from_micros(100 * MINUTE_MICROS), 60).unwrap_err().to_string();
        assert!(gone.starts_with("baselineId: ran for no whole minute"), "{gone}");
    }
}
