//! Errors of the first connection to PostgreSQL, with the fix: most of them are mistakes in `database.url`.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::tls;
use crate::{
    config::DatabaseUrl,
    error::{Cause, Error},
};

/// Time to ask once more for the reason, which the driver's pool does not tell.
const REASON_TIMEOUT: Duration = Duration::from_secs(1);

/// SQLSTATE of a database that does not exist.
const NO_DATABASE: &str = "3D000";
/// Class of the SQLSTATEs of a user or password that is refused.
const NOT_AUTHORIZED: &str = "28";

/// The beginning of pgbouncer's answer to settings of a session.
const POOLER: &str = "unsupported startup parameter";

/// The error of a connection that could not be opened.
pub async fn postgres(url: &DatabaseUrl, options: &PgConnectOptions, error: sqlx::Error) -> Error {
    let reason = match error {
        sqlx::Error::PoolTimedOut => match timeout(REASON_TIMEOUT, PgConnection::connect_with(options)).await {
            Ok(Err(reason)) => reason,
            _ => sqlx::Error::PoolTimedOut,
        },
        reason => reason,
    };
    if let sqlx::Error::Database(refusal) = &reason {
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        let message = match refusal.code().as_deref() {
            Some(NO_DATABASE) => {
                format!("PostgreSQL has no database {name}; correct the name, or create it with `createdb {name}`")
            }
            Some(code) if code.starts_with(NOT_AUTHORIZED) => {
                format!("PostgreSQL refuses the user or the password of {url} ({})", refusal.message())
            }
            _ if refusal.message().contains(POOLER) => format!(
                "{url} is a pooler that keeps no settings of a session ({}); set database.transaction_pooling to true, and \
                 database.direct_url to the address of the PostgreSQL server itself",
                refusal.message()
            ),
            _ => return reason.into(),
        };
        return Error::input("database.url", message);
    }
    if tls::is_of_encryption(&reason) {
        return tls::failed(url, &reason, "");
    }
    if !matches!(reason, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_)) {
        return reason.into();
    }
    Error::Unavailable {
        message: "PostgreSQL cannot be reached; check that it runs, and the host and the port of database.url",
        retry_after_s: 1,
        source: Some(Cause::new(format!("{url}: {reason}"))),
    }
}
