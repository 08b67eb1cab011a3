//! A PostgreSQL database with data of a shape, which came through perfgraph's own ingest API, and three servers on top of it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use perfgraph::model::Timestamp;
use serde_json::json;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    Outcome, client, cpu, durable_postgres, plain,
    server::{self, Server},
    shape::{DAYS, Row, Shape},
    tables, textbook,
};

/// Data of seven days stays while it is measured, and no limit of requests stands between the servers.
const CONFIG: &str = "[retention]\nraw_days = 9\n[self_monitoring]\nenabled = false\n";
/// Rows of an ingest request.
const PART: usize = 2_000;
/// Ingest requests at once.
const SENDERS: usize = 4;
const SETTLE_TIMEOUT: Duration = Duration::from_mins(20);
const OPEN_MICROS: i64 = 10 * 60 * 1_000_000;

/// The database, its servers and what filling it took.
pub struct World {
    /// The shape of the data.
    pub shape: Shape,
    /// The end of the data: a whole minute.
    pub until: Timestamp,
    /// perfgraph.
    pub perfgraph: Server,
    /// The plain endpoint.
    pub plain: Server,
    /// The textbook GraphQL server.
    pub textbook: Server,
    /// The PostgreSQL server's process.
    pub postmaster: u32,
    /// A connection beside the servers.
    pub direct: PgConnection,
    database: String,
    _folder: TempDir,
}

