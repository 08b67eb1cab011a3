//! The interface of a bus.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{error::Result, live::notice::CommitNotice};

/// A transport of notices to all instances on one database.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Sends notices to every instance, possibly including this one.
    ///
    /// # Errors
    /// The bus cannot be reached; the other instances find the commits by polling.
    async fn publish(&self, notices: &[CommitNotice]) -> Result<()>;

    /// Subscribes to the notices of all instances. The stream ends when the connection is lost; the caller subscribes
    /// again.
    ///
    /// # Errors
    /// The bus cannot be reached.
    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<CommitNotice>>>;

    /// Closes the connections when the instance stops.
    async fn close(&self) {}
}
