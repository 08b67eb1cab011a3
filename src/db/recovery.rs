//! Recovery of a connection whose user went away in the middle of a statement or transaction. Runs beside the requests,
//! because no request waits for it.

use std::time::Duration;

use tokio::{runtime::Handle, time::timeout};

use super::{
    connection::Connection,
    stock::{Kept, Place},
};

/// Time for a connection to PostgreSQL to come back; then it is replaced. SQLite answers once its statement is interrupted.
const COMES_BACK: Duration = Duration::from_secs(2);

/// Time after which a statement that goes on is stopped again: PostgreSQL may have received it after the first attempt.
const STOP_AGAIN: Duration = Duration::from_millis(100);

/// Stops the statement, rolls the transaction back, and puts the connection back. The place is taken until then.
pub(super) fn settle(place: Place, mut kept: Kept, is_busy: bool, is_in_transaction: bool) {
    if is_busy && !kept.connection.can_stop() {
        // Dropped, and with it closed: the pooler ends its transaction.
        return;
    }
    spawn(async move {
        let limit = if kept.connection.is_remote() { COMES_BACK } else { Duration::MAX };
        match timeout(limit, settled(&mut kept.connection, is_busy, is_in_transaction)).await {
            Ok(Ok(())) => place.stock.put_back(kept),
            _ => place.stock.lost(kept.connection),
        }
    });
}

async fn settled(connection: &mut Connection, is_busy: bool, is_in_transaction: bool) -> sqlx::Result<()> {
    if is_busy {
        loop {
            // PostgreSQL may not be reachable for a moment; the caller bounds the time.
            let _ = connection.stop().await;
            if let Ok(settled) = timeout(STOP_AGAIN, connection.settle()).await {
                settled?;
                break;
            }
        }
    }
    if is_in_transaction {
        match connection.execute_text("ROLLBACK".to_owned()).await {
            Ok(_) => {}
            // SQLite has rolled back by itself where it was interrupted in a write.
            Err(sqlx::Error::Database(_)) if !connection.is_remote() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Drops connections that do not answer, and ends what the server still holds for them: an open transaction keeps its
/// locks.
pub(super) fn end(connections: impl IntoIterator<Item = Connection>) {
    for connection in connections {
        if let Some(process) = connection.server_process().cloned() {
            spawn(async move { process.terminate().await });
        }
    }
}

/// Without a runtime the process is about to end, and dropping closes the connection.
fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        drop(runtime.spawn(future));
    }
}
