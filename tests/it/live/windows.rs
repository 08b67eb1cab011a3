//! Live windows: whatever is committed, whenever it arrives and whoever watches, a window equals what the database holds
//! about the same stretch of time.

pub mod subscriptions;

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{Stream, StreamExt, future::join_all};
use perfgraph::{
    clock::Clock,
    config,
    entity::{endpoint, metric_event},
    error::{Code, Result},
    ingest::Candidate,
    live::{
        CommittedBatch, Filter, Windows,
        window::{
            GroupKey, GroupLabels, LiveWindow, WindowGroups, WindowQuery, WindowRegistry, WindowRequest,
            WindowSnapshot, WindowUpdate,
        },
    },
    model::{
        Key, Labels, Measurement, MetricType, OrganizationId, ProjectId, Role, Scope, Sketch, StreamCursor, Sum,
        Timestamp, metric::ERROR_STATUS_MIN, timestamp::SECOND_MICROS,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::EntityTrait;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{TestDatabase, process::PATIENCE},
    ingest::batches::{ACME, ACME_SECOND, GLOBEX, NOW, Rig, candidate, submission},
    on_both_databases,
};

const MINUTE: i64 = 60 * SECOND_MICROS;

/// Time from the end of a window to its push, in microseconds.
const DELAY: i64 = 250_000;
/// Time from the end of a window to its last revision, in microseconds.
const GRACE: i64 = 5 * SECOND_MICROS;

/// Small limits, which a few windows reach.
fn settings() -> config::Live {
    config::Live {
        window_max_hours: 24,
        window_every_min: Duration::from_millis(500),
        window_steps_max: 600,
        window_groups_max: 1_000,
        window_cells_max: 100_000,
        windows_max: 20,
        window_delay: Duration::from_millis(250),
        window_grace: Duration::from_secs(5),
        ..config::Live::default()
    }
}

type States = Pin<Box<dyn Stream<Item = Result<Arc<LiveWindow>>> + Send>>;

/// The windows of a server, with the one that runs them.
struct Live {
    windows: Windows,
    stopping: CancellationToken,
}

impl Live {
    fn over(database: &TestDatabase, rig: &Rig) -> Self {
        Self::bounded(database, rig, settings())
    }

    fn bounded(database: &TestDatabase, rig: &Rig, settings: config::Live) -> Self {
        let (windows, runner) = Windows::new(&settings, database.database.clone(), rig.clock.clone(), &rig.publisher);
        let stopping = CancellationToken::new();
        tokio::spawn(runner.run(stopping.clone()));
        Self { windows, stopping }
    }

    async fn try_watch(&self, ask: &Ask, after: Option<StreamCursor>) -> Result<States> {
        let scope = Scope::organization(ACME.organization, Role::Viewer);
        let states = self.windows.watch(&scope, ask.request(after)).await?;
        Ok(Box::pin(states))
    }

    async fn watch(&self, ask: &Ask) -> States {
        self.try_watch(ask, None).await.unwrap()
    }
}

/// What is watched.
#[derive(Clone, Debug)]
struct Ask {
    filter: Filter,
    window: i64,
    every: i64,
    group_by: Vec<GroupKey>,
}

impl Ask {
    fn of(window: i64, every: i64) -> Self {
        let filter = Filter { organization: Some(ACME.organization), ..Filter::default() };
        Self { filter, window, every, group_by: Vec::new() }
    }

    fn request(&self, after: Option<StreamCursor>) -> WindowRequest {
        WindowRequest {
            filter: self.filter.clone(),
            length: self.window,
            every: self.every,
            group_by: self.group_by.clone(),
            after,
        }
    }

    fn by(self, keys: &[GroupKey]) -> Self {
        Self { group_by: keys.to_vec(), ..self }
    }

    fn with(mut self, change: impl FnOnce(&mut Filter)) -> Self {
        change(&mut self.filter);
        self
    }
}

fn asks() -> Vec<Ask> {
    use GroupKey::{Endpoint, Project, StatusCode, Type};
    let routes = || vec!["GET /route/a".to_owned(), "GET /route/c".to_owned(), "GET /nowhere".to_owned()];
    vec![
        Ask::of(MINUTE, SECOND_MICROS),
        Ask::of(5 * MINUTE, 2 * SECOND_MICROS).by(&[Project, Endpoint]),
        Ask::of(MINUTE, MINUTE).by(&[Type, StatusCode]).with(|filter| filter.projects = vec![ACME_SECOND]),
        Ask::of(7 * SECOND_MICROS, 3 * SECOND_MICROS).by(&[Endpoint]).with(|filter| filter.endpoints = routes()),
        Ask::of(10 * MINUTE, 10 * SECOND_MICROS).by(&[Type]).with(|filter| {
            filter.kinds = vec![MetricType::Database, MetricType::Custom];
            filter.min_value = Some(42.0);
        }),
        Ask::of(30 * MINUTE, 30 * SECOND_MICROS).with(|filter| {
            filter.projects = vec![ACME, ACME_SECOND];
            filter.endpoints = routes();
        }),
    ]
}

/// Rows from before every window into the future, in no order.
fn rows(rng: &mut StdRng, now: Timestamp, count: usize) -> Vec<Candidate> {
    let row = |_| {
        let old = [3 * SECOND_MICROS, 90 * SECOND_MICROS, 40 * MINUTE][rng.random_range(0..3)];
        let endpoint = ["a", "b", "c", "d"][rng.random_range(0..4)];
        Candidate {
            kind: MetricType::ALL[rng.random_range(0..5)],
            value: (rng.random_range(0.0..100.0_f64) * 1_000.0).round() / 1_000.0,
            endpoint: format!("GET /route/{endpoint}"),
            status: [None, Some(200), Some(404), Some(500)][rng.random_range(0..4)],
            timestamp: Some(now.plus_micros(-rng.random_range(0..old) + rng.random_range(0..4) * SECOND_MICROS)),
            name: None,
            release: None,
            labels: Vec::new(),
        }
    };
    (0..count).map(row).collect()
}

/// The same by the book: everything that is stored, added up.
#[derive(Debug, Default, PartialEq)]
struct Book {
    count: u64,
    errors: u64,
    sum: Sum,
    min: Option<f64>,
    max: Option<f64>,
    sketch: Vec<u8>,
}

type Books = BTreeMap<(GroupLabels, Option<String>), Book>;

async fn recomputed(database: &TestDatabase, ask: &Ask, window: &LiveWindow) -> Books {
    let session = database.reader();
    let paths: HashMap<_, _> =
        endpoint::Entity::find().all(&session).await.unwrap().into_iter().map(|row| (row.id, row.path)).collect();
    let mut groups: BTreeMap<(GroupLabels, Option<String>), (Book, Sketch)> = BTreeMap::new();
    for row in metric_event::Entity::find().all(&session).await.unwrap() {
        let kind = MetricType::from_code(row.kind).unwrap();
        let path = &paths[&row.endpoint_id];
        let filter = &ask.filter;
        let project = Key::new(row.organization_id, row.project_id);
        let passes = row.organization_id == ACME.organization
            && (filter.projects.is_empty() || filter.projects.contains(&project))
            && (filter.kinds.is_empty() || filter.kinds.contains(&kind))
            && (filter.endpoints.is_empty() || filter.endpoints.contains(path))
            && filter.min_value.is_none_or(|min| row.value >= min)
            && (window.range.from()..window.range.to()).contains(&row.ts);
        if !passes {
            continue;
        }
        let by = |key| ask.group_by.contains(&key);
        let place = GroupLabels {
            project: by(GroupKey::Project).then_some(row.project_id),
            kind: by(GroupKey::Type).then_some(kind),
            status: by(GroupKey::StatusCode).then_some(row.status),
        };
        let (book, sketch) = groups.entry((place, by(GroupKey::Endpoint).then(|| path.clone()))).or_default();
        book.count += 1;
        book.errors += u64::from(row.status >= ERROR_STATUS_MIN);
        book.sum.add(row.value);
        book.min = Some(book.min.map_or(row.value, |min| min.min(row.value)));
        book.max = Some(book.max.map_or(row.value, |max| max.max(row.value)));
        sketch.record(row.bin, 1);
    }
    if groups.is_empty() && ask.group_by.is_empty() {
        groups.entry((GroupLabels::default(), None)).or_default();
    }
    groups.into_iter().map(|(key, (book, sketch))| (key, Book { sketch: sketch.encode(), ..book })).collect()
}

/// Sums are added up in another order, and equal to the last bit.
#[track_caller]
fn assert_equal(window: &LiveWindow, mut books: Books, hint: &str) {
    for group in &window.groups {
        let book = books.remove(&(group.labels, group.endpoint.clone()));
        let book = book.unwrap_or_else(|| panic!("{hint}: no such group: {group:?}"));
        let figures = &group.tally;
        // A window that begins with stored measurements reads a sum per slot from the database, which is rounded.
        let (sum, added_up) = (figures.sum.value(), book.sum.value());
        assert!((sum - added_up).abs() <= 4.0 * f64::EPSILON * added_up.abs(), "{hint}: {sum}, not {added_up}");
        let seen = Book {
            count: figures.count,
            errors: figures.errors,
            sum: book.sum,
            min: figures.min(),
            max: figures.max(),
            sketch: figures.distribution.encode(),
        };
        assert_eq!(seen, book, "{hint}: {:?} {:?} {:?}", window.range, group.labels, group.endpoint);
    }
    assert!(books.is_empty(), "{hint}: missing {books:?}");
}

async fn next(states: &mut States) -> Arc<LiveWindow> {
    timeout(PATIENCE, states.next()).await.expect("a window comes in time").unwrap().unwrap()
}

/// The first window that counts everything up to a commit. Time goes on while it is waited for.
async fn counting(states: &mut States, clock: &Clock, sequence: i64, hint: &str) -> Arc<LiveWindow> {
    for _ in 0..1_000 {
        match timeout(Duration::from_millis(20), states.next()).await {
            Ok(window) => {
                let window = window.unwrap().unwrap();
                if window.cursor.sequence >= sequence {
                    return window;
                }
            }
            Err(_) => clock.set(clock.now().plus_micros(SECOND_MICROS)),
        }
    }
    panic!("{hint}: no window counts commit {sequence}");
}

on_both_databases! {
    async fn a_window_equals_the_database_in_whatever_order_rows_arrive(database: TestDatabase) {
        let seed = rand::random();
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = config::Ingest::default();
        // A channel that is too short now and then: what is lost there is read again.
        let rig = Rig::with(&database, settings, [3, 1_024][rng.random_range(0..2)]).await;
        let live = Live::over(&database, &rig);
        let mut watched: Vec<(Ask, States)> = Vec::new();
        let mut asks = asks().into_iter();
        for round in 0..8 {
            // The first windows are read before anything is there, others while it is written, others again when all is.
            let submissions: Vec<_> = (0..6)
                .map(|_| {
                    let project = [ACME, ACME_SECOND, ACME, GLOBEX][rng.random_range(0..4)];
                    let count = rng.random_range(1..40);
                    submission(project, rows(&mut rng, rig.clock.now(), count))
                })
                .collect();
            let ask = asks.next();
            let opening = async {
                match ask {
                    Some(ask) => Some((ask.clone(), live.watch(&ask).await)),
                    None => None,
                }
            };
            let (opened, receipts) = tokio::join!(opening, join_all(submissions.into_iter().map(|one| rig.submit(one))));
            watched.extend(opened);
            let cursors = receipts.into_iter().filter_map(|receipt| receipt.unwrap().cursor);
            let last = cursors.filter(|cursor| cursor.organization == ACME.organization).map(|cursor| cursor.sequence).max();
            rig.clock.set(rig.clock.now().plus_micros(rng.random_range(0..70) * SECOND_MICROS));
            for (ask, states) in &mut watched {
                let hint = format!("seed {seed}, round {round}, {ask:?}");
                let window = counting(states, &rig.clock, last.unwrap_or(0), &hint).await;
                assert_equal(&window, recomputed(&database, ask, &window).await, &hint);
            }
        }
        live.stopping.cancel();
    }
}

on_both_databases! {
    async fn what_another_server_committed_is_counted(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let other = Rig::beside(&database).await;
        let live = Live::over(&database, &rig);
        let ask = Ask::of(MINUTE, SECOND_MICROS).by(&[GroupKey::Project]);
        let mut states = live.watch(&ask).await;
        assert_eq!(next(&mut states).await.groups, []);
        let at = |value| Candidate { timestamp: Some(NOW.plus_micros(-SECOND_MICROS)), ..candidate(value) };
        for value in [1.0, 2.0, 3.0] {
            other.submit(submission(ACME, vec![at(value)])).await.unwrap();
        }
        rig.submit(submission(ACME_SECOND, vec![at(4.0)])).await.unwrap();
        let window = counting(&mut states, &rig.clock, 4, "two servers").await;
        assert_equal(&window, recomputed(&database, &ask, &window).await, "two servers");
        assert_eq!(window.groups.iter().map(|group| group.tally.count).collect::<Vec<_>>(), [3, 1]);
    }
}

on_both_databases! {
    async fn late_rows_revise_a_window_until_it_is_final(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let live = Live::over(&database, &rig);
        let mut states = live.watch(&Ask::of(MINUTE, MINUTE)).await;
        let at = |micros: i64| Candidate { timestamp: Some(NOW.floor(MINUTE).plus_micros(micros)), ..candidate(1.0) };
        let state = |window: &Arc<LiveWindow>| (window.revision, window.is_final, window.groups[0].tally.count);
        // NOW is 20 seconds past the minute: the last whole minute is final.
        let first = next(&mut states).await;
        assert_eq!((first.range.to(), state(&first)), (NOW.floor(MINUTE), (0, true, 0)));
        rig.submit(submission(ACME, vec![at(0), at(MINUTE - 1), at(MINUTE)])).await.unwrap();
        let end = NOW.floor(MINUTE).plus_micros(MINUTE);
        rig.clock.set(end.plus_micros(DELAY - 1));
        assert!(timeout(Duration::from_millis(300), states.next()).await.is_err(), "not before its delay is over");
        rig.clock.set(end.plus_micros(DELAY));
        let second = next(&mut states).await;
        assert_eq!((second.range.to(), state(&second)), (end, (0, false, 2)));
        rig.submit(submission(ACME, vec![at(7)])).await.unwrap();
        rig.clock.set(end.plus_micros(3 * DELAY));
        assert_eq!(state(&next(&mut states).await), (1, false, 3));
        rig.clock.set(end.plus_micros(GRACE));
        assert_eq!(state(&next(&mut states).await), (2, true, 3));
        // What comes later still counts in what follows: nothing here, as these windows do not overlap.
        rig.submit(submission(ACME, vec![at(9)])).await.unwrap();
        rig.clock.set(end.plus_micros(MINUTE + DELAY));
        let third = next(&mut states).await;
        assert_eq!((third.range.from(), state(&third)), (end, (0, false, 1)));
    }
}

on_both_databases! {
    async fn who_is_slow_or_comes_later_sees_the_latest_state(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let live = Live::over(&database, &rig);
        let ask = Ask::of(MINUTE, SECOND_MICROS);
        let (mut quick, mut slow) = (live.watch(&ask).await, live.watch(&ask).await);
        let mut latest = next(&mut quick).await;
        for _ in 0..5 {
            rig.clock.set(rig.clock.now().plus_micros(SECOND_MICROS));
            latest = next(&mut quick).await;
        }
        let receipt = rig.submit(submission(ACME, vec![candidate(7.0)])).await.unwrap();
        let seen = next(&mut slow).await;
        assert!(Arc::ptr_eq(&seen, &latest), "one computation, and none of the states in between");
        // Read your own writes: no state before the own commit is counted.
        let mut after = live.try_watch(&ask, receipt.cursor).await.unwrap();
        let window = counting(&mut after, &rig.clock, 0, "after").await;
        assert_eq!(window.cursor.sequence, receipt.cursor.unwrap().sequence);
        // A cursor of nowhere would be waited for in vain.
        let ahead = StreamCursor { sequence: 99, ..receipt.cursor.unwrap() };
        assert_eq!(live.try_watch(&ask, Some(ahead)).await.err().unwrap().code(), Code::BadUserInput);
        let foreign = StreamCursor { organization: GLOBEX.organization, ..ahead };
        assert_eq!(live.try_watch(&ask, Some(foreign)).await.err().unwrap().code(), Code::BadUserInput);
    }
}

on_both_databases! {
    async fn what_makes_no_sense_or_is_not_in_sight_is_refused(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let live = Live::over(&database, &rig);
        let refused = async |ask: Ask| {
            let error = live.try_watch(&ask, None).await.err().unwrap_or_else(|| panic!("{ask:?} is accepted"));
            (error.code(), error.to_string())
        };
        let year = 365 * 24 * 60 * MINUTE;
        let lengths = [
            (10 * year, MINUTE, "window: is PT87600H; a live window is at most PT24H long"),
            (MINUTE, 1_000, "every: is PT0.001S; it must be at least PT0.5S"),
            (MINUTE, 2 * MINUTE, "every: is PT2M; it must be at most the length of the window, PT1M"),
            (60 * MINUTE, SECOND_MICROS, "every: is PT1S; with a window of PT1H it needs 3600 steps, and the maximum is 600; PT10S fits"),
            (MINUTE + 1, SECOND_MICROS, "every: is PT1S; with a window of PT1M0.000001S it needs 60000001 steps"),
        ];
        for (window, every, message) in lengths {
            let (code, text) = refused(Ask::of(window, every)).await;
            assert!(code == Code::BadUserInput && text.starts_with(message), "{text}");
        }
        let of = |change: &dyn Fn(&mut Filter)| Ask::of(MINUTE, SECOND_MICROS).with(|filter| change(filter));
        let absent = Key::new(ACME.organization, ProjectId(999));
        let nobody = refused(of(&|filter| filter.projects = vec![ACME, absent])).await;
        assert_eq!(nobody.0, Code::NotFound);
        assert_eq!(refused(of(&|filter| filter.projects = vec![ACME, GLOBEX])).await, nobody);
        let foreign = |id| of(&move |filter| *filter = Filter { organization: Some(OrganizationId(id)), ..Filter::default() });
        assert_eq!(refused(foreign(2)).await, refused(foreign(999)).await);
        let many = (0..501).map(|number| format!("GET /{number}")).collect::<Vec<_>>();
        assert_eq!(refused(of(&move |filter| filter.endpoints.clone_from(&many))).await.0, Code::BadUserInput);
        let everything = Scope::everything();
        let unnamed = Ask { filter: Filter::default(), ..Ask::of(MINUTE, MINUTE) };
        let unnamed = live.windows.watch(&everything, unnamed.request(None)).await;
        assert_eq!(unnamed.err().unwrap().code(), Code::BadUserInput);
    }
}

on_both_databases! {
    async fn windows_that_grow_too_large_end_with_the_reason(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let live = Live::bounded(&database, &rig, config::Live { window_groups_max: 3, windows_max: 2, ..settings() });
        let ask = Ask::of(MINUTE, SECOND_MICROS).by(&[GroupKey::Endpoint]);
        let mut states = live.watch(&ask).await;
        next(&mut states).await;
        let mut whole = live.watch(&Ask::of(MINUTE, SECOND_MICROS)).await;
        next(&mut whole).await;
        let third = live.try_watch(&Ask::of(MINUTE, 2 * SECOND_MICROS), None).await;
        assert_eq!(third.err().unwrap().code(), Code::ComplexityLimit);
        let rows = (0..4).map(|number| Candidate { endpoint: format!("GET /{}", ["a", "b", "c", "d"][number]), ..candidate(1.0) });
        let receipt = rig.submit(submission(ACME, rows.collect())).await.unwrap();
        let failed = timeout(PATIENCE, states.next()).await.unwrap().unwrap().unwrap_err();
        assert_eq!(failed.code(), Code::ComplexityLimit);
        assert!(states.next().await.is_none(), "the error is the last word");
        // Others are not disturbed, and the next who tries is told at once.
        assert_eq!(counting(&mut whole, &rig.clock, receipt.cursor.unwrap().sequence, "beside").await.groups.len(), 1);
        let mut again = live.watch(&ask).await;
        let failed = timeout(PATIENCE, again.next()).await.unwrap().unwrap().unwrap_err();
        assert_eq!(failed.code(), Code::ComplexityLimit);
    }
}

fn query(ask: &Ask) -> WindowQuery {
    let scope = Scope::organization(ACME.organization, Role::Viewer);
    WindowQuery::new(&scope, ask.request(None), &settings()).unwrap()
}

fn batch(sequence: i64, values: &[f64]) -> Arc<CommittedBatch> {
    let measurement = |value: &f64| Measurement {
        kind: MetricType::Custom,
        value: *value,
        endpoint: "orders".to_owned(),
        status: 0,
        timestamp: NOW.plus_micros(-3 * SECOND_MICROS),
        name: String::new(),
        release: String::new(),
        labels: Labels::None,
    };
    let measurements = values.iter().map(measurement).collect();
    let organization = ACME.organization;
    Arc::new(CommittedBatch {
        organization,
        project: ACME,
        sequence,
        first_id: sequence * 1_000,
        received_at: NOW,
        measurements,
    })
}

/// No tick and no further watcher reads the database; only a gap in the sequence does.
#[test]
fn the_database_is_read_for_the_first_watcher_and_for_gaps_only() {
    let mut registry = WindowRegistry::new(&settings());
    let ask = query(&Ask::of(MINUTE, SECOND_MICROS));
    let (seen, request) = registry.subscribe(ask.clone(), NOW).unwrap();
    let count = || match &*seen.borrow() {
        WindowUpdate::Window(window) => Some((window.cursor.sequence, window.groups[0].tally.count)),
        _ => None,
    };
    // While it is read, commits go on: two of these are in what is read.
    for sequence in 6..=9 {
        assert!(registry.apply(&batch(sequence, &[1.0]), NOW).is_empty());
    }
    let filled = WindowSnapshot { sequence: 7, groups: WindowGroups::default() };
    assert!(registry.load(request.unwrap(), Ok(filled), NOW).is_none());
    registry.tick(NOW);
    assert_eq!(count(), Some((9, 2)));
    let (others, none) = registry.subscribe(ask, NOW).unwrap();
    assert!(none.is_none() && registry.len() == 1);
    let mut now = NOW;
    for sequence in 8..30 {
        // What was seen already is not counted twice.
        assert!(registry.apply(&batch(sequence, &[2.0, 3.0]), now).is_empty());
        now = now.plus_micros(SECOND_MICROS);
        registry.tick(now);
    }
    assert_eq!(count(), Some((29, 2 + 2 * 20)));
    let requests = registry.apply(&batch(31, &[1.0]), now);
    assert_eq!(requests.len(), 1);
    assert!(registry.apply(&batch(32, &[1.0]), now).is_empty(), "it is being read already");
    let filled = WindowSnapshot { sequence: 31, groups: WindowGroups::default() };
    assert!(requests.into_iter().all(|request| registry.load(request, Ok(filled.clone()), now).is_none()));
    registry.tick(now.plus_micros(SECOND_MICROS));
    assert_eq!(count(), Some((32, 1)));
    // The window outlives its last watcher by a few seconds.
    drop((seen, others));
    registry.tick(now.plus_micros(9 * SECOND_MICROS));
    assert_eq!(registry.len(), 1);
    registry.tick(now.plus_micros(20 * SECOND_MICROS));
    assert!(registry.is_empty());
}
