//! Subscriptions of many: executed once, resumed on any instance, and nobody waits for the slowest.

use std::time::Duration;

use perfgraph::{clock::Clock, db::migrate, live::Cursors, random::Random};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    harness::{
        Server, TestDatabase, World, builders,
        process::PATIENCE,
        server::NOW,
        socket::{Said, Socket},
        wait,
    },
    on_both_databases,
};

const STREAM: &str =
    "subscription ($filter: StreamFilter!, $after: StreamCursor, $overflow: OverflowPolicy! = REPLAY) {
    metricStream(filter: $filter, after: $after, overflow: $overflow, maxDelay: \"PT0.001S\", maxBatch: 10) {
        cursor caughtUp gap { from to missed reason recoverable } metrics { value endpoint project { name } }
    }
}";

/// The same with rows of four thousand bytes.
fn large() -> String {
    let many: Vec<_> = (0..8).map(|number| format!("e{number}: endpoint")).collect();
    STREAM.replace("endpoint project { name }", &many.join(" "))
}

async fn server(database: TestDatabase, settings: &str) -> Server {
    Server::start(database, Clock::fixed(NOW), &format!("self_monitoring.enabled = false\n{settings}")).await
}

/// Commits numbers in one batch and answers the cursor behind them.
async fn commit(server: &Server, world: &World, values: impl IntoIterator<Item = u32>) -> String {
    let template = builders::metrics(NOW, 1).remove(0);
    let metrics = values.into_iter().map(|value| {
        let mut metric = template.clone();
        metric.value = f64::from(value);
        metric
    });
    let core = server.app.core();
    core.cursors.receipt(builders::ingest(core, world.projects[0].key, metrics.collect()).await.unwrap())
}

fn variables(world: &World, after: Option<&str>) -> Value {
    json!({ "filter": { "projectIds": [world.id("project", 1)] }, "after": after })
}

async fn subscribed(server: &Server, variables: &Value) -> Socket {
    let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
    socket.subscribe("s", STREAM, variables).await.unwrap();
    socket
}

fn values(event: &Value) -> Vec<u32> {
    let metrics = event["metrics"].as_array().unwrap_or_else(|| panic!("no event: {event}"));
    metrics.iter().map(|metric| metric["value"].to_string().trim_end_matches(".0").parse().unwrap()).collect()
}

/// Reads events until a number has come; answers all numbers and the last cursor.
async fn read_to(socket: &mut Socket, last: u32) -> (Vec<u32>, String) {
    let mut numbers = Vec::new();
    loop {
        let event = socket.next().await.event();
        assert_eq!(event["gap"], Value::Null);
        numbers.extend(values(&event));
        if numbers.last() == Some(&last) {
            return (numbers, event["cursor"].as_str().unwrap().to_owned());
        }
    }
}

on_both_databases! {
    async fn those_who_watch_the_same_share_one_execution_and_cost_no_statement(database: TestDatabase) {
        let server = server(database, "").await;
        let world = server.seed("organizations=1 projects=2").await;
        let after = commit(&server, &world, [0]).await;
        // Each resumes at the same place, which also tells when it runs.
        let mut sockets = Vec::new();
        let mut before = (0, 0);
        for number in 0..30 {
            let mut socket = subscribed(&server, &variables(&world, Some(&after))).await;
            assert_eq!(socket.next().await.event()["caughtUp"], true);
            sockets.push(socket);
            if number == 0 {
                before = (server.app.engine().subscriptions_executed().0, server.database_statements());
            }
        }
        let now = (server.app.engine().subscriptions_executed().0, server.database_statements());
        assert_eq!(before.0, 2, "the tail, and the stretch behind the cursor");
        assert_eq!(now.0, before.0, "nobody else is executed");
        // On PostgreSQL the follower asks once a second.
        assert!(now.1 - before.1 <= 10, "{} statements", now.1 - before.1);

        let answers = server.app.engine().subscriptions_executed().1;
        let statements = server.database_statements();
        for number in 1..=5 {
            commit(&server, &world, [number]).await;
            for socket in &mut sockets {
                let event = socket.next().await.event();
                assert_eq!((values(&event), &event["metrics"][0]["project"]["name"]), (vec![number], &json!("Project 001")));
            }
        }
        assert_eq!(server.app.engine().subscriptions_executed().1 - answers, 5, "one answer an event");
        // The name of the project, freshly loaded for each event.
        let statements = server.database_statements() - statements;
        assert!((5..=15).contains(&statements), "{statements} statements");

        // Another filter, another document: another execution.
        let other = json!({ "filter": { "projectIds": [world.id("project", 2)] }, "after": after });
        let mut other = subscribed(&server, &other).await;
        assert_eq!(other.next().await.event()["caughtUp"], true);
        assert_eq!(server.app.engine().subscriptions_executed().0, before.0 + 2);
        drop((sockets, other));
        let is_idle = async || server.app.engine().subscriptions_running() == 0;
        wait::until("executions end with their last watcher", is_idle).await;
    }
}

