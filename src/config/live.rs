//! Section `live`: the way from a commit to whoever watches.

use std::fmt;

use super::DatabaseUrl;
use super::section::section;
use super::setting::Setting;

section! {
    /// How committed measurements reach those who watch.
    "live" => Live {
        /// How instances on one database tell each other of commits, so that those who watch on one see at once what was
        /// sent to another. Whatever it is and whether it works or not, the database is asked once a second as well.
        /// `postgres` needs nothing but the database; `redis` is a broker at `bus_url`, for many instances; `local` tells
        /// nobody; `auto` is `local` on SQLite, whose file is one instance's alone, and `postgres` on PostgreSQL.
        bus: LiveBus = LiveBus::Auto,
        /// The broker of the bus `redis`: `redis://USER:PASSWORD@HOST:6379`.
        bus_url: BrokerUrl = BrokerUrl::default(),
        /// Committed batches that a subscriber may be behind before it has to read them from the database again.
        channel_batches_max: usize = 1_024,
        /// Hours that a live window spans at most.
        window_max_hours: u32 = 24,
        /// Milliseconds between two states of a live window at least.
        window_every_min_ms: u64 = 500,
        /// Steps in which a live window moves on until all of it is replaced: its length by the common divisor of its
        /// length and its pace.
        window_steps_max: usize = 600,
        /// Groups (endpoints, for instance) of one live window.
        window_groups_max: usize = 2_000,
        /// Steps that hold something, of every group of every live window together: about 200 bytes each.
        window_cells_max: usize = 500_000,
        /// Different live windows computed at once; everyone who watches the same counts once.
        windows_max: usize = 5_000,
        /// Milliseconds after its end at which a live window is pushed: what was on its way by then is in it.
        window_delay_ms: u64 = 250,
        /// Milliseconds after its end until which late measurements revise a live window that was pushed.
        window_grace_ms: u64 = 5_000,
        /// Events that one subscriber may be behind others who watch the same; after that it reads for itself, skips or is
        /// closed, as it asked.
        frames_max: usize = 256,
        /// Bytes of what was read for one subscriber that resumes, kept for seconds for others who resume there too.
        resumed_bytes_max: u64 = 33_554_432,
        /// Measurements in one event of a stream at most (`maxBatch`).
        event_metrics_max: usize = 1_000,
        /// Milliseconds that a measurement may wait for others in a stream at most (`maxDelay`).
        delay_max_ms: u64 = 60_000,
        /// Milliseconds after which a silent stream says how far it is.
        heartbeat_interval_ms: u64 = 15_000,
        /// Organizations that one stream may span: each is a part of every cursor.
        organizations_max: usize = 100,
    }
}

/// How instances tell each other of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveBus {
    /// What suits the database.
    Auto,
    /// Not at all.
    Local,
    /// LISTEN and NOTIFY.
    Postgres,
    /// A broker.
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

/// The address of a broker, which may carry a password: shown without it everywhere except through `reveal`.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(DatabaseUrl);

impl BrokerUrl {
    /// The whole URL with its password: only for whoever opens the connection.
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
