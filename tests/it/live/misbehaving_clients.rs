//! Watchers that misbehave: what they do costs them their own place, and nobody beside them notices.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use perfgraph::{
    clock::Clock,
    db::migrate,
    graphql::node::NodeId,
    live::Cursors,
    model::{Key, ProjectId, StreamCursor},
    random::Random,
};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpSocket, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    harness::{
        Server, TestDatabase, World, builders,
        process::{self, PATIENCE, Served},
        server::NOW,
        socket::{Receiver, Said, Sender, Socket},
        wait,
    },
    on_both_databases,
};

const STREAM: &str = "subscription ($filter: StreamFilter!, $after: StreamCursor) {
    metricStream(filter: $filter, after: $after, maxDelay: \"PT0.001S\") { cursor caughtUp metrics { value endpoint } }
}";

async fn server(database: TestDatabase, settings: &str) -> Server {
    Server::start(database, Clock::fixed(NOW), &format!("self_monitoring.enabled = false\n{settings}")).await
}

/// Commits one number, in a row of so many bytes, and answers the cursor behind it.
async fn commit(server: &Server, world: &World, project: usize, value: u32, bytes: usize) -> String {
    let core = server.app.core();
    let mut metrics = builders::metrics(NOW, 1);
    metrics[0].value = f64::from(value);
    metrics[0].endpoint = format!("/{}", "x".repeat(bytes));
    core.cursors.receipt(builders::ingest(core, world.projects[project - 1].key, metrics).await.unwrap())
}

fn variables(world: &World, project: usize, after: &str) -> Value {
    json!({ "filter": { "projectIds": [world.id("project", project)] }, "after": after })
}

/// A socket whose stream runs.
async fn watching(server: &Server, variables: &Value) -> Socket {
    let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
    socket.subscribe("s", STREAM, variables).await.unwrap();
    assert_eq!(socket.next().await.event()["caughtUp"], true);
    socket
}

/// The next number that somebody sees.
async fn number(socket: &mut Socket) -> u32 {
    loop {
        let event = socket.next().await.event();
        match event["metrics"].as_array().unwrap().as_slice() {
            [] => {}
            [metric] => return metric["value"].to_string().trim_end_matches(".0").parse().unwrap(),
            _ => panic!("one at a time was sent: {event}"),
        }
    }
}

/// A client whose system takes little at a time.
async fn narrow(address: SocketAddr) -> Socket {
    let connection = TcpSocket::new_v4().unwrap();
    connection.set_recv_buffer_size(4_096).unwrap();
    let connection = connection.connect(address).await.unwrap();
    Socket::over(connection, &format!("ws://{address}/graphql")).await.unwrap()
}

