//! The push path: a stream sees exactly what was committed, in order, whatever it missed on the way.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, future::join_all};
use perfgraph::{
    config,
    entity::{ingest_batch, metric_event},
    error::{Code, Result},
    jobs::retention,
    live::{Filter, Gap, GapReason, OpenedCursor, StreamEvent, StreamPacing, StreamSource, stream},
    model::{
        CommitPosition, CommitPositions, Key, Labels, MetricType, OrganizationId, ProjectId, RecordedMetric,
        RetainedSince, Role, Scope,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::EntityTrait;

use crate::{
    harness::TestDatabase,
    ingest::batches::{ACME, ACME_SECOND, GLOBEX, NOW, Rig, candidate, random_rows, submission},
    on_both_databases,
};

pub type Events = Pin<Box<dyn Stream<Item = Result<StreamEvent>> + Send>>;

/// Nothing waits for anything, and silence is silent.
pub const PACING: StreamPacing = StreamPacing {
    batch_max: 1_000,
    delay_max: Duration::from_micros(1),
    heartbeat: Duration::from_hours(1),
    organizations_max: 100,
};

fn source(database: &TestDatabase, rig: &Rig) -> StreamSource {
    StreamSource { database: database.database.clone(), publisher: rig.publisher.clone() }
}

async fn tail(
    database: &TestDatabase,
    rig: &Rig,
    filter: Filter,
    pacing: StreamPacing,
) -> (Arc<CommitPositions>, Events) {
    let (start, events) = stream::tail(&Scope::everything(), source(database, rig), filter, pacing).await.unwrap();
    (start, Box::pin(events))
}

pub async fn live(database: &TestDatabase, rig: &Rig, filter: Filter) -> Events {
    tail(database, rig, filter, PACING).await.1
}

async fn replay(
    database: &TestDatabase,
    rig: &Rig,
    filter: Filter,
    after: &CommitPositions,
    until: &CommitPositions,
    batch_max: usize,
) -> Vec<StreamEvent> {
    let after = OpenedCursor { positions: after.clone(), is_receipt: false };
    let scope = Scope::everything();
    let events = stream::replay(&scope, source(database, rig), filter, after, until, batch_max).await.unwrap();
    events.map(Result::unwrap).collect().await
}

/// What a client sees that resumes: the stretch up to where the tail begins, and the tail.
pub async fn resumed(database: &TestDatabase, rig: &Rig, filter: Filter, after: &CommitPositions) -> Events {
    let (start, tail) = tail(database, rig, filter.clone(), PACING).await;
    let missed = replay(database, rig, filter, after, &start, PACING.batch_max).await;
    Box::pin(futures_util::stream::iter(missed.into_iter().map(Ok)).chain(tail))
}

/// The next `rows` rows; a stream that falls silent before is a failure, and so is one whose events do not join.
pub async fn receive(events: &mut Events, rows: usize) -> Vec<RecordedMetric> {
    let mut received = Vec::new();
    let mut at: Option<Arc<CommitPositions>> = None;
    while received.len() < rows {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
        let event = event.unwrap_or_else(|_| panic!("silent after {} of {rows}", received.len())).unwrap().unwrap();
        assert!(at.is_none_or(|at| at == event.from) && event.to.reaches(&event.from));
        assert_eq!(event.gap, None);
        at = Some(event.to);
        received.extend(event.metrics);
    }
    assert_eq!(received.len(), rows);
    // A replay leaves labels to who asks for them; `ingest::labels` compares them as clients see them.
    received.iter_mut().for_each(|metric| metric.measurement.labels = Labels::Unread);
    received
}

async fn assert_silent(events: &mut Events) {
    let next = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
    assert!(next.is_err(), "{next:?}");
}

fn ids(metrics: &[RecordedMetric]) -> Vec<i64> {
    metrics.iter().map(|metric| metric.id.0).collect()
}

fn values(metrics: &[RecordedMetric]) -> Vec<f64> {
    metrics.iter().map(|metric| metric.measurement.value).collect()
}

fn of(organization: OrganizationId) -> Filter {
    Filter { organization: Some(organization), ..Filter::default() }
}

fn at(organization: OrganizationId, sequence: i64, rows: u32) -> CommitPositions {
    CommitPositions::from_iter([(organization, CommitPosition { sequence, rows })])
}

/// The ids of an organization's rows in the order of its commits, as the ledger has it.
async fn committed(database: &TestDatabase, organization: OrganizationId) -> Vec<i64> {
    let mut batches = ingest_batch::Entity::find().all(&database.reader()).await.unwrap();
    batches.retain(|batch| batch.organization_id == organization);
    batches.sort_by_key(|batch| batch.seq);
    batches.iter().flat_map(|batch| batch.first_id..batch.first_id + i64::from(batch.n_accepted)).collect()
}

on_both_databases! {
    async fn a_stream_carries_what_was_just_committed(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        rig.submit(submission(ACME, vec![candidate(0.5)])).await.unwrap();
        let mut events = live(&database, &rig, Filter::default()).await;
        rig.submit(submission(ACME, vec![candidate(1.0), candidate(f64::NAN), candidate(2.0)])).await.unwrap();
        rig.submit(submission(GLOBEX, vec![candidate(3.0)])).await.unwrap();
        let received = receive(&mut events, 3).await;
        assert_eq!(values(&received), [1.0, 2.0, 3.0]);
        let metric = &received[1];
        assert_eq!((metric.project, metric.measurement.endpoint.as_str()), (ACME, "GET /orders"));
        let stored = metric_event::Entity::find().all(&database.reader()).await.unwrap();
        assert!(stored.iter().any(|row| row.id == metric.id && row.value == 2.0));
        assert_eq!(received[2].project, GLOBEX);
        assert_silent(&mut events).await;
    }
}

on_both_databases! {
    async fn replayed_and_live_rows_are_the_same(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let mut rng = StdRng::seed_from_u64(3);
        let mut events = live(&database, &rig, Filter::default()).await;
        let first = rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap();
        let mut total = 0;
        for count in [1, 40, 700, 2, 9_000, 3_000, 5] {
            for project in [ACME, ACME_SECOND] {
                rig.submit(submission(project, random_rows(&mut rng, count))).await.unwrap();
                total += count;
            }
        }
        let live = receive(&mut events, total + 1).await;
        let mut replayed = resumed(&database, &rig, of(ACME.organization), &first.cursor.unwrap().into()).await;
        assert_eq!(receive(&mut replayed, total).await, live[1..]);
        // The tail joins on.
        rig.submit(submission(ACME, vec![candidate(8.0)])).await.unwrap();
        assert_eq!(values(&receive(&mut replayed, 1).await), [8.0]);
        assert_silent(&mut replayed).await;
    }
}

on_both_databases! {
    async fn a_stream_that_lags_reads_the_database_and_misses_nothing(database: TestDatabase) {
        let settings = config::Ingest::default();
        let rig = Rig::with(&database, settings, 2).await;
        let mut events = live(&database, &rig, of(ACME.organization)).await;
        let mut ahead = live(&database, &rig, of(ACME.organization)).await;
        let writers = async {
            for round in 0..10 {
                join_all((0..30).map(|index| {
                    let project = [ACME, ACME_SECOND, GLOBEX][index % 3];
                    rig.submit(submission(project, vec![candidate(f64::from(round)); 1 + index % 4]))
                }))
                .await
                .into_iter()
                .for_each(|receipt| drop(receipt.unwrap()));
            }
        };
        let of_acme: usize = 10 * (0..30).filter(|index| index % 3 != 2).map(|index| 1 + index % 4).sum::<usize>();
        // One reads while it is written, the other only when all is over and most was dropped.
        let ((), quick) = tokio::join!(writers, receive(&mut ahead, of_acme));
        let slow = receive(&mut events, of_acme).await;
        assert_eq!(slow, quick);
        assert_eq!(ids(&slow), committed(&database, ACME.organization).await);
        assert_silent(&mut events).await;
    }
}

on_both_databases! {
    async fn a_stream_resumes_inside_a_batch_while_writers_go_on(database: TestDatabase) {
        let rig = Rig::with(&database, config::Ingest::default(), 4).await;
        rig.submit(submission(ACME, vec![candidate(1.0); 10])).await.unwrap();
        let writers = join_all((0..100).map(|index| rig.submit(submission(ACME, vec![candidate(f64::from(index))]))));
        let reader = async {
            let mut events = resumed(&database, &rig, of(ACME.organization), &at(ACME.organization, 0, 7)).await;
            receive(&mut events, 3 + 100).await
        };
        let (_, received) = tokio::join!(writers, reader);
        assert_eq!(ids(&received), committed(&database, ACME.organization).await[7..]);
    }
}

on_both_databases! {
    async fn events_can_be_cut_anywhere_and_the_rest_is_always_the_rest(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let seed: u64 = rand::random();
        let mut rng = StdRng::seed_from_u64(seed);
        let (start, mut events) = tail(&database, &rig, Filter::default(), StreamPacing { batch_max: 7, ..PACING }).await;
        let mut total = 0;
        for _ in 0..12 {
            let project = [ACME, ACME_SECOND, GLOBEX][rng.random_range(0..3)];
            let count = rng.random_range(1..30);
            rig.submit(submission(project, random_rows(&mut rng, count))).await.unwrap();
            total += count;
        }
        let mut live_events = Vec::new();
        let mut rows = 0;
        while rows < total {
            let event = events.next().await.unwrap().unwrap();
            assert!((1..=7).contains(&event.metrics.len()));
            rows += event.metrics.len();
            live_events.push(event);
        }
        let all: Vec<_> = live_events.iter().flat_map(|event| &event.metrics).cloned().collect();
        let end = Arc::clone(&live_events.last().unwrap().to);
        let mut places = vec![start];
        places.extend(live_events.iter().map(|event| Arc::clone(&event.to)));
        for _ in 0..25 {
            // A filter that lets everything of what it watches through, and one that does not.
            let filter = if rng.random() {
                Filter::default()
            } else {
                Filter { projects: vec![ACME, GLOBEX], kinds: vec![MetricType::Database], ..Filter::default() }
            };
            let [one, other] = [0; 2].map(|_| rng.random_range(0..places.len()));
            let (from, until) = (&places[one.min(other)], &places[one.max(other)]);
            let batch_max = rng.random_range(1..20);
            let read = replay(&database, &rig, filter.clone(), from, until, batch_max).await;
            assert!(read.windows(2).all(|pair| pair[0].to == pair[1].from && !pair[0].caught_up));
            let last = read.last().unwrap();
            assert!(last.caught_up && last.to == *until && read[0].from == *from);
            let between = |metric: &&RecordedMetric| {
                let place = all.iter().position(|one| one.id == metric.id).unwrap();
                let delivered = |place: &Arc<CommitPositions>| {
                    let events = live_events.iter().take_while(|event| place.reaches(&event.to));
                    events.map(|event| event.metrics.len()).sum::<usize>()
                };
                (delivered(from)..delivered(until)).contains(&place)
                    && filter.covers(metric.project) && filter.matches(&metric.measurement)
            };
            let expected: Vec<_> = all.iter().filter(between).cloned().collect();
            let mut read: Vec<_> = read.into_iter().flat_map(|event| event.metrics).collect();
            // A stretch reads one organization after the other.
            let mut sorted = expected.clone();
            sorted.sort_by_key(|metric| metric.project.organization);
            read.sort_by_key(|metric| metric.project.organization);
            assert_eq!(ids(&read), ids(&sorted), "seed {seed}");
        }
        assert_eq!(replay(&database, &rig, Filter::default(), &end, &end, 5).await.len(), 1, "a sign of life");
    }
}

on_both_databases! {
    async fn the_filter_is_the_same_live_and_replayed(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let filter = Filter {
            projects: vec![ACME],
            kinds: vec![MetricType::Database, MetricType::Custom],
            endpoints: vec!["GET /route/b".to_owned(), "GET /route/c".to_owned()],
            min_value: Some(50.0),
            ..Filter::default()
        };
        let start = rig.submit(submission(ACME_SECOND, vec![candidate(1.0)])).await.unwrap().cursor.unwrap();
        let mut events = live(&database, &rig, filter.clone()).await;
        let mut rng = StdRng::seed_from_u64(11);
        let mut expected = 0;
        for project in [ACME, ACME_SECOND, ACME, GLOBEX] {
            let rows = random_rows(&mut rng, 500);
            let passes = rows.iter().filter(|row| {
                filter.kinds.contains(&row.kind) && filter.endpoints.contains(&row.endpoint) && row.value >= 50.0
            });
            expected += if project == ACME { passes.count() } else { 0 };
            rig.submit(submission(project, rows)).await.unwrap();
        }
        // A batch of which nothing passes makes no event.
        rig.submit(submission(ACME, vec![candidate(99.0)])).await.unwrap();
        let live_rows = receive(&mut events, expected).await;
        let mut replayed = resumed(&database, &rig, filter, &start.into()).await;
        assert_eq!(receive(&mut replayed, expected).await, live_rows);
        assert_silent(&mut events).await;
        assert_silent(&mut replayed).await;
    }
}

on_both_databases! {
    async fn nothing_of_another_tenant_is_seen_or_told(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let scope = Scope::organization(ACME.organization, Role::Viewer);
        let try_tail = async |filter: Filter| {
            let opened = stream::tail(&scope, source(&database, &rig), filter, PACING).await;
            opened.err().map(|error| (error.code(), error.to_string()))
        };
        let try_after = async |filter: Filter, after: OpenedCursor| {
            let until = CommitPositions::default();
            let opened = stream::replay(&scope, source(&database, &rig), filter, after, &until, 9).await;
            opened.err().map(|error| error.code())
        };
        let projects = |project| Filter { projects: vec![ACME, project], ..Filter::default() };
        let absent = try_tail(projects(Key::new(ACME.organization, ProjectId(999)))).await.unwrap();
        assert_eq!(absent.0, Code::NotFound);
        assert_eq!(try_tail(projects(GLOBEX)).await, Some(absent));
        let nobody = try_tail(of(OrganizationId(999))).await.unwrap();
        assert_eq!(nobody.0, Code::NotFound);
        assert_eq!(try_tail(of(GLOBEX.organization)).await, Some(nobody));
        // One's own organization beside a project of another: as if there was none.
        let elsewhere = Filter { organization: Some(ACME.organization), ..projects(GLOBEX) };
        assert_eq!(try_tail(elsewhere).await.unwrap().0, Code::NotFound);

        let foreign = rig.submit(submission(GLOBEX, vec![candidate(1.0)])).await.unwrap().cursor.unwrap();
        let foreign = OpenedCursor { positions: foreign.into(), is_receipt: true };
        assert_eq!(try_after(Filter::default(), foreign).await, Some(Code::BadUserInput));
        let ahead = OpenedCursor { positions: at(ACME.organization, 5, 0), is_receipt: false };
        assert_eq!(try_after(Filter::default(), ahead).await, Some(Code::BadUserInput));

        let (_, events) = stream::tail(&scope, source(&database, &rig), Filter::default(), PACING).await.unwrap();
        let mut events: Events = Box::pin(events);
        rig.submit(submission(GLOBEX, vec![candidate(1.0)])).await.unwrap();
        assert_silent(&mut events).await;
        rig.submit(submission(ACME, vec![candidate(2.0)])).await.unwrap();
        assert_eq!(receive(&mut events, 1).await[0].project, ACME);
    }
}

on_both_databases! {
    async fn what_another_process_committed_is_read_when_the_sequence_jumps(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let other = Rig::beside(&database).await;
        let mut events = live(&database, &rig, Filter::default()).await;
        for value in [1.0, 2.0, 3.0] {
            other.submit(submission(ACME, vec![candidate(value)])).await.unwrap();
        }
        rig.submit(submission(ACME, vec![candidate(4.0)])).await.unwrap();
        assert_eq!(values(&receive(&mut events, 4).await), [1.0, 2.0, 3.0, 4.0]);
    }
}

on_both_databases! {
    async fn what_retention_took_is_counted_exactly(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let aged = |days: i64| {
            let mut row = candidate(1.0);
            row.timestamp = Some(NOW.plus_micros(-days * DAY_MICROS - HOUR_MICROS));
            row
        };
        let (mut gone, mut rest) = (0, Vec::new());
        for (project, ages) in [
            (ACME, vec![5, 5, 5]),
            (ACME_SECOND, vec![5, 5]),
            (ACME, vec![1, 5, 0, 5, 0]),
            (ACME, vec![0, 1]),
            (ACME, vec![5]),
            (ACME, vec![0]),
        ] {
            if project == ACME {
                gone += ages.iter().filter(|days| **days == 5).count();
                rest.push(ages.iter().filter(|days| **days != 5).count());
            }
            rig.submit(submission(project, ages.into_iter().map(aged).collect())).await.unwrap();
        }
        let kept = RetainedSince::days(NOW, 3, 30, 300);
        retention::publish_bounds(&database.database, kept).await.unwrap();
        retention::load_bounds(&database.database).await.unwrap();
        let filter = Filter { projects: vec![ACME], ..Filter::default() };
        let end = at(ACME.organization, 6, 0);
        // Published bounds are as good as a removal, and the removal changes nothing.
        for _ in 0..2 {
            for batch_max in [1, 2, 100] {
                let read = replay(&database, &rig, filter.clone(), &CommitPositions::default(), &end, batch_max).await;
                let gaps: Vec<&Gap> = read.iter().filter_map(|event| event.gap.as_ref()).collect();
                assert!(gaps.iter().all(|gap| gap.reason == GapReason::Retention && !gap.reason.is_recoverable()));
                assert_eq!(gaps.iter().map(|gap| gap.missed.unwrap()).sum::<u64>(), gone as u64, "{gaps:?}");
                assert!(gaps.iter().all(|gap| gap.to.reaches(&gap.from) && gap.to != gap.from));
                assert_eq!(read.iter().map(|event| event.metrics.len()).sum::<usize>(), rest.iter().sum::<usize>());
                assert_eq!(*read.last().unwrap().to, end);
            }
            // Behind the gaps nothing is missing.
            let read = replay(&database, &rig, filter.clone(), &at(ACME.organization, 5, 0), &end, 10).await;
            assert!(read.iter().all(|event| event.gap.is_none()));
            retention::remove_metrics_before(&database.database, kept).await.unwrap();
        }
    }
}

on_both_databases! {
    async fn a_ledger_that_does_not_go_back_that_far_is_a_gap_of_unknown_size(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        for value in 1..=5 {
            rig.submit(submission(ACME, vec![candidate(f64::from(value))])).await.unwrap();
        }
        let rows = ingest_batch::Entity::find().all(&database.reader()).await.unwrap();
        for row in rows.into_iter().filter(|row| row.seq <= Some(3)) {
            let key = (row.organization_id, row.source, row.idem_key);
            ingest_batch::Entity::delete_by_id(key).exec(&database.writer()).await.unwrap();
        }
        let (start, end) = (at(ACME.organization, 1, 0), at(ACME.organization, 5, 0));
        let read = replay(&database, &rig, of(ACME.organization), &start, &end, 10).await;
        let gap = Gap { from: start, to: at(ACME.organization, 3, 0), missed: None, reason: GapReason::Retention };
        assert_eq!(read[0].gap, Some(gap));
        assert_eq!(values(&read[0].metrics), [4.0, 5.0]);
    }
}

on_both_databases! {
    async fn silence_has_signs_of_life_and_rows_wait_for_others_but_not_after_a_pause(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let filter = Filter { projects: vec![ACME], ..Filter::default() };
        let pacing = StreamPacing { heartbeat: Duration::from_millis(30), ..PACING };
        let (start, mut events) = tail(&database, &rig, filter.clone(), pacing).await;
        rig.submit(submission(ACME_SECOND, vec![candidate(1.0)])).await.unwrap();
        let mut at = start;
        while at.of(ACME.organization) < CommitPosition::after(1) {
            let event = events.next().await.unwrap().unwrap();
            assert!(event.metrics.is_empty() && event.caught_up && event.from == at);
            at = event.to;
        }

        let patient = StreamPacing { delay_max: Duration::from_secs(3), ..PACING };
        let (_, mut events) = tail(&database, &rig, filter, patient).await;
        let sent = std::time::Instant::now();
        rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap().metrics.len(), 1);
        assert!(sent.elapsed() < Duration::from_secs(2), "the first waits for nobody");
        for _ in 0..3 {
            rig.submit(submission(ACME, vec![candidate(1.0); 2])).await.unwrap();
        }
        assert_eq!(events.next().await.unwrap().unwrap().metrics.len(), 6, "the others share an event");
    }
}

on_both_databases! {
    async fn a_stream_of_too_many_organizations_is_refused(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        for project in [ACME, GLOBEX] {
            rig.submit(submission(project, vec![candidate(1.0)])).await.unwrap();
        }
        let scope = Scope::everything();
        let pacing = StreamPacing { organizations_max: 1, ..PACING };
        let refused = stream::tail(&scope, source(&database, &rig), Filter::default(), pacing).await.err().unwrap();
        assert_eq!(refused.code(), Code::ComplexityLimit);
        assert!(stream::tail(&scope, source(&database, &rig), of(ACME.organization), pacing).await.is_ok());
    }
}
