//! Figures over time: every bucket of any length is what brute force finds in it.

use perfgraph::{
    db::Session,
    model::{
        TimeRange,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
    reports::{Bucket, Buckets, EndpointStats, Series, series},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{
    fixture::{START, range},
    *,
};

const COUNT_MAX: usize = 400;

/// Lengths of every kind: odd ones, ones that no coarser rollup fits in, days and weeks.
fn width(rng: &mut StdRng, question: &Question) -> i64 {
    let window = question.window.to().as_micros() - question.window.from().as_micros();
    let minutes = [1, 5, 7, 15, 30, 60, 90, 300].map(|minutes| minutes * MINUTE_MICROS);
    let even: Vec<_> = minutes.into_iter().chain([90_000_000]).collect();
    let long = [DAY_MICROS, 36 * HOUR_MICROS, 7 * DAY_MICROS];
    let width = match rng.random_range(0..4) {
        0 => rng.random_range(1..=window),
        1 => *long.choose(rng).unwrap(),
        _ => *even.choose(rng).unwrap(),
    };
    width.max(window / 100)
}

/// The buckets of a series in UTC, by arithmetic.
fn ranges(width: i64, question: &Question) -> Vec<TimeRange> {
    let monday = if width % (7 * DAY_MICROS) == 0 { 4 * DAY_MICROS } else { 0 };
    let mut start = question.window.from().plus_micros(-monday).floor(width).plus_micros(monday);
    let mut ranges = Vec::new();
    while start < question.window.to() {
        ranges.push(TimeRange::last(width, start.plus_micros(width)));
        start = start.plus_micros(width);
    }
    ranges
}

/// Asserts that the buckets are these, and that each has the figures of its events.
pub fn assert_buckets(
    buckets: &[Bucket],
    ranges: &[TimeRange],
    events: &[&Event],
    want: StatisticsNeeded,
    question: &Question,
) {
    assert_eq!(buckets.iter().map(|bucket| bucket.range).collect::<Vec<_>>(), ranges);
    for bucket in buckets {
        let inside: Vec<_> = events
            .iter()
            .copied()
            .filter(|event| bucket.range.from() <= event.ts && event.ts < bucket.range.to())
            .collect();
        assert_matches(&bucket.stats, &inside, want, question);
        let is_whole = question.window.from() <= bucket.range.from() && bucket.range.to() <= question.window.to();
        assert_eq!(bucket.is_whole, is_whole);
        assert_eq!(Some(bucket.stats.accuracy.covers), bucket.range.common(question.window));
    }
    assert_eq!(buckets.iter().map(|bucket| bucket.stats.tally.count).sum::<u64>(), events.len() as u64);
}

/// One statement for all parents of a kind, and each bucket as brute force has it.
pub async fn assert_series(
    session: &Session,
    scope: &Scope,
    question: &Question,
    (parents, events): (&[Parent], &[Vec<&Event>]),
    rng: &mut StdRng,
) {
    let want = *[StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles].choose(rng).unwrap();
    let width = width(rng, question);
    let series = Series { buckets: Buckets::in_utc(width, COUNT_MAX), want };
    let before = session.log().count();
    let answers = series::by_parent(scope, session, question, parents, &series).await.unwrap();
    assert!(session.log().count() <= before + 1, "one for any number of parents");
    assert_eq!(answers.len(), parents.len());
    for (parent, events) in parents.iter().zip(events) {
        assert_buckets(&answers[parent], &ranges(width, question), events, want, question);
    }
}

/// The series of everything, of all organizations, of all projects and of all endpoints of a ranking.
pub async fn assert_series_and_trends(
    world: &World,
    session: &Session,
    scope: &Scope,
    question: &Question,
    endpoints: &[EndpointStats],
    rng: &mut StdRng,
) {
    let of = |parent: Parent| {
        let events = world.matching(scope, &world.narrowed(question, &parent));
        (parent, events)
    };
    let organizations = [OURS, THEIRS].map(|id| of(Parent::Organization(id)));
    let projects = world.projects.iter().map(|key| of(Parent::Project(*key)));
    let trends = endpoints.iter().map(|endpoint| {
        let (_, mut events) = of(Parent::Project(endpoint.project));
        events.retain(|event| event.endpoint == endpoint.endpoint_id);
        (endpoint.as_parent(), events)
    });
    for asked in [
        vec![(Parent::Question, world.matching(scope, question))],
        organizations.into(),
        projects.collect(),
        trends.collect(),
    ] {
        let (parents, events): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        assert_series(session, scope, question, (&parents, &events), rng).await;
    }
}

on_both_databases! {
    async fn series_equal_brute_force_in_one_statement(database: TestDatabase) {
        let world = filled(&database).await;
        let mut rng = StdRng::seed_from_u64(SEED);
        for (index, question) in questions(6, 40).into_iter().enumerate() {
            let scope = scopes()[index % 3];
            let session = database.reader();
            let endpoints = slowest::run(&scope, &session, &question, slowest(Statistic::Count, 100, StatisticsNeeded::Scalars));
            let endpoints = endpoints.await.unwrap();
            assert_series_and_trends(&world, &session, &scope, &question, &endpoints, &mut rng).await;
        }
    }
}

on_both_databases! {
    async fn the_slowest_of_each_parent_are_those_that_it_has_alone(database: TestDatabase) {
        let world = filled(&database).await;
        for (index, question) in questions(7, 24).into_iter().enumerate() {
            let scope = scopes()[index % 3];
            let want = if index % 2 == 0 { StatisticsNeeded::Scalars } else { StatisticsNeeded::Percentiles };
            let ranked = slowest(STATISTICS[index % STATISTICS.len()], [1, 2, 100][index % 3], want);
            let organizations: Vec<_> = [OURS, THEIRS].map(Parent::Organization).into();
            for parents in [organizations, parents(&world.projects)] {
                let session = database.reader();
                let answers = slowest::by_parent(&scope, &session, &question, &parents, ranked).await.unwrap();
                // The ranking, and the distributions of its endpoints, up to 500 in a statement.
                assert!(session.log().count() <= if want == StatisticsNeeded::Scalars { 1 } else { 2 });
                for parent in parents {
                    let alone = world.narrowed(&question, &parent);
                    let expected = slowest::run(&scope, &session, &alone, ranked).await.unwrap();
                    let place = |one: &EndpointStats| (one.project, one.endpoint_id, one.stats.tally.count);
                    assert_eq!(
                        answers[&parent].iter().map(place).collect::<Vec<_>>(),
                        expected.iter().map(place).collect::<Vec<_>>(),
                        "{ranked:?} {question:?}"
                    );
                }
            }
        }
    }
}

on_both_databases! {
    async fn what_is_no_longer_kept_is_refused_or_left_out(database: TestDatabase) {
        filled(&database).await;
        let scope = Scope::everything();
        // More buckets than there may be.
        let question = Question::over(range(0, 10 * HOUR_MICROS));
        let buckets = Buckets::in_utc(1_000_000, COUNT_MAX);
        let refused = series::by_parent(
            &scope, &database.reader(), &question, &[Parent::Question], &Series { buckets, want: StatisticsNeeded::Scalars },
        ).await.unwrap_err().to_string();
        assert!(refused.starts_with("bucket: buckets of PT1S make 36000 of this window, and at most 400"), "{refused}");
        // The first is cut by the window, the last too: both say so.
        let question = Question::over(range(30_000_000, HOUR_MICROS));
        let buckets = Buckets::in_utc(HOUR_MICROS / 2, COUNT_MAX);
        let answer = series::by_parent(
            &scope, &database.reader(), &question, &[Parent::Question], &Series { buckets, want: StatisticsNeeded::Scalars },
        ).await.unwrap();
        let buckets: Vec<_> = answer[&Parent::Question].iter().map(|bucket| {
            (bucket.range.from(), bucket.is_whole, bucket.stats.accuracy.source, bucket.stats.accuracy.is_exact)
        }).collect();
        let at = |minutes: i64| START.plus_micros(minutes * MINUTE_MICROS);
        assert_eq!(buckets, [
            (at(0), false, AnswerSource::Mixed, true),
            (at(30), true, AnswerSource::Rollup, true),
            (at(60), false, AnswerSource::Raw, true),
        ]);
    }
}
