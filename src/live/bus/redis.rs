//! The bus over a broker with Redis's protocol: PUBLISH and SUBSCRIBE; the broker stores nothing.

use ::redis::{Client, Msg, RedisError, Value, aio::MultiplexedConnection};
use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{sync::Mutex, time::timeout};

use super::{QUIET, TIMEOUT, transport::Bus};
use crate::{
    error::{Error, Result},
    live::notice::CommitNotice,
};

/// Maximum bytes of one message. A broker accepts more, but subscribers need not read that at once.
const BYTES_MAX: usize = 32_768;

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
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, notices: &[CommitNotice]) -> Result<()> {
        let mut pipeline = ::redis::pipe();
        for text in CommitNotice::texts(notices, BYTES_MAX) {
            pipeline.publish(&self.channel, text).ignore();
        }
        let mut publishing = self.publishing.lock().await;
        // Not put back when it fails or is late.
        let open = publishing.take();
        let published = async {
            let mut connection = match open {
                Some(connection) => connection,
                None => self.client.get_multiplexed_async_connection().await?,
            };
            pipeline.query_async::<()>(&mut connection).await?;
            Ok(connection)
        };
        let published = timeout(TIMEOUT, published).await.map_err(|_| Error::Timeout)?;
        *publishing = Some(published.map_err(unreachable_broker)?);
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<CommitNotice>>> {
        let subscribed = async {
            let mut listener = self.client.get_async_pubsub().await?;
            listener.subscribe(&self.channel).await?;
            Ok(listener)
        };
        let listener = timeout(TIMEOUT, subscribed).await.map_err(|_| Error::Timeout)?.map_err(unreachable_broker)?;
        let notices = stream::unfold(listener.split(), |(mut commands, mut messages)| async move {
            loop {
                match timeout(QUIET, messages.next()).await {
                    // `None` means that the connection was lost.
                    Ok(message) => return Some((notices(&message?), (commands, messages))),
                    // A path that swallows bytes looks like a channel on which nothing is said. What does not answer ends the
                    // stream.
                    Err(_) => drop(timeout(TIMEOUT, commands.ping::<Value>()).await.ok()?.ok()?),
                }
            }
        });
        Ok(notices.boxed())
    }
}

fn notices(message: &Msg) -> Vec<CommitNotice> {
    message.get_payload::<String>().map_or_else(|_| Vec::new(), |text| CommitNotice::parse_all(&text))
}

fn unreachable_broker(error: RedisError) -> Error {
    Error::Unavailable {
        message: "the broker cannot be reached",
        retry_after_s: 1,
        source: Some(crate::error::Cause::new(error)),
    }
}
