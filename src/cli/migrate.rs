//! `perfgraph migrate`: applies, reverts or lists migrations of the database schema.

use std::{
    fmt::Write,
    io::{self, IsTerminal},
    time::Duration,
};

use super::{arguments::Migrate, failure::Failure, output};
use crate::{
    config::Config,
    db::{
        Database, Instance,
        instance::require_file,
        migrate::{self, Change},
    },
    jobs::{compaction, retention},
};

/// The migration that chooses rollups by density.
const CHOICE_OF_ROLLUPS: &str = "m0023_metric_grain";

/// Number of attempts while a server merges, and the pause between two.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// Applies, reverts or lists migrations. An SQLite file is changed only while no other process works on it; the list can be
/// read beside a server.
pub async fn run(config: &Config, command: &Migrate) -> Result<(), Failure> {
    let changes = match command {
        Migrate::Status => migrate::status_at(&config.database).await?,
        Migrate::Up { .. } => change(config, command).await?,
        Migrate::Down { .. } => {
            require_file(&config.database)?;
            change(config, command).await?
        }
    };
    let mut list = String::new();
    for change in changes {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "{} {}", if change.is_applied { "applied" } else { "missing" }, change.name);
    }
    output::print(&list)
}

async fn change(config: &Config, command: &Migrate) -> Result<Vec<Change>, Failure> {
    let mut instance = Instance::claim(&config.database, config.server.node)?;
    let database = instance.open(&config.database).await?;
    let changed: Result<_, Failure> = async {
        match command {
            Migrate::Up { steps } => migrate::up(&database, *steps).await?,
            Migrate::Down { steps, yes } => {
                confirm(config, &database, *steps, *yes).await?;
                give_all_rollups(&database, *steps).await?;
                migrate::down(&database, Some(*steps)).await?;
            }
            Migrate::Status => {}
        }
        Ok(migrate::status(&database).await?)
    }
    .await;
    instance.close(&database).await;
    changed
}

/// Versions before the choice of rollups read all of them.
async fn give_all_rollups(database: &Database, steps: u32) -> Result<(), Failure> {
    let applied = migrate::status(database).await?;
    let applied = applied.iter().rev().filter(|change| change.is_applied);
    let reverted = applied.take(usize::try_from(steps).unwrap_or(usize::MAX));
    if reverted.into_iter().all(|change| change.name != CHOICE_OF_ROLLUPS) {
        return Ok(());
    }
    let kept = retention::load_bounds(database).await?;
    // Nobody else works on the database; a server on PostgreSQL that was not stopped merges for a moment only.
    for _ in 0..ATTEMPTS {
        if compaction::complete_all(database, kept.raw).await? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failure::Usage("a server is merging rollups; stop all servers before migrating down".to_owned()))
}

/// Asks at a terminal before anything is deleted. Without a terminal, the answer is an argument.
async fn confirm(config: &Config, database: &Database, steps: u32, is_confirmed: bool) -> Result<(), Failure> {
    let losses = migrate::losses(database, steps).await?;
    if is_confirmed || losses.is_empty() {
        return Ok(());
    }
    let url = &config.database.url;
    let mut question = format!("Reverting these migrations of {url} deletes their data for good:\n");
    for loss in &losses {
        let _ = writeln!(question, "  {loss}");
    }
    output::say(question.trim_end());
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::Usage("nothing was reverted; add --yes to revert without a question".to_owned()));
    }
    output::say("Type yes to revert them:");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Failure::internal)?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(Failure::Interrupted("nothing was reverted".to_owned()))
}
