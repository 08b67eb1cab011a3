//! The clients: all sockets in one thread, which only counts what comes and how old it is.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest, protocol::WebSocketConfig},
};

use crate::Outcome;

const PATIENCE: Duration = Duration::from_mins(1);
const STREAM: &str = "subscription ($filter: StreamFilter!) {
    metricStream(filter: $filter, maxDelay: \"PT0.001S\") { cursor metrics { value endpoint } }
}";

/// The server of a round: it receives measurements and pushes them to the watchers.
pub struct Target {
    address: SocketAddr,
    http: reqwest::Client,
    /// The project that receives the measurements; `None` for the raw server.
    project: Option<String>,
    start: Instant,
}

/// The result of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages per second.
    pub per_second: f64,
    /// From the call that publishes to a client.
    pub p99_ms: f64,
    /// CPU time of the server per delivered message.
    pub cpu_us: f64,
    /// Memory of the server per client, in KiB.
    pub kib_a_client: f64,
}

impl Target {
    /// The raw server.
    pub fn raw(address: SocketAddr) -> Self {
        Self { address, http: http(), project: None, start: Instant::now() }
    }

    /// A fresh perfgraph, which has sample data to send something to.
    pub async fn perfgraph(address: SocketAddr) -> Outcome<Self> {
        let mut target = Self::raw(address);
        let query = json!({ "query": "{ projects(first: 1) { nodes { id } } }" });
        let answer: Value =
            target.http.post(format!("http://{address}/graphql")).json(&query).send().await?.json().await?;
        let id = answer.pointer("/data/projects/nodes/0/id").and_then(Value::as_str).ok_or("no sample project")?;
        target.project = Some(id.to_owned());
        Ok(target)
    }

    /// One message to everybody: the time as a number. Returns when the server has it.
    pub async fn publish(&self) -> Outcome<()> {
        let now = self.now_us();
        let Self { address, http, project, .. } = self;
        let sent = if let Some(project) = project {
            let row = json!({ "type": "CUSTOM", "endpoint": "/live", "value": now }).to_string();
            let url = format!("http://{address}/ingest/v1/metrics?project={project}");
            http.post(url).header("content-type", "application/x-ndjson").body(row)
        } else {
            let cursor = "ARCr8AMizL_ogICAgIjJypoFBgBLri7m6xS68GNvsvQRwlRA";
            let event = json!({ "cursor": cursor, "metrics": [{ "value": now, "endpoint": "/live" }] });
            let message =
                json!({ "id": "1", "payload": { "data": { "metricStream": event } }, "type": "next" }).to_string();
            http.post(format!("http://{address}/publish")).body(message)
        };
        sent.send().await?.error_for_status()?;
        Ok(())
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

fn http() -> reqwest::Client {
    // Nothing that could fail is configured.
    reqwest::Client::builder().no_proxy().build().unwrap_or_default()
}

/// All clients of a round.
pub struct Watchers {
    count: usize,
    received: Arc<AtomicU64>,
    ages_us: mpsc::UnboundedReceiver<u64>,
}

impl Watchers {
    /// Connects them all, some at a time.
    pub async fn connect(target: &Target, count: usize) -> Outcome<Self> {
        let (sender, ages_us) = mpsc::unbounded_channel();
        let received = Arc::new(AtomicU64::new(0));
        for first in (0..count).step_by(64) {
            let some = (first..count.min(first + 64)).map(|_| open(target));
            for socket in futures_util::future::join_all(some).await {
                let (sender, received, start) = (sender.clone(), Arc::clone(&received), target.start);
                tokio::spawn(read(socket?, sender, received, start));
            }
        }
        // Subscriptions that are still being taken in would miss the first message.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Self { count, received, ages_us })
    }

    /// Waits until every client has this number of messages.
    pub async fn all_have(&self, messages: u64) -> Outcome<()> {
        let wanted = messages * self.count as u64;
        let arrived = async {
            while self.received.load(Ordering::Relaxed) < wanted {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        };
        let late = || format!("{} of {wanted} messages arrived", self.received.load(Ordering::Relaxed));
        timeout(PATIENCE, arrived).await.map_err(|_| late().into())
    }

    /// Sends messages at this rate per second over all clients.
    pub async fn paced(&mut self, target: &Target, duration: Duration, per_second: usize) -> Outcome<Figures> {
        let mut ticks =
            tokio::time::interval(Duration::from_secs(1) * u32::try_from(self.count)? / u32::try_from(per_second)?);
        let start = Instant::now();
        let mut sent = self.forget();
        while start.elapsed() < duration {
            ticks.tick().await;
            target.publish().await?;
            sent += 1;
        }
        self.all_have(sent).await?;
        Ok(self.figures(start))
    }

    /// The next message as soon as everybody has the last.
    pub async fn flooded(&mut self, target: &Target, duration: Duration) -> Outcome<Figures> {
        let start = Instant::now();
        let mut sent = self.forget();
        while start.elapsed() < duration {
            target.publish().await?;
            sent += 1;
            self.all_have(sent).await?;
        }
        Ok(self.figures(start))
    }

    /// Forgets what came before, which everybody has; answers how many messages that were.
    fn forget(&mut self) -> u64 {
        while self.ages_us.try_recv().is_ok() {}
        self.received.load(Ordering::Relaxed) / self.count as u64
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn figures(&mut self, start: Instant) -> Figures {
        let seconds = start.elapsed().as_secs_f64();
        let mut ages = Vec::new();
        while let Ok(age) = self.ages_us.try_recv() {
            ages.push(age);
        }
        ages.sort_unstable();
        let p99_us = ages.get(ages.len() * 99 / 100).copied().unwrap_or(0);
        let delivered = ages.len() as u64;
        Figures {
            delivered,
            per_second: delivered as f64 / seconds,
            p99_ms: p99_us as f64 / 1_000.0,
            ..Figures::default()
        }
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn open(target: &Target) -> Outcome<Socket> {
    let stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://{}/graphql", target.address).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
    let buffers = WebSocketConfig::default().read_buffer_size(4_096).write_buffer_size(0);
    let (mut socket, _) = client_async_with_config(request, stream, Some(buffers)).await?;
    if let Some(project) = &target.project {
        socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await?;
        timeout(PATIENCE, socket.next()).await?.ok_or("the server hung up")??;
        let variables = json!({ "filter": { "projectIds": [project] } });
        let payload = json!({ "query": STREAM, "variables": variables });
        let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload });
        socket.send(Message::text(subscribe.to_string())).await?;
    }
    Ok(socket)
}

/// One more client, which reads a byte a second of what it is sent.
pub async fn read_slowly(target: &Target) -> Outcome<JoinHandle<()>> {
    let mut stream = open(target).await?.into_inner();
    Ok(tokio::spawn(async move {
        let mut byte = [0; 1];
        while matches!(stream.read(&mut byte).await, Ok(1)) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }))
}

async fn read(mut socket: Socket, ages: mpsc::UnboundedSender<u64>, received: Arc<AtomicU64>, start: Instant) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        // Several may share an event.
        for after in text.split("\"value\":").skip(1) {
            let digits = after.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
            let Ok(sent) = digits.parse::<u64>() else { continue };
            let now = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            received.fetch_add(1, Ordering::Relaxed);
            // The round may be over.
            let _ = ages.send(now.saturating_sub(sent));
        }
    }
}
