//! Tests of plans: every window, whatever is kept, is cut into segments that are kept, and no measurement is read twice.

use proptest::prelude::*;

use super::*;
use crate::model::timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS};

fn range(from: i64, length: i64) -> TimeRange {
    let from = Timestamp::from_micros(from);
    TimeRange::new(from, from.plus_micros(length)).unwrap()
}

fn from() -> impl Strategy<Value = i64> {
    prop_oneof![
        -4_000_000_000_000_000..4_000_000_000_000_000_i64,
        -40 * DAY_MICROS..40 * DAY_MICROS,
        (-60_000..60_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
        (-1_000..1_000_i64).prop_map(|hours| hours * HOUR_MICROS),
        (-40..40_i64).prop_map(|days| days * DAY_MICROS),
    ]
}

fn length() -> impl Strategy<Value = i64> {
    prop_oneof![
        1..10_i64,
        1..4 * MINUTE_MICROS,
        1..3 * HOUR_MICROS,
        1..50 * DAY_MICROS,
        (1..5_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
        (1..100_i64).prop_map(|hours| hours * HOUR_MICROS),
        (1..60_i64).prop_map(|days| days * DAY_MICROS),
        1..3_000_000_000_000_000_i64,
    ]
}

fn kept() -> impl Strategy<Value = RetainedSince> {
    let day = |day: i64| Timestamp::from_micros(day * DAY_MICROS);
    prop_oneof![
        1 => Just(RetainedSince::EVERYTHING),
        3 => (-40..40_i64, 0..30_i64, 0..30_i64, 0..60_i64).prop_map(move |(raw, minutes, hours, later)| RetainedSince {
            raw: day(raw),
            minutes: day(raw - minutes),
            five_minutes: day(raw - minutes + later),
            hours: day(raw - minutes - hours),
            breakdowns: day(raw + later - 30),
            kept_breakdowns: day(raw + later - 30 + minutes),
        }),
    ]
}

fn tables() -> impl Strategy<Value = TableChoice> {
    let widths = prop_oneof![
        1..3 * DAY_MICROS,
        (1..10_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
        (1..200_i64).prop_map(|hours| hours * HOUR_MICROS),
        (1..10_i64).prop_map(|days| days * DAY_MICROS),
    ];
    prop_oneof![
        Just(TableChoice::Any),
        Just(TableChoice::IntoRaw),
        Just(TableChoice::RawOnly),
        prop::sample::select(&Detail::EACH[..]).prop_map(TableChoice::Breakdowns),
        widths.clone().prop_map(TableChoice::Aligned),
        (prop::sample::select(&Detail::EACH[..]), widths)
            .prop_map(|(detail, width)| TableChoice::AlignedBreakdowns(detail, width)),
    ]
}

proptest! {
    #[test]
    fn pieces_are_ordered_disjoint_kept_and_cover_exactly_what_the_plan_says(
        from in from(),
        length in length(),
        kept in kept(),
        tables in tables(),
    ) {
        let window = range(from, length);
        let Some(Plan { covers, segments: all }) = plan(window, tables, kept) else {
            prop_assert!(tables != TableChoice::Any && window.to() <= tables.since(kept));
            return Ok(());
        };
        let (all_kept, kept) = (kept, tables.kept(kept));
        let (extra, segments): (Vec<Segment>, Vec<Segment>) =
            all.iter().partition(|segment| {
                let resolution = segment.resolution;
                matches!(resolution, Resolution::Part | Resolution::Unrolled | Resolution::NotBrokenDown)
            });
        let is_broken_down = matches!(tables, TableChoice::Breakdowns(_) | TableChoice::AlignedBreakdowns(..));
        prop_assert!(segments.len() <= 9);
        prop_assert_eq!(segments[0].range.from(), covers.from());
        prop_assert_eq!(segments[segments.len() - 1].range.to(), covers.to());
        for pair in segments.windows(2) {
            prop_assert_eq!(pair[0].range.to(), pair[1].range.from());
            prop_assert_ne!(pair[0].resolution, pair[1].resolution);
        }
        for Segment { resolution, range } in &segments {
            let (from, to, width) = (range.from(), range.to(), resolution.width_micros());
            prop_assert_eq!((from.floor(width), to.floor(width)), (from, to), "bounds are bucket bounds");
            prop_assert!(from >= since(*resolution, kept), "{:?} is not kept in {:?}", resolution, range);
            let answered = covers.to().as_micros() - covers.from().as_micros();
            let is_short = answered < RAW_BELOW_MICROS || tables == TableChoice::RawOnly;
            let fits = |coarser: Resolution| match tables {
                TableChoice::Aligned(bucket) | TableChoice::AlignedBreakdowns(_, bucket) => {
                    bucket % coarser.width_micros() == 0
                }
                TableChoice::IntoRaw => coarser != Resolution::Day,
                TableChoice::Any | TableChoice::Breakdowns(_) | TableChoice::RawOnly => true,
            };
            if let TableChoice::Aligned(bucket) | TableChoice::AlignedBreakdowns(_, bucket) = tables {
                prop_assert_eq!(bucket % width, 0, "no row lies in two buckets");
            }
            if *resolution != Resolution::Raw {
                prop_assert_eq!(resolution.is_breakdown(), is_broken_down);
            }
            let is_optional = |one: Resolution| one == Resolution::FiveMinutes || one.is_breakdown();
            let is_there = |one: Resolution| !is_optional(one) || from >= since(one, kept);
            let ladder = if is_broken_down { &BREAKDOWNS[..] } else { &LADDER };
            let coarser =
                ladder.iter().rev().find(|one| one.width_micros() > width && fits(**one) && is_there(**one));
            let coarser = coarser.map_or(i64::MAX, |one| one.width_micros());
            prop_assert!(is_short || to.as_micros() - from.as_micros() < coarser.saturating_mul(2), "coarse where it fits");
        }
        // The ranges of parts and of series without rollups span all rollups and nothing else.
        let rollups: Vec<_> = segments.iter().filter(|segment| segment.resolution != Resolution::Raw).collect();
        let spanned = rollups.first().map(|first| (first.range.from(), rollups[rollups.len() - 1].range.to()));
        let spanned = if is_broken_down {
            // Before there are raw rows, all is broken down.
            spanned.map(|(from, to)| (from.max(kept.raw), to)).filter(|(from, to)| from < to)
        } else {
            spanned
        };
        for extra in &extra {
            prop_assert_eq!(Some((extra.range.from(), extra.range.to())), spanned);
        }
        let added: Vec<_> = extra.iter().map(|extra| extra.resolution).collect();
        let expected = match (spanned, is_broken_down) {
            (None, _) => vec![],
            (Some(_), true) => vec![Resolution::NotBrokenDown],
            (Some(_), false) => vec![Resolution::Unrolled, Resolution::Part],
        };
        prop_assert_eq!(added, expected);

        // A series of any grain is read once: from the rollups that it has, elsewhere from its raw rows.
        let rollups: Vec<_> = rollups.into_iter().filter(|segment| !segment.resolution.is_breakdown()).collect();
        let unrolled = Plan { covers, segments: all.clone() }.unrolled();
        for grain in [Grain::Minute, Grain::FiveMinutes, Grain::Hour, Grain::Day, Grain::Raw] {
            let raw: Vec<_> = unrolled.iter().filter(|(one, _)| *one == grain).map(|(_, range)| *range).collect();
            prop_assert!(raw.windows(2).all(|pair| pair[0].to() < pair[1].from()));
            let finer = rollups.iter().filter(|segment| segment.resolution.grain() < Some(grain));
            for segment in &rollups {
                let is_read_raw = raw.iter().any(|range| range.common(segment.range) == Some(segment.range));
                prop_assert_eq!(is_read_raw, segment.resolution.grain() < Some(grain), "{:?} of {:?}", grain, segment);
            }
            let length: i64 = raw.iter().map(|range| range.length_micros()).sum();
            prop_assert_eq!(length, finer.map(|segment| segment.range.length_micros()).sum::<i64>());
        }

        if tables != TableChoice::IntoRaw && tables != TableChoice::RawOnly {
            let asked = window.from();
            let window = TimeRange::new(asked.max(tables.since(all_kept)), window.to()).unwrap();
            prop_assert!(covers.from() <= window.from() && window.to() <= covers.to());
            prop_assert!(covers.from() <= asked.max(kept.raw));
            if window.from() >= kept.raw {
                prop_assert_eq!(covers, window);
            }
            let wider = |left: Timestamp, right: Timestamp| left.as_micros() - right.as_micros();
            prop_assert!(wider(window.from(), covers.from()) < DAY_MICROS);
            prop_assert!(wider(covers.to(), window.to()) < DAY_MICROS);
        } else {
            prop_assert_eq!((covers.from(), covers.to()), (window.from().max(kept.raw), window.to()));
            prop_assert!(segments.iter().all(|segment| segment.resolution != Resolution::Day));
        }
    }

    #[test]
    fn raw_only_is_one_raw_piece(from in from(), length in length()) {
        let window = range(from, length);
        let raw = Segment { resolution: Resolution::Raw, range: window };
        let planned = plan(window, TableChoice::RawOnly, RetainedSince::EVERYTHING);
        prop_assert_eq!(planned, Some(Plan { covers: window, segments: vec![raw] }));
    }
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let recent = RetainedSince::days(Timestamp::from_millis(1_790_000_000_000), 7, 14, 400);
    for (from, to) in [
        (i64::MIN, i64::MAX),
        (i64::MIN, i64::MIN + 1),
        (i64::MAX - 1, i64::MAX),
        (i64::MIN, i64::MIN + RAW_BELOW_MICROS),
        (i64::MAX - RAW_BELOW_MICROS, i64::MAX),
    ] {
        let window = TimeRange::new(Timestamp::from_micros(from), Timestamp::from_micros(to)).unwrap();
        let Plan { covers, segments } = plan(window, TableChoice::Any, RetainedSince::EVERYTHING).unwrap();
        assert_eq!((segments[0].range.from(), covers), (window.from(), window));
        plan(window, TableChoice::Any, recent).unwrap();
    }
}

#[test]
fn thirty_days_are_a_few_segments() {
    use Resolution::{Day, FiveMinutes, Hour, Minute, Part, Raw, Unrolled};
    let resolutions = |from: i64, length: i64, kept| {
        let plan = plan(range(from, length), TableChoice::Any, kept).unwrap();
        plan.segments.iter().map(|segment| segment.resolution).collect::<Vec<_>>()
    };
    let ragged = 92 * MINUTE_MICROS + 1;
    assert_eq!(
        resolutions(ragged, 30 * DAY_MICROS, RetainedSince::EVERYTHING),
        [Raw, Minute, FiveMinutes, Hour, Day, Hour, FiveMinutes, Minute, Raw, Unrolled, Part]
    );
    assert_eq!(resolutions(0, 30 * DAY_MICROS, RetainedSince::EVERYTHING), [Day, Unrolled, Part]);
    let weeks = RetainedSince::days(Timestamp::from_micros(30 * DAY_MICROS), 7, 14, 400);
    assert_eq!(
        resolutions(ragged, 29 * DAY_MICROS, weeks),
        [Hour, Day, Hour, FiveMinutes, Minute, Raw, Unrolled, Part]
    );
}

#[test]
fn where_five_minutes_are_not_complete_minutes_answer() {
    use Resolution::{FiveMinutes, Minute, Part, Unrolled};
    let today = Timestamp::from_micros(DAY_MICROS);
    let upgraded = RetainedSince { five_minutes: today, ..RetainedSince::EVERYTHING };
    let resolutions = |from: i64| {
        let tables = TableChoice::Aligned(FIVE_MINUTES_MICROS);
        let plan = plan(range(from, HOUR_MICROS), tables, upgraded).unwrap();
        plan.segments.iter().map(|segment| (segment.resolution, segment.range.from())).collect::<Vec<_>>()
    };
    let yesterday = Timestamp::from_micros(DAY_MICROS - 30 * MINUTE_MICROS);
    let both = [(Minute, yesterday), (FiveMinutes, today), (Unrolled, yesterday), (Part, yesterday)];
    assert_eq!(resolutions(yesterday.as_micros()), both);
    let start = Timestamp::from_micros(0);
    assert_eq!(resolutions(0), [(Minute, start), (Unrolled, start), (Part, start)]);
    assert_eq!(coarsest(FIVE_MINUTES_MICROS), FiveMinutes);
    assert_eq!(TableChoice::Aligned(FIVE_MINUTES_MICROS).since(upgraded), RetainedSince::EVERYTHING.minutes);
}

#[test]
fn breakdowns_by_one_column_outlive_the_measurements() {
    use Resolution::{BreakdownDay, BreakdownHour, NotBrokenDown, Raw};
    let kept = RetainedSince::days(Timestamp::from_micros(100 * DAY_MICROS), 7, 14, 40);
    let resolutions = |tables, from: i64, length: i64, kept| {
        let plan = plan(range(from, length), tables, kept);
        plan.map(|plan| {
            let each = plan.segments.iter().map(|segment| (segment.resolution, segment.range.from().as_micros()));
            (plan.covers, each.collect::<Vec<_>>())
        })
    };
    let ragged = 92 * MINUTE_MICROS + 1;
    let of_names = TableChoice::Breakdowns(Detail::Name);
    // Hours are kept from day 60, measurements from day 93.
    let days = |days: i64| days * DAY_MICROS;
    assert_eq!(
        resolutions(of_names, days(80) + ragged, days(3), kept),
        Some((
            range(days(80) + HOUR_MICROS, days(3) + HOUR_MICROS),
            vec![(BreakdownHour, days(80) + HOUR_MICROS), (BreakdownDay, days(81)), (BreakdownHour, days(83))]
        ))
    );
    assert_eq!(
        resolutions(of_names, days(20) + ragged, days(75), kept),
        Some((
            range(days(20), days(75) + ragged),
            vec![
                (BreakdownDay, days(20)),
                (BreakdownHour, days(95)),
                (Raw, days(95) + HOUR_MICROS),
                (NotBrokenDown, days(93))
            ]
        ))
    );
    // Several columns end with the measurements, and so do days before breakdowns were kept.
    for (detail, kept) in [
        (Detail::All, kept),
        (Detail::Name, RetainedSince { kept_breakdowns: Timestamp::from_micros(days(93)), ..kept }),
    ] {
        assert_eq!(
            resolutions(TableChoice::Breakdowns(detail), days(20), days(75), kept),
            Some((range(days(93), days(2)), vec![(BreakdownDay, days(93)), (NotBrokenDown, days(93))]))
        );
        assert_eq!(resolutions(TableChoice::Breakdowns(detail), days(20), days(70), kept), None);
    }
    let later = RetainedSince { kept_breakdowns: Timestamp::from_micros(days(70)), ..kept };
    let (covers, _) = resolutions(of_names, days(20), days(70), later).unwrap();
    assert_eq!(covers, range(days(70), days(20)));
    let hourly = TableChoice::AlignedBreakdowns(Detail::Name, HOUR_MICROS);
    let (covers, segments) = resolutions(hourly, days(20), days(70), kept).unwrap();
    assert_eq!((covers, segments), (range(days(60), days(30)), vec![(BreakdownHour, days(60))]));
}
