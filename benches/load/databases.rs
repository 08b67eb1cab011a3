//! A fresh database per kind, filled alike, with both servers on top of it.

use std::{
    fmt,
    path::Path,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use perfgraph::{
    graphql::node::NodeId,
    model::{Key, OrganizationId, ProjectId},
};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::{
    Outcome, durable_postgres, handwritten,
    server::{self, Server},
};

/// The sample has 60 people and 14 projects with teams of 3 to 8. Twice the projects, and at least twelve people in
/// every team, so that no page of a workload runs short. Both databases read the same sentences.
const MORE: [&str; 3] = [
    "INSERT INTO project (organization_id, id, slug, name, status, created_at, updated_at) \
     SELECT organization_id, id + 1099511627776, slug || '-next', name || ' Next', status, created_at, updated_at \
     FROM project",
    "INSERT INTO project_member (organization_id, project_id, employee_id, role, joined_at) \
     SELECT p.organization_id, p.id, e.id, 'owner', p.created_at FROM project p \
     JOIN (SELECT organization_id, id, ROW_NUMBER() OVER (PARTITION BY organization_id ORDER BY id) AS place \
     FROM employee) e ON e.organization_id = p.organization_id AND e.place <= 12 WHERE true ON CONFLICT DO NOTHING",
    "ANALYZE",
];

/// The projects that hold the load, all of one organization: one to read, one for each server to write.
const PROJECTS: &str = "SELECT organization_id, id FROM project \
    WHERE organization_id = (SELECT id FROM organization WHERE slug = 'contoso') ORDER BY name, id LIMIT 3";

/// The kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file in a temporary folder.
    Sqlite,
    /// A database of its own on the server that `scripts/test-setup durable` started.
    Postgres,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            other => Err(format!("no database is called {other}: sqlite or postgres")),
        }
    }
}

/// A connection that looks into the database from outside of both servers.
pub enum Direct {
    /// Opens the file in this very process.
    Sqlite(SqliteConnection),
    /// A backend of its own.
    Postgres(PgConnection),
}

/// The stored rows of a project, and the sum of their values.
pub type Stored = (i64, f64);

impl Direct {
    /// Connects.
    pub async fn open(url: &str) -> Outcome<Self> {
        Ok(if url.starts_with("sqlite:") {
            Self::Sqlite(SqliteConnection::connect(url).await?)
        } else {
            Self::Postgres(PgConnection::connect(url).await?)
        })
    }

    /// Runs a statement that answers nothing.
    pub async fn run(&mut self, sql: &'static str) -> Outcome<()> {
        match self {
            Self::Sqlite(connection) => sqlx::query(sql).execute(connection).await.map(drop)?,
            Self::Postgres(connection) => sqlx::query(sql).execute(connection).await.map(drop)?,
        }
        Ok(())
    }

    /// Rows of two integers.
    pub async fn pairs(&mut self, sql: &'static str, bound: &[i64]) -> Outcome<Vec<(i64, i64)>> {
        Ok(match self {
            Self::Sqlite(connection) => {
                bound.iter().fold(sqlx::query_as(sql), |query, value| query.bind(*value)).fetch_all(connection).await?
            }
            Self::Postgres(connection) => {
                bound.iter().fold(sqlx::query_as(sql), |query, value| query.bind(*value)).fetch_all(connection).await?
            }
        })
    }

    /// Fetches what a statement answers, and tells how many rows it was.
    pub async fn rows(&mut self, sql: &'static str, bound: &[i64]) -> Outcome<usize> {
        Ok(match self {
            Self::Sqlite(connection) => bound
                .iter()
                .fold(sqlx::query(sql), |query, value| query.bind(*value))
                .fetch_all(connection)
                .await?
                .len(),
            Self::Postgres(connection) => bound
                .iter()
                .fold(sqlx::query(sql), |query, value| query.bind(*value))
                .fetch_all(connection)
                .await?
                .len(),
        })
    }

    async fn stored(&mut self, (organization, project): (i64, i64)) -> Outcome<Stored> {
        let sql = "SELECT COUNT(*), COALESCE(SUM(value), 0.0) FROM metric_event \
            WHERE organization_id = $1 AND project_id = $2";
        Ok(match self {
            Self::Sqlite(connection) => {
                sqlx::query_as(sql).bind(organization).bind(project).fetch_one(connection).await?
            }
            Self::Postgres(connection) => {
                sqlx::query_as(sql).bind(organization).bind(project).fetch_one(connection).await?
            }
        })
    }
}

/// A project as both servers name it.
#[derive(Clone, Copy, Debug)]
pub struct Project(i64, i64);

impl From<(i64, i64)> for Project {
    fn from((organization, project): (i64, i64)) -> Self {
        Self(organization, project)
    }
}

