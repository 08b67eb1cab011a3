//! `perfgraph migrate`: applies, reverts or lists migrations of the database schema.

use super::{arguments::Migrate, failure::Failure};
use crate::{
    config::Config,
    db::{Database, migrate},
};

/// Applies, reverts or lists migrations.
#[expect(clippy::print_stdout, reason = "data goes to standard output")]
pub async fn run(config: &Config, command: &Migrate) -> Result<(), Failure> {
    let database = Database::open(&config.database).await?;
    match command {
        Migrate::Up { steps } => migrate::up(&database, *steps).await?,
        Migrate::Down { steps } => migrate::down(&database, Some(*steps)).await?,
        Migrate::Status => {}
    }
    for change in migrate::status(&database).await? {
        println!("{} {}", if change.is_applied { "applied" } else { "missing" }, change.name);
    }
    database.close().await;
    Ok(())
}
