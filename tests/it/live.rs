//! The push path: a stream sees exactly what was committed, in order, whatever it missed on the way.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt, future::join_all};
use perfgraph::{
    entity::metric_event,
    error::{Code, Result},
    ingest::Settings,
    live::{Filter, StreamEvent, stream},
    model::{Key, MetricId, MetricType, OrganizationId, ProjectId, Role, Scope, StreamCursor},
};
use rand::{SeedableRng, rngs::StdRng};
use sea_orm::EntityTrait;

use crate::{
    harness::TestDatabase,
    ingest::{ACME, ACME_SECOND, GLOBEX, Rig, candidate, random_rows, submission},
    on_both_databases,
};

pub type Events = Pin<Box<dyn Stream<Item = Result<StreamEvent>> + Send>>;

async fn open(database: &TestDatabase, rig: &Rig, filter: Filter, after: Option<StreamCursor>) -> Events {
    let scope = Scope::everything();
    let opened = stream::open(&scope, database.database.clone(), &rig.publisher, filter, after).await;
    Box::pin(opened.unwrap())
}

/// The next event; a stream that falls silent is a failure.
pub async fn next(events: &mut (impl Stream<Item = Result<StreamEvent>> + Unpin)) -> StreamEvent {
    let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    event.expect("the stream does not fall silent").unwrap().unwrap()
}

/// The next events until `rows` rows have come; a stream that falls silent before is a failure.
async fn receive(events: &mut Events, rows: usize) -> Vec<StreamEvent> {
    let mut received = Vec::new();
    let mut count = 0;
    while count < rows {
        let event = next(events).await;
        count += event.metrics.len();
        received.push(event);
    }
    assert_eq!(count, rows);
    received
}

async fn assert_silent(events: &mut Events) {
    let next = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
    assert!(next.is_err(), "{next:?}");
}

fn ids(events: &[StreamEvent]) -> Vec<i64> {
    let metrics = events.iter().flat_map(|event| &event.metrics);
    metrics.map(|metric| metric.id.0).collect()
}

fn of(organization: OrganizationId) -> Filter {
    Filter { organization: Some(organization), ..Filter::default() }
}

on_both_databases! {
    async fn a_stream_carries_what_was_just_committed(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        rig.submit(submission(ACME, vec![candidate(0.5)])).await.unwrap();
        let mut events = open(&database, &rig, Filter::default(), None).await;
        let receipt = rig.submit(submission(ACME, vec![candidate(1.0), candidate(f64::NAN), candidate(2.0)])).await;
        rig.submit(submission(GLOBEX, vec![candidate(3.0)])).await.unwrap();
        let received = receive(&mut events, 3).await;
        assert_eq!(received.len(), 2);
        assert_eq!(Some(received[0].cursor), receipt.unwrap().cursor);
        let metric = &received[0].metrics[1];
        assert_eq!((metric.project, metric.measurement.value), (ACME, 2.0));
        assert_eq!(metric.measurement.endpoint, "GET /orders");
        let stored = metric_event::Entity::find().all(&database.reader()).await.unwrap();
        assert!(stored.iter().any(|row| row.id == metric.id && row.value == 2.0));
        assert_eq!(received[1].metrics[0].project, GLOBEX);
        assert_silent(&mut events).await;
    }
}

on_both_databases! {
    async fn replayed_and_live_events_are_the_same(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let mut rng = StdRng::seed_from_u64(3);
        let mut live = open(&database, &rig, Filter::default(), None).await;
        let first = rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap();
        let mut total = 0;
        for count in [1, 40, 700, 2, 9_000, 3_000, 5] {
            for project in [ACME, ACME_SECOND] {
                rig.submit(submission(project, random_rows(&mut rng, count))).await.unwrap();
                total += count;
            }
        }
        let live = receive(&mut live, total + 1).await;
        assert_eq!(live.len(), 15);
        let mut replayed = open(&database, &rig, of(ACME.organization), first.cursor).await;
        assert_eq!(receive(&mut replayed, total).await, live[1..]);
        assert_silent(&mut replayed).await;
        // The tail joins on.
        rig.submit(submission(ACME, vec![candidate(8.0)])).await.unwrap();
        assert_eq!(receive(&mut replayed, 1).await[0].metrics[0].measurement.value, 8.0);
    }
}

