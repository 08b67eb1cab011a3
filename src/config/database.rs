//! Section `database`: connection, pools and timeouts.

use std::time::Duration;

use super::database_url::DatabaseUrl;
use super::section::section;

section! {
    /// Database connection, pools and timeouts.
    "database" => Database {
        /// `sqlite://FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`. Keep a password out of this file: set `DATABASE_URL`
        /// in the environment, or `PERFGRAPH_DATABASE__URL_FILE` to the name of a file that contains the URL.
        /// `?sslmode=require`, `verify-ca` or `verify-full` insists on encrypted connections to PostgreSQL; the default, `prefer`,
        /// does without if the encryption of the server cannot be used, and warns.
        url: DatabaseUrl = DatabaseUrl::from("sqlite://perfgraph.sqlite"),
        /// PostgreSQL only: true if `url` leads to a pooler in transaction mode, such as pgbouncer; `direct_url` is needed then.
        /// Every statement runs in a transaction that brings its own settings, and none is prepared, which takes four round
        /// trips instead of one. A statement whose caller is gone goes on until `statement_timeout_ms`.
        transaction_pooling: bool = false,
        /// PostgreSQL only, with `transaction_pooling`: the address of the server itself. Migrations, the lease of an instance
        /// and the bus between instances need sessions of their own.
        direct_url: DatabaseUrl = DatabaseUrl::from(""),
        /// Connections for queries, given in the order of asking. One request uses half of them at the same time at most, and
        /// reports three quarters: a report beyond that waits until `server.request_timeout_ms`. On SQLite at most one more
        /// than the number of processors.
        read_connections: u32 = 8,
        /// Connections for writes. Ignored on SQLite, which has a single writer. On PostgreSQL an instance needs up to four
        /// more: two for migrations when it starts, one to cancel statements, and one that renews its lease.
        write_connections: u32 = 4,
        /// Timeout for a free connection. After it the request fails with the error code UNAVAILABLE. At most
        /// `server.request_timeout_ms`.
        acquire_timeout ("acquire_timeout_ms"): Duration = Duration::from_secs(5),
        /// SQLite only: timeout of a statement for a lock on the file that another process holds.
        busy_timeout ("busy_timeout_ms"): Duration = Duration::from_secs(5),
        /// SQLite only: a file of up to this many bytes is checked for damage at every start. A larger one is checked if it was
        /// not closed cleanly; the server listens meanwhile, and `/readyz` and all requests are answered with 503.
        check_bytes_max: u64 = 67_108_864,
        /// PostgreSQL only: timeout after which the database cancels a statement, or a transaction that gets no further
        /// statement. A connection that answers neither is replaced two seconds later.
        statement_timeout ("statement_timeout_ms"): Duration = Duration::from_secs(10),
        /// Applies missing migrations when the server starts. If false, they are applied with `perfgraph migrate up`.
        migrate_on_start: bool = true,
        /// PostgreSQL only: time for which an instance holds its node, the number in the ids that it makes. The
        /// instance renews this lease whenever a third of it has passed. If it cannot, it refuses writes until the
        /// database answers again. After a crash the number is free once the lease has ended. 1000 to 600000.
        node_lease ("node_lease_ms"): Duration = Duration::from_secs(15),
        /// PostgreSQL only: days for which partitions are created in advance. At most 366.
        partition_days_ahead: u32 = 3,
    }
}

impl Database {
    /// The address for what needs a session of its own.
    #[must_use]
    pub const fn direct(&self) -> &DatabaseUrl {
        if self.transaction_pooling { &self.direct_url } else { &self.url }
    }
}
