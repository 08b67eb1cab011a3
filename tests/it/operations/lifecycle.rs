//! Starts and stops when something is in the way: other instances, held locks, signals, panics, kills.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use futures_util::future::join_all;
use perfgraph::{
    app::Core,
    clock::Clock,
    config::{self, Config, Overrides},
    db::{Backend, IdGenerator, Instance, instance::sqlite_file, migrate},
    directory::{ProjectStatus, organization, project},
    error::{Code, Error, Result},
    ingest::Ingest,
    live::Publisher,
    model::{OrganizationId, ProjectId, Scope, id::IdPlace},
};
use sqlx::{Connection, PgConnection, SqlitePool};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::timeout,
};

use super::crash::prepared;
use crate::{
    harness::{
        Server, TestDatabase, held,
        process::{PATIENCE, Served, command, run},
        wait,
    },
    ingest::batches::{NOW, candidate, submission},
};

fn config(database: &TestDatabase, settings: &str) -> Config {
    let environment = [("DATABASE_URL".to_owned(), database.url.clone())];
    let toml = format!("server.listen = '127.0.0.1:0'\ndatabase.acquire_timeout_ms = 10000\n{settings}\n");
    Config::from_sources(Some(&toml), &environment, &Overrides::default()).unwrap()
}

fn claim(config: &Config) -> Result<Instance> {
    Instance::claim(&config.database, config.server.node)
}

