//! What is no longer kept goes a while after it is no longer asked for; coarser rollups answer, and the answers say so.

use futures_util::StreamExt;
use perfgraph::{
    clock::Clock,
    config,
    db::Backend,
    entity::{ingest_batch, metric_event},
    jobs::{
        compaction, partitions,
        retention::{self, Retention},
    },
    live::{Filter, GapReason},
    model::{
        Label, Scope, TimeRange, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{Question, StatisticsNeeded, Stats, StatusFilter, totals},
};
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait};

use crate::{
    harness::{TestDatabase, books},
    ingest::batches::{ACME, NOW, Rig, candidate, submission},
    on_both_databases,
};

const DAYS: config::Retention = config::Retention {
    raw_days: 2,
    minute_days: 4,
    hour_days: 6,
    change_days: 30,
    key_days: 8,
    clock_settle_hours: 0,
};
/// Looks after which the rows are gone: one publishes, the others find it published.
const LOOKS: usize = 5;

async fn ask(database: &TestDatabase, from: Timestamp, micros: i64) -> Stats {
    let window = TimeRange::new(from, from.plus_micros(micros)).unwrap();
    let session = database.reader();
    totals::run(&Scope::everything(), &session, &Question::over(window), StatisticsNeeded::Scalars).await.unwrap()
}

/// Raw rows, minutes, five minutes, hours and days. PostgreSQL drops a partition of hours when all of its 32 days are over,
/// so there only as many hours are counted as must be left.
async fn assert_left(database: &TestDatabase, mut expected: [usize; 5]) {
    let found = counts(database).await;
    if matches!(database.database.backend(), Backend::Postgres(_)) {
        assert!(found[3] >= expected[3]);
        expected[3] = found[3];
    }
    assert_eq!(found, expected);
}

async fn counts(database: &TestDatabase) -> [usize; 5] {
    let raw = metric_event::Entity::find().count(&database.reader()).await.unwrap();
    let rows = async |table| books::rows(database, table).await.len();
    [
        usize::try_from(raw).unwrap(),
        rows("metric_rollup_1m").await,
        rows("metric_rollup_5m").await,
        rows("metric_rollup_1h").await,
        rows("metric_rollup_1d").await,
    ]
}

/// A row every six hours of the last seven days before the start of today, each in the middle of a minute.
async fn filled(database: &TestDatabase) -> Timestamp {
    let today = NOW.floor(DAY_MICROS);
    let ahead = TimeRange::new(today.plus_micros(-5 * DAY_MICROS), today.plus_micros(DAY_MICROS)).unwrap();
    // What is older falls into the default partition on PostgreSQL, and goes too.
    partitions::ensure_range(&database.database, ahead).await.unwrap();
    let rig = Rig::with_all_rollups(database).await;
    rig.clock.set(today);
    let rows = (0..28).map(|number| {
        let mut row = candidate(f64::from(number));
        row.labels = vec![Label { key: "number".to_owned(), value: number.to_string() }];
        row.timestamp = Some(today.plus_micros(-i64::from(number) * 6 * HOUR_MICROS - 90 * MINUTE_MICROS - 30_000_000));
        row
    });
    rig.submit(submission(ACME, rows.collect())).await.unwrap();
    compaction::round(&database.database, today).await.unwrap();
    assert_eq!(counts(database).await, [28, 56, 56, 56, 14]);
    today
}

