//! The bus of instances in one process; of a single one where the database is a file.

use async_trait::async_trait;
use futures_util::{StreamExt, future::ready, stream::BoxStream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use super::Bus;
use crate::{error::Result, live::Poke};

/// Messages that a listener may be behind.
const CAPACITY: usize = 64;

/// Carries pokes between its clones.
#[derive(Clone, Debug)]
pub struct LocalBus(broadcast::Sender<Vec<Poke>>);

impl Default for LocalBus {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, pokes: &[Poke]) -> Result<()> {
        // An error means that nobody listens.
        let _ = self.0.send(pokes.to_vec());
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<Poke>>> {
        // Whoever was too slow has lost pokes, which may be lost.
        Ok(BroadcastStream::new(self.0.subscribe()).filter_map(|pokes| ready(pokes.ok())).boxed())
    }
}
