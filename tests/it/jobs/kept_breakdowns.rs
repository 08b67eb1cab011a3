//! Breakdowns by one column when the single measurements are gone: the answers stay, and late measurements are in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use perfgraph::{
    clock::Clock,
    config,
    db::{Database, StatementLog},
    ingest::Candidate,
    jobs::{
        breakdowns,
        retention::{Retention, load_bounds},
    },
    model::{
        Key, ProjectId, Scope, TimeRange, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{GroupBy, GroupKey, Projects, Question, StatisticsNeeded, StatusFilter, totals},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sea_orm::ConnectionTrait;

use super::breakdowns::grouped;
use crate::{
    harness::{TestDatabase, books},
    ingest::batches::{ACME, ACME_SECOND, GLOBEX, NOW, Rig, candidate, submission},
    on_both_databases,
};

const KEPT: config::Retention = config::Retention {
    raw_days: 2,
    minute_days: 2,
    hour_days: 5,
    change_days: 30,
    key_days: 400,
    clock_settle_hours: 0,
};
/// Passes after which retention has removed what is before its bounds.
const PASSES: usize = 8;
/// A row that a commit added to a breakdown.
const ADDED: &str = "(detail = 2 AND name <> '') OR (detail IN (1, 3) AND release <> '')";

const ONE_COLUMN: [GroupBy; 3] = [GroupBy::StatusCode, GroupBy::Release, GroupBy::Name];

/// The start of a day before today.
const fn day(days: i64) -> Timestamp {
    NOW.floor(DAY_MICROS).plus_micros(-days * DAY_MICROS)
}

async fn rig(database: &TestDatabase) -> Rig {
    let settings = config::Ingest { time_window_past_hours: 30 * 24, ..config::Ingest::default() };
    Rig::with(database, settings, 1_024).await
}

/// Measurements from a time on, one each `step`, with one of so many names.
fn rows(seed: u64, from: Timestamp, step: i64, count: i64, names: usize) -> Vec<Candidate> {
    let mut rng = StdRng::seed_from_u64(seed);
    let row = |number: i64| Candidate {
        value: (rng.random_range(1.0..100.0_f64) * 1_000.0).round() / 1_000.0,
        status: Some(*[200, 200, 200, 404, 500].choose(&mut rng).unwrap()),
        timestamp: Some(from.plus_micros(number * step + 1)),
        name: Some(format!("n{}", rng.random_range(0..names))),
        release: Some(["1.0", "1.1", ""].choose(&mut rng).unwrap().to_string()),
        ..candidate(1.0)
    };
    (0..count).map(row).collect()
}

/// Four days of a series with busy and quiet hours, and of one with a measurement now and then.
async fn fill(rig: &Rig) {
    for days in 1..=4 {
        let seed = u64::try_from(days).unwrap();
        let busy = rows(seed, day(days), MINUTE_MICROS / 4, 6 * 240, 2);
        let quiet = rows(seed, day(days).plus_micros(7 * HOUR_MICROS), 11 * MINUTE_MICROS, 60, 3);
        rig.submit(submission(ACME, busy)).await.unwrap();
        rig.submit(submission(ACME, quiet)).await.unwrap();
        rig.submit(submission(ACME_SECOND, rows(seed, day(days), 47 * MINUTE_MICROS, 30, 20))).await.unwrap();
    }
}

async fn retain(database: &Database, at: Timestamp) {
    let mut retention = Retention::new(database.clone(), KEPT);
    for _ in 0..PASSES {
        retention.pass(&Clock::fixed(at)).await.unwrap();
    }
}

type Figures = (u64, u64, Option<f64>, Option<f64>, String);
type Answer = (TimeRange, BTreeMap<Vec<GroupKey>, Figures>);

fn question(projects: Vec<Key<ProjectId>>, window: TimeRange) -> Question {
    Question { projects: Projects::Keys(projects), ..Question::over(window) }
}

/// The answered window, and count, errors, minimum, maximum and 95th percentile of each group.
async fn ask(database: &Database, question: &Question, by: &[GroupBy]) -> Answer {
    let found = grouped(database, question, by).await;
    let mut covers = question.window;
    let figures = found.iter().map(|group| {
        covers = group.stats.accuracy.covers;
        let (tally, p95) = (&group.stats.tally, format!("{:?}", group.stats.percentile(0.95)));
        assert_eq!(tally.distribution.as_ref().unwrap().count(), tally.count);
        (group.keys.clone(), (tally.count, tally.errors, tally.min(), tally.max(), p95))
    });
    let figures = figures.collect();
    (covers, figures)
}

async fn count(database: &Database, question: &Question) -> u64 {
    let session = database.reader(StatementLog::default());
    totals::run(&Scope::everything(), &session, question, StatisticsNeeded::Scalars).await.unwrap().tally.count
}

fn hours(from: Timestamp, hours: i64) -> TimeRange {
    TimeRange::new(from, from.plus_micros(hours * HOUR_MICROS)).unwrap()
}

fn sum(answer: &Answer) -> u64 {
    answer.1.values().map(|figures| figures.0).sum()
}

on_both_databases! {
    async fn answers_by_one_column_stay_when_measurements_expire(database: TestDatabase) {
        let rig = rig(&database).await;
        fill(&rig).await;
        breakdowns::pass(&database.database, &Clock::fixed(NOW)).await.unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let mut windows = vec![hours(day(4), 96), hours(day(4), 24), hours(day(3), 24), hours(day(2), 5)];
        for _ in 0..8 {
            windows.push(hours(day(4).plus_micros(rng.random_range(0..90) * HOUR_MICROS), rng.random_range(1..60)));
        }
        let errors = StatusFilter { gte: Some(400), ..StatusFilter::default() };
        let mut questions = Vec::new();
        for window in windows {
            let plain = question(vec![ACME, ACME_SECOND], window);
            for by in ONE_COLUMN {
                questions.push((plain.clone(), by));
            }
            questions.push((Question { status: Some(errors.clone()), ..plain.clone() }, GroupBy::StatusCode));
            questions.push((Question { names: Some(vec!["n1".to_owned()]), ..plain.clone() }, GroupBy::Project));
            questions.push((Question { releases: Some(vec!["1.1".to_owned()]), ..plain }, GroupBy::Type));
        }
        let mut before = Vec::new();
        for (question, by) in &questions {
            before.push(ask(&database.database, question, &[*by]).await);
        }
        let mut retention = Retention::new(database.database.clone(), KEPT);
        for number in 0..PASSES {
            retention.pass(&Clock::fixed(NOW)).await.unwrap();
            for ((question, by), expected) in questions.iter().zip(&before) {
                let answer = ask(&database.database, question, &[*by]).await;
                assert_eq!(answer, *expected, "pass {number}: {question:?} by {by:?}");
            }
        }
        let left = format!("metric_event WHERE ts < {}", day(2).as_micros());
        assert_eq!(books::count(&database, &left).await, 0);
        assert_eq!(books::count(&database, &format!("metric_grain WHERE day < {}", day(2).as_micros())).await, 0);
        let several = format!("metric_breakdown_1h WHERE detail = 4 AND bucket < {}", day(2).as_micros());
        assert_eq!(books::count(&database, &several).await, 0);

        // Whole hours answer for a part of one, and whole days where hours are gone.
        let ragged = TimeRange::new(day(4).plus_micros(HOUR_MICROS + 7), day(4).plus_micros(3 * HOUR_MICROS - 7)).unwrap();
        let wide = question(vec![ACME], hours(day(4).plus_micros(HOUR_MICROS), 2));
        let answer = ask(&database.database, &Question { window: ragged, ..wide.clone() }, &[GroupBy::Name]).await;
        assert_eq!((answer.0, sum(&answer)), (wide.window, 480));
        assert_eq!(answer, ask(&database.database, &wide, &[GroupBy::Name]).await);
        retain(&database.database, NOW.plus_micros(2 * DAY_MICROS)).await;
        let answer = ask(&database.database, &Question { window: ragged, ..wide }, &[GroupBy::Name]).await;
        assert_eq!((answer.0, sum(&answer)), (hours(day(4), 24), 6 * 240 + 60));
        let old = format!("metric_breakdown_1h WHERE bucket < {}", day(3).as_micros());
        assert_eq!(books::count(&database, &old).await, 0);

        // Several columns, and a column by endpoint, end with the measurements.
        let all = question(vec![ACME], hours(day(4), 10 * 24));
        for by in [[GroupBy::Name, GroupBy::StatusCode], [GroupBy::Endpoint, GroupBy::StatusCode]] {
            assert_eq!(ask(&database.database, &all, &by).await.1, BTreeMap::new(), "{by:?}");
        }
    }
}

on_both_databases! {
    async fn late_measurements_of_expired_days_are_added(database: TestDatabase) {
        let rig = rig(&database).await;
        fill(&rig).await;
        retain(&database.database, NOW).await;
        let all = question(vec![ACME, ACME_SECOND, GLOBEX], hours(day(4), 4 * 24));
        let before = ask(&database.database, &all, &[GroupBy::StatusCode]).await;
        // Days that were broken down, and the first ones of an organization and of a type.
        let mut late = rows(9, day(4).plus_micros(20 * HOUR_MICROS), HOUR_MICROS, 30, 2);
        late[3].kind = perfgraph::model::MetricType::PageLoad;
        let first = rows(10, day(4), 25 * MINUTE_MICROS, 100, 3);
        for chunk in late.chunks(7) {
            rig.submit(submission(ACME, chunk.to_vec())).await.unwrap();
        }
        rig.submit(submission(GLOBEX, first)).await.unwrap();
        let added = books::count(&database, &format!("metric_breakdown_1d WHERE {ADDED}")).await;
        assert!(added > 10, "{added}");
        let mut answers = Vec::new();
        for by in ONE_COLUMN {
            let answer = ask(&database.database, &all, &[by]).await;
            assert_eq!(sum(&answer), sum(&before) + 130, "{by:?}");
            answers.push(answer);
        }
        let hour = question(vec![ACME], hours(day(4).plus_micros(22 * HOUR_MICROS), 1));
        let in_hour = ask(&database.database, &hour, &[GroupBy::Name]).await;
        retain(&database.database, NOW.plus_micros(DAY_MICROS)).await;
        for table in ["metric_breakdown_1h", "metric_breakdown_1d"] {
            assert_eq!(books::count(&database, &format!("{table} WHERE {ADDED}")).await, 0);
        }
        for (by, answer) in ONE_COLUMN.into_iter().zip(&answers) {
            assert_eq!(ask(&database.database, &all, &[by]).await, *answer, "{by:?}");
        }
        assert_eq!(ask(&database.database, &hour, &[GroupBy::Name]).await, in_hour);
    }
}

on_both_databases! {
    async fn the_most_frequent_names_are_told_apart(database: TestDatabase) {
        let rig = rig(&database).await;
        let mut many = rows(1, day(3), 10 * MINUTE_MICROS, 144, 1);
        for (number, row) in many.iter_mut().enumerate() {
            // The first 40 twice, in other hours.
            row.name = Some(format!("n{:03}", number % 104));
        }
        rig.submit(submission(ACME, many)).await.unwrap();
        retain(&database.database, NOW).await;
        let all = question(vec![ACME], hours(day(3), 24));
        let names = ask(&database.database, &all, &[GroupBy::Name]).await;
        let key = |name: &str| vec![GroupKey::Name(name.into())];
        assert_eq!((names.1.len(), sum(&names)), (101, 144));
        assert_eq!((names.1[&key("__other__")].0, names.1[&key("n000")].0, names.1[&key("n099")].0), (4, 2, 1));
        assert_eq!(count(&database.database, &Question { names: Some(vec!["n103".to_owned()]), ..all.clone() }).await, 0);
        // One that comes later counts among the others, unless it is more frequent.
        let mut late = rows(2, day(3), HOUR_MICROS, 3, 1);
        for (row, name) in late.iter_mut().zip(["new", "n103", "new"]) {
            row.name = Some(name.to_owned());
        }
        rig.submit(submission(ACME, late)).await.unwrap();
        retain(&database.database, NOW.plus_micros(DAY_MICROS)).await;
        let names = ask(&database.database, &all, &[GroupBy::Name]).await;
        assert_eq!((names.1.len(), sum(&names)), (101, 147));
        assert_eq!((names.1[&key("new")].0, names.1[&key("n000")].0), (2, 2));
        let of_hours = format!("metric_breakdown_1h WHERE detail = 3 AND name = 'new' AND bucket < {}", day(2).as_micros());
        assert_eq!(books::count(&database, &of_hours).await, 2);
    }
}

on_both_databases! {
    async fn days_before_the_upgrade_was_over_end_with_their_measurements(database: TestDatabase) {
        let rig = rig(&database).await;
        // As the migration does in a database that is in use.
        let sql =
            format!("INSERT INTO metric_kept (table_name, since) VALUES ('metric_breakdown_1d', {})", day(3).as_micros());
        database.writer().execute_unprepared(&sql).await.unwrap();
        load_bounds(&database.database).await.unwrap();
        fill(&rig).await;
        breakdowns::pass(&database.database, &Clock::fixed(NOW)).await.unwrap();
        let all = question(vec![ACME], hours(day(4), 4 * 24));
        let each: BTreeSet<u64> = [6 * 240 + 60].into();
        let mut retention = Retention::new(database.database.clone(), KEPT);
        for _ in 0..PASSES {
            retention.pass(&Clock::fixed(NOW)).await.unwrap();
            let answer = ask(&database.database, &all, &[GroupBy::StatusCode]).await;
            assert!(answer.0 == all.window || answer.0 == hours(day(3), 3 * 24), "{:?}", answer.0);
            assert!(each.contains(&(sum(&answer) / u64::try_from(answer.0.length_micros() / DAY_MICROS).unwrap())));
        }
        let oldest = format!("metric_breakdown_1h WHERE bucket < {}", day(3).as_micros());
        assert_eq!(books::count(&database, &oldest).await, 0);
        let refused = question(vec![ACME], hours(day(4), 24));
        let session = database.database.reader(StatementLog::default());
        let status = Some(StatusFilter { gte: Some(400), ..StatusFilter::default() });
        let refused = Question { status, ..refused };
        let error = totals::run(&Scope::everything(), &session, &refused, StatisticsNeeded::Scalars).await.unwrap_err();
        let expected = format!("counts by status, name and release are kept since {}: ask for a later time", day(3));
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

on_both_databases! {
    async fn answers_are_of_one_moment_while_days_expire_and_late_measurements_arrive(database: TestDatabase) {
        const COMMITS: u64 = 60;
        let (rig, other) = (rig(&database).await, database.reopen().await);
        fill(&rig).await;
        let all = question(vec![ACME], hours(day(4), 4 * 24));
        let begun = count(&database.database, &all).await;
        let (done, acknowledged) = (AtomicBool::new(false), AtomicU64::new(begun));
        let writing = async {
            for number in 0..COMMITS {
                let hour = i64::try_from(number * 5 % 96).unwrap();
                let late = rows(number, day(4).plus_micros(hour * HOUR_MICROS), 1, 1, 2);
                // Its writer may be busy for longer than a caller waits.
                while rig.submit(submission(ACME, late.clone())).await.is_err() {}
                acknowledged.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
            done.store(true, Ordering::SeqCst);
        };
        let expiring = async |database: &Database| {
            let mut retention = Retention::new(database.clone(), KEPT);
            let mut passes = 0;
            while !done.load(Ordering::SeqCst) || passes < PASSES {
                // It may be asked again, as any job; and an instance learns bounds before another one removes anything.
                let _ = retention.pass(&Clock::fixed(NOW)).await;
                breakdowns::pass(database, &Clock::fixed(NOW)).await.unwrap();
                passes += 1;
            }
        };
        let asking = async {
            let mut asked = 0;
            while !done.load(Ordering::SeqCst) {
                for by in ONE_COLUMN {
                    let least = acknowledged.load(Ordering::SeqCst);
                    let answer = ask(&database.database, &all, &[by]).await;
                    let most = acknowledged.load(Ordering::SeqCst) + 1;
                    assert!((least..=most).contains(&sum(&answer)), "{least} <= {} <= {most} by {by:?}", sum(&answer));
                }
                asked += 1;
            }
            asked
        };
        let ((), asked, (), ()) = tokio::join!(writing, asking, expiring(&database.database), expiring(&other));
        assert!(asked > 3, "{asked}");
        for at in [NOW, NOW.plus_micros(DAY_MICROS)] {
            retain(&database.database, at).await;
            for by in ONE_COLUMN {
                assert_eq!(sum(&ask(&database.database, &all, &[by]).await), begun + COMMITS, "{by:?}");
            }
        }
        assert_eq!(books::count(&database, &format!("metric_breakdown_1h WHERE {ADDED}")).await, 0);
    }
}