on_both_databases! {
    async fn what_is_not_kept_is_answered_from_coarser_rollups(database: TestDatabase) {
        let today = filled(&database).await;
        let clock = Clock::fixed(today);
        let day = |days: i64| today.plus_micros(-days * DAY_MICROS);
        let mut retention = Retention::new(database.database.clone(), DAYS);
        // An odd window at each age, while everything is kept: nothing is in it.
        let odd = 15 * MINUTE_MICROS + 7;
        for days in [2, 3, 5, 7] {
            let answer = ask(&database, day(days).plus_micros(odd), HOUR_MICROS).await;
            assert_eq!((answer.tally.count, answer.accuracy.is_exact), (0, true));
        }
        retention.pass(&clock).await.unwrap();
        assert_eq!(counts(&database).await, [28, 56, 56, 56, 14], "published, and not yet removed");
        for look in 1..LOOKS {
            retention.pass(&clock).await.unwrap();
            assert_eq!(counts(&database).await[0] == 8, look == LOOKS - 1, "look {look}");
        }
        // Two days of raw rows, four of minutes and of five, six of hours, all of days.
        assert_left(&database, [8, 32, 32, 48, 14]).await;
        assert_eq!(books::count(&database, "metric_label").await, 8, "labels go with their measurements");

        // From 22:00 on there is one in every six hours; each end of a window moves outward as far as it must.
        let at = 16 * HOUR_MICROS + 29 * MINUTE_MICROS + 1;
        for (days, width, count) in [(2, 1, 1), (4, MINUTE_MICROS, 1), (6, HOUR_MICROS, 1), (7, DAY_MICROS, 4)] {
            let (from, length) = (day(days).plus_micros(at), 20 * MINUTE_MICROS);
            let answer = ask(&database, from, length).await;
            let covers = (from.floor(width), from.plus_micros(length).ceil(width));
            assert_eq!((answer.accuracy.covers.from(), answer.accuracy.covers.to()), covers, "{days} days ago");
            assert_eq!(answer.accuracy.is_exact, days == 2);
            assert_eq!(answer.tally.count, count, "{days} days ago");
        }
        // Whole days are as exact as ever.
        let all = ask(&database, day(7), 7 * DAY_MICROS).await;
        assert_eq!((all.tally.count, all.accuracy.is_exact), (28, true));
        // A longer setting brings nothing back, and nobody believes that it does.
        let days = config::Retention { raw_days: 6, minute_days: 7, hour_days: 9, change_days: 30, key_days: 400, clock_settle_hours: 0 };
        let mut longer = Retention::new(database.reopen().await, days);
        for _ in 0..2 * LOOKS {
            longer.pass(&clock).await.unwrap();
        }
        assert!(!ask(&database, day(5).plus_micros(odd), HOUR_MICROS).await.accuracy.is_exact);
        assert_left(&database, [8, 32, 32, 48, 14]).await;
        // Another day, another round.
        clock.set(today.plus_micros(DAY_MICROS));
        for _ in 0..LOOKS {
            retention.pass(&clock).await.unwrap();
        }
        assert_left(&database, [4, 24, 24, 40, 14]).await;
    }
}

on_both_databases! {
    async fn five_minutes_that_are_not_complete_yet_stay(database: TestDatabase) {
        let today = filled(&database).await;
        let later = today.plus_micros(2 * DAY_MICROS);
        // As the change of the schema that made them leaves it.
        let upgraded = format!("INSERT INTO metric_kept VALUES ('metric_rollup_5m', {})", later.as_micros());
        database.writer().execute_unprepared(&upgraded).await.unwrap();
        let mut retention = Retention::new(database.database.clone(), DAYS);
        for _ in 0..LOOKS {
            retention.pass(&Clock::fixed(today)).await.unwrap();
        }
        assert_left(&database, [8, 32, 32, 48, 14]).await;
        let kept = retention::load_bounds(&database.database).await.unwrap();
        assert_eq!((kept.five_minutes, kept.minutes), (later, today.plus_micros(-4 * DAY_MICROS)));
        let ask = async |days: i64| ask(&database, today.plus_micros(-days * DAY_MICROS), days * DAY_MICROS).await.tally.count;
        assert_eq!((ask(1).await, ask(4).await, ask(7).await), (4, 16, 28));
    }
}

on_both_databases! {
    async fn five_minutes_are_kept_no_longer_than_minutes(database: TestDatabase) {
        let since = NOW.floor(DAY_MICROS);
        // Published by a server that knew of no five minutes.
        let old = format!("INSERT INTO metric_kept VALUES ('metric_rollup_1m', {})", since.as_micros());
        database.writer().execute_unprepared(&old).await.unwrap();
        let kept = retention::load_bounds(&database.database).await.unwrap();
        assert_eq!((kept.minutes, kept.five_minutes), (since, since));
    }
}

