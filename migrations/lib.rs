//! The schema of perfgraph, one file per migration, for SQLite and PostgreSQL.
//!
//! Ids and times are made by the application: ids are time-ordered 64-bit integers, times are UTC microseconds. The
//! organization leads every primary, unique and foreign key, so that tenants can be spread over machines unchanged.
//! SQL is written by hand because partitions, STRICT and WITHOUT ROWID have no portable spelling.
//!
//! PostgreSQL blocks writes to a table while it builds an index. On a table that every ingest writes, a migration therefore
//! builds an index CONCURRENTLY, or states in a comment how long the build takes.

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
mod m0018_instance_node;
mod m0019_retention_state;
mod m0020_list_orders;
mod m0021_metric_label;
mod m0022_ingest_status;
mod m0023_metric_grain;
mod m0024_grain_index;
mod m0025_breakdown;
mod m0026_kept_breakdown;

use change::{Change, Named};

/// A migration: its name and its statements, which run in one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The name that databases record.
    pub name: &'static str,
    /// The statements that apply it to SQLite.
    pub sqlite: &'static [&'static str],
    /// The statements that apply it to PostgreSQL.
    pub postgres: &'static [&'static str],
    /// The tables to drop when it is reverted, in order, after `revert`.
    pub tables: &'static [&'static str],
    /// The statements that revert everything but the tables.
    pub revert: &'static [&'static str],
}

impl Migration {
    fn of<M: Change + Named>() -> Self {
        Self { name: M::name(), sqlite: M::SQLITE, postgres: M::POSTGRES, tables: M::TABLES, revert: M::REVERT }
    }
}

/// Every migration, in the order in which they are applied.
pub fn all() -> Vec<Migration> {
    vec![
        Migration::of::<m0001_organization::Migration>(),
        Migration::of::<m0002_employee::Migration>(),
        Migration::of::<m0003_project::Migration>(),
        Migration::of::<m0004_ingest::Migration>(),
        Migration::of::<m0005_metric_event::Migration>(),
        Migration::of::<m0006_metric_rollup::Migration>(),
        Migration::of::<m0007_team_size::Migration>(),
        Migration::of::<m0008_directory_lists::Migration>(),
        Migration::of::<m0009_rollup_part::Migration>(),
        Migration::of::<m0010_active_everywhere::Migration>(),
        Migration::of::<m0011_metric_tags::Migration>(),
        Migration::of::<m0012_entity_change::Migration>(),
        Migration::of::<m0013_ledger_age::Migration>(),
        Migration::of::<m0014_release::Migration>(),
        Migration::of::<m0015_stream_secret::Migration>(),
        Migration::of::<m0016_metric_late::Migration>(),
        Migration::of::<m0017_five_minutes::Migration>(),
        Migration::of::<m0018_instance_node::Migration>(),
        Migration::of::<m0019_retention_state::Migration>(),
        Migration::of::<m0020_list_orders::Migration>(),
        Migration::of::<m0021_metric_label::Migration>(),
        Migration::of::<m0022_ingest_status::Migration>(),
        Migration::of::<m0023_metric_grain::Migration>(),
        Migration::of::<m0024_grain_index::Migration>(),
        Migration::of::<m0025_breakdown::Migration>(),
        Migration::of::<m0026_kept_breakdown::Migration>(),
    ]
}
