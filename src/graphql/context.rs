//! What every resolver of a request shares: the viewer, the session that logs statements, the loaders and the services.

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

use async_graphql::ContextBase;
use tokio_util::task::TaskTracker;

use super::loaders::{Loader, Loaders};
use crate::{
    auth::Viewer,
    clock::Clock,
    config::{self, Limits},
    db::{Database, Session, StatementLog},
    engine::watch::{self, Course},
    error::{Error, Result},
    ingest::Ingest,
    live::{Cursors, Publisher, Windows, changes::ChangeSignal},
    model::{IdGenerator, Scope, Timestamp},
};

/// The parts of the house that resolvers call.
pub struct Services {
    /// The pools.
    pub database: Database,
    /// The write path.
    pub ingest: Ingest,
    /// What was just written.
    pub publisher: Publisher,
    /// The signal that a change log has advanced.
    pub changes: ChangeSignal,
    /// Sliding windows over it.
    pub windows: Windows,
    /// Makes the ids of what is created.
    pub ids: Arc<IdGenerator>,
    /// The time.
    pub clock: Clock,
    /// Bounds on operations.
    pub limits: Limits,
    /// Whether the schema may be asked for by clients.
    pub introspection: bool,
    /// Makes and reads the cursors of streams.
    pub cursors: Cursors,
    /// Settings of streams and live windows.
    pub live: config::Live,
    /// What it may cost that subscriptions are shared.
    pub sharing: watch::Settings,
    /// Where executions run that several subscriptions share; whoever starts the server also waits for them.
    pub tasks: TaskTracker,
}

/// One request, or one subscription with its changing loaders.
pub struct RequestContext {
    /// Who is calling.
    pub viewer: Viewer,
    /// The parts of the house.
    pub services: Arc<Services>,
    /// The statements of this request. A subscription's events log apart: nobody would ever read them here.
    pub log: StatementLog,
    /// Which part of a stream is to be carried, in a subscription.
    course: Option<Arc<Course>>,
    session: Session,
    turn: RwLock<Turn>,
    /// Whether the operation has one field at its top, and no other operation shares the loaders.
    is_lone: bool,
}

/// What belongs to one request, or to one event of a subscription.
struct Turn {
    loaders: Arc<Loaders>,
    as_of: Timestamp,
}

impl Turn {
    fn new(viewer: &Viewer, session: &Session, services: &Services) -> Self {
        let as_of = services.clock.now();
        let loaders = Arc::new(Loaders::new(*viewer.scope(), session, &services.limits, as_of));
        Self { loaders, as_of }
    }
}

impl RequestContext {
    /// A context with fresh loaders.
    pub fn new(viewer: Viewer, services: Arc<Services>, is_lone: bool) -> Self {
        let log = StatementLog::default();
        let session = services.database.reader(log.clone());
        let turn = RwLock::new(Turn::new(&viewer, &session, &services));
        Self { viewer, services, log, course: None, session, turn, is_lone }
    }

    /// A context for a part of a subscription.
    pub fn watching(viewer: Viewer, services: Arc<Services>, course: Arc<Course>) -> Self {
        Self { course: Some(course), ..Self::new(viewer, services, false) }
    }

    /// Which part of a stream is to be carried.
    ///
    /// # Errors
    /// Never for subscriptions that came through the engine, which puts it there.
    pub fn course(&self) -> Result<&Arc<Course>> {
        self.course.as_ref().ok_or_else(|| Error::internal("no course in the execution of a subscription"))
    }

    /// What the caller may reach.
    pub const fn scope(&self) -> &Scope {
        self.viewer.scope()
    }

    /// The session to read through.
    pub const fn db(&self) -> &Session {
        &self.session
    }

    /// The loaders of this request, or of this event of a subscription.
    pub fn loaders(&self) -> Arc<Loaders> {
        Arc::clone(&self.turn.read().unwrap_or_else(PoisonError::into_inner).loaders)
    }

    /// Loads for a field at the top of an operation. Where nothing stands beside it, nobody else can ask, and nobody is
    /// waited for.
    ///
    /// # Errors
    /// What loading failed with.
    pub async fn load_at_top<K, V>(&self, loader: impl Fn(&Loaders) -> &Loader<K, V>, key: K) -> Result<Option<V>>
    where
        K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let loaders = self.loaders();
        let loader = loader(&loaders);
        if self.is_lone { loader.load_alone(key).await } else { loader.load(key).await }
    }

    /// The moment that every window like "the last hour" is counted from. One for all fields of a request: with a moment
    /// each, the figures of twenty projects would be twenty questions instead of one, and would not fit together.
    pub fn as_of(&self) -> Timestamp {
        self.turn.read().unwrap_or_else(PoisonError::into_inner).as_of
    }

    /// A session to change things through.
    pub fn writer(&self) -> Session {
        self.services.database.writer(self.log.clone())
    }

    /// Forgets what was loaded before something was changed.
    pub fn forget_loaded(&self) {
        self.reload(&self.session);
    }

    /// Forgets what was loaded: the next event of a subscription must see the rows of its own time.
    pub fn renew_loaders(&self) {
        self.reload(&self.services.database.reader(StatementLog::default()));
    }

    fn reload(&self, session: &Session) {
        let fresh = Turn::new(&self.viewer, session, &self.services);
        *self.turn.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}

/// The request that a resolver works for.
///
/// # Errors
/// Never for requests that came through the engine, which puts the context there.
pub fn request<'a, T>(context: &ContextBase<'a, T>) -> Result<&'a Arc<RequestContext>> {
    context.data_opt().ok_or_else(|| Error::internal("no request context in a GraphQL execution"))
}
