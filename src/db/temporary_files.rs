//! Temporary files of SQLite: a sort of more rows than fit into a connection's cache goes on in one, instead of in memory.

use sqlx::SqliteConnection;

/// Writes a sort of 2 MB, more than a connection keeps in memory, to a temporary file.
const PROBE: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
    SELECT x, zeroblob(1000) FROM n ORDER BY x % 7";

/// The value of `PRAGMA temp_store` for queries: `FILE` where SQLite can write temporary files, else `MEMORY`. SQLite looks
/// for a folder in `SQLITE_TMPDIR`, `TMPDIR`, `/var/tmp`, `/usr/tmp`, `/tmp` and the working folder.
pub(super) async fn place(connection: &mut SqliteConnection) -> &'static str {
    match probe(connection).await {
        Ok(()) => "FILE",
        Err(error) => {
            tracing::warn!(
                %error,
                "SQLite cannot write temporary files, so large sorts of reports take memory: set SQLITE_TMPDIR to a folder \
                 that the server may write to"
            );
            "MEMORY"
        }
    }
}

async fn probe(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("PRAGMA temp_store = FILE").execute(&mut *connection).await?;
    sqlx::query(PROBE).fetch_one(connection).await.map(drop)
}
