//! Builds all parts of the server in order and closes them in reverse. The only file that knows all of them.

pub mod checking;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    auth,
    clock::Clock,
    config::{self, Config},
    db::{
        Database, IdGenerator, Instance, StatementLog,
        lease::{LeaseSettings, Renewal},
        migrate,
    },
    directory::organization,
    engine::{self, Engine, documents::Trusted, watch},
    error::{Error, Result},
    graphql::{Services, schema},
    http::{
        self,
        in_flight::InFlight,
        refused_origins::RefusedOrigins,
        state::{HttpState, SharedState},
    },
    ingest::Ingest,
    jobs::{
        demo_traffic::DemoTraffic,
        partitions, retention,
        runner::RunningJob,
        schedule,
        self_monitoring::{self, OwnMetrics, Recorder},
    },
    live::{
        Cursors, Follower, Publisher, Windows, bus,
        changes::{ChangeRelay, ChangeSignal},
    },
    random::Random,
};

/// Maximum time for jobs to end after the last request was answered. These three timeouts together stay below five seconds,
/// because process managers kill servers some time after the drain timeout.
const JOBS_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time to write the queue.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Maximum time for connections to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The open database with the write path: the basis of a server, and sufficient for seeding and importing.
pub struct Core {
    /// The pools.
    pub database: Database,
    /// Generates ids.
    pub ids: IdGenerator,
    /// The clock.
    pub clock: Clock,
    /// The write path.
    pub ingest: Ingest,
    /// Publishes commits to subscribers.
    pub publisher: Publisher,
    /// Encodes and decodes the cursors of streams.
    pub cursors: Cursors,
    random: Random,
    batcher: RunningJob,
    renewal: RunningJob,
    /// Ends the renewal of the lease, also when the core is dropped without being closed.
    renewing: DropGuard,
    /// Declared last, so that no other process can claim this instance while the parts above still write.
    instance: Instance,
}

impl Core {
    /// Opens and migrates the database and starts the write path. Holds the instance until the core is closed.
    ///
    /// # Errors
    /// If the database cannot be reached or migrated.
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
        mut instance: Instance,
        settings: &config::Ingest,
    ) -> Result<Self> {
        let database = instance.open(&config.database).await?;
        if config.database.migrate_on_start {
            migrate::up(&database, None).await?;
        } else {
            migrate::require(&database).await?;
        }
        retention::load_bounds(&database).await?;
        // Reports and streams leave this organization out, so its id is known before the first of them.
        let session = database.reader(StatementLog::default());
        if let Some(own) = organization::find_own(&auth::server_scope(), &session).await? {
            database.set_own_organization(own);
        }
        let lease = LeaseSettings {
            node: instance.node(),
            lasts: config.database.node_lease,
            patience: config.database.acquire_timeout,
        };
        let (ids, renewal) = Renewal::begin(&database, clock.clone(), lease).await?;
        let renewing = CancellationToken::new();
        let renewal = schedule::node_lease(renewal).start(&renewing);
        let renewing = renewing.drop_guard();
        // After the lease, which knows whether the clock is right.
        partitions::ensure(&database, &clock, config.into()).await?;
        let random = Random::system();
        let cursors = Cursors::load(&database, &random).await?;
        let publisher = Publisher::new(config.live.channel_batches_max);
        let raw_days = config.retention.raw_days;
        let (ingest, batcher) =
            Ingest::new(database.clone(), ids.clone(), clock.clone(), publisher.clone(), settings.clone(), raw_days);
        // Never cancelled: it ends when the queue is closed and written.
        let batcher = schedule::write_path(batcher).start(&CancellationToken::new());
        Ok(Self { database, ids, clock, ingest, publisher, cursors, random, batcher, renewal, renewing, instance })
    }

    /// Writes the queue and closes the pools.
    pub async fn close(self) {
        self.ingest.close();
        if !self.batcher.ended(QUEUE_TIMEOUT).await {
            tracing::error!("queued metrics were not written in time; their callers got no acknowledgement");
        }
        let mut instance = self.instance;
        let close = async {
            if let Err(fault) = self.ingest.write_status().await {
                tracing::warn!(%fault, "counters of what was ingested are lost");
            }
            // After the last commit, and before the pool closes that SQLite gives the node back through.
            self.renewing.disarm().cancel();
            self.renewal.ended(CLOSE_TIMEOUT).await;
            instance.close(&self.database).await;
            drop(instance);
        };
        if timeout(CLOSE_TIMEOUT, close).await.is_err() {
            tracing::warn!("the database connections did not close in time");
        }
    }
}

/// A server that listens.
pub struct App {
    address: SocketAddr,
    has_demo_traffic: bool,
    engine: Engine,
    core: Core,
    jobs: Vec<RunningJob>,
    /// Executions shared by subscriptions.
    tasks: TaskTracker,
    server: JoinHandle<()>,
    /// Cancelled first, so that load balancers stop sending requests.
    leaving: CancellationToken,
    /// Cancelled second: no new requests are accepted, and WebSockets are closed.
    draining: CancellationToken,
    /// Cancelled after the last request: jobs write their pending data.
    stopping: CancellationToken,
    sockets: Arc<Semaphore>,
    sockets_max: u32,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl App {
    /// Builds all parts and starts to listen. Port 0 selects a free port.
    ///
    /// # Errors
    /// If a part cannot start. Parts started before it stop with the process.
    pub async fn start(config: &Config, clock: Clock) -> Result<Self> {
        let instance = Instance::claim(&config.database, config.server.node)?;
        Self::start_as(instance, None, config, clock).await
    }

    /// Like [`App::start`], with an instance that was claimed already, and the listener if there is one.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_as(
        instance: Instance,
        listener: Option<TcpListener>,
        config: &Config,
        clock: Clock,
    ) -> Result<Self> {
        let core = Core::open(config, clock, instance).await?;
        Self::serve(config, core, listener).await
    }

