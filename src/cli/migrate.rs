//! `perfgraph migrate`: applies, reverts or lists migrations of the database schema.

use std::fmt::Write;

use super::{arguments::Migrate, failure::Failure, output};
use crate::{
    config::Config,
    db::{Database, Instance, migrate},
    error::Error,
};

/// Applies, reverts or lists migrations. An SQLite file is changed only while no other process works on it; the list can be
/// read beside a server.
pub async fn run(config: &Config, command: &Migrate) -> Result<(), Failure> {
    let mut instance = match Instance::claim(&config.database, config.server.node) {
        Err(Error::Unavailable { .. }) if matches!(command, Migrate::Status) => None,
        claimed => Some(claimed?),
    };
    let database = match &mut instance {
        Some(instance) => instance.open(&config.database).await?,
        // The process that holds the file has checked it.
        None => Database::open(&config.database).await?,
    };
    match command {
        Migrate::Up { steps } => migrate::up(&database, *steps).await?,
        Migrate::Down { steps } => migrate::down(&database, Some(*steps)).await?,
        Migrate::Status => {}
    }
    let mut list = String::new();
    for change in migrate::status(&database).await? {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "{} {}", if change.is_applied { "applied" } else { "missing" }, change.name);
    }
    match &mut instance {
        Some(instance) => instance.close(&database).await,
        None => database.close().await,
    }
    output::print(&list)
}
