//! Every part of the server, built once in order and closed in reverse. The only file that knows all of them.

mod settings;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth,
    clock::Clock,
    config::{self, Config},
    db::{Database, Instance, StatementLog, migrate},
    engine::{Engine, watch},
    error::{Error, Result},
    graphql::Services,
    http::{
        self,
        state::{HttpState, SharedState},
    },
    ingest::Ingest,
    jobs::{
        compaction, partitions,
        retention::Retention,
        self_monitoring::{self, Recorder},
    },
    live::{
        Cursors, Follower, Publisher, Windows, bus,
        changes::{ChangeRelay, ChangeSignal},
    },
    model::IdGenerator,
    random::Random,
};

use settings::trusted;

/// How long the jobs may take once the last request was answered. These three stay below five seconds together: what
/// starts servers kills them some time after the drain timeout.
const JOBS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the queue may take to be written.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// How long connections may take to come back.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// The cursors of streams.
    pub cursors: Cursors,
    batcher: JoinHandle<()>,
    /// Last: nobody else may be this instance while anything above still writes.
    instance: Instance,
}

impl Core {
    /// Opens and migrates the database and starts the write path. The instance is held until the core is closed.
    ///
    /// # Errors
    /// When the database cannot be reached or migrated.
    pub async fn open(config: &Config, clock: Clock, instance: Instance) -> Result<Self> {
        Self::open_with(config, clock, instance, &config.ingest).await
    }

    /// The same with other settings of the write path than those of `config`.
    ///
    /// # Errors
    /// As [`Core::open`].
    pub async fn open_with(
        config: &Config,
        clock: Clock,
        instance: Instance,
        settings: &config::Ingest,
    ) -> Result<Self> {
        let database = Database::open(&config.database).await?;
        if config.database.migrate_on_start {
            migrate::up(&database, None).await?;
        } else {
            migrate::require(&database).await?;
        }
        partitions::ensure(&database, &clock, config.into()).await?;
        database.reload_kept().await?;
        let ids = Arc::new(instance.id_generator());
        let cursors = Cursors::load(&database, &Random::system()).await?;
        let publisher = Publisher::new(config.live.channel_batches_max);
        let (ingest, batcher) =
            Ingest::new(database.clone(), Arc::clone(&ids), clock.clone(), publisher.clone(), settings.clone());
        let batcher = spawn(batcher.run());
        Ok(Self { database, ids, clock, ingest, publisher, cursors, batcher, instance })
    }

    /// Writes what is queued and closes the pools.
    pub async fn close(self) {
        self.ingest.close();
        if timeout(QUEUE_TIMEOUT, self.batcher).await.is_err() {
            tracing::error!("queued metrics could not be written in time; their callers were not told that they were");
        }
        let close = async {
            self.database.close().await;
            self.instance.release().await;
        };
        if timeout(CLOSE_TIMEOUT, close).await.is_err() {
            tracing::warn!("the database's connections did not come back in time");
        }
    }
}

/// A server that listens.
pub struct App {
    address: SocketAddr,
    engine: Engine,
    core: Core,
    jobs: Vec<Job>,
    /// Executions that subscriptions share.
    tasks: TaskTracker,
    server: JoinHandle<()>,
    /// Cancelled before everything else: balancers look elsewhere.
    leaving: CancellationToken,
    /// Cancelled next: no new requests, sockets are told.
    draining: CancellationToken,
    /// Cancelled when the last request was answered: jobs write what they hold.
    stopping: CancellationToken,
    sockets: Arc<Semaphore>,
    sockets_max: u32,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl App {
    /// Builds every part and starts to listen. Port 0 takes a free one.
    ///
    /// # Errors
    /// When a part cannot start; what was started before stops with the process.
    pub async fn start(config: &Config, clock: Clock) -> Result<Self> {
        let instance = Instance::claim(&config.database, config.server.node).await?;
        Self::start_as(instance, config, clock).await
    }

    /// The same for whoever already is an instance.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_as(instance: Instance, config: &Config, clock: Clock) -> Result<Self> {
        let core = Core::open(config, clock, instance).await?;
        Self::serve(config, core).await
    }

