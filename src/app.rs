//! Every part of the server, built once in order and closed in reverse. The only file that knows all of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    auth,
    clock::Clock,
    config::Config,
    db::{Database, StatementLog, migrate, pool},
    error::{Error, Result},
    graphql::{Engine, Limits, Services},
    http::{self, HttpSettings, router::HttpState},
    ingest::{self, Ingest},
    jobs::{
        partitions::{self, Days},
        self_monitoring::{self, Recorder},
    },
    live::Publisher,
    model::IdGenerator,
};

/// How long parts may take to stop once the sockets are closed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The open database with what writes into it: all that seeding needs, and the ground of a server.
pub struct Core {
    /// The pools.
    pub database: Database,
    /// Makes ids.
    pub ids: Arc<IdGenerator>,
    /// Tells the time.
    pub clock: Clock,
    /// The write path.
    pub ingest: Ingest,
    /// What was just written.
    pub publisher: Publisher,
    batcher: JoinHandle<()>,
}

impl Core {
    /// Opens and migrates the database and starts the write path.
    ///
    /// # Errors
    /// When the database cannot be reached or migrated.
    pub async fn open(config: &Config, clock: Clock, ids: IdGenerator) -> Result<Self> {
        let database = Database::open(&pool_options(config)).await?;
        if config.database.migrate_on_start {
            migrate::up(&database, None).await?;
        }
        partitions::ensure(&database, &clock, partition_days(config)).await?;
        let ids = Arc::new(ids);
        let publisher = Publisher::new(config.live.channel_batches_max);
        let (ingest, batcher) =
            Ingest::new(database.clone(), Arc::clone(&ids), clock.clone(), publisher.clone(), ingest_settings(config));
        let batcher = spawn(batcher.run());
        Ok(Self { database, ids, clock, ingest, publisher, batcher })
    }

    /// Writes what is queued and closes the pools.
    pub async fn close(self) {
        self.ingest.close();
        if timeout(STOP_TIMEOUT, self.batcher).await.is_err() {
            tracing::error!("queued metrics could not be written in time");
        }
        if timeout(STOP_TIMEOUT, self.database.close()).await.is_err() {
            tracing::warn!("the database's connections did not come back in time");
        }
    }
}

/// A server that listens.
pub struct App {
    address: SocketAddr,
    engine: Engine,
    core: Core,
    jobs: Vec<JoinHandle<()>>,
    server: JoinHandle<std::io::Result<()>>,
    /// Cancelled first: no new requests, sockets are told.
    draining: CancellationToken,
    /// Cancelled when the last request was answered: jobs write what they hold.
    stopping: CancellationToken,
    sockets: Arc<Semaphore>,
    sockets_max: u32,
    drain_timeout: Duration,
}

impl App {
    /// Builds every part and starts to listen. Port 0 takes a free one.
    ///
    /// # Errors
    /// When a part cannot start; what was started before stops with the process.
    pub async fn start(config: &Config, clock: Clock) -> Result<Self> {
        let core = Core::open(config, clock, IdGenerator::new(node(config))).await?;
        Self::serve(config, core).await
    }

    /// Starts to listen on top of an open core.
    ///
    /// # Errors
    /// When the address is taken, or the database refuses the server's own project.
    pub async fn serve(config: &Config, core: Core) -> Result<Self> {
        let (draining, stopping) = (CancellationToken::new(), CancellationToken::new());
        let sockets = Arc::new(Semaphore::new(config.limits.sockets_max));
        let engine = Engine::new(Services {
            database: core.database.clone(),
            ingest: core.ingest.clone(),
            publisher: core.publisher.clone(),
            clock: core.clock.clone(),
            limits: limits(config),
            introspection: config.graphql.introspection,
        });
        let (recorder, jobs) = start_jobs(config, &core, &stopping).await?;
        let listener = TcpListener::bind(config.server.listen).await.map_err(|error| {
            Error::input("server.listen", format!("cannot listen on {}: {error}", config.server.listen))
        })?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let router = http::router(HttpState {
            engine: engine.clone(),
            database: core.database.clone(),
            settings: Arc::new(http_settings(config)),
            recorder,
            draining: draining.clone(),
            sockets: Arc::clone(&sockets),
        });
        let stop = draining.clone();
        let server =
            spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await });
        Ok(Self {
            address,
            engine,
            core,
            jobs,
            server,
            draining,
            stopping,
            sockets,
            sockets_max: narrow(config.limits.sockets_max),
            drain_timeout: Duration::from_millis(config.server.drain_timeout_ms),
        })
    }

    /// Where the server listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The executable schema.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the server stands on.
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// Stops in reverse: no new work, requests and sockets finish, jobs write what they hold, pools close.
    pub async fn stop(self) {
        self.draining.cancel();
        let finished = async {
            // Upgraded sockets are no longer the listener's: each holds a permit until it has been told.
            let (_, _) = tokio::join!(self.server, self.sockets.acquire_many(self.sockets_max));
        };
        if timeout(self.drain_timeout, finished).await.is_err() {
            tracing::warn!("some requests or sockets did not finish in time");
        }
        self.stopping.cancel();
        for job in self.jobs {
            if timeout(STOP_TIMEOUT, job).await.is_err() {
                tracing::warn!("a job did not finish in time");
            }
        }
        self.core.close().await;
    }
}