on_both_databases! {
    async fn a_crowd_that_comes_back_costs_statements_by_key_and_not_by_client(database: TestDatabase) {
        let server = server(database, "").await;
        let world = server.seed("organizations=1 projects=1").await;
        let first = commit(&server, &world, [0]).await;
        let second = commit(&server, &world, [1, 2]).await;
        commit(&server, &world, 3..40).await;
        let before = server.database_statements();
        let crowd = (0..200).map(|number| {
            let (server, world) = (&server, &world);
            let (after, begin) = if number % 2 == 0 { (&first, 1) } else { (&second, 3) };
            async move {
                let mut socket = subscribed(server, &variables(world, Some(after))).await;
                assert_eq!(read_to(&mut socket, 39).await.0, (begin..40).collect::<Vec<_>>());
                socket
            }
        });
        let sockets = futures_util::future::join_all(crowd).await;
        let statements = server.database_statements() - before;
        // One tail and two stretches, each with the names of its events; and a follower that asks meanwhile.
        assert!(statements <= 40, "{statements} statements for {} clients", sockets.len());
    }
}

on_both_databases! {
    async fn a_slow_client_misses_nothing_and_delays_nobody(database: TestDatabase) {
        let server = server(database, "live.frames_max = 4").await;
        let world = server.seed("organizations=1 projects=1").await;
        let after = commit(&server, &world, [0]).await;
        let mut slow = slow_client(&server, &variables(&world, Some(&after))).await;
        let mut quick = Socket::open(&server.websocket_url()).await.unwrap();
        quick.subscribe("s", &large(), &variables(&world, Some(&after))).await.unwrap();
        assert_eq!(quick.next().await.event()["caughtUp"], true);
        let mut next = 1;
        for _ in 0..30 {
            let batch: Vec<_> = (next..next + 100).collect();
            next += 100;
            commit_large(&server, &world, &batch).await;
            let start = std::time::Instant::now();
            assert_eq!(read_to(&mut quick, next - 1).await.0, batch);
            assert!(start.elapsed() < Duration::from_secs(5));
        }
        // What it was too slow for comes from the database, in order and without a gap.
        assert_eq!(read_to(&mut slow, next - 1).await.0, (1..next).collect::<Vec<_>>());
    }
}