impl World {
    /// Makes the database, fills it through perfgraph, waits until everything is rolled up, copies it for the others.
    pub async fn make(shape: Shape, rows: usize) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let database = format!("perfgraph_compare_{}_{shape}", std::process::id());
        durable_postgres::admin(format!("CREATE DATABASE {database}")).await?;
        let url = durable_postgres::server()?.database(&database).to_url_lossy().to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_perfgraph"));
        server::run(program, &["--database-url", &url, "migrate", "up"], folder.path()).await?;
        let mut direct = PgConnection::connect(&url).await?;
        for sql in tables::DIRECTORY {
            sqlx::query(sql).execute(&mut direct).await?;
        }
        sqlx::query(tables::PLAIN).execute(&mut direct).await?;
        let postmaster = durable_postgres::postmaster(&url).await?;
        let config = folder.path().join("perfgraph.toml");
        fs::write(&config, CONFIG)?;
        let config = config.to_str().ok_or("a path that is no text")?;
        let serve = ["--database-url", &url, "--config", config, "serve", "--listen", "127.0.0.1:0"];
        let perfgraph = Server::start(program, &serve, folder.path()).await?;
        let this = std::env::current_exe()?;
        let plain = Server::start(&this, &[plain::MODE, &url], folder.path()).await?;
        let textbook = Server::start(&this, &[textbook::MODE, &url], folder.path()).await?;
        let minute = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond() / 60_000_000 * 60_000_000);
        let mut world =
            Self { shape, until: minute, perfgraph, plain, textbook, postmaster, direct, database, _folder: folder };
        world.fill(rows).await?;
        Ok(world)
    }

    async fn fill(&mut self, rows: usize) -> Outcome<()> {
        let (started, before) = (Instant::now(), (self.perfgraph.cpu()?, cpu::of_family(self.postmaster)?));
        let since = self.until.plus_micros(-DAYS * 24 * 3_600 * 1_000_000);
        for turn in self.shape.turns(rows, self.until)? {
            // A body is of one organization.
            let parts = turn.chunk_by(|a, b| a.organization() == b.organization()).flat_map(|rows| rows.chunks(PART));
            let requests: Vec<Vec<u8>> = parts.map(|rows| request(rows, since)).collect();
            let senders = (0..SENDERS).map(|place| {
                let own: Vec<&Vec<u8>> = requests.iter().skip(place).step_by(SENDERS).collect();
                send(self.perfgraph.address, own)
            });
            try_join_all(senders).await?;
        }
        let sent = started.elapsed();
        self.settle(started).await?;
        #[expect(clippy::cast_precision_loss, reason = "figures to read")]
        let each = |seconds: f64| seconds * 1e6 / rows as f64;
        let (stored, rollups) = self.pair(tables::ROWS).await?;
        if usize::try_from(stored)? != rows {
            return Err(format!("{stored} of {rows} rows were stored").into());
        }
        let (server, database) =
            (each(self.perfgraph.cpu()? - before.0), each(cpu::of_family(self.postmaster)? - before.1));
        let (raw_bytes, rollup_bytes) = self.pair(tables::BYTES).await?;
        for sql in tables::PLAIN_ROWS {
            sqlx::query(sql).execute(&mut self.direct).await?;
        }
        sqlx::query("VACUUM ANALYZE").execute(&mut self.direct).await?;
        let (plain_bytes, plain_rows) = self.pair(tables::PLAIN_BYTES).await?;
        if plain_rows != stored {
            return Err(format!("the plain table has {plain_rows} rows, not {stored}").into());
        }
        let mib = |bytes: i64| bytes / 1_048_576;
        println!(
            "\n{}: {stored} measurements taken in {:.0} s and rolled up after {:.0} s, for {server:.0} us of the server and \
             {database:.0} us of the database each; {rollups} rollup rows; MiB: raw {}, rollups {}, plain table {}",
            self.shape,
            sent.as_secs_f64(),
            started.elapsed().as_secs_f64(),
            mib(raw_bytes),
            mib(rollup_bytes),
            mib(plain_bytes),
        );
        println!(
            "{}",
            json!({
                "shape": self.shape.to_string(), "rows": stored, "rollup_rows": rollups, "taken_s": sent.as_secs_f64(),
                "server_us": server, "database_us": database, "raw_bytes": raw_bytes, "rollup_bytes": rollup_bytes,
                "plain_bytes": plain_bytes,
            })
        );
        Ok(())
    }

    /// Waits until all parts are rolled up, and all hours broken down.
    async fn settle(&mut self, started: Instant) -> Outcome<()> {
        let bound = self.until.plus_micros(-OPEN_MICROS).as_micros();
        loop {
            let (parts, days): (i64, i64) =
                sqlx::query_as(tables::UNSETTLED).bind(bound).fetch_one(&mut self.direct).await?;
            if parts + days == 0 {
                return Ok(());
            }
            if started.elapsed() > SETTLE_TIMEOUT {
                return Err(format!(
                    "{parts} parts are not rolled up and {days} days not broken down after {SETTLE_TIMEOUT:?}"
                )
                .into());
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn pair(&mut self, sql: &'static str) -> Outcome<(i64, i64)> {
        Ok(sqlx::query_as(sql).fetch_one(&mut self.direct).await?)
    }

    /// Ends the servers and removes the database.
    pub async fn close(self) -> Outcome<()> {
        for server in [self.perfgraph, self.plain, self.textbook] {
            server.stop().await?;
        }
        self.direct.close().await?;
        durable_postgres::admin(format!("DROP DATABASE {} WITH (FORCE)", self.database)).await
    }
}

fn request(rows: &[Row], since: Timestamp) -> Vec<u8> {
    let line = |row: &Row| {
        json!({
            "projectSlug": format!("o{}/p{}", row.organization(), row.project), "type": row.kind,
            "endpoint": row.endpoint, "value": row.value, "statusCode": row.status, "timestamp": row.at.to_string(),
            "name": row.name, "release": row.release,
        })
    };
    let lines: Vec<String> = rows.iter().map(|row| line(row).to_string()).collect();
    client::post_lines(&format!("/ingest/v1/metrics?since={since}"), &lines.join("\n"))
}

async fn send(address: std::net::SocketAddr, requests: Vec<&Vec<u8>>) -> Outcome<()> {
    let mut connection = client::Connection::open(address).await?;
    for request in requests {
        let answer = connection.send(request).await?;
        let answer: serde_json::Value = serde_json::from_slice(answer)?;
        if answer["rejected"] != 0 {
            return Err(format!("rows were refused: {answer}").into());
        }
    }
    Ok(())
}
