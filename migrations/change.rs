//! A migration as plain SQL statements for both databases.

/// The statements of a migration.
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

/// The name under which databases record a migration. It never changes.
pub trait Named {
    /// The name of the file unless another is given.
    fn name() -> &'static str;
}

/// Declares the type `Migration`, which implements [`Change`], and its [`Named`].
macro_rules! migration {
    () => {
        crate::change::migration!(module_path!().rsplit("::").next().unwrap_or_default());
    };
    ($name:expr) => {
        pub struct Migration;

        impl crate::change::Named for Migration {
            fn name() -> &'static str {
                $name
            }
        }
    };
}
pub(crate) use migration;
