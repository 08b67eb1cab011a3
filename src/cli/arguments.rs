//! The arguments of the command line: names, values and help texts. Each command is implemented in the file of its name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::client::{DEFAULT_URL, ServerAddress};
use crate::{
    config::{DatabaseUrl, Overrides},
    ingest::formats::{JsonMap, LogFormat, UtcOffset},
    model::Timestamp,
};

/// GraphQL server for performance analytics: stores metrics, answers aggregates and percentiles, pushes live updates.
#[derive(Debug, Parser)]
#[command(name = "perfgraph", version, after_help = "Without a command, perfgraph runs the server.")]
pub struct Arguments {
    /// Configuration file [default: perfgraph.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Database, `sqlite://FILE` or `postgres://USER@HOST/DATABASE`. Set a URL with a password as the environment variable
    /// `DATABASE_URL` instead, because other users of this machine can see flags
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,

    /// The command to run. Without one, the server runs.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Arguments {
    /// The settings given as flags.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        let (listen, demo) = match &self.command {
            Some(Command::Serve(serve)) => (serve.listen.clone(), serve.demo()),
            _ => (None, None),
        };
        Overrides { listen, database_url: self.database_url.clone(), demo }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Serve),
    /// Apply or revert migrations of the database schema, or list them
    #[command(subcommand)]
    Migrate(Migrate),
    /// Fill the database with sample data
    Seed(Seed),
    /// Import metrics or the access log of a web server into a project
    Import(Box<Import>),
    /// List the projects of a running server
    Projects(Projects),
    /// Print the measurements of projects as a running server records them
    Tail(Tail),
    /// Watch the slowest endpoints of a project
    Watch(Watch),
    /// Print the GraphQL schema, or compare it with a file
    #[command(subcommand)]
    Schema(Schema),
    /// Print the default configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Runs the server.
#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Address and port to listen on [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,

    /// Fill the database with sample data if it holds none, and send demo traffic to the sample projects [default: only in
    /// perfgraph.sqlite, the default database]
    #[arg(long, conflicts_with = "no_demo")]
    pub demo: bool,

    /// Add no sample data, and send no demo traffic
    #[arg(long)]
    pub no_demo: bool,
}

impl Serve {
    fn demo(&self) -> Option<bool> {
        (self.demo || self.no_demo).then_some(self.demo)
    }
}

/// Applies, reverts or lists migrations of the database schema.
#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Apply missing migrations
    Up {
        /// Maximum number of migrations to apply [default: all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        steps: Option<u32>,
    },
    /// Revert the latest migrations, after a question. Data in tables and columns that they added is lost
    Down {
        /// Number of migrations to revert
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,

        /// Revert without a question, as scripts must
        #[arg(long)]
        yes: bool,
    },
    /// List all migrations as applied or missing. Creates nothing
    Status,
}

/// Fills the database with sample data.
#[derive(Debug, Args)]
pub struct Seed {
    /// Amount of data
    #[arg(long, value_enum, default_value_t = SeedSize::Small)]
    pub size: SeedSize,

    /// Seed of the random number generator: the same seed generates the same data
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub rng_seed: u64,

    /// Time of the newest measurement, such as 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "RFC3339")]
    pub until: Option<Timestamp>,
}

/// The amount of sample data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SeedSize {
    /// 20,000 measurements, for a first look (seconds)
    Small,
    /// 1 million measurements, to develop a dashboard (about 150 MB, a minute)
    Medium,
    /// 10 million measurements, for benchmarks (about 1.5 GB, minutes)
    Large,
    /// 100 million measurements, to plan a large installation (about 15 GB, up to an hour)
    Huge,
}

/// Imports metrics or the access log of a web server into a project.
#[derive(Debug, Args)]
pub struct Import {
    /// File to import, may be compressed with gzip or zstd; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Project to import into, as its slugs or its node id
    #[arg(long, value_name = "ORGANIZATION/PROJECT", required_unless_present = "dry_run")]
    pub project: Option<String>,

    /// Address of a running server to send the rows to, such as `http://127.0.0.1:8000` [default: write to the database, which
    /// no server may use if it is an SQLite file]
    #[arg(long, value_name = "URL")]
    pub url: Option<ServerAddress>,

    /// Format of the file
    #[arg(long, value_enum, default_value_t = ImportFormat::Auto)]
    pub format: ImportFormat,

