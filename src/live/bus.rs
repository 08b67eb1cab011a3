//! How instances tell each other that something was committed. At most once, and nothing but pokes: the database is the
//! truth, and whoever hears nothing asks it once a second.

mod local;
mod postgres;
mod redis;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::Poke;
use crate::{
    config::{Config, LiveBus},
    error::Result,
};

pub use self::{local::LocalBus, postgres::PostgresBus, redis::RedisBus};

/// A way to all instances on one database.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Tells every instance, this one too perhaps.
    ///
    /// # Errors
    /// When nobody could be told; the others find out by themselves.
    async fn publish(&self, pokes: &[Poke]) -> Result<()>;

    /// What the instances say from now on. It ends when the bus is lost; subscribing again is the caller's.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    async fn subscribe(&self) -> Result<BoxStream<'static, Vec<Poke>>>;

    /// Gives back what it holds, when its instance stops.
    async fn close(&self) {}
}

/// A bus that is shared by all who use it.
pub type SharedBus = Arc<dyn Bus>;

/// How often the database is asked how far each organization is, where others write into it too.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The bus that an instance is told to use. `database` tells databases apart that share a broker.
///
/// # Errors
/// When an address makes no sense.
pub fn configured(config: &Config, database: &str) -> Result<SharedBus> {
    let url = &config.database.url;
    Ok(match config.live.bus {
        LiveBus::Auto | LiveBus::Postgres if url.is_postgres() => Arc::new(PostgresBus::new(url.reveal())?),
        LiveBus::Redis => Arc::new(RedisBus::new(config.live.bus_url.reveal(), database)?),
        LiveBus::Auto | LiveBus::Postgres | LiveBus::Local => Arc::new(LocalBus::default()),
    })
}

/// How often an instance asks the database; never where the file is its own.
pub fn poll_interval(config: &Config) -> Option<Duration> {
    config.database.url.is_postgres().then_some(POLL_INTERVAL)
}
