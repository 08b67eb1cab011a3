//! Table `ingest_batch`: the ledger of accepted requests, by idempotency key and by commit sequence.

use sea_orm::entity::prelude::*;

use crate::model::{OrganizationId, ProjectId, Timestamp};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "ingest_batch")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub idem_key: String,
    pub seq: Option<i64>,
    pub project_id: ProjectId,
    pub first_id: i64,
    pub body_hash: Vec<u8>,
    pub n_accepted: i32,
    pub n_rejected: i32,
    pub min_ts: Timestamp,
    pub max_ts: Timestamp,
    pub received_at: Timestamp,
    pub rejections: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
