//! The PostgreSQL server that `scripts/test-setup durable` starts for measurements.

use std::{fs, path::Path};

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{Outcome, cpu};

/// The private server of `make bench`. Without it nothing is skipped in silence.
pub fn server() -> Outcome<PgConnectOptions> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-postgres.url");
    let url = std::env::var("TEST_POSTGRES_URL")
        .or_else(|_| fs::read_to_string(file))
        .map_err(|_| "no PostgreSQL to measure on: use `make bench`, or `scripts/test-setup durable` once before")?;
    Ok(url.trim().parse()?)
}

/// Runs a statement on the database of the server itself.
pub async fn admin(sql: String) -> Outcome<()> {
    let mut connection = PgConnection::connect_with(&server()?).await?;
    let (durable,): (String,) = sqlx::query_as("SHOW fsync").fetch_one(&mut connection).await?;
    if durable != "on" {
        return Err("this PostgreSQL runs without fsync, which would flatter: `scripts/test-setup durable`".into());
    }
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// The process of the server.
pub async fn postmaster(url: &str) -> Outcome<u32> {
    let mut connection = PgConnection::connect(url).await?;
    let (backend,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
    cpu::parent(u32::try_from(backend)?)
}
