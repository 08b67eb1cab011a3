//! Several instances on one database: what one commits is seen by those who watch on another, by every bus and by none.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt, stream::iter};
use perfgraph::{
    live::{
        CommitNotice, Filter, Follower, POLL_INTERVAL, Publisher, SharedBus, StreamSource,
        bus::{LocalBus, PostgresBus, RedisBus},
        stream,
    },
    model::{OrganizationId, Scope},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{TestDatabase, broker::Broker, process::PATIENCE, proxy::Proxy, wait},
    ingest::batches::{ACME, GLOBEX, Rig, candidate, submission},
    live::streams::PACING,
    on_both_databases,
};

/// An instance that follows the others for as long as it lives.
struct Instance {
    rig: Rig,
    database: perfgraph::db::Database,
    stopping: CancellationToken,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl Instance {
    async fn follow(rig: Rig, database: perfgraph::db::Database, bus: SharedBus, poll: Option<Duration>) -> Self {
        let stopping = CancellationToken::new();
        let follower = Follower::begin(database.clone(), rig.publisher.clone(), bus, poll).await.unwrap();
        tokio::spawn(follower.run(stopping.clone()));
        Self { rig, database, stopping }
    }

    async fn watch(&self, filter: Filter) -> Values {
        let source = StreamSource { database: self.database.clone(), publisher: self.rig.publisher.clone() };
        let (_, events) = stream::tail(&Scope::everything(), source, filter, PACING).await.unwrap();
        let metrics = events.flat_map(|event| iter(event.unwrap().metrics));
        Box::pin(metrics.map(|metric| metric.measurement.value))
    }

    async fn commit(&self, value: f64) {
        self.rig.submit(submission(ACME, vec![candidate(value)])).await.unwrap();
    }
}

/// Two instances, each with its own connections and its own end of the bus.
async fn two(database: &TestDatabase, buses: [SharedBus; 2], poll: Option<Duration>) -> [Instance; 2] {
    let [first, second] = buses;
    let here = Instance::follow(Rig::new(database).await, database.database.clone(), first, poll).await;
    let there = Instance::follow(Rig::beside(database).await, database.reopen().await, second, poll).await;
    [here, there]
}

type Values = Pin<Box<dyn Stream<Item = f64> + Send>>;

async fn next_value(values: &mut Values) -> f64 {
    timeout(PATIENCE, values.next()).await.expect("a value comes in time").unwrap()
}

/// Nobody asks the database here, so whatever arrives came by the bus. A poke that is said before the other side listens
/// is lost, and the next brings both.
async fn carries(database: &TestDatabase, buses: [SharedBus; 2]) {
    let [here, there] = two(database, buses, None).await;
    let mut events = here.watch(Filter::default()).await;
    let mut sent = 0.0;
    let mut seen = 0.0;
    let listening = async {
        loop {
            sent += 1.0;
            there.commit(sent).await;
            if let Ok(value) = timeout(Duration::from_millis(200), next_value(&mut events)).await {
                return value;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, listening).await.expect("the bus carries"), 1.0);
    while seen + 1.0 < sent {
        seen += 1.0;
        assert_eq!(next_value(&mut events).await, seen + 1.0);
    }
    // From here on nothing is lost: commits of both, in the order of their sequences.
    for number in 1..=20 {
        let (one, other) = if number % 2 == 0 { (&here, &there) } else { (&there, &here) };
        one.commit(sent + f64::from(2 * number - 1)).await;
        other.commit(sent + f64::from(2 * number)).await;
    }
    for number in 1..=40 {
        assert_eq!(next_value(&mut events).await, sent + f64::from(number));
    }
}

on_both_databases! {
    async fn a_local_bus_carries_commits_of_other_instances(database: TestDatabase) {
        let bus: SharedBus = Arc::new(LocalBus::default());
        carries(&database, [Arc::clone(&bus), bus]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_as_bus_carries_commits_of_other_instances() {
    let database = TestDatabase::postgres().await;
    let bus = || Arc::new(PostgresBus::new(database.database.address().unwrap())) as SharedBus;
    carries(&database, [bus(), bus()]).await;
}

on_both_databases! {
    async fn a_broker_carries_commits_of_other_instances(database: TestDatabase) {
        let broker = Broker::start().await;
        let bus = || Arc::new(RedisBus::new(&broker.url(), "one").unwrap()) as SharedBus;
        carries(&database, [bus(), bus()]).await;
    }
}

on_both_databases! {
    async fn with_no_bus_the_database_is_asked_once_a_second_by_one_statement(database: TestDatabase) {
        let alone = || Arc::new(LocalBus::default()) as SharedBus;
        let [here, there] = two(&database, [alone(), alone()], Some(POLL_INTERVAL)).await;
        let mut watchers = Vec::new();
        for _ in 0..50 {
            watchers.push(here.watch(Filter::default()).await);
        }
        let before = here.database.statements();
        let start = Instant::now();
        for number in 1..=30 {
            there.commit(f64::from(number)).await;
        }
        for events in &mut watchers {
            for number in 1..=30 {
                assert_eq!(next_value(events).await, f64::from(number));
            }
        }
        // One to ask, two to read, and another round for what came meanwhile: whoever watches.
        let (statements, seconds) = (here.database.statements() - before, start.elapsed().as_secs());
        assert!(statements <= 3 * (seconds + 2), "{statements} statements in {seconds} s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_costs_a_second_and_nothing_else_and_is_found_again() {
    let database = TestDatabase::postgres().await;
    let mut broker = Broker::start().await;
    let bus = || Arc::new(RedisBus::new(&broker.url(), "one").unwrap()) as SharedBus;
    let [here, there] = two(&database, [bus(), bus()], Some(POLL_INTERVAL)).await;
    let mut events = here.watch(Filter::default()).await;
    let mut sent = 0.0;
    let mut round = async || {
        sent += 1.0;
        there.commit(sent).await;
        let start = Instant::now();
        assert_eq!(next_value(&mut events).await, sent);
        start.elapsed()
    };
    for _ in 0..2 {
        // Polls alone take half a second on average: five in a row below a third of one came by the bus.
        let mut quick = 0;
        let found = async {
            while quick < 5 {
                quick = if round().await < POLL_INTERVAL / 3 { quick + 1 } else { 0 };
            }
        };
        timeout(PATIENCE, found).await.expect("the bus is found");
        broker.kill().await;
        for _ in 0..3 {
            // A poll, and some time for a busy machine.
            let delay = round().await;
            assert!(delay < 2 * POLL_INTERVAL, "{delay:?}");
        }
        broker.begin().await;
    }
}

/// A path to the broker that swallows bytes, for longer than any deadline, on which no connection ever breaks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_path_to_the_broker_costs_a_second_and_holds_up_no_commit() {
    let database = TestDatabase::postgres().await;
    let broker = Broker::start().await;
    let proxy = Proxy::before_server("127.0.0.1".to_owned(), broker.port()).await;
    let url = format!("redis://{}", proxy.address());
    let bus = || Arc::new(RedisBus::new(&url, "one").unwrap()) as SharedBus;
    let [here, there] = two(&database, [bus(), bus()], Some(POLL_INTERVAL)).await;
    let mut events = here.watch(Filter::default()).await;
    let mut sent = 0.0;
    let mut round = async || {
        sent += 1.0;
        let start = Instant::now();
        there.commit(sent).await;
        let committed = start.elapsed();
        // No value is lost, and none comes twice.
        assert_eq!(next_value(&mut events).await, sent);
        (committed, start.elapsed())
    };
    // First all bytes for a while, and then the connections of that time for good.
    for lost in [false, true] {
        let mut quick = 0;
        let healed = Instant::now();
        let found = async {
            while quick < 5 {
                quick = if round().await.1 < POLL_INTERVAL / 3 { quick + 1 } else { 0 };
            }
        };
        timeout(PATIENCE, found).await.expect("the bus is found");
        println!("notices come {:?} after the path was whole", healed.elapsed());
        if lost {
            proxy.lose_open();
        } else {
            proxy.swallow();
        }
        let silent = Instant::now();
        while silent.elapsed() < Duration::from_secs(8) {
            let (committed, seen) = round().await;
            assert!(committed < POLL_INTERVAL, "a commit waited for the bus: {committed:?}");
            assert!(seen < 2 * POLL_INTERVAL, "{seen:?}");
        }
        proxy.heal();
    }
    let mut quick = 0;
    let found = async {
        while quick < 5 {
            quick = if round().await.1 < POLL_INTERVAL / 3 { quick + 1 } else { 0 };
        }
    };
    timeout(Duration::from_secs(10), found).await.expect("the subscription is made again within seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_share_a_broker_are_separate_and_false_notices_are_ignored() {
    let broker = Broker::start().await;
    let bus = |name: &str| Arc::new(RedisBus::new(&broker.url(), name).unwrap()) as SharedBus;
    let (own, other) = (bus("own"), bus("other"));
    let mut heard = own.subscribe().await.unwrap();
    other.publish(&[CommitNotice::committed(ACME.organization, 7)]).await.unwrap();
    let notice = CommitNotice { organization: GLOBEX.organization, sequence: None, change: Some(3) };
    own.publish(&[notice]).await.unwrap();
    assert_eq!(timeout(PATIENCE, heard.next()).await.unwrap(), Some(vec![notice]));

    let database = TestDatabase::sqlite().await;
    let here = Instance::follow(Rig::new(&database).await, database.database.clone(), bus("own"), None).await;
    let mut events = here.watch(Filter::default()).await;
    let mut changes = here.rig.publisher.changes();
    // Far ahead of anything, of somebody who is not there, and at last something true.
    let lies =
        [CommitNotice::committed(ACME.organization, i64::MAX), CommitNotice::committed(OrganizationId(99), 1), notice];
    let listening = async {
        while timeout(Duration::from_millis(50), changes.recv()).await.is_err() {
            own.publish(&lies).await.unwrap();
        }
    };
    timeout(PATIENCE, listening).await.expect("the instance listens");
    here.commit(1.0).await;
    assert_eq!(next_value(&mut events).await, 1.0);
}

on_both_databases! {
    async fn what_nobody_watched_is_not_read_when_somebody_begins(database: TestDatabase) {
        let alone = || Arc::new(LocalBus::default()) as SharedBus;
        let [here, there] = two(&database, [alone(), alone()], Some(Duration::from_millis(20))).await;
        for number in 0..50 {
            there.commit(f64::from(number)).await;
        }
        let publisher: &Publisher = &here.rig.publisher;
        assert_eq!(publisher.streams(), 0);
        wait::fixed(Duration::from_millis(100), "five polls must go by without a read of these commits").await;
        let mut events = here.watch(Filter::default()).await;
        there.commit(100.0).await;
        assert_eq!(next_value(&mut events).await, 100.0);
        here.commit(101.0).await;
        assert_eq!(next_value(&mut events).await, 101.0);
    }
}
