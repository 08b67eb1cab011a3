//! The data that resolvers of a request share: the viewer, the session that logs statements, the loaders, the services.

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

use async_graphql::ContextBase;

use super::loaders::{Loader, Loaders};
use crate::{
    auth::Viewer,
    clock::Clock,
    config::{self, Limits},
    db::{Database, IdGenerator, Session, Statement, StatementLog},
    engine::{
        contexts::{ContextFactory, ResolverContext},
        watch::Execution,
    },
    error::{Error, Result},
    ingest::Ingest,
    live::{Cursors, Publisher, Windows, changes::ChangeSignal},
    model::{Scope, Timestamp},
};

/// The parts of the server that resolvers call.
pub struct Services {
    /// The database.
    pub database: Database,
    /// The write path.
    pub ingest: Ingest,
    /// The publisher of committed measurements.
    pub publisher: Publisher,
    /// The signal that a change log has advanced.
    pub changes: ChangeSignal,
    /// Sliding windows over committed measurements.
    pub windows: Windows,
    /// The generator of ids.
    pub ids: IdGenerator,
    /// The clock.
    pub clock: Clock,
    /// Limits of lists, filters and reports.
    pub limits: Limits,
    /// The cursors of streams.
    pub cursors: Cursors,
    /// Settings of streams and live windows.
    pub live: config::Live,
}

/// The context of one request, or of one execution of a subscription.
pub struct RequestContext {
    /// The caller.
    pub viewer: Viewer,
    /// The parts of the server.
    pub services: Arc<Services>,
    /// The statements of this request. Events of a subscription log apart, because nothing reads their statements.
    pub log: StatementLog,
    /// The execution, in a subscription.
    execution: Option<Arc<Execution>>,
    session: Session,
    loaded: RwLock<Loaded>,
    /// The operation has one root field, and no other operation shares the loaders.
    has_one_root: bool,
}

/// The loaders of one request, or of one event of a subscription, with its point in time.
struct Loaded {
    loaders: Arc<Loaders>,
    as_of: Timestamp,
}

impl Loaded {
    fn new(viewer: &Viewer, session: &Session, services: &Services) -> Self {
        let as_of = services.clock.now();
        let arrived = services.ingest.status_counters();
        let loaders = Arc::new(Loaders::new(*viewer.scope(), session, &services.limits, as_of, arrived));
        Self { loaders, as_of }
    }
}

impl RequestContext {
    /// A context with fresh loaders.
    pub fn new(viewer: Viewer, services: Arc<Services>, has_one_root: bool) -> Self {
        let log = StatementLog::default();
        let session = services.database.reader_for_request(log.clone());
        let loaded = RwLock::new(Loaded::new(&viewer, &session, &services));
        Self { viewer, services, log, execution: None, session, loaded, has_one_root }
    }

    /// A context for an execution of a subscription.
    pub fn of_subscription(viewer: Viewer, services: Arc<Services>, execution: Arc<Execution>) -> Self {
        Self { execution: Some(execution), ..Self::new(viewer, services, false) }
    }

    /// The execution of the subscription.
    ///
    /// # Errors
    /// Outside of a subscription.
    pub fn execution(&self) -> Result<&Arc<Execution>> {
        self.execution.as_ref().ok_or_else(|| Error::internal("no execution in the context of a subscription"))
    }

    /// The scope of the caller.
    pub const fn scope(&self) -> &Scope {
        self.viewer.scope()
    }

    /// The session for reads.
    pub const fn db(&self) -> &Session {
        &self.session
    }

    /// The loaders of this request, or of this event of a subscription.
    pub fn loaders(&self) -> Arc<Loaders> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).loaders)
    }

    /// Loads a key for a root field. A single root field loads at once, because nothing else can add keys to the batch.
    ///
    /// # Errors
    /// The error of the batch.
    pub async fn load_at_top<K, V>(&self, loader: impl Fn(&Loaders) -> &Loader<K, V>, key: K) -> Result<Option<V>>
    where
        K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let loaders = self.loaders();
        let loader = loader(&loaders);
        if self.has_one_root { loader.load_alone(key).await } else { loader.load(key).await }
    }

    /// The end of every window like "the last hour", one for all fields of a request. With a different end for each field,
    /// twenty projects would need twenty reports instead of one, and their figures would not fit together.
    pub fn as_of(&self) -> Timestamp {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).as_of
    }

    /// The session for changes.
    pub fn writer(&self) -> Session {
        self.services.database.writer(self.log.clone())
    }

    /// Drops values that were loaded before a change.
    pub fn forget_loaded(&self) {
        self.reload(&self.session);
    }

    /// Drops loaded values, so that the next event of a subscription reads current rows.
    pub fn renew_loaders(&self) {
        self.reload(&self.services.database.reader_for_request(StatementLog::default()));
    }

    fn reload(&self, session: &Session) {
        let fresh = Loaded::new(&self.viewer, session, &self.services);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}

impl ResolverContext for RequestContext {
    fn viewer(&self) -> Viewer {
        self.viewer
    }

    fn statements(&self) -> Vec<Statement> {
        self.log.statements()
    }

    fn attach(self: Arc<Self>, request: async_graphql::Request) -> async_graphql::Request {
        request.data(self)
    }
}

impl ContextFactory for Services {
    fn for_request(self: Arc<Self>, viewer: Viewer, has_one_root: bool) -> Arc<dyn ResolverContext> {
        Arc::new(RequestContext::new(viewer, self, has_one_root))
    }

    fn for_subscription(self: Arc<Self>, viewer: Viewer, execution: Arc<Execution>) -> Arc<dyn ResolverContext> {
        Arc::new(RequestContext::of_subscription(viewer, self, execution))
    }
}

/// The context of a resolver.
///
/// # Errors
/// Outside of the engine, which attaches the context to each request.
pub fn request<'a, T>(context: &ContextBase<'a, T>) -> Result<&'a Arc<RequestContext>> {
    context.data_opt().ok_or_else(|| Error::internal("no request context in a GraphQL execution"))
}
