//! Configuration: what an operator may set, read once at start and never again.
//!
//! Defaults < `perfgraph.toml` < environment `PERFGRAPH_SECTION__KEY` (and `DATABASE_URL`) < flags.
//! Keys are strict, contradictions stop the start, and everything that is wrong is said at once.
//! Only this room reads the environment; nothing here opens a database or a socket.

mod check;
mod database_url;
mod environment;
mod error;
mod file;
mod section;
mod setting;
mod source;
mod suggest;

mod compaction;
mod database;
mod graphql;
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
pub use ingest::Ingest;
pub use limits::Limits;
pub use live::{BrokerUrl, Live, LiveBus};
pub use log::{Log, LogFormat};
pub use origin::Origin;
pub use retention::Retention;
pub use self_monitoring::SelfMonitoring;
pub use server::Server;

use section::{Key, Section};
use source::Given;

/// Every setting of the server, one section per concern.
///
/// A setting is one entry in its section's file: name, type, default and the comment that the documentation and the
/// default file share. Its limits are in `check.rs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens and how long it waits.
    pub server: Server,
    /// Which database holds everything, and how it is used.
    pub database: Database,
    /// What one request may cost.
    pub limits: Limits,
    /// How measurements are accepted and written.
    pub ingest: Ingest,
    /// When rollups are merged.
    pub compaction: Compaction,
    /// For how long measurements are kept.
    pub retention: Retention,
    /// How committed measurements reach those who watch.
    pub live: Live,
    /// Whether perfgraph measures itself.
    pub self_monitoring: SelfMonitoring,
    /// What the GraphQL address offers besides answers.
    pub graphql: Graphql,
    /// What is logged, and how.
    pub log: Log,
}

/// The settings that have a flag on the command line: they win over everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen`: replaces `server.listen`.
    pub listen: Option<String>,
    /// `--database-url`: replaces `database.url`.
    pub database_url: Option<DatabaseUrl>,
}

impl Config {
    /// Reads the configuration of this process.
    ///
    /// `file` must exist when it is given; without it, `perfgraph.toml` in the working directory is read if it is
    /// there.
    ///
    /// # Errors
    /// Names everything that is wrong: unreadable files, unknown keys, wrong types, contradictions.
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

    /// Builds a configuration from texts instead of from this process; the only files it reads are those that a
    /// `*_FILE` variable names.
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

    /// The commented default file: every key with its meaning and its default.
    #[must_use]
    pub fn default_toml() -> String {
        file::commented(&Self::default())
    }

    /// Everything in these settings that contradicts itself or makes no sense, each with a sentence that helps.
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
        // Contradictions are looked for only among settings that were all understood: a default that stands in for a
        // misspelt key would accuse its neighbours.
        if problems.is_empty() {
            problems = config.check();
            for problem in &mut problems {
                problem.name_sources(&given);
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(problems)) }
    }

    fn set(&mut self, given: &Given, keys: &[Key]) -> Result<(), Problem> {
        let (section, name) = given.key.split_once('.').unwrap_or(("", &given.key));
        let section = self.sections_mut().into_iter().find(|known| known.name() == section);
        match section.and_then(|section| section.set(name, &given.raw)) {
            Some(Ok(())) => Ok(()),
            Some(Err(expected)) => Err(given.wrong_type(expected, keys)),
            None => Err(given.unknown(keys)),
        }
    }

    fn keys(&self) -> Vec<Key> {
        self.sections().into_iter().flat_map(Section::keys).collect()
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
