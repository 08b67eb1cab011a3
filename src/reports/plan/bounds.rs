//! The plan of a window whose buckets have any bounds, as in a time zone: no row may lie in two buckets.

use super::{LADDER, Plan, Resolution, Segment, TableChoice, cut, is_raw, with_parts};
use crate::model::{RetainedSince, TimeRange, Timestamp};

/// Cuts a window into segments. `tables` are aligned to the length of a bucket, and `bounds` are where buckets meet, moved to
/// those of rows that are kept there ([`nearest_kept`](super::nearest_kept)).
pub fn between(covers: TimeRange, tables: TableChoice, bounds: &[Timestamp], kept: RetainedSince) -> Plan {
    let kept = tables.kept(kept);
    if is_raw(covers, kept) {
        return Plan { covers, segments: vec![Segment { resolution: Resolution::Raw, range: covers }] };
    }
    let mut segments = Vec::with_capacity(2 * LADDER.len());
    // Each of the times in which other rollups are kept has other bounds. Retention ends at the start of a day, which is a
    // bound of all rollups.
    let mut from = covers.from();
    for end in [kept.hours, kept.minutes, covers.to()] {
        let end = end.min(covers.to());
        if from < end {
            let fits = |resolution: &Resolution| {
                let mut inside = bounds.iter().filter(|bound| (from..=end).contains(*bound));
                inside.all(|bound| bound.floor(resolution.width_micros()) == *bound)
            };
            let ladder: Vec<_> = tables.ladder().iter().copied().filter(fits).collect();
            cut((from, end), &ladder, kept, &mut segments);
            from = end;
        }
    }
    with_parts(covers, joined(segments), kept)
}

