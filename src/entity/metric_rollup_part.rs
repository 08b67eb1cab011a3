//! Table `metric_rollup_part`: the rollup of each commit per bucket of the finest rollups of its series, until it is compacted.
//! Endpoint 0 stands for all endpoints of a project.

use sea_orm::entity::prelude::*;

use crate::model::{EndpointId, OrganizationId, ProjectId, Timestamp};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "metric_rollup_part")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: i16,
    #[sea_orm(primary_key, auto_increment = false)]
    pub bucket: Timestamp,
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint_id: EndpointId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part: i64,
    pub n: i64,
    pub n_err: i64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub sketch: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