on_both_databases! {
    async fn a_stream_that_lags_reads_the_database_and_misses_nothing(database: TestDatabase) {
        let settings = Settings { committers: 4, ..Settings::default() };
        let rig = Rig::with(&database, settings, 2).await;
        let mut events = open(&database, &rig, of(ACME.organization), None).await;
        let mut ahead = open(&database, &rig, of(ACME.organization), None).await;
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
        assert!(slow.iter().map(|event| event.cursor.sequence).eq(1..=200), "every sequence once and in order");
        let mut stored: Vec<_> = metric_event::Entity::find().all(&database.reader()).await.unwrap();
        stored.retain(|row| row.organization_id == ACME.organization);
        let (mut stored, mut seen): (Vec<_>, _) = (stored.iter().map(|row| row.id.0).collect(), ids(&slow));
        stored.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, stored);
        assert_silent(&mut events).await;
    }
}

on_both_databases! {
    async fn a_stream_resumes_inside_a_batch_while_writers_go_on(database: TestDatabase) {
        let rig = Rig::with(&database, Settings::default(), 4).await;
        let first = rig.submit(submission(ACME, vec![candidate(1.0); 10])).await.unwrap();
        let after = StreamCursor { ordinal: 6, ..first.cursor.unwrap() };
        let writers = join_all((0..100).map(|index| rig.submit(submission(ACME, vec![candidate(f64::from(index))]))));
        let reader = async {
            let filter = Filter { organization: Some(ACME.organization), ..Filter::default() };
            let mut events = open(&database, &rig, filter, Some(after)).await;
            receive(&mut events, 3 + 100).await
        };
        let (_, received) = tokio::join!(writers, reader);
        assert_eq!(received[0].metrics.len(), 3);
        assert_eq!(received[0].cursor, first.cursor.unwrap());
        let sequences = received.iter().map(|event| event.cursor.sequence);
        assert!(sequences.eq(1..=101));
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
        let start = rig.submit(submission(ACME_SECOND, vec![candidate(1.0)])).await.unwrap().cursor;
        let mut live = open(&database, &rig, filter.clone(), None).await;
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
        let live_events = receive(&mut live, expected).await;
        assert_eq!(live_events.len(), 2);
        let mut replayed = open(&database, &rig, filter, start).await;
        assert_eq!(receive(&mut replayed, expected).await, live_events);
        assert_silent(&mut live).await;
        assert_silent(&mut replayed).await;
    }
}

on_both_databases! {
    async fn nothing_of_another_tenant_is_seen_or_told(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let scope = Scope::organization(ACME.organization, Role::Viewer);
        let try_open = async |filter: Filter, after| {
            let opened = stream::open(&scope, database.database.clone(), &rig.publisher, filter, after).await;
            opened.err().map(|error| (error.code(), error.to_string()))
        };
        let projects = |project| Filter { projects: vec![ACME, project], ..Filter::default() };
        let absent = try_open(projects(Key::new(ACME.organization, ProjectId(999))), None).await.unwrap();
        assert_eq!(absent.0, Code::NotFound);
        assert_eq!(try_open(projects(GLOBEX), None).await, Some(absent));
        let nobody = try_open(of(OrganizationId(999)), None).await.unwrap();
        assert_eq!(nobody.0, Code::NotFound);
        assert_eq!(try_open(of(GLOBEX.organization), None).await, Some(nobody));

        let foreign = rig.submit(submission(GLOBEX, vec![candidate(1.0)])).await.unwrap().cursor;
        assert_eq!(try_open(Filter::default(), foreign).await.unwrap().0, Code::BadUserInput);
        let ahead = StreamCursor { organization: ACME.organization, sequence: 5, ordinal: 0 };
        assert_eq!(try_open(Filter::default(), Some(ahead)).await.unwrap().0, Code::BadUserInput);

        let opened = stream::open(&scope, database.database.clone(), &rig.publisher, Filter::default(), None).await;
        let mut events: Events = Box::pin(opened.unwrap());
        rig.submit(submission(GLOBEX, vec![candidate(1.0)])).await.unwrap();
        assert_silent(&mut events).await;
        rig.submit(submission(ACME, vec![candidate(2.0)])).await.unwrap();
        let received = receive(&mut events, 1).await;
        assert_eq!(received[0].metrics[0].project, ACME);
        assert_ne!(received[0].metrics[0].id, MetricId(0));
    }
}

on_both_databases! {
    async fn what_another_process_committed_is_read_when_the_sequence_jumps(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let other = Rig::beside(&database).await;
        let mut events = open(&database, &rig, Filter::default(), None).await;
        for value in [1.0, 2.0, 3.0] {
            other.submit(submission(ACME, vec![candidate(value)])).await.unwrap();
        }
        rig.submit(submission(ACME, vec![candidate(4.0)])).await.unwrap();
        let received = receive(&mut events, 4).await;
        let values = received.iter().map(|event| event.metrics[0].measurement.value);
        assert!(values.eq([1.0, 2.0, 3.0, 4.0]));
    }
}