/// Adjacent segments of one table as one.
fn joined(segments: Vec<Segment>) -> Vec<Segment> {
    let mut joined: Vec<Segment> = Vec::with_capacity(segments.len());
    for segment in segments {
        if let Some(last) = joined.last_mut().filter(|last| last.resolution == segment.resolution)
            && let Ok(range) = TimeRange::new(last.range.from(), segment.range.to())
        {
            last.range = range;
        } else {
            joined.push(segment);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{
            Detail,
            timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
        },
        reports::{
            grid::Buckets,
            plan::{TableChoice, plan, since},
        },
    };

    const ZONES: [&str; 8] = [
        "Europe/Berlin",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/St_Johns",
        "Asia/Kathmandu",
        "America/Los_Angeles",
        "-00:17",
    ];

    proptest! {
        #[test]
        fn segments_are_kept_and_no_row_lies_in_two_buckets(
            zone in prop::sample::select(&ZONES[..]),
            width in prop::sample::select(vec![15 * MINUTE_MICROS, HOUR_MICROS, 6 * HOUR_MICROS, DAY_MICROS, 7 * DAY_MICROS]),
            // Around 2011-12-30, which Samoa skipped.
            from in 15_300 * DAY_MICROS..15_360 * DAY_MICROS,
            length in prop_oneof![1..3 * MINUTE_MICROS, 1..HOUR_MICROS, 1..300 * DAY_MICROS],
            aligned in prop::sample::select(vec![1, MINUTE_MICROS, HOUR_MICROS, DAY_MICROS]),
            now in 15_300..15_800_i64,
            detail in prop::option::of(prop::sample::select(&Detail::EACH[..])),
        ) {
            let at = |micros: i64| Timestamp::from_micros(micros);
            let window = TimeRange::new(at(from).floor(aligned), at(from + length).ceil(aligned)).unwrap();
            let kept = RetainedSince::days(at(now * DAY_MICROS), 7, 14, 40);
            let tables = detail.map_or(TableChoice::Aligned(width), |detail| TableChoice::AlignedBreakdowns(detail, width));
            let Some(coarse) = plan(window, tables, kept) else { return Ok(()) };
            let buckets = Buckets::in_zone(width, 100_000, zone.parse().unwrap()).unwrap();
            let all_kept = kept;
            let kept = tables.kept(kept);
            let grid = buckets.over(coarse.covers, kept).unwrap();
            let bounds: Vec<_> = grid.bounds().collect();
            let Plan { covers, segments } = between(coarse.covers, tables, &bounds, all_kept);
            prop_assert_eq!(covers, coarse.covers);
            // The buckets that are read cover the window, and each is where it was asked for but for half a row.
            prop_assert!(bounds[0] <= covers.from() && covers.to() <= bounds[bounds.len() - 1]);
            for bucket in grid.buckets() {
                let off = bucket.asked.from().as_micros().abs_diff(bucket.read.from().as_micros());
                let row = [(kept.raw, 0), (kept.minutes, MINUTE_MICROS), (kept.hours, HOUR_MICROS), (at(i64::MIN), DAY_MICROS)];
                let row = row.into_iter().find(|(since, _)| bucket.asked.from() >= *since).unwrap().1;
                prop_assert!(off <= (row / 2).unsigned_abs(), "{bucket:?} {off}");
            }
            let is_extra = |one: &Segment| {
                matches!(one.resolution, Resolution::Part | Resolution::Unrolled | Resolution::NotBrokenDown)
            };
            let (extra, rows): (Vec<_>, Vec<_>) = segments.into_iter().partition(is_extra);
            let rollups: Vec<_> = rows.iter().filter(|one| one.resolution != Resolution::Raw).collect();
            let is_all_kept = rollups.iter().all(|one| one.resolution.is_breakdown() && one.range.to() <= kept.raw);
            prop_assert_eq!(extra.is_empty(), rollups.is_empty() || is_all_kept);
            prop_assert_eq!((rows[0].range.from(), rows[rows.len() - 1].range.to()), (covers.from(), covers.to()));
            for pair in rows.windows(2) {
                prop_assert_eq!(pair[0].range.to(), pair[1].range.from());
                prop_assert_ne!(pair[0].resolution, pair[1].resolution);
            }
            for segment in &rows {
                let (range, cell) = (segment.range, segment.resolution.width_micros());
                prop_assert!(range.from() >= since(segment.resolution, kept), "{segment:?} is not kept");
                for bound in bounds.iter().filter(|bound| range.from() < **bound && **bound < range.to()) {
                    prop_assert_eq!(bound.floor(cell), *bound, "a row of {:?} lies in two buckets", segment);
                }
                prop_assert_eq!((range.from().floor(cell), range.to().floor(cell)), (range.from(), range.to()));
            }
        }
    }

    #[test]
    fn days_of_whole_hours_are_read_from_hours() {
        use Resolution::{Day, FiveMinutes, Hour, Part, Unrolled};
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let kept = RetainedSince::days(at("2026-11-20T00:00:00Z"), 7, 14, 400);
        let tables = |zone: &str, from: &str, to: &str| {
            let covers = TimeRange::new(at(from), at(to)).unwrap();
            let buckets = Buckets::in_zone(DAY_MICROS, 1_000, zone.parse().unwrap()).unwrap();
            let bounds: Vec<_> = buckets.over(covers, kept).unwrap().bounds().collect();
            let plan = between(covers, TableChoice::Aligned(DAY_MICROS), &bounds, kept);
            plan.segments.iter().map(|segment| segment.resolution).collect::<Vec<_>>()
        };
        let (from, to) = ("2026-10-01T22:00:00Z", "2026-11-18T23:00:00Z");
        assert_eq!(tables("Europe/Berlin", from, to), [Hour, Unrolled, Part]);
        assert_eq!(tables("Asia/Kolkata", from, to), [Hour, FiveMinutes, Unrolled, Part]);
        assert_eq!(tables("Europe/Berlin", "2025-01-01T00:00:00Z", to), [Day, Hour, Unrolled, Part]);
        // Winter in London is UTC.
        assert_eq!(tables("Europe/London", "2025-11-01T00:00:00Z", "2026-02-01T00:00:00Z"), [Day, Unrolled, Part]);
    }
}