async fn start_jobs(
    config: &Config,
    core: &Core,
    stopping: &CancellationToken,
) -> Result<(Recorder, Vec<JoinHandle<()>>)> {
    let partitions =
        partitions::run(core.database.clone(), core.clock.clone(), partition_days(config), stopping.clone());
    let mut jobs = vec![spawn(partitions)];
    if !config.self_monitoring.enabled {
        return Ok((Recorder::disabled(core.clock.clone()), jobs));
    }
    let scope = auth::server_scope();
    let session = core.database.writer(StatementLog::default());
    let project = self_monitoring::own_project(&scope, &session, &core.ids, core.clock.now()).await?;
    let (recorder, inbox) = Recorder::new(core.clock.clone());
    let interval = Duration::from_millis(config.self_monitoring.flush_interval_ms);
    jobs.push(spawn(inbox.run(scope, core.ingest.clone(), project, interval, stopping.clone())));
    Ok((recorder, jobs))
}

#[expect(clippy::disallowed_methods, reason = "the one place outside of jobs that starts tasks")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// The id generator's node: as configured, or any. SQLite has one process, so any is as good as another there.
pub fn node(config: &Config) -> u8 {
    config.server.node.unwrap_or_else(rand::random)
}

/// How to open the database.
pub fn pool_options(config: &Config) -> pool::Options {
    pool::Options {
        url: config.database.url.reveal().to_owned(),
        read_connections: config.database.read_connections,
        write_connections: config.database.write_connections,
        acquire_timeout: Duration::from_millis(config.database.acquire_timeout_ms),
        busy_timeout: Duration::from_millis(config.database.busy_timeout_ms),
        statement_timeout: Duration::from_millis(config.database.statement_timeout_ms),
    }
}

fn partition_days(config: &Config) -> Days {
    Days { past: config.ingest.time_window_past_hours.div_ceil(24), future: config.database.partition_days_ahead }
}

fn ingest_settings(config: &Config) -> ingest::Settings {
    ingest::Settings {
        rows_max: narrow(config.limits.ingest_rows_max),
        past: Duration::from_secs(u64::from(config.ingest.time_window_past_hours) * 3_600),
        future: Duration::from_secs(u64::from(config.ingest.time_window_future_minutes) * 60),
        queue_rows_max: narrow(config.ingest.queue_rows_max),
        endpoint_bytes_max: config.ingest.endpoint_bytes_max,
        commit_rows_max: narrow(config.ingest.commit_rows_max),
        committers: if config.database.url.is_sqlite() { 1 } else { config.database.write_connections.max(1) as usize },
    }
}

/// The configuration's own check keeps every maximum far below this.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

const fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        page_size_default: limits.page_size_default,
        page_size_max: limits.page_size_max,
        document_bytes_max: limits.document_bytes_max,
        tokens_max: limits.tokens_max,
        definitions_max: limits.definitions_max,
        depth_max: limits.depth_max,
        aliases_max: limits.aliases_max,
        root_fields_max: limits.root_fields_max,
        directives_max: limits.directives_max,
        fields_max: limits.fields_max,
        cost_max: limits.cost_max,
    }
}

fn http_settings(config: &Config) -> HttpSettings {
    HttpSettings {
        listen: config.server.listen.ip(),
        body_bytes_max: config.limits.body_bytes_max,
        request_timeout: Duration::from_millis(config.server.request_timeout_ms),
        graphiql: config.graphql.graphiql,
        websocket_message_bytes_max: config.limits.websocket_message_bytes_max,
        subscriptions_per_socket_max: config.limits.subscriptions_per_socket_max,
        connection_init_timeout: Duration::from_millis(config.limits.connection_init_timeout_ms),
    }
}
