//! The bus over a broker with Redis's protocol: PUBLISH and SUBSCRIBE; the broker stores nothing.

use std::time::Duration;

use ::redis::{AsyncConnectionConfig, Client, Msg, RedisError, aio::MultiplexedConnection};
use async_trait::async_trait;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::{sync::Mutex, time::timeout};

use super::transport::Bus;
use crate::{
    error::{Error, Result},
    live::notice::CommitNotice,
};

/// Maximum bytes of one message. A broker accepts more, but subscribers need not read that at once.
const BYTES_MAX: usize = 32_768;
/// Timeout of connecting and of one command. By then the instances have polled the database.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A bus between all instances that share a broker and a database.
pub struct RedisBus {
    client: Client,
    /// The channel of this database; others may use the same broker.
    channel: String,
    /// Opened when needed, dropped on failure.
    publishing: Mutex<Option<MultiplexedConnection>>,
}

impl RedisBus {
    /// Connects on first use. `database` distinguishes databases that share a broker.
    ///
    /// # Errors
    /// The URL is invalid.
    pub fn new(url: &str, database: &str) -> Result<Self> {
        let client = Client::open(url).map_err(|error| Error::input("live.bus_url", error.to_string()))?;
        Ok(Self { client, channel: format!("perfgraph:{database}"), publishing: Mutex::default() })
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        let mut publishing = self.publishing.lock().await;
        if let Some(connection) = publishing.as_ref() {
            return Ok(connection.clone());
        }
        let options =
            AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT)).set_response_timeout(Some(TIMEOUT));
        let connection =
            self.client.get_multiplexed_async_connection_with_config(&options).await.map_err(unreachable_broker)?;
        Ok(publishing.insert(connection).clone())
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, notices: &[CommitNotice]) -> Result<()> {
        let mut pipeline = ::redis::pipe();
        for text in CommitNotice::texts(notices, BYTES_MAX) {
            pipeline.publish(&self.channel, text).ignore();
        }
        let mut connection = self.connection().await?;
        let published = pipeline.query_async::<()>(&mut connection).await;
        if published.is_err() {
            *self.publishing.lock().await = None;
        }
        published.map_err(unreachable_broker)
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<CommitNotice>>> {
        let subscribed = async {
            let mut listener = self.client.get_async_pubsub().await?;
            listener.subscribe(&self.channel).await?;
            Ok(listener)
        };
        let listener = timeout(TIMEOUT, subscribed).await.map_err(|_| Error::Timeout)?.map_err(unreachable_broker)?;
        let notices = |message: Msg| {
            message.get_payload::<String>().map_or_else(|_| Vec::new(), |text| CommitNotice::parse_all(&text))
        };
        Ok(listener.into_on_message().map(notices).boxed())
    }
}

fn unreachable_broker(error: RedisError) -> Error {
    Error::Unavailable {
        message: "the broker cannot be reached",
        retry_after_s: 1,
        source: Some(crate::error::Cause::new(error)),
    }
}
