//! A migration as plain SQL statements, applied and reverted in one transaction.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

/// The statements of a migration, for both databases.
pub trait Change {
    /// The statements that apply it to SQLite.
    const SQLITE: &'static [&'static str];
    /// The statements that apply it to PostgreSQL.
    const POSTGRES: &'static [&'static str];
    /// The tables to drop when it is reverted, in order.
    const TABLES: &'static [&'static str] = &[];
    /// The statements that revert everything but the tables, before these are dropped. The same on both databases.
    const REVERT: &'static [&'static str] = &[];
}

pub async fn apply<C: Change>(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
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

pub async fn revert<C: Change>(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    for statement in C::REVERT {
        connection.execute_unprepared(statement).await?;
    }
    for table in C::TABLES {
        connection.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}")).await?;
    }
    Ok(())
}

/// Implements [`MigrationTrait`] for a [`Change`]. Databases record a migration by its name, which is the name of its file
/// unless another is given.
macro_rules! migration {
    () => {
        crate::change::migration!(module_path!().rsplit("::").next().unwrap_or_default());
    };
    ($name:expr) => {
        pub struct Migration;

        impl sea_orm_migration::MigrationName for Migration {
            fn name(&self) -> &str {
                $name
            }
        }

        #[sea_orm_migration::async_trait::async_trait]
        impl sea_orm_migration::MigrationTrait for Migration {
            async fn up(&self, manager: &sea_orm_migration::SchemaManager) -> Result<(), sea_orm_migration::DbErr> {
                crate::change::apply::<Self>(manager).await
            }

            async fn down(&self, manager: &sea_orm_migration::SchemaManager) -> Result<(), sea_orm_migration::DbErr> {
                crate::change::revert::<Self>(manager).await
            }

            fn use_transaction(&self) -> Option<bool> {
                Some(true)
            }
        }
    };
}
pub(crate) use migration;