    /// Starts to listen on top of an open core.
    ///
    /// # Errors
    /// When the address is taken, or the database refuses the server's own project.
    pub async fn serve(config: &Config, core: Core) -> Result<Self> {
        let [leaving, draining, stopping] = std::array::from_fn(|_| CancellationToken::new());
        let sockets = Arc::new(Semaphore::new(config.limits.sockets_max as usize));
        let tasks = TaskTracker::new();
        let trusted = trusted(config)?;
        let (windows, runner) = Windows::new(&config.live, core.database.clone(), core.clock.clone(), &core.publisher);
        let changes = ChangeSignal::default();
        let relay = ChangeRelay::new(
            core.database.clone(),
            core.publisher.clone(),
            changes.clone(),
            bus::poll_interval(config),
        );
        let services = Services {
            database: core.database.clone(),
            ingest: core.ingest.clone(),
            publisher: core.publisher.clone(),
            changes,
            windows,
            ids: Arc::clone(&core.ids),
            clock: core.clock.clone(),
            limits: config.limits.clone(),
            introspection: config.graphql.introspection,
            cursors: core.cursors.clone(),
            live: config.live.clone(),
            sharing: watch::Settings {
                frames_max: config.live.frames_max,
                stretches_bytes_max: config.live.resumed_bytes_max,
            },
            tasks: tasks.clone(),
        };
        let engine = Engine::new(services, trusted);
        // Boxed, or whoever starts a server would carry every job about while it starts.
        let (recorder, mut jobs) = Box::pin(start_jobs(config, &core, &stopping)).await?;
        jobs.push(("changes", spawn(relay.run(stopping.clone()))));
        jobs.push(("live windows", spawn(runner.run(stopping.clone()))));
        let listener = TcpListener::bind(config.server.listen).await.map_err(|error| {
            Error::input("server.listen", format!("cannot listen on {}: {error}", config.server.listen))
        })?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let shared_config = Arc::new(config.clone());
        let router = http::router(HttpState::new(SharedState {
            engine: engine.clone(),
            ingest: core.ingest.clone(),
            cursors: core.cursors.clone(),
            database: core.database.clone(),
            config: Arc::clone(&shared_config),
            recorder,
            leaving: leaving.clone(),
            draining: draining.clone(),
            sockets: Arc::clone(&sockets),
            streams: Arc::new(Semaphore::new(config.limits.streams_max as usize)),
        }));
        let server = spawn(http::listener::serve(listener, router, shared_config, draining.clone()));
        Ok(Self {
            address,
            engine,
            core,
            jobs,
            tasks,
            server,
            leaving,
            draining,
            stopping,
            sockets,
            sockets_max: config.limits.sockets_max,
            drain_delay: config.server.drain_delay,
            drain_timeout: config.server.drain_timeout,
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

    /// Stops in reverse: no new work, requests and sockets finish, jobs write what they hold, pools close. It takes the
    /// drain timeout and five seconds at most after the drain delay, and says what did not finish.
    pub async fn stop(self) {
        self.leaving.cancel();
        sleep(self.drain_delay).await;
        self.draining.cancel();
        // Upgraded sockets are no longer the listener's: each holds a permit until it has been told.
        let (requests, sockets) = tokio::join!(
            timeout(self.drain_timeout, self.server),
            timeout(self.drain_timeout, self.sockets.acquire_many(self.sockets_max)),
        );
        if requests.is_err() {
            tracing::warn!("some requests did not finish in time");
        }
        if sockets.is_err() {
            let open = (self.sockets_max as usize).saturating_sub(self.sockets.available_permits());
            tracing::warn!(open, "some sockets did not finish in time");
        }
        // They end with the last who watches.
        self.tasks.close();
        if timeout(JOBS_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("some subscriptions did not end in time");
        }
        self.stopping.cancel();
        join_all(self.jobs.into_iter().map(async |(name, job)| {
            if timeout(JOBS_TIMEOUT, job).await.is_err() {
                tracing::warn!(job = name, "a job did not finish in time");
            }
        }))
        .await;
        self.core.close().await;
    }
}

/// What runs beside the requests, by name.
type Job = (&'static str, JoinHandle<()>);

async fn start_jobs(config: &Config, core: &Core, stopping: &CancellationToken) -> Result<(Recorder, Vec<Job>)> {
    let bus = bus::configured(config, &core.cursors.database_name())?;
    let follower = Follower::begin(core.database.clone(), core.publisher.clone(), bus, bus::poll_interval(config));
    let follower = spawn(follower.await?.run(stopping.clone()));
    let partitions = partitions::run(core.database.clone(), core.clock.clone(), config.into(), stopping.clone());
    let compaction =
        compaction::run(core.database.clone(), core.clock.clone(), config.compaction.clone(), stopping.clone());
    let retention = Retention::new(core.database.clone(), config.retention.clone());
    let retention = retention.run(core.clock.clone(), stopping.clone());
    let mut jobs = vec![
        ("partitions", spawn(partitions)),
        ("compaction", spawn(compaction)),
        ("retention", spawn(retention)),
        ("follower", follower),
    ];
    if !config.self_monitoring.enabled {
        return Ok((Recorder::disabled(core.clock.clone()), jobs));
    }
    let scope = auth::server_scope();
    let session = core.database.writer(StatementLog::default());
    let project = self_monitoring::own_project(&scope, &session, &core.ids, core.clock.now()).await?;
    let (recorder, inbox) = Recorder::new(core.clock.clone(), config.self_monitoring.requests_per_operation_max);
    let interval = config.self_monitoring.flush_interval;
    let measuring = inbox.run(scope, core.ingest.clone(), project, interval, stopping.clone());
    jobs.push(("self-monitoring", spawn(measuring)));
    Ok((recorder, jobs))
}

#[expect(clippy::disallowed_methods, reason = "the one place outside of jobs that starts tasks")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}
