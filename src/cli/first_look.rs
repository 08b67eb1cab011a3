//! Sample data for the first start, so that a new user sees data: in the default SQLite file, and with `--demo` in any
//! database that holds no data. A database whose name is mistyped is not filled, and one with data of others is left
//! unchanged.
//!
//! A new file is filled under a temporary name and renamed when it is complete, so an interrupted start leaves no partial data.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::failure::Failure;
use crate::{
    app::Core,
    auth,
    clock::Clock,
    config::{Config, Demo},
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

/// Fills an empty database with sample data if the configuration says so.
///
/// A file without any organization is filled under its temporary name. A database that holds the server's own metrics, or
/// one on PostgreSQL, is filled in place, and only on demand (`--demo`): there an interrupted start leaves what it had
/// written.
pub async fn prepare(config: &Config) -> Result<(), Failure> {
    let file = sqlite_file(config.database.url.reveal())?;
    if !config.database.migrate_on_start {
        // An operator who applies migrations manually also fills the database manually.
        return Ok(());
    }
    if let Some(file) = file.as_deref().filter(|file| fs::metadata(file).map_or(true, |found| found.len() == 0)) {
        if config.is_demo() {
            return fill_new_file(config, file).await;
        }
        tracing::warn!(
            file = %file.display(),
            "the database did not exist and is created, without data. If the name is right, `perfgraph serve --demo` or \
             `perfgraph seed` adds sample data"
        );
        return Ok(());
    }
    if !config.is_demo() {
        return Ok(());
    }
    match (file, organizations(config).await?) {
        (Some(file), Organizations::None) => fill_new_file(config, &file).await,
        (None, Organizations::None) | (_, Organizations::Own) if config.server.demo == Demo::On => fill(config).await,
        _ => Ok(()),
    }
}

/// The organizations in a database.
enum Organizations {
    None,
    /// Only that of the server's own metrics.
    Own,
    Others,
}

async fn organizations(config: &Config) -> Result<Organizations, Failure> {
    let core = Core::open(config, Clock::system(), instance(config, None)?).await?;
    let db = core.database.reader(StatementLog::default());
    let found = async {
        let count = directory::count::<Organization>(&auth::server_scope(), &db, None).await?;
        Ok::<_, Error>(match (count, seed::is_empty(&core).await?) {
            (0, _) => Organizations::None,
            (_, true) => Organizations::Own,
            (_, false) => Organizations::Others,
        })
    };
    let found = found.await;
    core.close().await;
    Ok(found?)
}

/// Creates or replaces an SQLite file without any organization.
async fn fill_new_file(config: &Config, file: &Path) -> Result<(), Failure> {
    let unfinished = beside(file, UNFINISHED);
    remove(&unfinished)?;
    fill(&with_temporary_name(config)).await?;
    if fs::metadata(beside(&unfinished, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(Failure::internal(
            "the sample data could not be completed: SQLite did not write back its write-ahead log",
        ));
    }
    // The replaced file is empty, and no other process writes to it while this one holds the lock of the instance.
    remove(file)?;
    publish(&unfinished, file).map_err(Error::internal)?;
    remove(&unfinished)
}

async fn fill(config: &Config) -> Result<(), Failure> {
    tracing::info!("the database is empty; filling it with sample data");
    let clock = Clock::fixed(Clock::system().now());
    let core = loop {
        match Core::open(config, clock.clone(), instance(config, Some(SAMPLE_NODE))?).await {
            // On PostgreSQL the node of sample data is held by who makes them.
            Err(Error::Input { field, .. }) if field == "server.node" => {
                tracing::info!("another instance fills the database with sample data; waiting for it");
            }
            opened => break opened?,
        }
    };
    let filled = async {
        // Another instance may have been faster.
        if seed::is_empty(&core).await? {
            seed::fill(&core, &Plan { size: Size::Small, rng_seed: RNG_SEED }, &mut |_| {}).await?;
        }
        Ok::<_, Error>(())
    };
    let filled = filled.await;
    core.close().await;
    Ok(filled?)
}

/// An instance beside the server that starts, which holds the lock of an SQLite file. Without a node it takes a free one.
fn instance(config: &Config, node: Option<u8>) -> Result<Instance, Error> {
    if config.database.url.is_sqlite() {
        Ok(Instance::alone(SAMPLE_NODE))
    } else {
        Instance::claim(&config.database, node)
    }
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