on_both_databases! {
    async fn a_status_is_asked_of_what_is_kept(database: TestDatabase) {
        let today = filled(&database).await;
        let mut retention = Retention::new(database.database.clone(), DAYS);
        for _ in 0..LOOKS {
            retention.pass(&Clock::fixed(today)).await.unwrap();
        }
        let ask = async |from: i64, to: i64, names: Option<Vec<String>>| {
            let day = |days: i64| today.plus_micros(-days * DAY_MICROS);
            let window = TimeRange::new(day(from), day(to)).unwrap();
            let status = Some(StatusFilter { eq: Some(200), ..StatusFilter::default() });
            let question = Question { status, names, ..Question::over(window) };
            totals::run(&Scope::everything(), &database.reader(), &question, StatisticsNeeded::Scalars).await
        };
        let answer = ask(5, 0, None).await.unwrap();
        assert_eq!((answer.tally.count, answer.accuracy.is_exact), (20, true));
        // Of several columns only of the single measurements.
        let unnamed = || Some(vec![String::new()]);
        let answer = ask(5, 0, unnamed()).await.unwrap();
        assert_eq!((answer.tally.count, answer.accuracy.is_exact), (8, false));
        assert_eq!(answer.accuracy.covers.from(), today.plus_micros(-2 * DAY_MICROS));
        assert!(ask(1, 0, unnamed()).await.unwrap().accuracy.is_exact);
        let refused = ask(5, 2, unnamed()).await.unwrap_err().to_string();
        assert!(refused.contains("which are kept since"), "{refused}");
    }
}

on_both_databases! {
    async fn keys_and_places_in_streams_are_forgotten_in_time(database: TestDatabase) {
        let rig = Rig::with_all_rollups(&database).await;
        let keyed = |value| {
            let mut keyed = submission(ACME, vec![candidate(value)]);
            keyed.idempotency_key = Some("one".to_owned());
            keyed
        };
        let first = rig.submit(keyed(1.0)).await.unwrap();
        // Without a row it has no place in streams, and goes all the same.
        let mut refused = keyed(f64::NAN);
        refused.idempotency_key = Some("two".to_owned());
        rig.submit(refused).await.unwrap();
        rig.submit(submission(ACME, vec![candidate(2.0)])).await.unwrap();
        let ledger = async || ingest_batch::Entity::find().count(&database.reader()).await.unwrap();
        let look = async |after_micros| {
            let clock = Clock::fixed(NOW.plus_micros(i64::from(DAYS.key_days) * DAY_MICROS + after_micros));
            Retention::new(database.database.clone(), DAYS).pass(&clock).await.unwrap();
        };
        look(0).await;
        assert_eq!(ledger().await, 3);
        assert!(rig.submit(keyed(1.0)).await.unwrap().duplicate);
        look(1).await;
        assert_eq!(ledger().await, 0);
        let again = rig.submit(keyed(1.0)).await.unwrap();
        assert!(!again.duplicate && again.accepted == 1, "{again:?}");
        let filter = Filter { organization: Some(ACME.organization), ..Default::default() };
        let mut events = crate::live::streams::resumed(&database, &rig, filter, &first.cursor.unwrap().into()).await;
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(event.gap.unwrap().reason, GapReason::Retention);
    }
}

const CAREFUL: config::Retention = config::Retention { clock_settle_hours: 24, ..DAYS };
const YEAR_MICROS: i64 = 365 * DAY_MICROS;

/// Stores the time at which retention last believed a clock, so that a database that nobody has served yet has a past.
async fn remember_clock(database: &TestDatabase, at: Timestamp) {
    let sql = format!("INSERT INTO retention_state VALUES ('clock', {})", at.as_micros());
    database.writer().execute_unprepared(&sql).await.unwrap();
}

/// The clock of PostgreSQL cannot be set, so the day of the data is today.
async fn filled_today(database: &TestDatabase) -> Timestamp {
    let now = Clock::system().now();
    let today = now.floor(DAY_MICROS);
    let rig = Rig::with_all_rollups(database).await;
    rig.clock.set(now);
    let rows = (0..6).map(|number| {
        let mut row = candidate(f64::from(number));
        row.timestamp = Some(today.plus_micros(-i64::from(number) * DAY_MICROS - HOUR_MICROS));
        row
    });
    let mut keyed = submission(ACME, rows.collect());
    keyed.idempotency_key = Some("one".to_owned());
    rig.submit(keyed).await.unwrap();
    compaction::round(&database.database, now).await.unwrap();
    now
}

