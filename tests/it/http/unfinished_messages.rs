//! Messages on WebSockets that arrive in halves: their bytes take room like those of bodies, those of clients that stopped
//! sending give way.

use std::time::Duration;

use futures_util::future::join_all;
use perfgraph::clock::Clock;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{
    Server, TestDatabase,
    process::{PATIENCE, Served, command},
    server::{NOW, client},
    socket::{Said, Socket},
    wait,
};

/// A frame of text that is the last, one that is not, and one that goes on.
const WHOLE: u8 = 0x81;
const FIRST: u8 = 0x01;
const MORE: u8 = 0x00;
const LAST: u8 = 0x80;
const PING: u8 = 0x89;

/// The head of a frame with a mask of zeros, so that its bytes are sent as they are.
fn head(kind: u8, bytes: usize) -> Vec<u8> {
    let mut head = vec![kind];
    if bytes < 126 {
        head.push(0x80 | u8::try_from(bytes).unwrap());
    } else {
        head.push(0x80 | 0x7e);
        head.extend(u16::try_from(bytes).unwrap().to_be_bytes());
    }
    head.extend([0; 4]);
    head
}

fn frame(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&head(kind, bytes.len()), bytes].concat()
}

const SENT: usize = 50_000;

/// A message of which the end is still to come: one frame that is announced, or several frames.
fn halves() -> [Vec<u8>; 2] {
    let announced = [head(WHOLE, 60_000), vec![b' '; SENT]].concat();
    let piece = vec![b' '; SENT / 5];
    let several = [FIRST, MORE, MORE, MORE, MORE].map(|kind| frame(kind, &piece)).concat();
    [announced, several]
}

async fn open(address: &str) -> TcpStream {
    Socket::open(&format!("ws://{address}/graphql")).await.unwrap().into_connection()
}

async fn held_back(address: &str, half: &[u8]) -> TcpStream {
    let mut client = open(address).await;
    // The server may close it meanwhile.
    let _ = client.write_all(half).await;
    client
}

/// The next message of the server.
async fn said(client: &mut TcpStream) -> Value {
    let read = async {
        let mut message = Vec::new();
        loop {
            let mut head = [0; 2];
            client.read_exact(&mut head).await.unwrap();
            let bytes = match head[1] {
                126 => usize::from(client.read_u16().await.unwrap()),
                127 => usize::try_from(client.read_u64().await.unwrap()).unwrap(),
                bytes => usize::from(bytes),
            };
            let mut payload = vec![0; bytes];
            client.read_exact(&mut payload).await.unwrap();
            match head[0] {
                WHOLE | FIRST | MORE | LAST => message.extend(payload),
                // An answer to a ping.
                0x8A => continue,
                kind => panic!("{kind:x} {payload:?}"),
            }
            if head[0] & LAST != 0 {
                return serde_json::from_slice(&message).unwrap();
            }
        }
    };
    timeout(PATIENCE, read).await.expect("the server says something in time")
}

/// The code and the reason, if the server has closed the socket.
async fn closed(client: &mut TcpStream) -> Option<(u16, String)> {
    let read = async {
        loop {
            let mut head = [0; 2];
            client.read_exact(&mut head).await.ok()?;
            // What the server says is short: pings, and the end.
            let mut payload = vec![0; usize::from(head[1])];
            client.read_exact(&mut payload).await.ok()?;
            if head[0] == 0x88 {
                let reason = String::from_utf8_lossy(&payload[2..]).into_owned();
                return Some((u16::from_be_bytes([payload[0], payload[1]]), reason));
            }
        }
    };
    timeout(Duration::from_millis(100), read).await.ok().flatten()
}

fn ping(bytes: usize) -> Vec<u8> {
    let ping = json!({ "type": "ping" }).to_string();
    format!("{ping}{}", " ".repeat(bytes - ping.len())).into_bytes()
}

async fn server() -> Server {
    let settings = "self_monitoring.enabled = false\nlimits.body_bytes_max = 400000\nlimits.bodies_bytes_max = 1000000";
    Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), settings).await
}

