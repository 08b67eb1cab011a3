//! The command line as it is typed: names, values and help texts.
//!
//! Nothing is done here; what a command does stands in the file of its name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::config::{DatabaseUrl, Overrides};

/// GraphQL performance analytics: metrics in, aggregates, percentiles and live pushes out.
#[derive(Debug, Parser)]
#[command(name = "perfgraph", version, after_help = "Without a command, perfgraph serves.")]
pub struct Arguments {
    /// Configuration file [default: perfgraph.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Database, `sqlite://FILE` or `postgres://USER@HOST/DATABASE`. Set one with a password as `DATABASE_URL` instead:
    /// other users of this machine can see flags
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,

    /// What to do; absent, the server runs with its configured address.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Arguments {
    /// The settings that flags replace.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        let listen = match &self.command {
            Some(Command::Serve(serve)) => serve.listen.clone(),
            _ => None,
        };
        Overrides { listen, database_url: self.database_url.clone() }
    }
}

/// What perfgraph can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Serve),
    /// Change the database's schema, or show where it stands
    #[command(subcommand)]
    Migrate(Migrate),
    /// Fill the database with sample data
    Seed(Seed),
    /// Read metrics or a web server's log into a project
    Import(Import),
    /// Watch the slowest endpoints of a project, live
    Watch(Watch),
    /// Show or compare the GraphQL schema
    #[command(subcommand)]
    Schema(Schema),
    /// Show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Runs the server.
#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Address and port [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
}

/// Changes the database's schema, or shows where it stands.
#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Apply the migrations that are missing
    Up {
        /// Apply only the next N
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        steps: Option<u32>,
    },
    /// Take back the last migrations, with the data that only they can hold
    Down {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// List the migrations and which of them are applied
    Status,
}

/// Fills the database with sample data.
#[derive(Debug, Args)]
pub struct Seed {
    /// How much
    #[arg(long, value_enum, default_value_t = SeedSize::Small)]
    pub size: SeedSize,

    /// Start of the random numbers: the same number makes the same data
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub rng_seed: u64,

    /// Time of the newest measurement, as in 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "RFC3339")]
    pub until: Option<Timestamp>,
}

/// How much sample data to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SeedSize {
    /// Enough to look around
    Small,
    /// Enough to develop a dashboard with
    Medium,
    /// 10 million measurements, enough to measure with
    Large,
}

/// Reads metrics or a web server's log into a project.
#[derive(Debug, Args)]
pub struct Import {
    /// File to read, plain, gzip or zstd; `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Project to import into, by its slugs or its node id
    #[arg(long, value_name = "ORGANIZATION/PROJECT", required_unless_present = "dry_run")]
    pub project: Option<String>,

    /// Format of the file; by its name, or by its look, where nothing is said
    #[arg(long, value_enum, default_value_t = ImportFormat::Auto)]
    pub format: ImportFormat,

    /// Unit of the request times in an access log; `auto` takes 0.123 for seconds (nginx) and 123456 for microseconds
    /// (Apache)
    #[arg(long, value_enum, default_value_t = ImportTimeUnit::Auto)]
    pub time_unit: ImportTimeUnit,

    /// Take rows from here on, as in 2026-01-31T00:00:00Z, and refuse those before one by one. Without it, rows of the
    /// last 400 days are taken, and one that is older ends the import
    #[arg(long, value_name = "RFC3339")]
    pub since: Option<Timestamp>,

    /// Write refused rows to this file, as they stood
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Only read and check; needs no database
    #[arg(long)]
    pub dry_run: bool,
}

/// Formats that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// By the file's name (.ndjson, .jsonl, .json, .csv, .log, also with .gz or .zst), or by its first bytes
    Auto,
    /// One JSON object per line
    Ndjson,
    /// One JSON array of objects
    Json,
    /// CSV with a header
    Csv,
    /// Combined access log of nginx or Apache, with the request's time behind it
    AccessLog,
}

/// How long requests took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportTimeUnit {
    /// By the decimal point
    Auto,
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
}

/// Watches the slowest endpoints of a project on a running server.
#[derive(Clone, Debug, Args)]
pub struct Watch {
    /// Project to watch, by its slugs or its node id
    #[arg(long, value_name = "ORGANIZATION/PROJECT")]
    pub project: String,

    /// Address of the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub url: String,

    /// How far back to look, as in PT5M
    #[arg(long, value_name = "DURATION", default_value = "PT5M")]
    pub window: String,

    /// How often to look again, as in PT2S
    #[arg(long, value_name = "DURATION", default_value = "PT2S")]
    pub every: String,

    /// What makes an endpoint slow
    #[arg(long, value_enum, default_value_t = RankBy::P95)]
    pub rank_by: RankBy,

    /// How many endpoints to show
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,

    /// Show them once and end
    #[arg(long)]
    pub once: bool,
}

/// What makes an endpoint slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RankBy {
    /// The median
    P50,
    /// Nine of ten are not slower
    P90,
    /// 95 of 100 are not slower
    P95,
    /// 99 of 100 are not slower
    P99,
    /// The mean
    Average,
    /// The slowest
    Max,
    /// How many requests there are
    Count,
    /// How many of them fail
    ErrorRate,
}

/// Shows or compares the GraphQL schema.
#[derive(Debug, Subcommand)]
pub enum Schema {
    /// Print the schema
    Print,
    /// Fail when a file differs from the schema
    Check {
        /// File to compare with
        #[arg(default_value = "schema.graphql")]
        file: PathBuf,
    },
}

/// Shows the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the default configuration file, with a comment for every key
    Print,
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{CommandFactory, Parser};

    use super::{Arguments, Command, Migrate, Schema, SeedSize};

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_become_overrides_wherever_they_stand() {
        assert!(parse("perfgraph").unwrap().command.is_none());
        let arguments = parse("perfgraph --config a.toml serve --listen [::1]:1 --database-url sqlite://a").unwrap();
        assert_eq!(arguments.config.as_deref(), Some("a.toml".as_ref()));
        assert_eq!(arguments.overrides().listen.as_deref(), Some("[::1]:1"));
        let arguments = parse("perfgraph --database-url postgres://me:hunter2@host/db migrate up").unwrap();
        assert_eq!(arguments.overrides().database_url.unwrap().reveal(), "postgres://me:hunter2@host/db");
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }

    #[test]
    fn commands_have_the_defaults_that_their_help_tells() {
        let command = |line| parse(line).unwrap().command;
        assert!(matches!(command("perfgraph migrate down"), Some(Command::Migrate(Migrate::Down { steps: 1 }))));
        assert!(matches!(command("perfgraph migrate up"), Some(Command::Migrate(Migrate::Up { steps: None }))));
        assert!(matches!(command("perfgraph config print"), Some(Command::Config(_))));
        let Some(Command::Schema(Schema::Check { file })) = command("perfgraph schema check") else { panic!() };
        assert_eq!(file.to_str(), Some("schema.graphql"));
        let line = "perfgraph seed --size large --rng-seed 7 --until 2026-01-31T12:00:00Z";
        let Some(Command::Seed(seed)) = command(line) else { panic!() };
        assert_eq!((seed.size, seed.rng_seed), (SeedSize::Large, 7));
        assert_eq!(seed.until, Some("2026-01-31T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn slips_are_usage_errors() {
        for line in ["serve --lisen x", "seed --size huge", "migrate down --steps 0", "seed --until today"] {
            let error = parse(&format!("perfgraph {line}")).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert_ne!(error.kind(), ErrorKind::DisplayHelp, "{line}");
        }
    }
}