on_both_databases! {
    /// For four passes a minute, and as long as it likes.
    async fn a_server_a_year_ahead_removes_nothing(database: TestDatabase) {
        let now = filled_today(&database).await;
        let clock = Clock::fixed(now);
        let before = counts(&database).await;
        let ledger = async || ingest_batch::Entity::find().count(&database.reader()).await.unwrap();
        let mut running = Retention::new(database.database.clone(), CAREFUL);
        running.pass(&clock).await.unwrap();
        let kept = retention::load_bounds(&database.database).await.unwrap();
        assert_eq!(kept.raw, now.floor(DAY_MICROS).plus_micros(-2 * DAY_MICROS));
        clock.set(now.plus_micros(YEAR_MICROS));
        // One that was running, one that starts with the wrong clock.
        let mut started = Retention::new(database.reopen().await, CAREFUL);
        for _ in 0..2 * LOOKS {
            running.pass(&clock).await.unwrap();
            started.pass(&clock).await.unwrap();
        }
        assert_eq!((counts(&database).await, ledger().await), (before, 1));
        assert_eq!(retention::load_bounds(&database.database).await.unwrap(), kept);
        // The clock is right again, and everything goes on where it was.
        clock.set(now);
        for _ in 0..LOOKS {
            running.pass(&clock).await.unwrap();
        }
        assert_eq!(retention::load_bounds(&database.database).await.unwrap(), kept);
        assert_eq!((counts(&database).await[0], ledger().await), (2, 1));
    }
}

on_both_databases! {
    async fn bounds_of_a_wrong_clock_go_back(database: TestDatabase) {
        let now = filled_today(&database).await;
        let (today, clock) = (now.floor(DAY_MICROS), Clock::fixed(now));
        let ahead = now.plus_micros(YEAR_MICROS);
        // Published with a setting that believes everything, and not yet removed.
        let mut blind = Retention::new(database.database.clone(), DAYS);
        blind.pass(&Clock::fixed(ahead)).await.unwrap();
        assert!(retention::load_bounds(&database.database).await.unwrap().raw > now);
        let before = counts(&database).await;
        let mut careful = Retention::new(database.database.clone(), CAREFUL);
        careful.pass(&clock).await.unwrap();
        let kept = retention::load_bounds(&database.database).await.unwrap();
        assert_eq!(kept.raw, today.plus_micros(-2 * DAY_MICROS), "all that was there is there");
        assert_eq!(counts(&database).await, before);
        // Published and removed: complete from today on, which is asked at once and not in a year.
        let mut blind = Retention::new(database.database.clone(), DAYS);
        for _ in 0..=LOOKS {
            blind.pass(&Clock::fixed(ahead)).await.unwrap();
        }
        assert_eq!(counts(&database).await[0], 0);
        for _ in 0..2 {
            careful.pass(&clock).await.unwrap();
        }
        let kept = retention::load_bounds(&database.database).await.unwrap();
        assert_eq!((kept.raw, kept.minutes, kept.hours), (today, today, today));
    }
}

on_both_databases! {
    /// Off for longer than a day: nothing is removed until the clock has run evenly for long enough, or an operator says so.
    async fn a_start_after_a_long_time_removes_nothing_at_first(database: TestDatabase) {
        let now = filled_today(&database).await;
        let clock = Clock::fixed(now);
        remember_clock(&database, now.plus_micros(-30 * DAY_MICROS)).await;
        let before = counts(&database).await;
        let mut careful = Retention::new(database.database.clone(), CAREFUL);
        for _ in 0..LOOKS {
            careful.pass(&clock).await.unwrap();
        }
        assert_eq!(counts(&database).await, before);
        let mut told = Retention::new(database.database.clone(), DAYS);
        for _ in 0..LOOKS {
            told.pass(&clock).await.unwrap();
        }
        assert_eq!(counts(&database).await[0], 2);
    }
}