on_both_databases! {
    async fn one_that_vanishes_is_let_go_and_its_neighbours_are_not(database: TestDatabase) {
        let server = server(database, "server.ping_interval_ms = 500\nlimits.sockets_max = 2").await;
        let world = server.seed("organizations=1 projects=2").await;
        let after = commit(&server, &world, 1, 0, 1).await;
        let mut neighbour = watching(&server, &variables(&world, 1, &after)).await;
        // Another stream, so an execution of its own.
        let vanished = watching(&server, &variables(&world, 2, &after)).await;
        assert_eq!(server.app.engine().subscriptions_running(), 2);
        assert!(Socket::open(&server.websocket_url()).await.is_err(), "both places are taken");
        // Half open: its system still takes what comes, and nobody is there who would answer.
        let mut connection = vanished.into_connection();
        let let_go = async {
            let mut sent = 0;
            while server.app.engine().subscriptions_running() > 1 {
                sent += 1;
                commit(&server, &world, 1, sent, 1).await;
                assert_eq!(number(&mut neighbour).await, sent);
                wait::step().await;
            }
            // Its place as well, not its stream alone.
            let newcomer = loop {
                if let Ok(socket) = Socket::open(&server.websocket_url()).await {
                    break socket;
                }
            };
            commit(&server, &world, 1, sent + 1, 1).await;
            assert_eq!(number(&mut neighbour).await, sent + 1);
            drop(newcomer);
        };
        timeout(PATIENCE, let_go).await.expect("a silent client is noticed");
        let mut left = Vec::new();
        timeout(PATIENCE, connection.read_to_end(&mut left)).await.expect("the connection ends").unwrap();
        let left = String::from_utf8_lossy(&left);
        assert_eq!(left.matches(r#"{"type":"ping"}"#).count(), 2, "{left}");
        assert!(left.ends_with("No answer to pings"), "{left}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_during_a_write_is_disconnected() {
    // Pings cannot tell: they would stand behind what it does not take.
    let server = server(TestDatabase::sqlite().await, "server.write_timeout_ms = 300\nlimits.sockets_max = 1").await;
    let world = server.seed("organizations=1 projects=1").await;
    let mut vanished = narrow(server.app.address()).await;
    let filter = json!({ "filter": { "projectIds": [world.id("project", 1)] } });
    vanished.subscribe("s", STREAM, &filter).await.unwrap();
    let cut = async {
        wait::until("the subscription runs", async || server.app.engine().subscriptions_running() > 0).await;
        while server.app.engine().subscriptions_running() > 0 {
            for value in 0..20 {
                commit(&server, &world, 1, value, 480).await;
            }
        }
        while Socket::open(&server.websocket_url()).await.is_err() {}
    };
    timeout(PATIENCE, cut).await.expect("its place is given to others");
    drop(vanished);
}

on_both_databases! {
    async fn one_that_reads_a_byte_a_second_delays_nobody(database: TestDatabase) {
        const NORMAL: usize = 20;
        let server = server(database, "live.frames_max = 8").await;
        let world = server.seed("organizations=1 projects=1").await;
        let after = commit(&server, &world, 1, 0, 1).await;
        let mut slow = narrow(server.app.address()).await;
        slow.subscribe("s", STREAM, &variables(&world, 1, &after)).await.unwrap();
        let mut slow = slow.into_connection();
        let reading = tokio::spawn(async move {
            let mut taken = 0;
            while slow.read_u8().await.is_ok() {
                taken += 1;
                wait::fixed(Duration::from_secs(1), "one byte a second is what this client does").await;
            }
            taken
        });
        let mut sockets = Vec::new();
        for _ in 0..NORMAL {
            sockets.push(watching(&server, &variables(&world, 1, &after)).await);
        }
        assert_eq!(server.app.engine().subscriptions_running(), 1, "only their reading differs");
        // Far more than the network and the buffer of frames hold for the slow one.
        let start = std::time::Instant::now();
        let mut longest = Duration::ZERO;
        for value in 1..=400 {
            commit(&server, &world, 1, value, 480).await;
            let committed = std::time::Instant::now();
            for socket in &mut sockets {
                assert_eq!(number(socket).await, value);
            }
            longest = longest.max(committed.elapsed());
        }
        assert!(longest < Duration::from_secs(5), "one event took {longest:?} of {:?}", start.elapsed());
        assert!(!reading.is_finished(), "it is still there, and reads");
        reading.abort();
    }
}

/// A cursor as another database with the same rows in the same places would have made it.
async fn elsewhere(cursor: StreamCursor) -> String {
    let database = TestDatabase::unmigrated_sqlite().await;
    migrate::up(&database.database, None).await.unwrap();
    Cursors::load(&database.database, &Random::system()).await.unwrap().receipt(cursor)
}

on_both_databases! {
    async fn what_cannot_be_watched_is_an_error_of_its_id_and_the_socket_goes_on(database: TestDatabase) {
        let server = server(database, "").await;
        let world = server.seed("organizations=2 projects=1").await;
        let own = commit(&server, &world, 1, 0, 1).await;
        let last = builders::ingest(server.app.core(), world.projects[0].key, builders::metrics(NOW, 1)).await.unwrap();
        let (elsewhere, of_the_other) = (elsewhere(last).await, commit(&server, &world, 2, 0, 1).await);
        let [one, other] = [1, 2].map(|number| world.id("organization", number));
        let [project, foreign] = [1, 2].map(|number| world.id("project", number));
        let unknown = Key::new(world.projects[0].key.organization, ProjectId(1));
        let unknown = NodeId::Project(unknown).encode().0;
        let of = |organization: &str| format!("filter: {{ organizationId: \"{organization}\" }}");
        let projects = |ids: &[&str]| format!("filter: {{ projectIds: {} }}", json!(ids));
        let stream = |arguments: &str| format!("metricStream({arguments}) {{ cursor }}");
        let window = |arguments: &str| format!("metricWindow({arguments}) {{ end }}");
        let ranking = |arguments: &str| format!("slowestEndpoints({arguments}) {{ value }}");
        let within = format!("organizationId: \"{one}\"");
        let minute = "window: \"PT1M\"";
        let mut cases = vec![
            (window(&format!("{}, window: \"P3650D\", every: \"PT1H\"", of(&one))), "BAD_USER_INPUT"),
            (ranking(&format!("{}, window: \"P3650D\"", of(&one))), "BAD_USER_INPUT"),
            (window(&format!("{}, {minute}, every: \"PT0.001S\"", of(&one))), "BAD_USER_INPUT"),
            (ranking(&format!("{}, {minute}, every: \"PT0.001S\"", of(&one))), "BAD_USER_INPUT"),
            // Of two organizations: none of the two is the one.
            (window(&format!("{}, {minute}", projects(&[&project, &foreign]))), "BAD_USER_INPUT"),
            (ranking(&projects(&[&project, &foreign])), "BAD_USER_INPUT"),
            (window(&format!("filter: {{ {within}, projectIds: [\"{foreign}\"] }}, {minute}")), "BAD_USER_INPUT"),
            (stream(&format!("filter: {{ {within}, projectIds: [\"{foreign}\"] }}")), "BAD_USER_INPUT"),
            (stream(&format!("filter: {{ {within}, projectIds: [\"{project}\", \"{foreign}\"] }}")), "BAD_USER_INPUT"),
        ];
        for list in ["projectIds", "types", "endpoints"] {
            let nothing = format!("filter: {{ {within}, {list}: [] }}");
            cases.push((stream(&nothing), "BAD_USER_INPUT"));
            cases.push((window(&format!("{nothing}, {minute}")), "BAD_USER_INPUT"));
            cases.push((ranking(&nothing), "BAD_USER_INPUT"));
        }
        cases.push((format!("entityChanged(organizationId: \"{one}\", kinds: []) {{ cursor }}"), "BAD_USER_INPUT"));
        // The absent project is no organization, and the text is neither.
        for (nobody, code) in [(&*unknown, "NOT_FOUND"), ("nonsense", "BAD_USER_INPUT")] {
            cases.push((stream(&projects(&[&project, nobody])), code));
            cases.push((window(&format!("{}, {minute}", projects(&[nobody]))), code));
            cases.push((ranking(&projects(&[nobody])), code));
            cases.push((stream(&of(nobody)), "BAD_USER_INPUT"));
            cases.push((format!("entityChanged(organizationId: \"{nobody}\") {{ cursor }}"), "BAD_USER_INPUT"));
            cases.push((format!("organizationUpdated(id: \"{nobody}\") {{ cursor }}"), "BAD_USER_INPUT"));
        }
        for cursor in [&elsewhere, &of_the_other, "nonsense"] {
            let after = format!("after: \"{cursor}\"");
            cases.push((stream(&format!("{}, {after}", projects(&[&project]))), "BAD_USER_INPUT"));
            cases.push((window(&format!("{}, {minute}, {after}", of(&one))), "BAD_USER_INPUT"));
            cases.push((format!("entityChanged(organizationId: \"{one}\", {after}) {{ cursor }}"), "BAD_USER_INPUT"));
            cases.push((format!("organizationUpdated(id: \"{one}\", {after}) {{ cursor }}"), "BAD_USER_INPUT"));
        }
        // One of metrics is none of changes, though both are of the same organization.
        let after = format!("after: \"{of_the_other}\"");
        cases.push((format!("entityChanged(organizationId: \"{other}\", {after}) {{ cursor }}"), "BAD_USER_INPUT"));

        let mut socket = watching(&server, &variables(&world, 1, &own)).await;
        for (number, (field, code)) in cases.iter().enumerate() {
            let document = format!("subscription {{ {field} }}");
            socket.subscribe(&format!("wrong-{number}"), &document, &Value::Null).await.unwrap();
            let refused = async {
                loop {
                    match socket.next().await {
                        Said::Error(errors) => return errors,
                        Said::Next(payload) if payload["data"]["metricStream"]["metrics"].is_array() => {}
                        other => panic!("{field}: {other:?}"),
                    }
                }
            };
            let errors = timeout(PATIENCE, refused).await.unwrap_or_else(|_| panic!("{field} is accepted"));
            assert_eq!(errors[0]["extensions"]["code"], *code, "{field}: {errors}");
        }
        // The stream on the same socket has been there all the time.
        commit(&server, &world, 1, 77, 1).await;
        while number(&mut socket).await != 77 {}
        assert_eq!(server.app.engine().subscriptions_running(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_message_closes_only_its_own_socket() {
    let server = server(TestDatabase::sqlite().await, "").await;
    let world = server.seed("organizations=1 projects=1").await;
    let after = commit(&server, &world, 1, 0, 1).await;
    let mut neighbour = watching(&server, &variables(&world, 1, &after)).await;
    let frames = [
        (Message::binary(vec![0; 1_000]), 4400, "binary frames"),
        (Message::text("x".repeat(5_000_000)), 1009, "the maximum is 65536 bytes"),
        (Message::binary(vec![0; 5_000_000]), 1009, "the maximum is 65536 bytes"),
        (Message::text("{}"), 4400, "missing field `type`"),
    ];
    for (value, (frame, code, reason)) in (1..).zip(frames) {
        let (mut sender, mut receiver) = watching(&server, &variables(&world, 1, &after)).await.into_halves();
        // The server hangs up before it has taken all of what is too large.
        let _ = sender.send(frame).await;
        let closed = async {
            loop {
                match receiver.next().await {
                    Some(Ok(Message::Close(Some(told)))) => return told,
                    Some(Ok(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        let told = timeout(PATIENCE, closed).await.expect("it is closed in time");
        assert!(u16::from(told.code) == code && told.reason.contains(reason), "{told:?}");
        commit(&server, &world, 1, value, 1).await;
        assert_eq!(number(&mut neighbour).await, value);
    }
}

/// How many subscriptions are sent on one socket, and how many of them are served.
const FLOOD: usize = 10_000;
const SERVED: usize = 50;

/// Each watches something else, so that none shares the execution of another.
fn subscribe(number: usize, world_variables: &Value) -> Message {
    let mut variables = world_variables.clone();
    variables["filter"]["minValue"] = json!(-1.0 - f64::from(u32::try_from(number).unwrap()));
    let payload = json!({ "query": STREAM, "variables": variables });
    Message::text(json!({ "type": "subscribe", "id": number.to_string(), "payload": payload }).to_string())
}

on_both_databases! {
    async fn ten_thousand_subscriptions_on_one_socket_are_fifty_and_errors(database: TestDatabase) {
        let server = server(database, "").await;
        let world = server.seed("organizations=1 projects=1").await;
        let after = commit(&server, &world, 1, 0, 1).await;
        let variables = variables(&world, 1, &after);
        let mut neighbour = watching(&server, &variables).await;
        let executed = server.app.engine().subscriptions_executed().0;
        let flooding = Socket::open(&server.websocket_url()).await.unwrap();
        let (mut sender, mut receiver) = flooding.into_halves();
        let sending = async {
            for number in 0..FLOOD {
                sender.send(subscribe(number, &variables)).await.unwrap();
            }
            sender
        };
        let hearing = async {
            let (mut running, mut refused) = (BTreeSet::new(), 0);
            while refused < FLOOD - SERVED || running.len() < SERVED {
                let Some(Ok(Message::Text(text))) = receiver.next().await else { panic!("it stays open") };
                let message: Value = serde_json::from_str(&text).unwrap();
                match message["type"].as_str().unwrap() {
                    "next" => drop(running.insert(message["id"].as_str().unwrap().to_owned())),
                    "error" => {
                        let error = &message["payload"][0]["extensions"];
                        assert_eq!(error["code"], "COMPLEXITY_LIMIT", "{message}");
                        assert_eq!(error["limit"], SERVED, "{message}");
                        refused += 1;
                    }
                    other => assert_eq!(other, "ping"),
                }
            }
            (running, refused)
        };
        let beside = async {
            for value in 1..=20 {
                commit(&server, &world, 1, value, 1).await;
                assert_eq!(number(&mut neighbour).await, value);
            }
        };
        let flooded = async { tokio::join!(sending, hearing, beside) };
        let (mut sender, (running, refused), ()) = timeout(PATIENCE, flooded).await.expect("all are answered in time");
        assert_eq!(running, (0..SERVED).map(|number| number.to_string()).collect());
        assert_eq!(refused, FLOOD - SERVED);
        assert_eq!(server.app.engine().subscriptions_running(), 1 + SERVED);
        // For each its tail and the stretch behind the cursor; who was served while numbers came may need one more.
        let executed = server.app.engine().subscriptions_executed().0 - executed;
        assert!(executed <= 4 * SERVED as u64, "{executed} executions");
        // Whoever completes one may begin another.
        let query = json!({ "query": "{ viewer { role } }" });
        for message in [
            json!({ "type": "complete", "id": "7" }),
            json!({ "type": "subscribe", "id": "q", "payload": query }),
        ] {
            sender.send(Message::text(message.to_string())).await.unwrap();
        }
        let answered = async {
            loop {
                let Some(Ok(Message::Text(text))) = receiver.next().await else { panic!("it stays open") };
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["id"] == "q" {
                    return message["type"].clone();
                }
            }
        };
        assert_eq!(timeout(PATIENCE, answered).await.expect("an answer in time"), "next");
    }
}

/// Sends one flood and hears all that is said to it.
async fn flood(served: &Served) -> (Sender, Receiver) {
    let (mut sender, mut receiver) =
        Socket::open(&format!("ws://{}/graphql", served.address)).await.unwrap().into_halves();
    let sending = async {
        for number in 0..FLOOD {
            sender.send(subscribe(number, &json!({ "filter": {} }))).await.unwrap();
        }
        sender.send(Message::text(json!({ "type": "ping" }).to_string())).await.unwrap();
    };
    let hearing = async {
        loop {
            match receiver.next().await {
                Some(Ok(Message::Text(text))) if text.contains("\"pong\"") => break,
                Some(Ok(_)) => {}
                _ => panic!("it stays open"),
            }
        }
    };
    timeout(PATIENCE, async { tokio::join!(sending, hearing) }).await.expect("all are answered in time");
    (sender, receiver)
}

/// Sends for as long as the server takes it, and hears nothing.
async fn deaf_flood(served: &Served) -> (Sender, Receiver) {
    let socket = narrow(served.address.parse().unwrap()).await;
    let (mut sender, receiver) = socket.into_halves();
    for number in 0.. {
        let sent = timeout(Duration::from_secs(1), sender.send(subscribe(number, &json!({ "filter": {} })))).await;
        if sent.is_err() {
            assert!(number > FLOOD, "it stopped after {number}");
            return (sender, receiver);
        }
    }
    unreachable!("it goes on for ever")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_subscriptions_takes_no_memory_whether_it_is_read_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = process::command(folder.path(), &["serve", "--no-demo"]);
    command.env("PERFGRAPH_SERVER__LISTEN", "127.0.0.1:0").env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
    let served = Served::start(command).await;
    drop(flood(&served).await);
    let before = served.resident_kib();
    let floods = [flood(&served).await, deaf_flood(&served).await, flood(&served).await];
    let after = served.resident_kib();
    println!("{before} KiB before, {after} KiB after {} floods", floods.len());
    // Three times fifty subscriptions run now; ten thousand requests would be far more.
    assert!(after < before + 8_192, "{before} KiB before, {after} KiB after");
}
