//! A lock that another process holds in the database. Statements that need it wait, as during a migration or a backup.

use perfgraph::db::Backend;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use super::TestDatabase;

/// A lock that is held until [`Held::release`] or the end of the test.
pub enum Held {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Held {
    /// Blocks writes to a table; on SQLite, which has one lock, to all tables. Reads are not blocked.
    pub async fn against_writers(database: &TestDatabase, table: &str) -> Self {
        match database.database.backend() {
            Backend::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Self::Sqlite(connection)
            }
            Backend::Postgres(_) => Self::Postgres(locked(database, table, "SHARE").await),
        }
    }

    /// Blocks reads of a table as well. PostgreSQL only.
    pub async fn against_everybody(database: &TestDatabase, table: &str) -> Self {
        Self::Postgres(locked(database, table, "ACCESS EXCLUSIVE").await)
    }

    pub async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => drop(connection.execute("ROLLBACK").await.unwrap()),
            Self::Postgres(mut connection) => drop(connection.execute("ROLLBACK").await.unwrap()),
        }
    }
}

async fn locked(database: &TestDatabase, table: &str, mode: &str) -> PgConnection {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    connection.execute("BEGIN").await.unwrap();
    connection.execute(AssertSqlSafe(format!("LOCK TABLE {table} IN {mode} MODE"))).await.unwrap();
    connection
}

/// The number of statements that wait for a lock in this PostgreSQL database.
pub async fn waiting(database: &TestDatabase) -> i64 {
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}