/// The status of a whole request of this many bytes.
async fn status(server: &Server, bytes: usize) -> u16 {
    let body = json!({ "query": "{ viewer { role } }" }).to_string();
    let body = format!("{body}{}", " ".repeat(bytes - body.len()));
    server.post("application/json", body).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_held_back_are_bounded_and_give_way_to_others() {
    const SOCKETS: usize = 40;
    for half in halves() {
        let server = server().await;
        let address = server.app.address().to_string();
        let mut healthy = Socket::open(&server.websocket_url()).await.unwrap();
        let mut clients = join_all((0..SOCKETS).map(|_| held_back(&address, &half))).await;
        wait::until("a body finds room", async || status(&server, 300_000).await == 200).await;
        let ends: Vec<_> = join_all(clients.iter_mut().map(closed)).await.into_iter().flatten().collect();
        assert!((SOCKETS - ends.len()) * SENT <= 1_000_000, "only {} are closed", ends.len());
        for (code, reason) in ends {
            assert!(code == 1013 && reason.contains("limits.bodies_bytes_max"), "{code} {reason}");
        }
        // What is whole needs no room for more than a moment.
        healthy.subscribe("1", "{ viewer { role } }", &json!({})).await.unwrap();
        assert!(matches!(healthy.next().await, Said::Next(_)));
        drop(clients);
        wait::until("there is room for all", async || {
            join_all((0..3).map(|_| status(&server, 300_000))).await == [200; 3]
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_messages_in_any_number_of_frames_take_no_room_from_the_next() {
    let server = server().await;
    let mut client = open(&server.app.address().to_string()).await;
    let message = ping(SENT);
    // Many times the room, whole, in several frames, and with pings in between.
    for _ in 0..50 {
        client.write_all(&frame(WHOLE, &message)).await.unwrap();
        assert_eq!(said(&mut client).await["type"], "pong");
        let (one, other) = message.split_at(SENT / 2);
        for piece in [frame(FIRST, one), frame(PING, &[b'p'; 125]), frame(LAST, other)] {
            client.write_all(&piece).await.unwrap();
        }
        assert_eq!(said(&mut client).await["type"], "pong");
    }
    // And pings alone are no beginning of a message.
    for _ in 0..10_000 {
        client.write_all(&frame(PING, &[b'p'; 125])).await.unwrap();
        // The answers are read, or the server would wait.
        client.read_exact(&mut [0; 127]).await.unwrap();
    }
    client.write_all(&frame(WHOLE, &message)).await.unwrap();
    assert_eq!(said(&mut client).await["type"], "pong");
    assert_eq!(status(&server, 300_000).await, 200);
}

/// A server in a process of its own, with this many sockets.
async fn served(folder: &std::path::Path, sockets: usize) -> (Served, Vec<TcpStream>) {
    let mut command = command(folder, &["serve", "--no-demo", "--listen", "127.0.0.1:0"]);
    command.env("PERFGRAPH_LIMITS__BODIES_BYTES_MAX", "6000000");
    command.env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
    let served = Served::start(command).await;
    let mut clients = Vec::new();
    for _ in 0..sockets {
        clients.push(open(&served.address).await);
    }
    (served, clients)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_that_are_held_back_cost_bounded_memory() {
    const SOCKETS: usize = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let (served, mut clients) = served(folder.path(), SOCKETS).await;
    let before = served.resident_kib();
    let [_, half] = halves();
    let sent = clients.iter_mut().map(|client| client.write_all(&half));
    timeout(PATIENCE, join_all(sent)).await.expect("nobody is kept waiting");
    wait::until("the first that finds no room is closed", async || {
        join_all(clients.iter_mut().map(closed)).await.iter().any(Option::is_some)
    })
    .await;
    let grown = served.resident_kib().saturating_sub(before);
    println!("{SOCKETS} halves of messages took {grown} KiB");
    // All of them together are 50 MB, and took 64 MB before they were counted.
    assert!(grown < 32 * 1_024, "{SOCKETS} halves of messages took {grown} KiB");
    assert_eq!(client().get(served.url("/healthz")).send().await.unwrap().status(), 200);
}