    /// Starts to listen with an open core, on a listener that is there already or on the configured address.
    ///
    /// # Errors
    /// If the address is in use, or the server's own project cannot be created.
    pub async fn serve(config: &Config, core: Core, listener: Option<TcpListener>) -> Result<Self> {
        let [leaving, draining, stopping] = std::array::from_fn(|_| CancellationToken::new());
        let sockets = Arc::new(Semaphore::new(config.limits.sockets_max as usize));
        let tasks = TaskTracker::new();
        let trusted = Trusted::configured(&config.graphql)?;
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
            ids: core.ids.clone(),
            clock: core.clock.clone(),
            limits: config.limits.clone(),
            cursors: core.cursors.clone(),
            live: config.live.clone(),
        };
        let settings = engine::Settings {
            limits: config.limits.clone(),
            introspection: config.graphql.introspection,
            trusted,
            sharing: watch::Settings {
                responses_max: config.live.frames_max,
                replay_bytes_max: config.live.resumed_bytes_max,
            },
            tasks: tasks.clone(),
        };
        let engine = Engine::new(schema::source(), Arc::new(services), settings).map_err(Error::internal)?;
        let bus = bus::configured(config, core.database.address(), &core.cursors.database_name())?;
        let follower = Follower::begin(core.database.clone(), core.publisher.clone(), bus, bus::poll_interval(config));
        let (recorder, own_metrics) = own_metrics(config, &core).await?;
        let demo = if config.is_demo() { demo_traffic(&core).await? } else { None };
        let has_demo_traffic = demo.is_some();
        let parts = schedule::Parts {
            database: core.database.clone(),
            clock: core.clock.clone(),
            follower: follower.await?,
            changes: relay,
            windows: runner,
            own_metrics,
            demo,
            ingest: core.ingest.clone(),
        };
        let jobs = schedule::jobs(config, parts).into_iter().map(|job| job.start(&stopping)).collect();
        let listener = match listener {
            Some(listener) => listener,
            None => checking::listen(config.server.listen).await?,
        };
        let address = listener.local_addr().map_err(Error::internal)?;
        let shared_config = Arc::new(config.clone());
        let router = http::router(HttpState::new(SharedState {
            engine: engine.clone(),
            ingest: core.ingest.clone(),
            cursors: core.cursors.clone(),
            database: core.database.clone(),
            config: Arc::clone(&shared_config),
            random: core.random.clone(),
            refused_origins: RefusedOrigins::default(),
            in_flight: InFlight::new(config.limits.bodies_bytes_max),
            recorder,
            leaving: leaving.clone(),
            draining: draining.clone(),
            sockets: Arc::clone(&sockets),
            streams: Arc::new(Semaphore::new(config.limits.streams_max as usize)),
        }));
        let server =
            spawn(http::listener::serve(listener, router, shared_config, Arc::clone(&sockets), draining.clone()));
        Ok(Self {
            address,
            has_demo_traffic,
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

    /// The address on which the server listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// True if this server sends demo traffic to the sample projects of its database.
    pub const fn has_demo_traffic(&self) -> bool {
        self.has_demo_traffic
    }

    /// The GraphQL engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The database and the write path.
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// Stops the server: no new requests, requests and WebSockets finish, jobs write their pending data, pools close. Takes
    /// at most the drain delay, the drain timeout and five seconds, and logs what did not finish in time.
    pub async fn stop(self) {
        self.leaving.cancel();
        sleep(self.drain_delay).await;
        self.draining.cancel();
        // The listener does not wait for upgraded connections; each holds a permit until it is closed.
        let (requests, sockets) = tokio::join!(
            timeout(self.drain_timeout, self.server),
            timeout(self.drain_timeout, self.sockets.acquire_many(self.sockets_max)),
        );
        if requests.is_err() {
            tracing::warn!("some requests did not finish within server.drain_timeout_ms");
        }
        if sockets.is_err() {
            let open = (self.sockets_max as usize).saturating_sub(self.sockets.available_permits());
            tracing::warn!(open, "some WebSockets were not closed within server.drain_timeout_ms");
        }
        // Shared executions end with their last subscriber.
        self.tasks.close();
        if timeout(JOBS_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("some subscriptions did not end in time");
        }
        self.stopping.cancel();
        join_all(self.jobs.into_iter().map(|job| job.ended(JOBS_TIMEOUT))).await;
        self.core.close().await;
    }
}

async fn demo_traffic(core: &Core) -> Result<Option<DemoTraffic>> {
    let Core { database, clock, ingest, .. } = core;
    DemoTraffic::begin(auth::server_scope(), database.clone(), ingest.clone(), clock.clone()).await
}

/// The recorder of requests and the job that writes them, if the server monitors itself.
async fn own_metrics(config: &Config, core: &Core) -> Result<(Recorder, Option<OwnMetrics>)> {
    let Core { database, ids, clock, ingest, random, .. } = core;
    if !config.self_monitoring.enabled {
        return Ok((Recorder::disabled(clock.clone()), None));
    }
    let scope = auth::server_scope();
    let session = database.writer(StatementLog::default());
    let project = self_monitoring::own_project(&scope, &session, ids, clock.now()).await?;
    database.set_own_organization(project.organization);
    let requests_max = config.self_monitoring.requests_per_operation_max;
    let (recorder, inbox) = Recorder::new(clock.clone(), random.clone(), requests_max);
    Ok((recorder, Some(OwnMetrics { inbox, scope, ingest: ingest.clone(), project })))
}

#[expect(clippy::disallowed_methods, reason = "the one place outside of jobs that starts tasks")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}
