//! Sample data for a first start: the embedded database is somebody's first look, so it has something to show. A
//! PostgreSQL database belongs to an operator, who seeds it if they want to, and so does an SQLite file that holds
//! anything at all.
//!
//! It is filled under another name and gets its own when it is whole: a start that is killed leaves nothing of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::failure::Failure;
use crate::{
    app::Core,
    auth,
    clock::Clock,
    config::Config,
    db::{
        StatementLog,
        instance::{Instance, SAMPLE_NODE, beside, sqlite_file},
    },
    directory::{self, Organization},
    error::Error,
    seed::{self, Plan, Size},
};

/// Where the random numbers start.
const RNG_SEED: u64 = 1;

/// What a file is called that is not whole yet.
const UNFINISHED: &str = ".filling";

/// What SQLite and the migrations keep beside a file.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", ".migrate.lock"];

/// Makes and fills the SQLite file if it is not there, or holds nothing.
pub async fn fill_if_empty(config: &Config) -> Result<(), Failure> {
    // An operator who migrates by hand wants to make the file by hand too.
    let wanted = sqlite_file(config.database.url.reveal())?.filter(|_| config.database.migrate_on_start);
    let Some(file) = wanted else { return Ok(()) };
    if file.exists() && !holds_nothing(config).await? {
        return Ok(());
    }
    tracing::info!("the database is empty: making one with small sample data");
    let unfinished = beside(&file, UNFINISHED);
    remove(&unfinished)?;
    fill(&under_another_name(config)).await?;
    if fs::metadata(beside(&unfinished, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(Failure::internal("the sample data could not be finished: SQLite still holds its log"));
    }
    // What is replaced holds nothing, and nobody else may write to it while the instance's lock is ours.
    remove(&file)?;
    publish(&unfinished, &file).map_err(Error::internal)?;
    remove(&unfinished)
}

/// Whether there is not a single organization, not even the server's own.
async fn holds_nothing(config: &Config) -> Result<bool, Failure> {
    let core = Core::open(config, Clock::system(), Instance::alone(SAMPLE_NODE)).await?;
    let db = core.database.reader(StatementLog::default());
    let found = directory::count::<Organization>(&auth::server_scope(), &db, None).await;
    core.close().await;
    Ok(found? == 0)
}

async fn fill(config: &Config) -> Result<(), Failure> {
    let clock = Clock::fixed(Clock::system().now());
    let core = Core::open(config, clock, Instance::alone(SAMPLE_NODE)).await?;
    let filled = seed::fill(&core, &Plan { size: Size::Small, rng_seed: RNG_SEED }, &mut |_| {}).await;
    core.close().await;
    filled?;
    Ok(())
}

fn under_another_name(config: &Config) -> Config {
    let url = config.database.url.reveal();
    let (path, parameters) = url.find('?').map_or((url, ""), |at| url.split_at(at));
    let mut config = config.clone();
    config.database.url = format!("{path}{UNFINISHED}{parameters}").as_str().into();
    config
}

/// Gives the file its name, for good: a name that a power cut takes back would take acknowledged metrics with it.
fn publish(unfinished: &Path, file: &Path) -> io::Result<()> {
    fs::rename(unfinished, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

fn remove(file: &Path) -> Result<(), Failure> {
    let companions = COMPANIONS.iter().map(|ending| beside(file, ending));
    for name in companions.chain([PathBuf::from(file)]) {
        match fs::remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::internal(error).into()),
            _ => {}
        }
    }
    Ok(())
}
