//! Whatever was merged when, and in which order the measurements arrived: an answer that is stitched together from days,
//! hours, minutes, parts and raw rows is the answer of brute force.

use perfgraph::{
    jobs::compaction,
    model::{
        TimeRange,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
    reports::StatusFilter,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    fixture::{START, write_events},
    *,
};
use crate::harness::books;

pub const DAYS: i64 = 5;
/// Far more than there are.
const EXACT_ROWS_MAX: u32 = 100_000;

/// Random numbers that can be repeated: the test says its seed when it fails.
#[expect(clippy::print_stdout, reason = "shown when the test fails, so that the run can be repeated")]
pub fn random() -> (u64, StdRng) {
    let rng_seed: u64 = rand::random();
    println!("rng seed {rng_seed}");
    (rng_seed, StdRng::seed_from_u64(rng_seed))
}

/// Ragged and aligned, from minutes to more than there is.
pub fn window(rng: &mut StdRng) -> TimeRange {
    let span = DAYS * DAY_MICROS;
    match rng.random_range(0..5) {
        0 => range(rng.random_range(-1..DAYS) * DAY_MICROS, rng.random_range(1..=DAYS) * DAY_MICROS),
        1 => range(rng.random_range(0..100) * HOUR_MICROS, rng.random_range(1..80) * HOUR_MICROS),
        2 => range(rng.random_range(0..span), rng.random_range(1..2 * HOUR_MICROS)),
        _ => range(rng.random_range(-HOUR_MICROS..span), rng.random_range(1..span)),
    }
}

on_both_databases! {
    async fn any_window_order_and_state_answers_as_brute_force(database: TestDatabase) {
        let (rng_seed, mut rng) = random();
        let mut world = World::over(rng_seed, DAYS * 24 * 60);
        let writer = database.writer();
        world.write_directory(&writer).await;
        let all = std::mem::take(&mut world.events);
        let mut sources = HashMap::new();
        let mut merged = 0;
        for commit in all.chunk_by(Event::is_of_one_commit) {
            write_events(&writer, commit).await;
            world.events.extend_from_slice(commit);
            if rng.random_bool(0.7) {
                // Any time is as good as another: what is late comes into rows that are merged already.
                let until = START.plus_micros(rng.random_range(0..DAYS * DAY_MICROS));
                merged += compaction::round(&database.database, until).await.unwrap();
            }
            for (index, question) in questions(rng.random(), 12).into_iter().enumerate() {
                let exact = rng.random_bool(0.3).then_some(EXACT_ROWS_MAX);
                let question = Question { window: window(&mut rng), exact, ..question };
                let scope = scopes()[index % 3];
                let events = world.matching(&scope, &question);
                for want in [StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles] {
                    let session = database.database.reader(StatementLog::default());
                    let answer = totals::run(&scope, &session, &question, want).await.unwrap();
                    assert_matches(&answer, &events, want, &question);
                    assert_eq!(answer.accuracy.covers, question.window);
                    assert!(session.log().count() <= 1);
                    *sources.entry(format!("{:?}", answer.accuracy.source)).or_insert(0) += events.len().min(1);
                }
                let session = database.reader();
                let ranked = slowest(Statistic::Max, 100, StatisticsNeeded::Percentiles);
                let answer = slowest::run(&scope, &session, &question, ranked).await.unwrap();
                series::assert_series_and_trends(&world, &session, &scope, &question, &answer, &mut rng).await;
                groups::assert_groups(&world, &session, &scope, &question, &mut rng).await;
                let mut expected = by_endpoint(&events);
                for endpoint in answer {
                    let path = expected.keys().find(|key| (key.0, key.1) == (endpoint.project, endpoint.endpoint.as_str()));
                    let events = path.copied().and_then(|key| expected.remove(&key)).unwrap();
                    assert_matches(&endpoint.stats, &events, StatisticsNeeded::Percentiles, &question);
                }
                assert!(expected.is_empty(), "{question:?}");
            }
        }
        assert!(merged > 1_000 && sources.len() == 3, "{merged} {sources:?}");
    }
}

on_both_databases! {
    async fn worst_samples_are_found_in_merged_rows_too(database: TestDatabase) {
        let world = World::over(SEED, DAYS * 24 * 60);
        world.write(&database.writer()).await;
        compaction::round(&database.database, START.plus_micros(4 * DAY_MICROS)).await.unwrap();
        let scope = Scope::everything();
        let mut keys: Vec<EndpointKey> = world.events.iter()
            .map(|event| EndpointKey { project: event.project, endpoint: event.endpoint })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let mut rng = StdRng::seed_from_u64(SEED);
        for status in [None, Some(StatusFilter { gte: Some(400), ..StatusFilter::default() })] {
            for _ in 0..20 {
                let question = Question { status: status.clone(), ..Question::over(window(&mut rng)) };
                let answer = worst_sample::by_endpoint(&scope, &database.reader(), &question, &keys).await.unwrap();
                let mut expected: HashMap<EndpointKey, f64> = HashMap::new();
                for event in world.matching(&scope, &question) {
                    let key = EndpointKey { project: event.project, endpoint: event.endpoint };
                    let worst = expected.entry(key).or_insert(event.value);
                    *worst = worst.max(event.value);
                }
                let answer: HashMap<_, _> = answer.into_iter().map(|(key, sample)| (key, sample.value)).collect();
                assert_eq!(answer, expected, "{question:?}");
            }
        }
    }
}

on_both_databases! {
    async fn merging_leaves_one_row_per_bucket_and_no_parts(database: TestDatabase) {
        let world = World::over(SEED, 3 * 24 * 60);
        world.write(&database.writer()).await;
        let parts = books::rows(&database, "metric_rollup_part").await;
        let merged = compaction::round(&database.database, START.plus_micros(3 * DAY_MICROS)).await.unwrap();
        assert_eq!(merged, parts.len());
        assert!(books::rows(&database, "metric_rollup_part").await.is_empty());
        for (table, width) in books::LEVELS {
            let place = |row: &perfgraph::entity::metric_rollup_part::Model| {
                (row.organization_id, row.project_id, row.kind, row.bucket.floor(width), row.endpoint_id)
            };
            let has_level = |row: &&perfgraph::entity::metric_rollup_part::Model| {
                let project = Key::new(row.organization_id, row.project_id);
                let grain = fixture::grain_of(project, MetricType::from_code(row.kind).unwrap(), row.bucket);
                let is_all = row.endpoint_id == EndpointId::ALL;
                let finest = if is_all { grain.all_endpoints } else { grain.by_endpoint };
                finest.width_micros().is_some_and(|finest| finest <= width)
            };
            let expected: std::collections::HashSet<_> = parts.iter().filter(has_level).map(place).collect();
            let rows = books::rows(&database, table).await;
            assert_eq!(rows.len(), expected.len(), "{table}");
            assert!(rows.iter().all(|row| row.part == 0 && row.bucket == row.bucket.floor(width)), "{table}");
        }
        assert_eq!(compaction::round(&database.database, START.plus_micros(3 * DAY_MICROS)).await.unwrap(), 0);
    }
}