async fn open(config: &Config) -> Result<Core> {
    Core::open(config, Clock::system(), claim(config)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_on_a_fresh_postgres_all_do_and_differ() {
    let database = TestDatabase::unmigrated_postgres().await;
    let config = config(&database, "database.write_connections = 2");
    let opened = (0..6).map(|_| open(&config));
    let cores: Vec<Core> = join_all(opened).await.into_iter().map(Result::unwrap).collect();
    let mut nodes: Vec<u8> = cores.iter().map(|core| core.ids.node()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), 6, "{nodes:?}");
    join_all(cores.into_iter().map(Core::close)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_node_is_held_by_one_instance() {
    let database = TestDatabase::postgres().await;
    let config = config(&database, "server.node = 7\ndatabase.node_lease_ms = 1000");
    let first = open(&config).await.unwrap();
    let refused = open(&config).await.err().unwrap();
    assert!(matches!(&refused, Error::Input { field, .. } if field == "server.node"), "{refused}");
    assert!(refused.to_string().contains("node 7 is held by another instance"), "{refused}");
    first.close().await;
    open(&config).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_file_is_one_process_alone() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let held = claim(&config(&database, "")).unwrap();
    let ended = async |arguments: &[&str]| {
        let mut command = command(folder.path(), arguments);
        command.env("DATABASE_URL", &database.url);
        run(command).await
    };
    std::fs::write(folder.path().join("rows.ndjson"), "{}\n").unwrap();
    let writing: [&[&str]; 5] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["seed"],
        &["import", "rows.ndjson", "--project", "acme/shop"],
        &["migrate", "up"],
        &["migrate", "down"],
    ];
    for arguments in writing {
        let ended = ended(arguments).await;
        assert_eq!(ended.code, Some(69), "{arguments:?} {ended:?}");
        assert!(ended.stderr.contains("another perfgraph process works on this SQLite file"), "{ended:?}");
    }
    let listed = ended(&["migrate", "status"]).await;
    assert!(listed.code == Some(0) && !listed.stdout.contains("missing"), "reading is allowed: {listed:?}");
    drop(held);
    open(&config(&database, "")).await.unwrap().close().await;
}

/// The lock on the file already proves that nobody else has the node, so nobody waits for the end of a lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_on_sqlite_gets_its_node_back_at_once() {
    let (database, _) = prepared(TestDatabase::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    for epoch in 1..=3_i64 {
        let mut serve = command(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        // Longer than the patience of the test.
        serve.env("DATABASE_URL", &database.url).env("PERFGRAPH_DATABASE__NODE_LEASE_MS", "300000");
        serve.env("PERFGRAPH_SERVER__NODE", "7").env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
        let served = Served::start(serve).await;
        served.signal("KILL").await;
        assert_eq!(served.ended().await, None);
        let Backend::Sqlite(pool) = database.database.backend() else { unreachable!() };
        let held: i64 =
            sqlx::query_scalar("SELECT epoch FROM instance_node WHERE node = 7").fetch_one(pool).await.unwrap();
        assert_eq!(held, epoch);
    }
}

/// Starts a server that waits for the migrations' lock, and signals it there.
async fn is_stopped_while_it_waits(database: &TestDatabase, signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    command.env("DATABASE_URL", &database.url).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while !timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("it waits").contains("waiting for") {}
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap().success());
    let ended = timeout(Duration::from_secs(10), child.wait()).await.expect("a signal ends the start").unwrap();
    assert_eq!(ended.code(), Some(0), "SIG{signal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_a_start_that_waits() {
    let database = TestDatabase::sqlite().await;
    let file = sqlite_file(&database.url).unwrap().unwrap();
    let lock = File::create(format!("{}.migrate.lock", file.display())).unwrap();
    lock.lock().unwrap();
    is_stopped_while_it_waits(&database, "TERM").await;
    is_stopped_while_it_waits(&database, "INT").await;
}

/// A reservation beyond the last id there is: a panic inside of a commit, in test builds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_panics_costs_its_callers_only() {
    let database = TestDatabase::sqlite().await;
    let (scope, now) = (Scope::everything(), NOW);
    let organization = OrganizationId(1);
    let new =
        organization::NewOrganization { id: organization, slug: Some("acme".to_owned()), name: "Acme".to_owned() };
    organization::create(&scope, &database.writer(), new, now).await.unwrap();
    let new = project::NewProject {
        id: ProjectId(1),
        slug: Some("shop".to_owned()),
        name: "Shop".to_owned(),
        status: ProjectStatus::Active,
        members: Vec::new(),
    };
    let project = project::create(&scope, &database.writer(), organization, new, now).await.unwrap();
    let settings = config::Ingest { rows_max: 16_384, ..config::Ingest::default() };
    let ids = IdGenerator::alone_from(0, IdPlace::END.plus_ms(-1));
    let (ingest, batcher) =
        Ingest::new(database.database.clone(), ids, Clock::fixed(now), Publisher::new(8), settings, 7);
    let batcher = tokio::spawn(batcher.run());
    let submit = async |rows: usize| {
        let submitted = submission(project, vec![candidate(1.0); rows]);
        let log = perfgraph::db::StatementLog::default();
        timeout(PATIENCE, ingest.submit(&scope, submitted, &log)).await.expect("everybody is answered")
    };
    // One id for the endpoint, one set aside for the rest of them and one for the row: what is left is 16,381.
    assert_eq!(submit(1).await.unwrap().accepted, 1);
    let fault = submit(16_382).await.unwrap_err();
    assert_eq!(fault.code(), Code::InternalServerError, "{fault:?}");
    assert!(format!("{fault:?}").contains("panicked"), "{fault:?}");
    assert_eq!(submit(1).await.unwrap().accepted, 1);
    ingest.close();
    timeout(PATIENCE, batcher).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_stop_has_a_bound() {
    let settings = "server.drain_timeout_ms = 500\nself_monitoring.enabled = false";
    let server = Server::start(TestDatabase::postgres().await, Clock::system(), settings).await;
    let world = server.seed("organizations=1 projects=1").await;
    drop(world);
    let core = server.app.core();
    let ids: (i64, i64) = sqlx::query_as("SELECT organization_id, id FROM project LIMIT 1")
        .fetch_one(match core.database.backend() {
            Backend::Postgres(pool) => pool,
            Backend::Sqlite(_) => unreachable!(),
        })
        .await
        .unwrap();
    let mut holder = PgConnection::connect(&server.database.url).await.unwrap();
    let mut lock = holder.begin().await.unwrap();
    sqlx::query("LOCK TABLE metric_event IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    // A commit that hangs, and a request that never ends.
    let ingest = core.ingest.clone();
    let project = perfgraph::model::Key { organization: OrganizationId(ids.0), id: ProjectId(ids.1) };
    let hanging = tokio::spawn(async move {
        let log = perfgraph::db::StatementLog::default();
        ingest.submit(&Scope::everything(), submission(project, vec![candidate(1.0)]), &log).await
    });
    let mut request = tokio::net::TcpStream::connect(server.app.address()).await.unwrap();
    request.write_all(b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
    let is_held = async || held::waiting(&server.database).await > 0;
    wait::until("the commit waits for the locked table", is_held).await;
    assert!(!hanging.is_finished());
    let Server { app, database: _database, .. } = server;
    timeout(Duration::from_millis(5_500), app.stop()).await.expect("the drain timeout and five seconds");
    lock.rollback().await.unwrap();
}

async fn rows(file: &Path) -> i64 {
    let pool = SqlitePool::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let sql = "SELECT count(*) FROM metric_event e JOIN organization o ON o.id = e.organization_id \
               WHERE o.slug <> 'perfgraph'";
    let rows = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
    pool.close().await;
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_killed_leaves_no_half_of_the_sample_data() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("perfgraph.sqlite");
    let serve = || {
        let mut serve = command(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        serve.stderr(Stdio::null());
        serve
    };
    let mut first = serve().spawn().unwrap();
    let unfinished = folder.path().join("perfgraph.sqlite.filling");
    wait::until("the first start begins to fill its file", async || unfinished.exists() || file.exists()).await;
    first.kill().await.unwrap();
    assert!(!file.exists(), "killed too late to prove anything");
    let served = Served::start(serve()).await;
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
    let filled = rows(&file).await;
    assert!((18_000..22_000).contains(&filled), "{filled}");
    assert!(!unfinished.exists());
    // The second start finds it and leaves it as it is.
    let mut again = serve();
    again.arg("--no-demo");
    let served = Served::start(again).await;
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
    assert_eq!(rows(&file).await, filled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_only_migrated_counts_as_empty() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("perfgraph.sqlite");
    let migrated = command(folder.path(), &["migrate", "up"]).output().await.unwrap();
    assert!(migrated.status.success());
    assert_eq!(rows(&file).await, 0);
    let served = Served::start(command(folder.path(), &["serve", "--listen", "127.0.0.1:0"])).await;
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
    assert!(rows(&file).await > 18_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_does_not_fit_is_refused_in_a_sentence() {
    for database in [TestDatabase::unmigrated_sqlite().await, TestDatabase::unmigrated_postgres().await] {
        let manual = config(&database, "database.migrate_on_start = false");
        let refused = open(&manual).await.err().expect("an empty database is refused").to_string();
        assert!(refused.contains("run `perfgraph migrate up`"), "{refused}");
        migrate::up(&database.database, None).await.unwrap();
        open(&manual).await.unwrap().close().await;
        let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m99991231_000000_future', 0)";
        match database.database.backend() {
            Backend::Sqlite(pool) => drop(sqlx::query(newer).execute(pool).await.unwrap()),
            Backend::Postgres(pool) => drop(sqlx::query(newer).execute(pool).await.unwrap()),
        }
        for config in [manual, config(&database, "")] {
            let refused = open(&config).await.err().expect("a newer database is refused").to_string();
            assert!(refused.contains("newer version of perfgraph"), "{refused}");
        }
    }
}
