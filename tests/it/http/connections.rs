//! Many connections: idle ones give way to new ones, those with a request do not, and the limit of open files is no limit
//! for the server.

use std::time::Duration;

use perfgraph::clock::Clock;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use crate::harness::{
    Server, TestDatabase,
    process::{PATIENCE, Served},
    server::{NOW, client, send},
    wait,
};

const CONTINUE: [u8; 25] = *b"HTTP/1.1 100 Continue\r\n\r\n";
const BODY: &str = r#"{"query":"{ viewer { role } }"}"#;

async fn server(settings: &str) -> Server {
    let settings = format!("self_monitoring.enabled = false\n{settings}");
    Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), &settings).await
}

/// Connections on which nothing but this was sent.
async fn idle(address: &str, count: usize, beginning: &str) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(address).await.unwrap();
        // It may be closed already.
        let _ = client.write_all(beginning.as_bytes()).await;
        clients.push(client);
    }
    clients
}

/// A request of which the last byte is missing.
async fn begun(address: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    let length = BODY.len();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {length}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    // The server says that it has begun to handle the request.
    let mut answer = [0; CONTINUE.len()];
    timeout(PATIENCE, client.read_exact(&mut answer)).await.expect("it is answered").unwrap();
    assert_eq!(answer, CONTINUE);
    client.write_all(&BODY.as_bytes()[..length - 1]).await.unwrap();
    client
}

/// Sends the last byte. The answer.
async fn finished(client: &mut TcpStream) -> String {
    client.write_all(&BODY.as_bytes()[BODY.len() - 1..]).await.unwrap();
    let mut answer = vec![0; 8_192];
    let length = timeout(PATIENCE, client.read(&mut answer)).await.expect("it is answered").unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Asks over a connection of its own.
async fn is_served(address: &str) -> bool {
    let asked = client().get(format!("http://{address}/healthz")).timeout(Duration::from_secs(5)).send().await;
    asked.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_give_way_to_new_ones_and_busy_ones_do_not() {
    let server = server("limits.connections_max = 20").await;
    let address = server.app.address().to_string();
    let mut busy = begun(&address).await;
    for beginning in ["", "GET /healthz HTTP/1.1\r\nhost:"] {
        let mut clients = idle(&address, 60, beginning).await;
        assert!(is_served(&address).await, "idle ones do not keep others out: {beginning}");
        let ended = timeout(PATIENCE, clients[0].read(&mut [0])).await.expect("the oldest is closed");
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    assert!(finished(&mut busy).await.starts_with("HTTP/1.1 200"), "a request is never cut off");
    for _ in 0..50 {
        assert_eq!(server.graphql("{ viewer { role } }", json!({})).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_place_is_told_to_come_back() {
    let server = server("limits.connections_max = 4\nserver.cors_origins = ['http://localhost:3000']").await;
    let address = server.app.address().to_string();
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(begun(&address).await);
    }
    wait::until("all places are taken by requests", async || {
        let mut refused = TcpStream::connect(&address).await.unwrap();
        let mut answer = String::new();
        let read = timeout(Duration::from_millis(200), refused.read_to_string(&mut answer)).await;
        read.is_ok() && answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 1\r\n")
    })
    .await;
    // Whoever has sent a request sees the answer to it, not a reset, in the shape that clients of GraphQL read.
    for _ in 0..10 {
        let refused = server.graphql("{ viewer { role } }", json!({ "x": "x".repeat(10_000) })).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"), "{}", refused.text);
        assert_eq!(refused.header("content-type"), "application/json");
        let (code, message) = refused.error();
        assert!(code == "UNAVAILABLE" && message.contains("limits.connections_max"), "{}", refused.text);
        assert_eq!(refused.json()["errors"][0]["extensions"]["retryAfter"], 1, "{}", refused.text);
        assert_eq!((refused.header("access-control-allow-origin"), refused.header("vary")), ("", "origin"));
    }
    for (origin, allowed) in [("http://localhost:3000", "http://localhost:3000"), ("http://localhost:30001", "")] {
        let refused = send(server.request(Method::GET, "/graphql").header("origin", origin)).await;
        assert_eq!((refused.status.as_u16(), refused.header("access-control-allow-origin")), (503, allowed));
    }
    for client in &mut busy {
        assert!(finished(client).await.starts_with("HTTP/1.1 200"));
    }
    assert!(is_served(&address).await, "and then there are idle ones again");
}

/// A server in a shell that allows so many open files, soft and hard.
async fn limited(soft: u32, hard: u32, folder: &std::path::Path) -> Served {
    let mut command = Command::new("sh");
    let script = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$0\" serve --listen 127.0.0.1:0");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_perfgraph")]);
    command.current_dir(folder).env_clear().env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    Served::start(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_idle_connections_than_open_files_keep_nobody_out() {
    // The soft limit is raised; at the hard one, idle connections are closed.
    for (soft, hard, clients) in [(80, 2_000, 300), (300, 300, 400)] {
        let folder = tempfile::tempdir().unwrap();
        let served = limited(soft, hard, folder.path()).await;
        let clients = idle(&served.address, clients, "").await;
        assert!(is_served(&served.address).await, "{soft} {hard}");
        drop(clients);
        served.signal("TERM").await;
        assert_eq!(served.ended().await, Some(0));
    }
}
