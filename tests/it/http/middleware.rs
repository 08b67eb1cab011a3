//! What stands around every request: connections and their bounds, pages of other origins, proxies, compression, traces,
//! panics, and the way out.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use perfgraph::{
    clock::Clock,
    config::{Config, Origin},
    db::StatementLog,
    http::{
        in_flight::InFlight,
        listener,
        refused_origins::RefusedOrigins,
        router::guarded,
        state::{HttpState, SharedState},
    },
    jobs::self_monitoring::Recorder,
    model::id::IdPlace,
    random::Random,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use sea_orm::ConnectionTrait;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{
        Reply, Server, TestDatabase,
        process::{PATIENCE, Served, command},
        server::{NOW, builder, client, send},
        socket::{Said, Socket},
    },
    on_both_databases,
};

const VIEWER: &str = "{ viewer { role } }";

async fn server(settings: &str) -> Server {
    let settings = format!("self_monitoring.enabled = false\n{settings}");
    Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), &settings).await
}

/// Sends bytes on a connection of their own and reads until the server closes it.
pub async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.app.address()).await.unwrap();
    // The server may have answered and closed before it has taken everything.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("the server closes in time");
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_too_large_is_431_and_one_that_never_comes_is_given_up() {
    let server = server("limits.header_bytes_max = 8192\nserver.idle_timeout_ms = 50").await;
    let head =
        |headers: &str| format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    assert!(raw(&server, head("").as_bytes()).await.starts_with("HTTP/1.1 200"));
    let large = head(&format!("X-Large: {}\r\n", "x".repeat(10_000)));
    assert!(raw(&server, large.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = "X: 1\r\n".repeat(101);
    assert!(raw(&server, head(&many).as_bytes()).await.starts_with("HTTP/1.1 431"));
    let roomy = head(&format!("X-Large: {}\r\n", "x".repeat(7_000)));
    assert!(raw(&server, roomy.as_bytes()).await.starts_with("HTTP/1.1 200"));
    // A client that dribbles its head, and one that says nothing at all.
    for beginning in ["GET /healthz HTTP/1.1\r\nHost:", ""] {
        let answer = raw(&server, beginning.as_bytes()).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert_eq!(client().get(server.url("/healthz")).send().await.unwrap().status(), 200);
}

async fn preflight(server: &Server, origin: &str) -> Reply {
    let request = server.request(Method::OPTIONS, "/graphql").header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    send(request.header("access-control-request-headers", "content-type,perfgraph-preflight")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_listed_origins_may_read_and_write() {
    let app = "https://app.example.com";
    let server = server(&format!("server.cors_origins = ['{app}', 'http://localhost:3000']")).await;
    let allowed = preflight(&server, app).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (StatusCode::OK, app));
    assert_eq!(allowed.header("access-control-allow-methods"), "GET,POST");
    assert_eq!(allowed.header("access-control-max-age"), "3600");
    assert_eq!(allowed.header("vary"), "origin");
    for header in ["content-type", "authorization", "apollo-require-preflight", "perfgraph-explain"] {
        assert!(allowed.header("access-control-allow-headers").contains(header), "{header}");
    }
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    for origin in ["https://example.com", "https://app.example.com.evil.com", "http://app.example.com", "null"] {
        assert_eq!(preflight(&server, origin).await.header("access-control-allow-origin"), "", "{origin}");
    }
    let post = server.request(Method::POST, "/graphql").header("origin", app).json(&json!({ "query": VIEWER }));
    let reply = send(post).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (StatusCode::OK, app));
    let vary: Vec<_> = reply.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(vary.contains(&"origin") && vary.contains(&"accept"), "{vary:?}");
    for header in ["retry-after", "server-timing", "traceresponse", "x-request-id"] {
        assert!(reply.header("access-control-expose-headers").contains(header), "{header}");
    }
    assert_eq!(reply.header("timing-allow-origin"), app);
    let query = |origin: &'static str| {
        let request = server.request(Method::GET, "/graphql?query=%7Bviewer%7Brole%7D%7D").header("origin", origin);
        send(request.header("sec-fetch-site", "cross-site"))
    };
    assert_eq!(query("http://localhost:3000").await.status, StatusCode::OK);
    assert_eq!(query("http://localhost:3001").await.status, StatusCode::FORBIDDEN);
    // Sockets go by the same list.
    for (origin, status) in [(app, 101), ("https://example.com", 403)] {
        let request = server.request(Method::GET, "/graphql").header("origin", origin);
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        let request =
            request.header("sec-websocket-version", "13").header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        let response = request.header("sec-websocket-protocol", "graphql-transport-ws").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_may_send_the_headers_that_the_operator_adds() {
    let app = "https://app.example.com";
    let server = server(&format!("server.cors_origins = ['{app}']\nserver.cors_headers = ['X-Tenant']")).await;
    let allowed = preflight(&server, app).await;
    for header in ["x-tenant", "content-type", "last-event-id"] {
        assert!(allowed.header("access-control-allow-headers").contains(header), "{header}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_names_the_setting_that_would_allow_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path(), &["serve", "--no-demo", "--listen", "127.0.0.1:0"]);
    serve.env("PERFGRAPH_SERVER__CORS_ORIGINS", "https://app.example.com");
    let mut served = Served::start(serve).await;
    let ask = |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = client().request(method, served.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request)
    };
    let foreign = |name: &'static str| ("origin", name);
    // Twice each: an origin is logged once a minute.
    for _ in 0..2 {
        let preflight = [foreign("http://localhost:3000"), ("access-control-request-method", "POST")];
        ask(Method::OPTIONS, "/graphql", &preflight).await;
        ask(Method::POST, "/graphql", &[foreign("https://b.example"), ("content-type", "application/json")]).await;
        ask(Method::GET, "/graphql?query=%7Ba%7D", &[foreign("https://c.example")]).await;
        ask(Method::POST, "/ingest/v1/metrics", &[foreign("https://d.example")]).await;
        ask(Method::GET, "/graphql", &[foreign("https://e.example"), ("upgrade", "websocket")]).await;
        ask(Method::POST, "/graphql", &[foreign("null")]).await;
        let headers = [
            foreign("https://app.example.com"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-tenant"),
        ];
        ask(Method::OPTIONS, "/graphql", &headers).await;
    }
    let lines = served.lines_until("x-tenant").await;
    let warned: Vec<_> = lines.iter().filter(|line| line.contains("WARN") && line.contains("server.cors_")).collect();
    let parts =
        ["localhost:3000", "b.example", "c.example", "d.example", "e.example", "without an origin", "cors_headers"];
    assert_eq!(warned.len(), parts.len(), "{warned:?}");
    for (line, part) in warned.iter().zip(parts) {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_go_with_listed_origins_only_when_asked_for() {
    let app = "https://app.example.com";
    let server = server(&format!("server.cors_origins = ['{app}']\nserver.cors_credentials = true")).await;
    assert_eq!(preflight(&server, app).await.header("access-control-allow-credentials"), "true");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_known_by_its_public_origin() {
    let server = server("server.public_origins = ['https://perf.example.com']").await;
    let ask = |host: &'static str, origin: &'static str| {
        let request = server.request(Method::GET, "/graphql?query=%7Bviewer%7Brole%7D%7D").header("host", host);
        send(request.header("origin", origin).header("sec-fetch-site", "same-origin"))
    };
    // Whether it keeps the name or says the local one.
    assert_eq!(ask("perf.example.com", "https://perf.example.com").await.status, StatusCode::OK);
    assert_eq!(ask("127.0.0.1:8000", "https://perf.example.com").await.status, StatusCode::OK);
    for (host, origin) in [
        ("example.com", "https://perf.example.com"),
        ("perf.example.com.evil.com", "https://perf.example.com"),
        ("127.0.0.1:8000", "https://evil.com"),
        ("127.0.0.1:8000", "http://perf.example.com"),
    ] {
        assert_eq!(ask(host, origin).await.status, StatusCode::FORBIDDEN, "{host} {origin}");
    }
    // A public origin is this server's own page; it needs no permission and gets none.
    assert_eq!(preflight(&server, "https://perf.example.com").await.header("access-control-allow-origin"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_are_compressed_for_those_who_can_read_them() {
    let introspection = "{ __schema { types { name description fields { name description } } } }";
    let request = |server: &Server, client: &reqwest::Client, accept_encoding: &str, query: &str| {
        let request = client.post(server.url("/graphql")).json(&json!({ "query": query }));
        if accept_encoding.is_empty() { request } else { request.header("accept-encoding", accept_encoding) }
    };
    let server = server("").await;
    let plain = send(request(&server, &server.client, "", introspection)).await;
    assert_eq!(plain.header("content-encoding"), "");
    for (accept_encoding, encoding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, br;q=0.5", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("zstd, gzip", "gzip"),
        ("gzip;q=0", ""),
        ("identity", ""),
        ("deflate", ""),
    ] {
        let response = request(&server, &server.client, accept_encoding, introspection).send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!(header("content-encoding"), encoding, "{accept_encoding}");
        let bytes = response.bytes().await.unwrap().len();
        assert_eq!(bytes < plain.text.len() / 2, !encoding.is_empty(), "{accept_encoding}: {bytes} bytes");
    }
    let browser = request(&server, &server.client, "gzip, deflate, br, zstd", introspection);
    let browser = browser.header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(browser.headers()["content-encoding"], "zstd");
    // Read by a client that undoes it, the answer is the same.
    for (only, builder) in [
        ("gzip", builder().no_brotli().no_zstd()),
        ("br", builder().no_gzip().no_zstd()),
        ("zstd", builder().no_gzip().no_brotli()),
    ] {
        let reply = send(request(&server, &builder.build().unwrap(), "", introspection)).await;
        assert_eq!(reply.text, plain.text, "{only}");
    }
    let small = send(request(&server, &server.client, "gzip", VIEWER)).await;
    assert_eq!((small.header("content-encoding"), small.text.len()), ("", small.text.len()));
    let stream = request(&server, &server.client, "gzip", introspection).header("accept", "text/event-stream");
    let stream = send(stream).await;
    assert!(stream.header("content-encoding").is_empty() && stream.text.len() > 1_000);

    let off = self::server("server.compression = false").await;
    assert_eq!(send(request(&off, &off.client, "gzip", introspection)).await.header("content-encoding"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_knows_its_trace_and_its_time() {
    let server = server("").await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let ask = |header: &'static str, value: String| {
        let body = json!({ "query": "{ organizations { totalCount } }" });
        send(server.request(Method::POST, "/graphql").header(header, value).json(&body))
    };
    let traced = ask("traceparent", format!("00-{trace}-b7ad6b7169203331-01")).await;
    assert!(traced.header("traceresponse").starts_with(&format!("00-{trace}-")), "{:?}", traced.headers);
    assert_eq!(ask("traceparent", "nonsense".to_owned()).await.header("traceresponse"), "");
    let timing = traced.header("server-timing");
    assert!(timing.starts_with("db;dur=") && timing.contains("desc=\"1 statement\", total;dur="), "{timing}");
    assert!(server.get("/healthz").await.header("server-timing").starts_with("total;dur="));
    // Some libraries offer another protocol on their first request, and mean the request.
    let url = "/graphql?query=%7Bviewer%7Brole%7D%7D";
    let offered = server.request(Method::GET, url).header("upgrade", "h2c").header("connection", "upgrade");
    assert_eq!(send(offered).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_line_of_a_request_names_the_peer() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path(), &["serve", "--no-demo", "--listen", "127.0.0.1:0"]);
    serve.env("PERFGRAPH_LOG__FILTER", "perfgraph::http=debug").env("PERFGRAPH_LOG__FORMAT", "json");
    let mut served = Served::start(serve).await;
    let mut socket = TcpStream::connect(&served.address).await.unwrap();
    let peer = socket.local_addr().unwrap().to_string();
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let lines = served.lines_until("request handled").await;
    let line: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!((&line["fields"]["peer"], &line["fields"]["route"]), (&json!(peer), &json!("/healthz")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_carry_the_id_and_the_trace_of_their_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path(), &["serve", "--no-demo", "--listen", "127.0.0.1:0"]);
    serve.env("PERFGRAPH_LOG__FILTER", "perfgraph::http=debug").env("PERFGRAPH_LOG__FORMAT", "json");
    let mut served = Served::start(serve).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let upgrade = format!(
        "GET /graphql HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: socket-1\r\n\
         Traceparent: 00-{trace}-b7ad6b7169203331-01\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    );
    let mut socket = TcpStream::connect(&served.address).await.unwrap();
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    seen.extend(served.lines_until("request handled").await.pop());
    // A message that is no JSON: the socket is closed, long after the request was answered.
    socket.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'x']).await.unwrap();
    seen.extend(served.lines_until("closing a WebSocket").await.pop());
    assert_eq!(seen.len(), 2);
    for line in seen {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["span"], json!({ "name": "request", "id": "socket-1", "trace": trace }), "{line}");
    }
}

async fn planted() -> &'static str {
    panic!("planted: SELECT secret")
}

/// Other routes in the middleware of a server.
struct Guarded {
    address: String,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Guarded {
    async fn start(server: &Server, routes: Router<HttpState>, config: Config) -> Self {
        let core = server.app.core();
        let config = Arc::new(config);
        let sockets = Arc::new(Semaphore::new(1));
        let state = HttpState::new(SharedState {
            engine: server.app.engine().clone(),
            ingest: core.ingest.clone(),
            cursors: core.cursors.clone(),
            database: core.database.clone(),
            config: Arc::clone(&config),
            random: Random::seeded(1),
            refused_origins: RefusedOrigins::default(),
            in_flight: InFlight::new(config.limits.bodies_bytes_max),
            recorder: Recorder::disabled(core.clock.clone()),
            leaving: CancellationToken::new(),
            draining: CancellationToken::new(),
            sockets: Arc::clone(&sockets),
            streams: Arc::new(Semaphore::new(1)),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let running = tokio::spawn(listener::serve(listener, guarded(routes, state), config, sockets, stop.clone()));
        Self { address, stop, running }
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.running).await.expect("idle connections end at once").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_one_answer() {
    let server = server("").await;
    let routes = Router::new().route("/panic", get(planted)).route("/fine", get(|| async { "fine" }));
    let guarded = Guarded::start(&server, routes, Config::default()).await;
    let (client, address) = (client(), &guarded.address);
    let ids = Random::seeded(1);
    for _ in 0..2 {
        let reply = send(client.get(format!("http://{address}/panic"))).await;
        assert_eq!(reply.header("x-request-id"), format!("{:016x}", ids.number()));
        assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (500, "INTERNAL_SERVER_ERROR"));
        assert!(!reply.text.contains("planted"), "{}", reply.text);
        let fine = send(client.get(format!("http://{address}/fine"))).await;
        assert_eq!((fine.text.as_str(), fine.header("x-request-id")), ("fine", &*format!("{:016x}", ids.number())));
    }
    guarded.stop().await;
}

/// Sends a request as a page of an allowed origin, and as one of another. The status of both.
async fn seen_by_pages(request: RequestBuilder) -> u16 {
    let with_origin = |origin: &str| send(request.try_clone().unwrap().header("origin", origin));
    let (allowed, refused) = (with_origin("https://app.example.com").await, with_origin("https://b.example.com").await);
    let status = allowed.status.as_u16();
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example.com", "{status}: {}", allowed.text);
    assert_eq!(allowed.header("timing-allow-origin"), "https://app.example.com", "{status}");
    assert!(allowed.header("access-control-expose-headers").contains("retry-after"), "{status}");
    assert_eq!(refused.header("access-control-allow-origin"), "", "{status}");
    for reply in [&allowed, &refused] {
        let varies = reply.headers.get_all("vary").iter().filter(|value| *value == "origin").count();
        assert_eq!(varies, 1, "{status}: {:?}", reply.headers);
    }
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowed_page_reads_every_refusal() {
    let settings = "server.cors_origins = ['https://app.example.com']\nlimits.header_bytes_max = 10000\n\
                    limits.body_bytes_max = 40000\nlimits.document_bytes_max = 20000\nlimits.streams_max = 1\n\
                    server.drain_delay_ms = 2000";
    let server = server(settings).await;
    let sent = |body: &str| {
        let request = server.request(Method::POST, "/graphql").header("content-type", "application/json");
        request.body(body.to_owned())
    };
    let get = |path: &str| server.request(Method::GET, path);
    let stream = || {
        let path = "/graphql?query=subscription%7BmetricStream(filter:%7B%7D)%7Bcursor%7D%7D";
        get(path).header("accept", "text/event-stream")
    };
    let open = stream().send().await.unwrap();
    for (what, status, request) in [
        ("an answer", 200, sent("{\"query\":\"{ viewer { role } }\"}")),
        ("no JSON", 400, sent("{")),
        ("no query", 400, sent("{}")),
        ("another host", 403, get("/graphql").header("host", "example.com")),
        ("no such address", 404, get("/nothing")),
        ("no such method", 405, server.request(Method::PUT, "/graphql")),
        ("no such format", 406, get("/graphql?query=%7Ba%7D").header("accept", "text/plain")),
        ("a large body", 413, sent(&format!("{{\"query\":\"{}\"}}", "x".repeat(41_000)))),
        ("no such type", 415, server.request(Method::POST, "/graphql").body("{}")),
        // One that is 16 KiB too large is answered by the HTTP library, before anything has read its origin.
        ("a large head", 431, get("/graphql").header("x-large", "x".repeat(20_000))),
        ("too many streams", 503, stream()),
        (
            "no such project",
            404,
            server.request(Method::POST, "/ingest/v1/metrics?project=nobody/nothing").json(&json!([])),
        ),
    ] {
        let got = seen_by_pages(request).await;
        assert!(got == status, "{what}: {got}");
    }
    drop(open);
    let ready = server.url("/readyz");
    let client = client();
    let stopped = tokio::spawn(server.app.stop());
    let leaving = async { while seen_by_pages(client.get(&ready)).await != 503 {} };
    timeout(PATIENCE, leaving).await.expect("balancers and pages learn it before the end");
    timeout(PATIENCE, stopped).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowed_page_reads_timeouts_and_panics() {
    let server = server("").await;
    let mut config = Config::default();
    config.server.cors_origins = vec![Origin::parse("https://app.example.com").unwrap()];
    config.server.request_timeout = Duration::from_millis(50);
    let routes = Router::new().route("/panic", get(planted)).route("/slow", get(std::future::pending::<()>));
    let guarded = Guarded::start(&server, routes, config).await;
    for (path, status) in [("/panic", 500), ("/slow", 504)] {
        assert_eq!(seen_by_pages(client().get(format!("http://{}{path}", guarded.address))).await, status);
    }
    guarded.stop().await;
}

/// Behind the last id there is no other: a panic inside of a resolver, in test builds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_that_panics_costs_one_answer() {
    let database = TestDatabase::sqlite().await;
    let used_up = format!("INSERT INTO instance_node VALUES (0, 1, 0, {})", IdPlace::END.stored());
    database.writer().execute_unprepared(&used_up).await.unwrap();
    let server = Server::fixed(database).await;
    let create = "mutation { createOrganization(input: { name: \"New\" }) { organization { id } } }";
    for _ in 0..2 {
        let reply = server.graphql(create, json!({})).await;
        assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (500, "INTERNAL_SERVER_ERROR"), "{}", reply.text);
        assert!(!reply.text.contains("used up") && !reply.header("x-request-id").is_empty(), "{}", reply.text);
        assert_eq!(server.graphql(VIEWER, json!({})).await.status, 200);
    }
    // Of a batch it is the member, whatever stands around it.
    let members = json!([{ "query": VIEWER }, { "query": create }, { "query": VIEWER }]);
    let reply = server.post("application/json", members.to_string()).await;
    let answers = reply.json();
    assert_eq!(
        (&answers[0]["data"]["viewer"]["role"], &answers[2]["data"]["viewer"]["role"]),
        (&json!("OWNER"), &json!("OWNER"))
    );
    assert_eq!(answers[1]["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR", "{answers}");
    assert!(answers[1].get("data").is_none() && !reply.text.contains("used up"), "{answers}");
    // On a socket it is the operation that ends, and no other.
    let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
    socket.subscribe("broken", create, &json!({})).await.unwrap();
    let broken = socket.next().await;
    let told = format!("{broken:?}");
    assert!(told.contains("INTERNAL_SERVER_ERROR") && !told.contains("used up"), "{told}");
    socket.subscribe("fine", VIEWER, &json!({})).await.unwrap();
    let fine = loop {
        match socket.next().await {
            Said::Complete => {}
            Said::Next(payload) => break payload,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fine, json!({ "data": { "viewer": { "role": "OWNER" } } }));
    // Nothing of it was written, and nothing is locked.
    let found = server.graphql("{ organizations { totalCount } }", json!({})).await.data();
    assert_eq!(found["organizations"]["totalCount"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_about_to_stop_is_not_ready_and_still_answers() {
    let server = server("server.drain_delay_ms = 1000").await;
    let (ready, query) = (server.url("/readyz"), server.url("/graphql?query=%7Bviewer%7Brole%7D%7D"));
    let client = client();
    assert_eq!(client.get(&ready).send().await.unwrap().status(), 200);
    let stopped = tokio::spawn(server.app.stop());
    let leaving = async { while client.get(&ready).send().await.unwrap().status() != 503 {} };
    timeout(Duration::from_secs(1), leaving).await.expect("balancers learn it before the end");
    let last = send(client.get(&query)).await;
    assert_eq!((last.status.as_u16(), last.data()), (200, json!({ "viewer": { "role": "OWNER" } })));
    timeout(PATIENCE, stopped).await.unwrap().unwrap();
    assert!(client.get(&ready).send().await.is_err(), "then nobody is there");
}

on_both_databases! {
    async fn a_request_without_a_connection_is_503_and_served_later(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\ndatabase.read_connections = 1\ndatabase.acquire_timeout_ms = 50";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let ask = async |accept: &str| {
            let request = server.request(Method::POST, "/graphql").header("accept", accept);
            send(request.json(&json!({ "query": "{ a: organizations { totalCount } b: employees { totalCount } }" }))).await
        };
        let reader = server.app.core().database.reader(StatementLog::default());
        let one = sea_orm::sea_query::Query::select().expr(sea_orm::sea_query::Expr::val(1)).to_owned();
        let held = reader.stream(&one).await.unwrap();
        for accept in ["application/json", "application/graphql-response+json"] {
            let reply = ask(accept).await;
            assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (503, "UNAVAILABLE"), "{}", reply.text);
            assert!(reply.header("retry-after").parse::<u32>().is_ok() && reply.json().get("data").is_none(), "{}", reply.text);
        }
        drop(held);
        // The connection comes back when what is left of the stream was read away.
        let mut reply = ask("application/json").await;
        for _ in 0..100 {
            if reply.status != 503 {
                break;
            }
            reply = ask("application/json").await;
        }
        assert_eq!(reply.data()["a"]["totalCount"], 0);
    }
}
