//! The tables, as entities of sea-orm that are objects of the schema, too.

use async_graphql::Enum;
use sea_orm::{DeriveActiveEnum, EnumIter};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum ProjectStatus {
    Active = 0,
    Paused = 1,
    Archived = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum MetricType {
    PageLoad = 0,
    ApiResponse = 1,
    Database = 2,
    CacheHit = 3,
    Custom = 4,
}

pub mod organization {
    use async_graphql::SimpleObject;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, SimpleObject)]
    #[sea_orm(table_name = "organization")]
    #[graphql(name = "Organization")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub slug: String,
        pub name: String,
        pub is_active: bool,
        pub employee_count: i64,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod employee {
    use async_graphql::SimpleObject;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, SimpleObject)]
    #[sea_orm(table_name = "employee")]
    #[graphql(name = "Employee", complex)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub name: String,
        pub email: String,
        pub department: String,
        pub salary: Option<f64>,
        pub is_active: bool,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod project {
    use async_graphql::SimpleObject;
    use sea_orm::entity::prelude::*;

    use super::ProjectStatus;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, SimpleObject)]
    #[sea_orm(table_name = "project")]
    #[graphql(name = "Project", complex)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub slug: String,
        pub name: String,
        pub status: ProjectStatus,
        pub team_size: i64,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod project_member {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "project_member")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub project_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub employee_id: i64,
        pub role: String,
        pub joined_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::employee::Entity",
            from = "(Column::OrganizationId, Column::EmployeeId)",
            to = "(super::employee::Column::OrganizationId, super::employee::Column::Id)"
        )]
        Employee,
    }

    impl Related<super::employee::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Employee.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod plain_metric {
    use async_graphql::SimpleObject;
    use sea_orm::entity::prelude::*;

    use super::MetricType;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, SimpleObject)]
    #[sea_orm(table_name = "plain_metric")]
    #[graphql(name = "Metric")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub organization_id: i64,
        pub project_id: i64,
        #[graphql(name = "type")]
        pub kind: MetricType,
        pub endpoint: String,
        pub name: String,
        pub status: i16,
        pub release: String,
        pub value: f64,
        pub ts: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