impl Project {
    /// As the rows name it: organization and project.
    pub const fn key(self) -> (i64, i64) {
        (self.0, self.1)
    }

    /// As GraphQL names it.
    pub fn node_id(self) -> String {
        NodeId::Project(Key::new(OrganizationId(self.0), ProjectId(self.1))).encode().0
    }

    /// The organization as GraphQL names it.
    pub fn organization_node_id(self) -> String {
        NodeId::Organization(OrganizationId(self.0)).encode().0
    }
}

/// The number of databases made by this process.
static MADE: AtomicU32 = AtomicU32::new(0);

/// The location of a database.
pub struct Place {
    url: String,
    /// Its name on the PostgreSQL server.
    database: Option<String>,
}

impl Place {
    /// Makes an empty database; an SQLite file in `folder`.
    pub async fn make(kind: Kind, folder: &Path) -> Outcome<Self> {
        Ok(match kind {
            Kind::Sqlite => Self { url: format!("sqlite://{}", folder.join("bench.sqlite").display()), database: None },
            Kind::Postgres => {
                let number = MADE.fetch_add(1, Ordering::Relaxed);
                let name = format!("perfgraph_bench_{}_{number}", std::process::id());
                durable_postgres::admin(format!("CREATE DATABASE {name}")).await?;
                Self {
                    url: durable_postgres::server()?.database(&name).to_url_lossy().to_string(),
                    database: Some(name),
                }
            }
        })
    }

    /// As perfgraph is told.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The PostgreSQL server's process.
    pub async fn postmaster(&self) -> Outcome<Option<u32>> {
        match self.database {
            Some(_) => Ok(Some(durable_postgres::postmaster(&self.url).await?)),
            None => Ok(None),
        }
    }

    /// Removes the database; a file goes with its folder.
    pub async fn remove(self) -> Outcome<()> {
        match self.database {
            Some(name) => durable_postgres::admin(format!("DROP DATABASE {name} WITH (FORCE)")).await,
            None => Ok(()),
        }
    }
}

/// A database with both servers on top.
pub struct Bench {
    /// The kind of database.
    pub kind: Kind,
    /// The real server.
    pub perfgraph: Server,
    /// The hand-written endpoint.
    pub handwritten: Server,
    /// The PostgreSQL server's process.
    pub postmaster: Option<u32>,
    /// Has measurements of a day.
    pub read: Project,
    /// The database that perfgraph writes to.
    pub written: Project,
    /// The database that the hand-written endpoint writes to.
    pub written_by_hand: Project,
    place: Place,
    _folder: TempDir,
}

impl Bench {
    /// Makes the database, fills it, starts both servers.
    pub async fn prepare(kind: Kind) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let place = Place::make(kind, folder.path()).await?;
        let url = place.url();
        let program = Path::new(env!("CARGO_BIN_EXE_perfgraph"));
        let migrate = ["--database-url", url, "migrate", "up"];
        server::run(program, &migrate, folder.path()).await?;
        let seed = ["--database-url", url, "seed", "--size", "small", "--rng-seed", "1"];
        server::run(program, &seed, folder.path()).await?;
        let mut direct = Direct::open(url).await?;
        for sql in MORE {
            direct.run(sql).await?;
        }
        let projects = direct.pairs(PROJECTS, &[]).await?;
        let [read, written, written_by_hand] = projects[..] else {
            return Err("the sample has too few projects".into());
        };
        let serve = ["--database-url", url, "serve", "--listen", "127.0.0.1:0"];
        let perfgraph = Server::start(program, &serve, folder.path()).await?;
        let this = std::env::current_exe()?;
        let handwritten = Server::start(&this, &[handwritten::MODE, url], folder.path()).await?;
        Ok(Self {
            kind,
            perfgraph,
            handwritten,
            postmaster: place.postmaster().await?,
            read: read.into(),
            written: written.into(),
            written_by_hand: written_by_hand.into(),
            place,
            _folder: folder,
        })
    }

    /// A connection beside both servers.
    pub async fn direct(&self) -> Outcome<Direct> {
        Direct::open(self.place.url()).await
    }

    /// The stored rows of a project.
    pub async fn stored(&self, project: Project) -> Outcome<Stored> {
        self.direct().await?.stored(project.key()).await
    }

    /// Up-to-date statistics, so that a plan does not change in the middle of the rounds.
    pub async fn analyze(&self) -> Outcome<()> {
        self.direct().await?.run("ANALYZE").await
    }

    /// Ends the servers and removes the database.
    pub async fn close(self) -> Outcome<()> {
        self.perfgraph.stop().await?;
        self.handwritten.stop().await?;
        self.place.remove().await
    }
}
