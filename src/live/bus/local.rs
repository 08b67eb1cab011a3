//! The bus within one process, for a single instance on SQLite and for tests.

use async_trait::async_trait;
use futures_util::{StreamExt, future::ready, stream::BoxStream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use super::transport::Bus;
use crate::{error::Result, live::notice::CommitNotice};

/// Messages buffered for a subscriber.
const CAPACITY: usize = 64;

/// A bus between its clones.
#[derive(Clone, Debug)]
pub struct LocalBus(broadcast::Sender<Vec<CommitNotice>>);

impl Default for LocalBus {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, notices: &[CommitNotice]) -> Result<()> {
        // An error means that there are no subscribers.
        let _ = self.0.send(notices.to_vec());
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<CommitNotice>>> {
        // A slow subscriber loses notices, which may be lost.
        Ok(BroadcastStream::new(self.0.subscribe()).filter_map(|notices| ready(notices.ok())).boxed())
    }
}
