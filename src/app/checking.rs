//! The check of a large SQLite file after an unclean stop. The server listens meanwhile, so that it is known to live, but
//! it is not ready and answers no request: a damaged file could answer wrongly, and writes would spread the damage.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use super::CLOSE_TIMEOUT;
use crate::{
    config::Config,
    db::Instance,
    error::{Error, Result},
    http,
};

const REASON: &str = "the database file is being checked, because the server was not stopped cleanly; try again later";

/// Checks the file of an instance. Returns the listener if the check was long, so that clients find the same address.
///
/// # Errors
/// The file is damaged or cannot be read, or the address is in use.
pub async fn until_checked(instance: &mut Instance, config: &Config) -> Result<Option<TcpListener>> {
    let checked_at_once = config.database.check_bytes_max;
    let Some(bytes) = instance.long_check(checked_at_once) else {
        instance.check_file(checked_at_once).await?;
        return Ok(None);
    };
    let listener = listen(config.server.listen).await?;
    let address = listener.local_addr().map_err(Error::internal)?;
    let (kept, listener) = twice(listener)?;
    tracing::warn!(
        bytes,
        %address,
        "the database file was not closed cleanly and is checked before it is served; /readyz returns 503 until then"
    );
    let draining = CancellationToken::new();
    // Nothing that is answered meanwhile opens a WebSocket.
    let sockets = Arc::new(Semaphore::new(0));
    let router = http::waiting::router(REASON);
    let serving = http::listener::serve(listener, router, Arc::new(config.clone()), sockets, draining.clone());
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        checked = instance.check_file(checked_at_once) => checked?,
        () = &mut serving => return Err(Error::internal("the listener ended during the check")),
    }
    draining.cancel();
    // Connections that are still open are closed with the future.
    let _ = timeout(CLOSE_TIMEOUT, serving).await;
    tracing::info!("the database file is undamaged");
    Ok(Some(kept))
}

/// Listens on an address. Port 0 selects a free port.
///
/// # Errors
/// The address is in use or not of this machine.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; stop the process that listens there, or choose another port with --listen",
            io::ErrorKind::PermissionDenied => "; choose a port above 1023 with --listen",
            io::ErrorKind::AddrNotAvailable => "; choose an address of this machine with --listen",
            _ => "",
        };
        Error::input("server.listen", format!("cannot listen on {address}: {error}{advice}"))
    })
}

/// Two handles to one socket, which stays open when one of them is closed.
fn twice(listener: TcpListener) -> Result<(TcpListener, TcpListener)> {
    let first = listener.into_std().map_err(Error::internal)?;
    let second = first.try_clone().map_err(Error::internal)?;
    let tokio = |listener| TcpListener::from_std(listener).map_err(Error::internal);
    Ok((tokio(first)?, tokio(second)?))
}
