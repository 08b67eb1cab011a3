//! Section `live`: subscriptions, live windows, and the bus between instances.

use std::{fmt, time::Duration};

use super::DatabaseUrl;
use super::section::section;
use super::setting::Setting;

section! {
    /// Subscriptions, live windows, and the bus between instances.
    "live" => Live {
        /// Bus by which instances on one database notify each other of commits, so that subscribers of all instances are
        /// served at once. `postgres` uses LISTEN and NOTIFY of the database; `redis` uses the broker at `bus_url`; `local`
        /// notifies nobody; `auto` is `local` on SQLite, which allows a single instance, and `postgres` on PostgreSQL. The
        /// database is polled once a second as well, so a lost notification only delays events.
        bus: LiveBus = LiveBus::Auto,
        /// Address of the broker for the bus `redis`: `redis://USER:PASSWORD@HOST:6379`.
        bus_url: BrokerUrl = BrokerUrl::default(),
        /// Committed batches buffered for a subscriber. One that is further behind reads them from the database.
        channel_batches_max: usize = 1_024,
        /// Events buffered for a subscriber that shares a subscription with others. One that is further behind reads them
        /// from the database, skips them or is closed, as it requested.
        frames_max: usize = 256,
        /// Bytes of events that were read for a resuming subscriber and are cached for a few seconds for others that resume
        /// at the same cursor.
        resumed_bytes_max: u64 = 33_554_432,
        /// Measurements in one event of a stream: the maximum of `maxBatch`.
        event_metrics_max: usize = 1_000,
        /// Delay by which a stream may collect measurements into one event: the maximum of `maxDelay`.
        delay_max ("delay_max_ms"): Duration = Duration::from_mins(1),
        /// Interval of events without measurements on a silent stream; each carries the current cursor.
        heartbeat_interval ("heartbeat_interval_ms"): Duration = Duration::from_secs(15),
        /// Organizations that one stream may cover. Each adds to the length of every cursor.
        organizations_max: usize = 100,
        /// Length of a live window in hours.
        window_max_hours: u32 = 24,
        /// Minimum interval between two states of a live window.
        window_every_min ("window_every_min_ms"): Duration = Duration::from_millis(500),
        /// Steps of a live window: `window / gcd(window, every)`. With 600, a window of an hour can advance every 6 s.
        window_steps_max: usize = 600,
        /// Groups (such as endpoints) of one live window.
        window_groups_max: usize = 2_000,
        /// Non-empty steps of all groups of all live windows together, about 200 bytes of memory each.
        window_cells_max: usize = 500_000,
        /// Different live windows at once. Subscribers of the same window share it.
        windows_max: usize = 5_000,
        /// Delay between the end of a live window and its event, so that measurements under way are included. At most
        /// `window_grace_ms`.
        window_delay ("window_delay_ms"): Duration = Duration::from_millis(250),
        /// Time after the end of a live window during which late measurements cause a revised event.
        window_grace ("window_grace_ms"): Duration = Duration::from_secs(5),
    }
}

/// The bus by which instances notify each other of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveBus {
    /// The bus that suits the database.
    Auto,
    /// No notifications.
    Local,
    /// LISTEN and NOTIFY of PostgreSQL.
    Postgres,
    /// A Redis broker.
    Redis,
}

impl Setting for LiveBus {
    const EXPECTED: &'static str = "\"auto\", \"local\", \"postgres\" or \"redis\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "local" => Some(Self::Local),
            "postgres" => Some(Self::Postgres),
            "redis" => Some(Self::Redis),
            _ => None,
        }
    }

    fn to_toml(&self, name: &str) -> String {
        let value = match self {
            Self::Auto => "auto",
            Self::Local => "local",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        };
        format!("{name} = \"{value}\"")
    }
}

/// The address of a broker. `Debug` hides its password.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(DatabaseUrl);

impl BrokerUrl {
    /// The URL with its password, for opening the connection only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl Default for BrokerUrl {
    fn default() -> Self {
        Self(DatabaseUrl::from(""))
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BrokerUrl(\"{}\")", self.0)
    }
}

impl Setting for BrokerUrl {
    const EXPECTED: &'static str = "the URL of a broker in quotes, such as \"redis://127.0.0.1:6379\"";
    const SECRET: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(DatabaseUrl::from(text.trim())))
    }

    fn to_toml(&self, name: &str) -> String {
        if self.0.reveal().is_empty() { format!("{name} = \"\"") } else { format!("{name} = \"{}\"", self.0) }
    }
}
