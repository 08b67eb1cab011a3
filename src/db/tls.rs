//! Encryption between perfgraph and PostgreSQL. `sslmode=prefer`, the default, means that a connection without it is better than none.

use std::{io, time::Duration};

use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::time::timeout;

use crate::{
    config::DatabaseUrl,
    error::{Error, Result},
};

/// The same address, without encryption if that of the server cannot be used and the URL does not insist on it.
///
/// # Errors
/// The server cannot be reached in either way.
pub async fn preferred(url: &DatabaseUrl, options: PgConnectOptions, patience: Duration) -> Result<PgConnectOptions> {
    if !matches!(options.get_ssl_mode(), PgSslMode::Prefer) {
        return Ok(options);
    }
    let refusal = match timeout(patience, PgConnection::connect_with(&options)).await {
        Ok(Err(error)) if is_of_encryption(&error) => error,
        Ok(Ok(connection)) => {
            // One that fails to close is closed by being dropped.
            let _ = timeout(patience, connection.close()).await;
            return Ok(options);
        }
        // Whoever connects next says what is wrong.
        _ => return Ok(options),
    };
    let plain = options.ssl_mode(PgSslMode::Disable);
    match timeout(patience, PgConnection::connect_with(&plain)).await {
        Ok(Ok(connection)) => {
            let _ = timeout(patience, connection.close()).await;
            tracing::warn!(
                "connections to {url} are not encrypted, because its encryption cannot be used ({refusal}). {CERTIFICATE}; \
                 sslmode=disable in database.url says that this is intended"
            );
            Ok(plain)
        }
        Ok(Err(error)) => Err(failed(url, &refusal, &format!("; and without encryption: {error}"))),
        Err(_) => Err(failed(url, &refusal, "")),
    }
}

/// What to do about most of these errors.
const CERTIFICATE: &str = "PostgreSQL needs a certificate of X.509 version 3 with the name of its host, and with sslmode=verify-ca or verify-full \
     one that is signed by sslrootcert";

/// The error of a connection that could not be encrypted.
pub fn failed(url: &DatabaseUrl, refusal: &sqlx::Error, more: &str) -> Error {
    Error::input(
        "database.url",
        format!("the connection to {url} cannot be encrypted ({refusal}){more}. {CERTIFICATE}"),
    )
}

/// True for errors of the handshake and of certificates.
pub fn is_of_encryption(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}