on_both_databases! {
    async fn a_client_that_lets_go_is_told_exactly_how_much_and_one_that_does_not_want_to_is_closed(database: TestDatabase) {
        let server = server(database, "live.frames_max = 4").await;
        let world = server.seed("organizations=1 projects=1").await;
        let with = |overflow: &str| {
            let mut variables = variables(&world, None);
            variables["overflow"] = json!(overflow);
            variables
        };
        let mut skipping = slow_client(&server, &with("COALESCE")).await;
        let mut closing = slow_client(&server, &with("CLOSE")).await;
        // They run when a first number arrives.
        let (mut sent, mut last) = (0, None);
        for socket in [&mut skipping, &mut closing] {
            last = loop {
                sent += 1;
                commit(&server, &world, [sent]).await;
                if let Ok(said) = timeout(Duration::from_millis(100), socket.next()).await {
                    break said.event()["cursor"].as_str().map(str::to_owned);
                }
            };
        }
        for _ in 0..30 {
            let batch: Vec<_> = (sent + 1..sent + 101).collect();
            sent += 100;
            commit_large(&server, &world, &batch).await;
        }
        let (mut numbers, mut missed, mut gaps) = (Vec::new(), 0, 0);
        while numbers.last() != Some(&sent) {
            let event = skipping.next().await.event();
            if let Some(gap) = event["gap"].as_object() {
                assert_eq!((&gap["reason"], &gap["recoverable"]), (&json!("SLOW_CONSUMER"), &json!(true)));
                assert_eq!(gap["to"], event["cursor"]);
                missed += gap["missed"].as_u64().unwrap();
                gaps += 1;
            }
            numbers.extend(values(&event));
        }
        assert!(numbers.is_sorted_by(|one, next| one < next) && gaps > 0);
        let absent = (numbers[0]..=sent).filter(|number| !numbers.contains(number)).count();
        assert_eq!(missed, absent as u64);

        // The last that it was told may be what told that it runs.
        let (code, reason) = loop {
            match closing.next().await {
                Said::Next(payload) => last = payload["data"]["metricStream"]["cursor"].as_str().map(str::to_owned),
                Said::Closed(told) => break told.expect("a word of farewell"),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((code, reason), (4429, format!("Too slow; resume after {}", last.unwrap())));
    }
}

on_both_databases! {
    async fn a_cursor_is_good_for_its_stream_alone(database: TestDatabase) {
        let server = server(database, "").await;
        let world = server.seed("organizations=2 projects=2").await;
        let after = commit(&server, &world, [0]).await;
        let mut socket = subscribed(&server, &variables(&world, Some(&after))).await;
        let cursor = socket.next().await.event()["cursor"].as_str().unwrap().to_owned();
        let refused = async |filter: Value, after: &str| {
            let mut socket = subscribed(&server, &json!({ "filter": filter, "after": after })).await;
            match socket.next().await {
                Said::Error(errors) => errors[0]["extensions"]["code"].as_str().unwrap().to_owned(),
                other => panic!("{other:?}"),
            }
        };
        let own = json!({ "projectIds": [world.id("project", 1)] });
        let narrower = json!({ "projectIds": [world.id("project", 1)], "minValue": 1.0 });
        assert_eq!(refused(narrower, &cursor).await, "BAD_USER_INPUT");
        assert_eq!(refused(json!({ "organizationId": world.id("organization", 1) }), &cursor).await, "BAD_USER_INPUT");
        assert_eq!(refused(json!({ "organizationId": world.id("organization", 2) }), &after).await, "BAD_USER_INPUT");
        assert_eq!(refused(json!({}), &after).await, "BAD_USER_INPUT");
        let forged = format!("{}{}", &cursor[..cursor.len() - 1], if cursor.ends_with('A') { 'E' } else { 'A' });
        assert_eq!(refused(own.clone(), &forged).await, "BAD_USER_INPUT");
        // Of another database, with the same rows in the same places.
        let other = TestDatabase::unmigrated_sqlite().await;
        migrate::up(&other.database, None).await.unwrap();
        let elsewhere = Cursors::load(&other.database, &Random::system()).await.unwrap();
        let core = server.app.core();
        let last = builders::ingest(core, world.projects[0].key, builders::metrics(NOW, 1)).await.unwrap();
        let foreign = elsewhere.receipt(last);
        assert_eq!(refused(own, &foreign).await, "BAD_USER_INPUT");
    }
}

on_both_databases! {
    async fn a_stream_over_several_organizations_resumes_in_all_of_them(database: TestDatabase) {
        let server = server(database, "").await;
        let world = server.seed("organizations=3 projects=3").await;
        let mut socket = subscribed(&server, &json!({ "filter": {} })).await;
        let core = server.app.core();
        let commit_one = async |project: usize, value: u32| {
            let mut metrics = builders::metrics(NOW, 1);
            metrics[0].value = f64::from(value);
            builders::ingest(core, world.projects[project].key, metrics).await.unwrap();
        };
        let mut sent = 0;
        let mut seen = Vec::new();
        while seen.is_empty() {
            sent += 1;
            commit_one(sent as usize % 3, sent).await;
            if let Ok(said) = timeout(Duration::from_millis(50), socket.next()).await {
                let event = said.event();
                seen = values(&event);
                drop(std::mem::replace(&mut socket, Socket::open(&server.websocket_url()).await.unwrap()));
                for _ in 0..10 {
                    sent += 1;
                    commit_one(sent as usize % 3, sent).await;
                }
                socket.subscribe("s", STREAM, &json!({ "filter": {}, "after": event["cursor"] })).await.unwrap();
            }
        }
        let first = seen[0];
        while seen.len() < (first..=sent).count() {
            seen.extend(values(&socket.next().await.event()));
        }
        seen.sort_unstable();
        assert_eq!(seen, (first..=sent).collect::<Vec<_>>());
    }
}

on_both_databases! {
    async fn a_restart_names_the_cursor_and_the_stream_goes_on_elsewhere(database: TestDatabase) {
        let first = server(database, "").await;
        let world = first.seed("organizations=1 projects=1").await;
        let after = commit(&first, &world, [0]).await;
        let mut socket = subscribed(&first, &variables(&world, Some(&after))).await;
        commit(&first, &world, 1..=25).await;
        let (_, cursor) = read_to(&mut socket, 25).await;
        let leave = async {
            loop {
                if let Said::Closed(told) = socket.next().await {
                    return told.expect("a word of farewell");
                }
            }
        };
        let (told, database) = tokio::join!(leave, first.stop());
        assert_eq!(told, (1012, format!("Service restart; resume after {cursor}")));
        // Later, or it would make the ids of the first again.
        let clock = Clock::fixed(NOW.plus_micros(1_000_000));
        let second = Server::start(database, clock, "self_monitoring.enabled = false").await;
        let mut socket = subscribed(&second, &variables(&world, Some(&cursor))).await;
        commit(&second, &world, 26..=30).await;
        assert_eq!(read_to(&mut socket, 30).await.0, (26..=30).collect::<Vec<_>>());
    }
}

on_both_databases! {
    async fn an_odd_pace_is_refused_by_name(database: TestDatabase) {
        let server = server(database, "").await;
        for (arguments, field) in [
            ("maxBatch: 0", "maxBatch"),
            ("maxBatch: 100000", "maxBatch"),
            ("maxDelay: \"PT1H\"", "maxDelay"),
        ] {
            let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
            let query = format!("subscription {{ metricStream(filter: {{}}, {arguments}) {{ cursor }} }}");
            socket.subscribe("s", &query, &Value::Null).await.unwrap();
            match socket.next().await {
                Said::Error(errors) => assert_eq!(errors[0]["extensions"]["field"], field, "{errors}"),
                other => panic!("{arguments}: {other:?}"),
            }
        }
    }
}

/// A client whose system takes little at a time, and which reads nothing until it is asked to.
async fn slow_client(server: &Server, variables: &Value) -> Socket {
    let connection = TcpSocket::new_v4().unwrap();
    connection.set_recv_buffer_size(32_768).unwrap();
    let connection = connection.connect(server.app.address()).await.unwrap();
    let mut socket = Socket::over(connection, &server.websocket_url()).await.unwrap();
    socket.subscribe("s", &large(), variables).await.unwrap();
    socket
}

/// The same numbers with a path that makes a row a thousand times as long as its number.
async fn commit_large(server: &Server, world: &World, values: &[u32]) {
    let template = builders::metrics(NOW, 1).remove(0);
    let metrics = values.iter().map(|value| {
        let mut metric = template.clone();
        metric.value = f64::from(*value);
        metric.endpoint = format!("/{}", "long".repeat(120));
        metric
    });
    builders::ingest(server.app.core(), world.projects[0].key, metrics.collect()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_never_read_is_closed() {
    let server = server(TestDatabase::sqlite().await, "server.write_timeout_ms = 300\nlimits.streams_max = 1").await;
    let world = server.seed("organizations=1 projects=1").await;
    let connection = TcpSocket::new_v4().unwrap();
    connection.set_recv_buffer_size(32_768).unwrap();
    let mut connection: TcpStream = connection.connect(server.app.address()).await.unwrap();
    let body = json!({ "query": large(), "variables": variables(&world, None) }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let taken = async {
        wait::until("the subscription runs", async || server.app.engine().subscriptions_running() > 0).await;
        let numbers: Vec<u32> = (0..100).collect();
        while server.app.engine().subscriptions_running() > 0 {
            commit_large(&server, &world, &numbers).await;
            wait::step().await;
        }
    };
    timeout(PATIENCE, taken).await.expect("its place is given to others");
    drop(connection);
}

/// The tests' clock is moved on by one thread alone, so that nothing has to wait for it.
#[tokio::test]
async fn a_message_waits_for_its_socket_as_long_as_the_setting_says() {
    let server = server(TestDatabase::sqlite().await, "server.write_timeout_ms = 25000").await;
    let world = server.seed("organizations=1 projects=1").await;
    let after = commit(&server, &world, [0]).await;
    let mut slow = slow_client(&server, &variables(&world, Some(&after))).await;
    // Far more than the network takes of it without a reader.
    let much = async |first: u32| {
        for from in (first..first + 3_000).step_by(100) {
            commit_large(&server, &world, &(from..from + 100).collect::<Vec<_>>()).await;
        }
        wait::fixed(Duration::from_secs(1), "the operating system fills its buffers, which nothing tells").await;
    };
    let time_goes_by = async |length| {
        tokio::time::pause();
        tokio::time::advance(length).await;
        tokio::time::resume();
        wait::fixed(Duration::from_millis(200), "timers that are due must have run, also where nothing follows").await;
    };
    much(1).await;
    time_goes_by(Duration::from_secs(22)).await;
    assert_eq!(server.app.engine().subscriptions_running(), 1, "it may still take it");
    assert_eq!(read_to(&mut slow, 3_000).await.0, (1..=3_000).collect::<Vec<_>>());
    much(3_001).await;
    time_goes_by(Duration::from_secs(26)).await;
    let is_cut = async || server.app.engine().subscriptions_running() == 0;
    let cut = wait::until("the client that does not read is cut", is_cut);
    timeout(Duration::from_secs(5), cut).await.expect("it had its time");
}
