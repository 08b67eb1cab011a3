//! The schema of perfgraph, one file per migration, for SQLite and PostgreSQL.
//!
//! Ids and times are made by the application: ids are time-ordered 64-bit integers, times are UTC microseconds. The
//! organization leads every primary, unique and foreign key, so that tenants can be spread over machines unchanged.
//! SQL is written by hand because partitions, STRICT and WITHOUT ROWID have no portable spelling.
//!
//! PostgreSQL blocks writes to a table while it builds an index. On a table that every ingest writes, a migration therefore
//! builds an index CONCURRENTLY, or states in a comment how long the build takes.

use sea_orm_migration::prelude::*;

mod change;
mod m0001_organization;
mod m0002_employee;
mod m0003_project;
mod m0004_ingest;
mod m0005_metric_event;
mod m0006_metric_rollup;
mod m0007_team_size;
mod m0008_directory_lists;
mod m0009_rollup_part;
mod m0010_active_everywhere;
mod m0011_metric_tags;
mod m0012_entity_change;
mod m0013_ledger_age;
mod m0014_release;
mod m0015_stream_secret;
mod m0016_metric_late;
mod m0017_five_minutes;

/// Applies and reverts the migrations in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_organization::Migration),
            Box::new(m0002_employee::Migration),
            Box::new(m0003_project::Migration),
            Box::new(m0004_ingest::Migration),
            Box::new(m0005_metric_event::Migration),
            Box::new(m0006_metric_rollup::Migration),
            Box::new(m0007_team_size::Migration),
            Box::new(m0008_directory_lists::Migration),
            Box::new(m0009_rollup_part::Migration),
            Box::new(m0010_active_everywhere::Migration),
            Box::new(m0011_metric_tags::Migration),
            Box::new(m0012_entity_change::Migration),
            Box::new(m0013_ledger_age::Migration),
            Box::new(m0014_release::Migration),
            Box::new(m0015_stream_secret::Migration),
            Box::new(m0016_metric_late::Migration),
            Box::new(m0017_five_minutes::Migration),
        ]
    }
}
