//! The real server, in this process, on a free port, with a database of its own; and an HTTP client for it.

use std::path::PathBuf;

use perfgraph::{app::App, clock::Clock, config::Config, model::Timestamp};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::{Seed, TestDatabase, World};

/// The time of fixed clocks: 2026-11-01T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_793_534_400_000);

/// The node in the server's ids is fixed, because snapshots show ids. The timeout for a connection is long, because
/// machines may run two test binaries at once.
const SETTINGS: &str = "
server.listen = '127.0.0.1:0'
";
const NODE: &str = "server.node = 0\n";
const PATIENT: &str = "database.acquire_timeout_ms = 10000\n";

/// A running server. If it is dropped without [`Server::stop`], it ends with the runtime of the test.
pub struct Server {
    pub app: App,
    pub database: TestDatabase,
    pub client: reqwest::Client,
}

impl Server {
    /// The number of statements that the server has sent, except for those that write metrics.
    pub fn database_statements(&self) -> u64 {
        self.app.core().database.statements()
    }

    /// A server whose clock is fixed at [`NOW`] and which does not record its own requests.
    pub async fn fixed(database: TestDatabase) -> Self {
        Self::start(database, Clock::fixed(NOW), "self_monitoring.enabled = false").await
    }

    /// A server with these settings: lines of `perfgraph.toml` with dotted keys.
    pub async fn start(database: TestDatabase, clock: Clock, settings: &str) -> Self {
        Self::start_with(database, clock, &format!("{NODE}{settings}")).await
    }

    /// Like [`Self::start`], with any free node, for several servers on one database.
    pub async fn start_with(database: TestDatabase, clock: Clock, settings: &str) -> Self {
        let mut environment = vec![("DATABASE_URL".to_owned(), database.url.clone())];
        if let Some(direct) = &database.direct_url {
            environment.push(("PERFGRAPH_DATABASE__TRANSACTION_POOLING".to_owned(), "true".to_owned()));
            environment.push(("PERFGRAPH_DATABASE__DIRECT_URL".to_owned(), direct.clone()));
        }
        let patient = if settings.contains("acquire_timeout_ms") { "" } else { PATIENT };
        let toml = format!("{SETTINGS}{patient}{settings}\n");
        let config = Config::from_sources(Some(&toml), &environment, &perfgraph::config::Overrides::default()).unwrap();
        let app = App::start(&config, clock).await.unwrap();
        Self { app, database, client: client() }
    }

    /// Fills the database with the builders.
    pub async fn seed(&self, seed: &str) -> World {
        World::build(self.app.core(), &Seed::parse(seed)).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.address())
    }

    pub fn websocket_url(&self) -> String {
        format!("ws://{}/graphql", self.app.address())
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> Reply {
        send(self.request(Method::GET, path)).await
    }

    /// Sends a POST to `/graphql` with any body.
    pub async fn post(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
        send(self.request(Method::POST, "/graphql").header("content-type", content_type).body(body)).await
    }

    /// Sends an operation as most clients do.
    pub async fn graphql(&self, query: &str, variables: Value) -> Reply {
        let body = json!({ "query": query, "variables": variables }).to_string();
        self.post("application/json", body).await
    }

    pub async fn stop(self) -> TestDatabase {
        self.app.stop().await;
        self.database
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        let body = serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text));
        assert_eq!(super::doubled::doubled_name(&body), None, "a message repeats the name of its field: {}", self.text);
        body
    }

    /// The data of a response without errors.
    #[track_caller]
    pub fn data(&self) -> Value {
        let mut body = self.json();
        assert!(body.get("errors").is_none() && self.status == 200, "{} {}", self.status, self.text);
        body["data"].take()
    }

    /// The code and the message of the first error.
    #[track_caller]
    pub fn error(&self) -> (String, String) {
        let body = self.json();
        let error = &body["errors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no error: {}", self.text)).to_owned();
        (text(&error["extensions"]["code"]), text(&error["message"]))
    }
}

pub async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}

/// A client that returns bodies as they are sent, without decompression.
pub fn client() -> reqwest::Client {
    builder().no_gzip().no_brotli().no_zstd().build().unwrap()
}

/// A client that ignores a proxy in the environment of the person who runs the tests.
pub fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none())
}

/// A path of this repository.
pub fn repository(path: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
