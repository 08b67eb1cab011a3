//! The bus by which instances notify each other of commits. Delivery is at most once and carries only notices: the database
//! is the source of truth, and every instance polls it once a second.

mod local;
mod postgres;
mod redis;
mod transport;

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgConnectOptions;

use crate::{
    config::{Config, LiveBus},
    error::Result,
};

pub use self::{local::LocalBus, postgres::PostgresBus, redis::RedisBus, transport::Bus};

/// A bus shared by all its users.
pub type SharedBus = Arc<dyn Bus>;

/// Interval at which the database is polled for commits of other instances.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Time without a message after which a subscriber asks the bus for a sign of life.
const QUIET: Duration = Duration::from_secs(5);

/// Timeout of connecting to a bus, of one message and of a sign of life. By then the instances have polled the database.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Makes the configured bus. `postgres` is the address of the database if it is PostgreSQL, `name` distinguishes databases that
/// share a broker.
///
/// # Errors
/// The URL of the broker is invalid.
pub fn configured(config: &Config, postgres: Option<PgConnectOptions>, name: &str) -> Result<SharedBus> {
    Ok(match (config.live.bus, postgres) {
        (LiveBus::Redis, _) => Arc::new(RedisBus::new(config.live.bus_url.reveal(), name)?),
        (LiveBus::Auto | LiveBus::Postgres, Some(address)) => Arc::new(PostgresBus::new(address)),
        (LiveBus::Auto | LiveBus::Postgres | LiveBus::Local, _) => Arc::new(LocalBus::default()),
    })
}

/// The polling interval of an instance; `None` for SQLite, whose file belongs to one instance.
pub fn poll_interval(config: &Config) -> Option<Duration> {
    config.database.url.is_postgres().then_some(POLL_INTERVAL)
}
