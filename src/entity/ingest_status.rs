//! Table `ingest_status`: counters of what arrived for a project, one row per way in.

use sea_orm::entity::prelude::*;

use crate::model::{OrganizationId, ProjectId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ingest_status")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub way: i16,
    pub accepted: i64,
    pub refused: i64,
    pub late: i64,
    pub ignored: i64,
    pub refused_requests: i64,
    pub last_seen_at: Timestamp,
    /// The last refusals as JSON.
    pub refusals: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
