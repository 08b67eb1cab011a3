//! Answers that are ready before the body was read: the connection carries the next request, or the answer says that it ends.

use std::time::Duration;

use perfgraph::clock::Clock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{Server, TestDatabase, process::PATIENCE, server::NOW, wait};

/// Requests that are refused by their head: what is wrong, the status, and the first lines.
const REFUSED: [(&str, &str, &str); 5] = [
    ("a foreign host", "403", "POST /graphql HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json"),
    ("an unknown address", "404", "POST /nothing HTTP/1.1\r\nHost: localhost"),
    (
        "an unknown project",
        "404",
        "POST /ingest/v1/metrics?project=UHJvamVjdDoxOjk5 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json",
    ),
    ("another method", "405", "PUT /graphql HTTP/1.1\r\nHost: localhost"),
    ("another type", "415", "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain"),
];

async fn server() -> Server {
    let settings = "self_monitoring.enabled = false";
    Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), settings).await
}

async fn begin(server: &Server, head: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.app.address()).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    wait::fixed(Duration::from_millis(50), "the answer is made meanwhile, of which nothing is seen").await;
    socket
}

/// All that the server sends until it closes the connection, in lower case.
async fn rest(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("the server closes in time").unwrap();
    String::from_utf8(answer).unwrap().to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_arrives_late_leaves_the_connection_to_the_next_request() {
    let server = server().await;
    for (what, status, lines) in REFUSED {
        for framing in ["Content-Length: 2\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n2\r\n"] {
            let mut socket = begin(&server, &format!("{lines}\r\n{framing}")).await;
            let end = if framing.contains("chunked") { "{}\r\n0\r\n\r\n" } else { "{}" };
            let next = format!("{end}GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            socket.write_all(next.as_bytes()).await.unwrap();
            let answers = rest(&mut socket).await;
            assert!(answers.starts_with(&format!("http/1.1 {status}")), "{what}: {answers}");
            assert!(answers.contains("http/1.1 200 ok"), "{what}: {answers}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_ends_the_connection_and_the_answer_says_so() {
    let server = server().await;
    for (what, status, lines) in REFUSED {
        for length in ["Content-Length: 2", "Content-Length: 2\r\nExpect: 100-continue"] {
            let mut socket = begin(&server, &format!("{lines}\r\n{length}\r\n\r\n")).await;
            let answer = rest(&mut socket).await;
            assert!(answer.starts_with(&format!("http/1.1 {status}")), "{what}: {answer}");
            assert!(answer.contains("connection: close"), "{what}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_is_read_to_its_end_so_that_its_sender_sees_the_answer() {
    let server = server().await;
    let body = "x".repeat(3_000_000);
    for (what, status, lines) in REFUSED {
        let mut socket =
            begin(&server, &format!("{lines}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        socket.write_all(body.as_bytes()).await.unwrap_or_else(|fault| panic!("{what}: {fault}"));
        let answer = rest(&mut socket).await;
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{what}: {answer}");
    }
}
