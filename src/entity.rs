//! `SeaORM` entities, one file per table: columns and relations only, no behaviour.

pub mod employee;
pub mod endpoint;
pub mod ingest_batch;
pub mod ingest_status;
pub mod metric_event;
pub mod metric_late;
pub mod metric_rollup_part;
pub mod organization;
pub mod organization_stream;
pub mod project;
pub mod project_member;
pub mod release;
