//! The bus through a broker that speaks Redis's protocol: publish and subscribe, nothing is stored there.

use std::time::Duration;

use ::redis::{AsyncConnectionConfig, Client, Msg, RedisError, aio::MultiplexedConnection};
use async_trait::async_trait;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::{sync::Mutex, time::timeout};

use super::Bus;
use crate::{
    error::{Error, Result},
    live::Poke,
};

/// A broker takes far more; listeners need not read it in one go.
const BYTES_MAX: usize = 32_768;
/// Longer than a broker that is well takes for anything. After it the instances ask the database anyway.
const PATIENCE: Duration = Duration::from_secs(1);

/// Carries pokes between all who use one broker and one database.
pub struct RedisBus {
    client: Client,
    /// Of this database alone: others may use the same broker.
    channel: String,
    /// Made when it is needed, given up when it fails.
    telling: Mutex<Option<MultiplexedConnection>>,
}

impl RedisBus {
    /// Connects when it is used. `database` tells databases apart that share a broker.
    ///
    /// # Errors
    /// When the URL makes no sense.
    pub fn new(url: &str, database: &str) -> Result<Self> {
        let client = Client::open(url).map_err(|error| Error::input("live.bus_url", error.to_string()))?;
        Ok(Self { client, channel: format!("perfgraph:{database}"), telling: Mutex::default() })
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        let mut telling = self.telling.lock().await;
        if let Some(connection) = telling.as_ref() {
            return Ok(connection.clone());
        }
        let patience =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let connection = self.client.get_multiplexed_async_connection_with_config(&patience).await.map_err(lost)?;
        Ok(telling.insert(connection).clone())
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, pokes: &[Poke]) -> Result<()> {
        let mut pipeline = ::redis::pipe();
        for text in Poke::texts(pokes, BYTES_MAX) {
            pipeline.publish(&self.channel, text).ignore();
        }
        let mut connection = self.connection().await?;
        let told = pipeline.query_async::<()>(&mut connection).await;
        if told.is_err() {
            *self.telling.lock().await = None;
        }
        told.map_err(lost)
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<Poke>>> {
        let listening = async {
            let mut listener = self.client.get_async_pubsub().await?;
            listener.subscribe(&self.channel).await?;
            Ok(listener)
        };
        let listener = timeout(PATIENCE, listening).await.map_err(|_| Error::Timeout)?.map_err(lost)?;
        let pokes =
            |message: Msg| message.get_payload::<String>().map_or_else(|_| Vec::new(), |text| Poke::read(&text));
        Ok(listener.into_on_message().map(pokes).boxed())
    }
}

fn lost(error: RedisError) -> Error {
    Error::Unavailable {
        message: "the broker cannot be reached",
        retry_after_s: 1,
        source: Some(crate::error::Cause::new(error)),
    }
}
