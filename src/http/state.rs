//! The state that all handlers share.

use std::{ops::Deref, sync::Arc};

use axum::http::HeaderMap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{in_flight::InFlight, origin, refused_origins::RefusedOrigins};
use crate::{
    config::Config,
    db::Database,
    engine::Engine,
    error::{Error, Result},
    ingest::Ingest,
    jobs::self_monitoring::Recorder,
    live::Cursors,
    random::Random,
};

/// A handle to the shared state. Each layer clones it for each request, so a clone is one reference count.
#[derive(Clone)]
pub struct HttpState(Arc<SharedState>);

impl HttpState {
    /// Wraps the state of one server.
    pub fn new(state: SharedState) -> Self {
        Self(Arc::new(state))
    }

    /// Checks that a request does not come from a page of another origin.
    ///
    /// # Errors
    /// [`Error::Forbidden`] that says what the page may not do, such as `open a WebSocket`.
    pub fn admit_origin(&self, headers: &HeaderMap, action: &str) -> Result<()> {
        if origin::is_allowed(headers, &self.config.server) {
            return Ok(());
        }
        self.refused_origins.tell(headers);
        Err(Error::Forbidden(format!("pages of this origin may not {action}; list it in server.cors_origins")))
    }
}

impl Deref for HttpState {
    type Target = SharedState;

    fn deref(&self) -> &SharedState {
        &self.0
    }
}

/// The parts of the server that handlers call, and the signals that end them.
pub struct SharedState {
    /// The GraphQL engine.
    pub engine: Engine,
    /// The write path, for the ingest API.
    pub ingest: Ingest,
    /// Encodes the cursors that the ingest API returns.
    pub cursors: Cursors,
    /// The database, for the readiness probe.
    pub database: Database,
    /// The settings of the server.
    pub config: Arc<Config>,
    /// Ids of requests and of spans.
    pub random: Random,
    /// The origins whose pages were refused lately, for the log.
    pub refused_origins: RefusedOrigins,
    /// The bytes of bodies in memory.
    pub in_flight: Arc<InFlight>,
    /// Records handled requests as measurements.
    pub recorder: Recorder,
    /// Cancelled when load balancers should stop sending requests.
    pub leaving: CancellationToken,
    /// Cancelled when the server drains.
    pub draining: CancellationToken,
    /// One permit per WebSocket that may be open.
    pub sockets: Arc<Semaphore>,
    /// One permit per stream over HTTP that may be open.
    pub streams: Arc<Semaphore>,
}
