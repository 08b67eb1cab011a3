//! Table `metric_late`: the number of measurements that were rejected as too old, per UTC day: one part per commit, merged into
//! part 0 by retention.

use sea_orm::entity::prelude::*;

use crate::model::{OrganizationId, ProjectId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "metric_late")]
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
    pub part: i64,
    pub n: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
