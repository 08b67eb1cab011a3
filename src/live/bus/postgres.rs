//! The bus over LISTEN and NOTIFY of PostgreSQL, on two connections of its own.
//!
//! Notices are never sent inside a writing transaction: NOTIFY holds a lock of the whole cluster until the commit.

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use sqlx::{
    Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{sync::Mutex, time::timeout};

use super::{QUIET, TIMEOUT, transport::Bus};
use crate::{
    error::{Error, Result},
    live::notice::CommitNotice,
};

const CHANNEL: &str = "perfgraph";
/// Maximum bytes of one message; PostgreSQL accepts fewer than 8,000.
const BYTES_MAX: usize = 7_900;

/// A bus between all instances on one database.
#[derive(Debug)]
pub struct PostgresBus {
    options: PgConnectOptions,
    /// Opened when needed, dropped on failure.
    publishing: Mutex<Option<PgConnection>>,
}

impl PostgresBus {
    /// Connects on first use, as other connections to the server do.
    pub fn new(options: PgConnectOptions) -> Self {
        Self { options: options.application_name("perfgraph bus"), publishing: Mutex::default() }
    }
}

#[async_trait]
impl Bus for PostgresBus {
    async fn publish(&self, notices: &[CommitNotice]) -> Result<()> {
        let mut publishing = self.publishing.lock().await;
        // Not put back when it fails or is late.
        let open = publishing.take();
        let published = async {
            let mut connection = match open {
                Some(connection) => connection,
                None => PgConnection::connect_with(&self.options).await?,
            };
            let notify = sqlx::query("SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message");
            notify.bind(CHANNEL).bind(CommitNotice::texts(notices, BYTES_MAX)).execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        *publishing = Some(timeout(TIMEOUT, published).await.map_err(|_| Error::Timeout)??);
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<CommitNotice>>> {
        // The library listens on a connection of a pool. The next subscription has a pool of its own: this one keeps a
        // connection that does not answer.
        let pool =
            PgPoolOptions::new().max_connections(1).acquire_timeout(TIMEOUT).idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_lazy_with(self.options.clone());
        let subscribed = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let listener = timeout(TIMEOUT, subscribed).await.map_err(|_| Error::Timeout)??;
        let notices = stream::unfold(listener, |mut listener| async move {
            loop {
                match timeout(QUIET, listener.try_recv()).await {
                    // `None` means that the connection was lost; both that and an error end the stream.
                    Ok(message) => return Some((CommitNotice::parse_all(message.ok()??.payload()), listener)),
                    Err(_) => timeout(TIMEOUT, listener.execute("SELECT 1")).await.ok()?.ok()?,
                };
            }
        });
        Ok(notices.boxed())
    }

    async fn close(&self) {
        if let Some(connection) = self.publishing.lock().await.take() {
            // One that fails to close is closed by being dropped.
            let _ = timeout(TIMEOUT, connection.close()).await;
        }
    }
}
