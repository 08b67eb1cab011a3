//! The bus that needs nothing but the database: LISTEN and NOTIFY, on two connections of its own.
//!
//! Never inside of a transaction that writes: NOTIFY takes a lock of the whole cluster until the commit is done.

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

use super::Bus;
use crate::{
    error::{Error, Result},
    live::Poke,
};

const CHANNEL: &str = "perfgraph";
/// The database takes less than 8,000 bytes in one message.
const BYTES_MAX: usize = 7_900;
/// One listens, one tells.
const CONNECTIONS: u32 = 2;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// Carries pokes between all who use one database.
#[derive(Clone, Debug)]
pub struct PostgresBus(PgPool);

impl PostgresBus {
    /// Connects when it is used.
    ///
    /// # Errors
    /// When the URL makes no sense.
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
    async fn publish(&self, pokes: &[Poke]) -> Result<()> {
        let notify = sqlx::query("SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message");
        notify.bind(CHANNEL).bind(Poke::texts(pokes, BYTES_MAX)).execute(&self.0).await?;
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<Poke>>> {
        let mut listener = PgListener::connect_with(&self.0).await?;
        listener.ignore_pool_close_event(true);
        listener.listen(CHANNEL).await?;
        let heard = stream::unfold(listener, |mut listener| async move {
            // Nothing means that the connection is lost, and an error that there is no other: begin again.
            let message = listener.try_recv().await.ok()??;
            Some((Poke::read(message.payload()), listener))
        });
        Ok(heard.boxed())
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
