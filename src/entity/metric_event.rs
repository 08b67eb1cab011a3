//! Table `metric_event`: raw measurements.

use sea_orm::entity::prelude::*;

use crate::model::{EndpointId, MetricId, OrganizationId, ProjectId, Timestamp};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "metric_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: i16,
    #[sea_orm(primary_key, auto_increment = false)]
    pub ts: Timestamp,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MetricId,
    pub value: f64,
    pub endpoint_id: EndpointId,
    pub status: i16,
    pub bin: i16,
    pub name: String,
    pub release: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
