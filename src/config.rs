//! Configuration: the settings of the server, read once at startup.
//!
//! Precedence, lowest first: defaults, `perfgraph.toml`, environment variables `PERFGRAPH_SECTION__KEY` (and
//! `DATABASE_URL`), flags. Unknown keys and contradictory values stop the start; all problems are reported together.
//! The section structs are what the other rooms take as their settings, so a default or a limit exists only here.
//! Only this room reads the environment; nothing here opens a database or a socket.

mod check;
mod database_url;
mod environment;
mod error;
mod file;
mod raw;
mod section;
mod setting;
mod source;
mod suggest;

mod compaction;
mod database;
mod graphql;
mod header_name;
mod ingest;
mod limits;
mod live;
mod log;
mod origin;
mod retention;
mod self_monitoring;
mod server;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use compaction::Compaction;
pub use database::Database;
pub use database_url::DatabaseUrl;
pub use error::{ConfigError, Problem};
pub use graphql::{Graphql, TrustedDocuments};
pub use header_name::HeaderName;
pub use ingest::Ingest;
pub use limits::{ComparisonLimits, Limits};
pub use live::{BrokerUrl, Live, LiveBus};
pub use log::{Log, LogFormat};
pub use origin::Origin;
pub use retention::Retention;
pub use self_monitoring::SelfMonitoring;
pub use server::{Demo, Server};
pub use source::Overrides;

use section::{Key, Section};
use source::GivenSetting;

/// All settings of the server, one struct per section.
///
/// A setting is one entry in the file of its section: name, type, default, and the comment that the documentation and
/// the default file share. Its bounds are in `check.rs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Listener, timeouts and browser origins.
    pub server: Server,
    /// Database connection and pools.
    pub database: Database,
    /// Limits of one request.
    pub limits: Limits,
    /// Acceptance and storage of measurements.
    pub ingest: Ingest,
    /// Merging of rollups.
    pub compaction: Compaction,
    /// Retention periods.
    pub retention: Retention,
    /// Subscriptions and live windows.
    pub live: Live,
    /// Measurements of the server's own requests.
    pub self_monitoring: SelfMonitoring,
    /// Features of the GraphQL endpoint.
    pub graphql: Graphql,
    /// Log output.
    pub log: Log,
}

impl Config {
    /// Reads the configuration of this process.
    ///
    /// A `file` that is given must exist. Without one, `perfgraph.toml` in the working directory is read if it exists.
    ///
    /// # Errors
    /// Lists all problems: unreadable files, unknown keys, wrong types, contradictory values.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let file = file::read(file).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let environment = environment::variables(&mut problems);
        let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
        Self::assemble(file, &environment, overrides, problems)
    }

    /// Builds a configuration from the given texts instead of this process's file and environment. Reads no files other
    /// than those named by `*_FILE` variables.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_sources(
        toml: Option<&str>,
        environment: &[(String, String)],
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        Self::assemble(toml.map(|text| (file::DEFAULT, text)), environment, overrides, Vec::new())
    }

    /// The default configuration file: all keys with their comments and defaults.
    #[must_use]
    pub fn default_toml() -> String {
        file::commented(&Self::default())
    }

    /// True if the server fills an empty database with sample data, and sends demo traffic to sample projects.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        match self.server.demo {
            Demo::Auto => self.database.url == Database::default().url,
            Demo::On => true,
            Demo::Off => false,
        }
    }

    /// All invalid or contradictory settings, each with advice.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        check::check(self)
    }

    fn assemble(
        file: Option<(&str, &str)>,
        environment: &[(String, String)],
        overrides: &Overrides,
        mut problems: Vec<Problem>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let keys = config.keys();

        let mut given = Vec::new();
        if let Some((name, text)) = file {
            given.extend(file::given(name, text, &keys, &mut problems));
        }
        given.extend(environment::given(environment, &keys, &mut problems));
        given.extend(source::flags(overrides));

        for one in &given {
            problems.extend(config.set(one, &keys).err());
        }
        // Relations are checked only if all values were read: a default in place of a misspelt key would cause misleading
        // problems about its neighbours.
        if problems.is_empty() {
            problems = config.check();
            for problem in &mut problems {
                problem.name_sources(&given);
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(problems)) }
    }

    fn set(&mut self, given: &GivenSetting, keys: &[Key]) -> Result<(), Problem> {
        let replaced = self.sections_mut().into_iter().find_map(|section| section.set(&given.key, &given.raw));
        match replaced {
            Some(Ok(())) => Ok(()),
            Some(Err(expected)) => Err(given.wrong_type(expected, keys)),
            None => Err(given.unknown(keys)),
        }
    }

    /// All settings in the order of the default file.
    fn keys(&self) -> Vec<Key> {
        let sections = self.sections();
        let keys: Vec<_> = sections.iter().flat_map(|section| section.keys()).collect();
        let rank = |key: &Key| sections.iter().position(|section| section.name() == key.section());
        let mut ranked: Vec<_> = keys.into_iter().map(|key| (rank(&key), key)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, key)| key).collect()
    }

    fn sections(&self) -> [&dyn Section; 10] {
        [
            &self.server,
            &self.database,
            &self.limits,
            &self.ingest,
            &self.compaction,
            &self.retention,
            &self.live,
            &self.self_monitoring,
            &self.graphql,
            &self.log,
        ]
    }

    fn sections_mut(&mut self) -> [&mut dyn Section; 10] {
        [
            &mut self.server,
            &mut self.database,
            &mut self.limits,
            &mut self.ingest,
            &mut self.compaction,
            &mut self.retention,
            &mut self.live,
            &mut self.self_monitoring,
            &mut self.graphql,
            &mut self.log,
        ]
    }
}
