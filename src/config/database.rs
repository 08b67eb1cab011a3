//! Section `database`: which database, and how hard it may be used.

use super::database_url::DatabaseUrl;
use super::section::section;

section! {
    /// Which database holds everything, and how it is used.
    "database" => Database {
        /// `sqlite://FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`. May hold a password, so rather set it in the
        /// environment: `DATABASE_URL`, or `PERFGRAPH_DATABASE__URL_FILE` with the name of a file that holds it.
        url: DatabaseUrl = DatabaseUrl::from("sqlite://perfgraph.sqlite"),
        /// Connections for queries; on SQLite no more than there are processors.
        read_connections: u32 = 4,
        /// Connections for writes. SQLite has one writer, so there it is always 1 and this is ignored.
        write_connections: u32 = 4,
        /// Milliseconds that a request waits for a free connection before it is answered with the code UNAVAILABLE.
        acquire_timeout_ms: u64 = 1_000,
        /// Milliseconds that a statement waits for another process's lock on the file. SQLite only.
        busy_timeout_ms: u64 = 5_000,
        /// Milliseconds after which the database gives up a statement. PostgreSQL only.
        statement_timeout_ms: u64 = 10_000,
        /// Whether `serve` brings the schema up to date first; when false it must be done with `perfgraph migrate up`.
        migrate_on_start: bool = true,
        /// Days ahead of today for which partitions are made. PostgreSQL only.
        partition_days_ahead: u32 = 3,
    }
}
