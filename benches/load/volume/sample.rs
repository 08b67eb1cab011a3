//! A database with the sample data of a size, rolled up, and a server on top of it.

use std::{path::Path, time::Duration};

use perfgraph::model::Timestamp;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    Outcome,
    databases::{Direct, Kind, Place, Project},
    server::{self, Server},
};

/// The sizes of `perfgraph seed` with one and ten million measurements. Both span the same days.
pub const SIZES: [&str; 2] = ["medium", "large"];

/// Samples may end yesterday: nothing of their seven days is removed meanwhile.
const KEPT: &str = "[retention]\nraw_days = 9\n";

/// The maximum time for the compaction of all parts into minutes, hours and days.
const SETTLE_TIMEOUT: Duration = Duration::from_mins(10);
const SETTLE_POLL: Duration = Duration::from_secs(1);
/// Parts of the last minutes are always there.
const OPEN_MICROS: i64 = 10 * 60 * 1_000_000;

const ROWS: &str = "SELECT COUNT(*), COUNT(*) FROM metric_event";
const OLD_PARTS: &str = "SELECT COUNT(*), COUNT(*) FROM metric_rollup_part WHERE bucket < $1";
/// The busiest project of one organization.
const PROJECT: &str = "SELECT organization_id, project_id FROM metric_event WHERE kind = 1 AND organization_id = \
    (SELECT id FROM organization WHERE slug = 'contoso') GROUP BY 1, 2 ORDER BY COUNT(*) DESC LIMIT 1";

/// A filled database with a server.
pub struct Sample {
    /// The server.
    pub server: Server,
    /// The PostgreSQL server's process.
    pub postmaster: Option<u32>,
    /// A connection beside the server.
    pub direct: Direct,
    /// The project that is asked about.
    pub project: Project,
    /// The number of measurements.
    pub rows: i64,
    /// The time of the last measurement.
    pub until: Timestamp,
    place: Place,
    _folder: TempDir,
}

impl Sample {
    /// Makes and fills the database, starts the server and waits until it has rolled everything up.
    pub async fn prepare(kind: Kind, size: &str, until: Timestamp) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let place = Place::make(kind, folder.path()).await?;
        let program = Path::new(env!("CARGO_BIN_EXE_perfgraph"));
        let url = place.url();
        server::run(program, &["--database-url", url, "migrate", "up"], folder.path()).await?;
        let seed = ["--database-url", url, "seed", "--size", size, "--rng-seed", "1", "--until", &until.to_string()];
        server::run(program, &seed, folder.path()).await?;
        let config = folder.path().join("perfgraph.toml");
        tokio::fs::write(&config, KEPT).await?;
        let config = config.to_str().ok_or("a path that is no text")?;
        let serve = ["--database-url", url, "--config", config, "serve", "--listen", "127.0.0.1:0"];
        let server = Server::start(program, &serve, folder.path()).await?;
        let mut direct = Direct::open(url).await?;
        let started = Instant::now();
        while direct
            .pairs(OLD_PARTS, &[until.plus_micros(-OPEN_MICROS).as_micros()])
            .await?
            .first()
            .is_none_or(|(parts, _)| *parts > 0)
        {
            if started.elapsed() > SETTLE_TIMEOUT {
                return Err("the server did not roll up in time".into());
            }
            sleep(SETTLE_POLL).await;
        }
        eprintln!("load: rolled up after {:.0} s", started.elapsed().as_secs_f64());
        if kind == Kind::Postgres {
            direct.run("VACUUM ANALYZE").await?;
        } else {
            direct.run("ANALYZE").await?;
        }
        let (rows, _) = direct.pairs(ROWS, &[]).await?.first().copied().ok_or("no count")?;
        let project = direct.pairs(PROJECT, &[]).await?.first().copied().ok_or("the sample has no measurements")?;
        let postmaster = place.postmaster().await?;
        Ok(Self { server, postmaster, direct, project: project.into(), rows, until, place, _folder: folder })
    }

    /// Ends the server and removes the database.
    pub async fn close(self) -> Outcome<()> {
        self.server.stop().await?;
        drop(self.direct);
        self.place.remove().await
    }
}
