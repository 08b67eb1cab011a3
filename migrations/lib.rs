//! The schema of perfgraph, one file per change, for SQLite and PostgreSQL.
//!
//! Ids and times are made by the application: ids are time-ordered 64-bit integers, times are UTC microseconds. The
//! organization leads every primary, unique and foreign key, so that tenants can be spread over machines unchanged.
//! SQL is written by hand because partitions, STRICT and WITHOUT ROWID have no portable spelling.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

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
mod m0013_release;
mod m0015_stream_secret;
mod m0016_metric_late;
mod m0017_five_minutes;

/// Applies and reverts the changes in order.
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
            Box::new(m0013_release::Migration),
            Box::new(m0015_stream_secret::Migration),
            Box::new(m0016_metric_late::Migration),
            Box::new(m0017_five_minutes::Migration),
        ]
    }
}

/// One change as plain statements in both dialects.
trait Change {
    /// The statements that apply it to SQLite.
    const SQLITE: &'static [&'static str];
    /// The statements that apply it to PostgreSQL.
    const POSTGRES: &'static [&'static str];
    /// The tables to drop to revert it, in order.
    const TABLES: &'static [&'static str] = &[];
    /// The statements that revert what is not a table of its own, the same on both databases; they come before the
    /// tables.
    const REVERT: &'static [&'static str] = &[];
}

async fn apply<C: Change>(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let statements = match connection.get_database_backend() {
        DbBackend::Sqlite => C::SQLITE,
        _ => C::POSTGRES,
    };
    for statement in statements {
        connection.execute_unprepared(statement).await?;
    }
    Ok(())
}

async fn revert<C: Change>(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    for statement in C::REVERT {
        connection.execute_unprepared(statement).await?;
    }
    for table in C::TABLES {
        connection.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}")).await?;
    }
    Ok(())
}

/// Implements [`MigrationTrait`] for a [`Change`]; every change runs in one transaction on both databases.
macro_rules! migration {
    () => {
        #[derive(sea_orm_migration::prelude::DeriveMigrationName)]
        pub struct Migration;

        #[sea_orm_migration::async_trait::async_trait]
        impl sea_orm_migration::MigrationTrait for Migration {
            async fn up(&self, manager: &sea_orm_migration::SchemaManager) -> Result<(), sea_orm_migration::DbErr> {
                crate::apply::<Self>(manager).await
            }

            async fn down(&self, manager: &sea_orm_migration::SchemaManager) -> Result<(), sea_orm_migration::DbErr> {
                crate::revert::<Self>(manager).await
            }

            fn use_transaction(&self) -> Option<bool> {
                Some(true)
            }
        }
    };
}
use migration;
