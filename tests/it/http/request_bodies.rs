//! The bytes of bodies that are in memory: bounded over all requests, and those of clients that stopped sending give way.

use futures_util::{
    FutureExt,
    future::{join_all, select_all},
};
use perfgraph::clock::Clock;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    harness::{
        Reply, Server, TestDatabase,
        held::Held,
        process::{PATIENCE, Served, command},
        server::{NOW, client},
        wait,
    },
    ingest::http_api::{NDJSON, PATH, gzip, rows},
    on_both_databases,
};

const SETTINGS: &str = "self_monitoring.enabled = false\nserver.request_timeout_ms = 60000\nlimits.body_bytes_max = 400000\n\
     limits.bodies_bytes_max = 1000000";
const DECLARED: usize = 400_000;
const SENT: usize = 300_000;

async fn begun(address: &str, path: &str, headers: &str, declared: usize) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\ncontent-length: {declared}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    client
}

/// A body of which the end is still to come.
async fn held_back(server: &Server) -> TcpStream {
    let address = server.app.address().to_string();
    let mut client = begun(&address, "/graphql", "content-type: application/json", DECLARED).await;
    client.write_all(&vec![b' '; SENT]).await.unwrap();
    client
}

/// Reads the answer of a client that was refused for want of room.
async fn assert_refused(client: &mut TcpStream) {
    let mut answer = vec![0; 8_192];
    let length = timeout(PATIENCE, client.read(&mut answer)).await.expect("it is answered").unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
    assert!(answer.starts_with("http/1.1 503") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("limits.bodies_bytes_max") && answer.contains("unavailable"), "{answer}");
}

/// A whole request of this many bytes.
async fn whole(server: &Server, query: &str, bytes: usize) -> Reply {
    let body = json!({ "query": query }).to_string();
    server.post("application/json", format!("{body}{}", " ".repeat(bytes - body.len()))).await
}

async fn status(server: &Server, bytes: usize) -> u16 {
    whole(server, "{ viewer { role } }", bytes).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_held_back_gives_way_to_others() {
    let server = Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), SETTINGS).await;
    let mut clients = join_all((0..3).map(|_| held_back(&server))).await;
    // Sent again, as the refusal says, until one of them counts as stalled. Before all of them were read there is room, too.
    let is_answered = |client: &TcpStream| client.peek(&mut [0]).now_or_never().is_some();
    wait::until("a body gives way", async || status(&server, SENT).await == 200 && clients.iter().any(is_answered))
        .await;
    select_all(clients.iter_mut().map(|client| Box::pin(assert_refused(client)))).await;
    for _ in 0..20 {
        assert_eq!(status(&server, SENT).await, 200, "the room comes back after each request");
    }
    drop(clients);
    wait::until("there is room for all", async || join_all((0..3).map(|_| status(&server, SENT))).await == [200; 3])
        .await;
}

on_both_databases! {
    async fn what_finds_no_room_is_told_to_come_back(database: TestDatabase) {
        let patient = "database.busy_timeout_ms = 60000\ndatabase.statement_timeout_ms = 60000";
        let server = Server::start(database, Clock::fixed(NOW), &format!("{SETTINGS}\n{patient}")).await;
        // Their bodies are complete, so they take their room until they are executed.
        let held = Held::against_writers(&server.database, "organization").await;
        let create = async |name: &str| {
            let query =
                format!(r#"mutation {{ createOrganization(input: {{ name: "{name}" }}) {{ organization {{ name }} }} }}"#);
            loop {
                let created = whole(&server, &query, SENT).await;
                // It may have come while others probed.
                if created.status != 503 {
                    return created;
                }
            }
        };
        let refused = async {
            let refusal = wait::until_some("the room is taken", async || {
                let reply = whole(&server, "{ viewer { role } }", SENT).await;
                (reply.status == 503).then_some(reply)
            })
            .await;
            assert_eq!(refusal.header("retry-after"), "1", "{}", refusal.text);
            assert_eq!(refusal.error().0, "UNAVAILABLE");
            assert!(refusal.error().1.contains("limits.bodies_bytes_max"), "{}", refusal.text);
            assert_eq!(status(&server, 100).await, 200, "a small one finds room");
            held.release().await;
        };
        let (a, b, c, ()) = tokio::join!(create("a"), create("b"), create("c"), refused);
        for created in [a, b, c] {
            created.data();
        }
        assert_eq!(status(&server, SENT).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_wait_for_the_rest_of_their_part_take_room_as_they_are_decoded() {
    let server = Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), SETTINGS).await;
    let project = server.seed("organizations=1 projects=1").await.id("project", 1);
    let packed = gzip(rows(0..4_000).as_bytes()).await;
    assert!(packed.len() < 60_000, "{}", packed.len());
    let headers = format!("content-type: {NDJSON}\r\ncontent-encoding: gzip");
    let address = server.app.address().to_string();
    let path = format!("{PATH}?project={project}");
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = begun(&address, &path, &headers, packed.len()).await;
        client.write_all(&packed[..packed.len() - 10]).await.unwrap();
        clients.push(client);
    }
    // Together they do not fit.
    select_all(clients.iter_mut().map(|client| Box::pin(assert_refused(client)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_body_declares_takes_no_room() {
    let server = Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), SETTINGS).await;
    let address = server.app.address().to_string();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = begun(&address, "/graphql", "content-type: application/json", DECLARED).await;
        client.write_all(b"{").await.unwrap();
        clients.push(client);
    }
    assert_eq!(status(&server, SENT).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bodies_that_are_held_back_cost_bounded_memory() {
    const BODIES: usize = 60;
    const BYTES: usize = 5_000_000;
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(command(folder.path(), &["serve", "--no-demo", "--listen", "127.0.0.1:0"])).await;
    let before = served.resident_kib();
    // Each sends until it is refused, or all but the end.
    let sent = (0..BODIES).map(async |_| {
        let mut client = begun(&served.address, "/graphql", "content-type: application/json", BYTES).await;
        for _ in 0..BYTES / 100_000 - 1 {
            if client.write_all(&vec![b' '; 100_000]).await.is_err() {
                break;
            }
        }
        client
    });
    let clients = timeout(PATIENCE, join_all(sent)).await.expect("nobody is kept waiting");
    let grown = served.resident_kib().saturating_sub(before);
    // All of them together are 300 MB.
    assert!(grown < 96 * 1_024, "{BODIES} bodies took {grown} KiB");
    let answer = client().get(served.url("/healthz")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(clients);
}
