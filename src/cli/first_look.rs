//! Sample data for the first start with an empty SQLite file, so that a new user sees data. A PostgreSQL database, or an
//! SQLite file with any content, is left unchanged.
//!
//! The file is filled under a temporary name and renamed when it is complete, so an interrupted start leaves no partial data.

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
        file::beside::beside,
        instance::{Instance, SAMPLE_NODE, sqlite_file},
    },
    directory::{self, Organization},
    error::Error,
    seed::{self, Plan, Size},
};

/// The seed of the random number generator.
const RNG_SEED: u64 = 1;

/// The suffix of the temporary name.
const UNFINISHED: &str = ".filling";

/// Suffixes of the files that SQLite and the migrations create beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", ".migrate.lock"];

/// Creates and fills the SQLite file if it does not exist or is empty.
pub async fn fill_if_empty(config: &Config) -> Result<(), Failure> {
    // An operator who applies migrations manually also creates the file manually.
    let wanted = sqlite_file(config.database.url.reveal())?.filter(|_| config.database.migrate_on_start);
    let Some(file) = wanted else { return Ok(()) };
    if file.exists() && !is_empty(config).await? {
        return Ok(());
    }
    tracing::info!("the database is empty; filling it with sample data");
    let unfinished = beside(&file, UNFINISHED);
    remove(&unfinished)?;
    fill(&with_temporary_name(config)).await?;
    if fs::metadata(beside(&unfinished, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(Failure::internal(
            "the sample data could not be completed: SQLite did not write back its write-ahead log",
        ));
    }
    // The replaced file is empty, and no other process writes to it while this one holds the lock of the instance.
    remove(&file)?;
    publish(&unfinished, &file).map_err(Error::internal)?;
    remove(&unfinished)
}

/// True if the database contains no organization, not even the server's own.
async fn is_empty(config: &Config) -> Result<bool, Failure> {
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

fn with_temporary_name(config: &Config) -> Config {
    let url = config.database.url.reveal();
    let (path, parameters) = url.find('?').map_or((url, ""), |at| url.split_at(at));
    let mut config = config.clone();
    config.database.url = format!("{path}{UNFINISHED}{parameters}").as_str().into();
    config
}

/// Renames the file and syncs its folder. Otherwise a power failure could undo the rename, and lose the metrics that were
/// acknowledged since.
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
