//! The bus over LISTEN and NOTIFY of PostgreSQL, on two connections of its own.
//!
//! Notices are never sent inside a writing transaction: NOTIFY holds a lock of the whole cluster until the commit.

use std::{str::FromStr, time::Duration};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use super::transport::Bus;
use crate::{
    error::{Error, Result},
    live::notice::CommitNotice,
};

const CHANNEL: &str = "perfgraph";
/// Maximum bytes of one message; PostgreSQL accepts fewer than 8,000.
const BYTES_MAX: usize = 7_900;
/// One connection listens, one notifies.
const CONNECTIONS: u32 = 2;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// A bus between all instances on one database.
#[derive(Clone, Debug)]
pub struct PostgresBus(PgPool);

impl PostgresBus {
    /// Connects on first use.
    ///
    /// # Errors
    /// When the URL is invalid.
    pub fn new(url: &str) -> Result<Self> {
        let connect = PgConnectOptions::from_str(url)
            .map_err(|error| Error::input("database.url", error.to_string()))?
            .application_name("perfgraph bus");
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
        Ok(Self(pool.idle_timeout(None).max_lifetime(None).connect_lazy_with(connect)))
    }
}

#[async_trait]
impl Bus for PostgresBus {
    async fn publish(&self, notices: &[CommitNotice]) -> Result<()> {
        let notify = sqlx::query("SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message");
        notify.bind(CHANNEL).bind(CommitNotice::texts(notices, BYTES_MAX)).execute(&self.0).await?;
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<CommitNotice>>> {
        let mut listener = PgListener::connect_with(&self.0).await?;
        listener.ignore_pool_close_event(true);
        listener.listen(CHANNEL).await?;
        let notices = stream::unfold(listener, |mut listener| async move {
            // `None` means that the connection was lost, an error that it could not be replaced; both end the stream.
            let message = listener.try_recv().await.ok()??;
            Some((CommitNotice::parse_all(message.payload()), listener))
        });
        Ok(notices.boxed())
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
