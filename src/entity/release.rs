//! Table `release`: deployments of versions of a project's software.

use sea_orm::entity::prelude::*;

use crate::model::{EmployeeId, OrganizationId, ProjectId, ReleaseId, Timestamp};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "release")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ReleaseId,
    pub project_id: ProjectId,
    pub version: String,
    pub deployed_at: Timestamp,
    pub commit_hash: String,
    pub author_id: EmployeeId,
    pub created_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