    /// Format of an access log as the configuration of the server has it, of nginx (`$remote_addr ... $request_time`), Apache
    /// (`%h ... %D`) or Envoy (`%START_TIME% ... %DURATION%`). Or a name, which may begin a format (`combined
    /// $request_time`): common, combined, combinedio, `vhost_common`, `vhost_combined`, ingress-nginx, ingress-nginx-0.25,
    /// traefik, envoy, istio, haproxy; in JSON caddy, traefik-json, istio-json, google-cloud. `$any` reads over a field;
    /// `$request_time_ms` (`_s`, `_us`, `_ns`) is a number in that unit, `$duration` one with its unit, such as 22ms
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["time_unit", "map"])]
    pub log_format: Option<LogFormat>,

    /// Keys of an access log in JSON: `time=ts,method=request.method,endpoint=request.uri,status=status,value=took:ms`, or
    /// `request` with a request line for method and endpoint. Points lead into objects. Units are s, ms, us and ns; none is
    /// needed for a text such as 22ms
    #[arg(long, value_name = "NAME=KEY,...", conflicts_with = "time_unit")]
    pub map: Option<JsonMap>,

    /// Unit of the time of the request in an access log with one number behind the fields of the common or combined format
    #[arg(long, value_enum, default_value_t = ImportTimeUnit::Auto)]
    pub time_unit: ImportTimeUnit,

    /// Offset from UTC of times in an access log that name none, such as +02:00
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub utc_offset: Option<UtcOffset>,

    /// Time from which rows are imported, such as 2026-01-31T00:00:00Z. Rows that are more than a day older are refused, unless
    /// they lie in the time window of the server. Without it, rows of the last 400 days are imported, and an older row ends the
    /// import
    #[arg(long, value_name = "RFC3339")]
    pub since: Option<Timestamp>,

    /// File to write refused rows to, unchanged, so that they can be corrected and imported
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Validate the file without importing it, and show three rows as they would be stored; needs no database
    #[arg(long)]
    pub dry_run: bool,
}

/// The format of a file to import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// Detected by the content, else by the name of the file (.ndjson, .jsonl, .json, .csv, also with .gz or .zst)
    Auto,
    /// One JSON object per line
    Ndjson,
    /// One JSON array of objects
    Json,
    /// CSV with a header line
    Csv,
    /// Access log of a web server, as lines of text or of JSON
    AccessLog,
}

/// The unit of request times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportTimeUnit {
    /// Seconds if the time has three decimals (nginx: 0.123); refused otherwise
    Auto,
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
}

/// Lists the projects of a running server.
#[derive(Clone, Debug, Args)]
pub struct Projects {
    /// Address of the server
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    pub url: ServerAddress,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// Prints the measurements of projects as a running server records them.
#[derive(Clone, Debug, Args)]
pub struct Tail {
    /// Project to follow, as its slugs or its node id; may be repeated [default: all but the server's own]
    #[arg(long = "project", value_name = "ORGANIZATION/PROJECT")]
    pub projects: Vec<String>,

    /// Address of the server
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    pub url: ServerAddress,

    /// Cursor of a stream or of an ingest call, after which to begin [default: now]
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// Watches the slowest endpoints of a project on a running server.
#[derive(Clone, Debug, Args)]
pub struct Watch {
    /// Project to watch, as its slugs or its node id
    #[arg(long, value_name = "ORGANIZATION/PROJECT")]
    pub project: String,

    /// Address of the server
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    pub url: ServerAddress,

    /// Length of the sliding window, such as PT5M
    #[arg(long, value_name = "DURATION", default_value = "PT5M")]
    pub window: String,

    /// Interval of updates, such as PT2S
    #[arg(long, value_name = "DURATION", default_value = "PT2S")]
    pub every: String,

    /// Statistic to rank endpoints by
    #[arg(long, value_enum, default_value_t = RankBy::P95)]
    pub rank_by: RankBy,

    /// Maximum number of endpoints, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,

    /// Print the ranking once and exit
    #[arg(long)]
    pub once: bool,
}

/// The statistic that ranks endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RankBy {
    /// Median
    P50,
    /// 90th percentile
    P90,
    /// 95th percentile
    P95,
    /// 99th percentile
    P99,
    /// Arithmetic mean
    Average,
    /// Maximum
    Max,
    /// Number of requests
    Count,
    /// Share of failed requests
    ErrorRate,
}

/// Prints the GraphQL schema, or compares it with a file.
#[derive(Debug, Subcommand)]
pub enum Schema {
    /// Print the schema
    Print,
    /// Fail if a file differs from the schema
    Check {
        /// File to compare with
        #[arg(default_value = "schema.graphql")]
        file: PathBuf,
    },
}

/// Prints the default configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the default configuration file, with a comment for each key
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
    fn the_definitions_are_valid() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_become_overrides_at_any_position() {
        assert!(parse("perfgraph").unwrap().command.is_none());
        let arguments = parse("perfgraph --config a.toml serve --listen [::1]:1 --database-url sqlite://a").unwrap();
        assert_eq!(arguments.config.as_deref(), Some("a.toml".as_ref()));
        assert_eq!(arguments.overrides().listen.as_deref(), Some("[::1]:1"));
        let arguments = parse("perfgraph --database-url postgres://me:hunter2@host/db migrate up").unwrap();
        assert_eq!(arguments.overrides().database_url.unwrap().reveal(), "postgres://me:hunter2@host/db");
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }

    #[test]
    fn commands_have_the_documented_defaults() {
        let command = |line| parse(line).unwrap().command;
        assert!(matches!(
            command("perfgraph migrate down"),
            Some(Command::Migrate(Migrate::Down { steps: 1, yes: false }))
        ));
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
    fn misspelt_arguments_are_usage_errors() {
        for line in ["serve --lisen x", "seed --size enormous", "migrate down --steps 0", "seed --until today"] {
            let error = parse(&format!("perfgraph {line}")).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert_ne!(error.kind(), ErrorKind::DisplayHelp, "{line}");
        }
    }
}
