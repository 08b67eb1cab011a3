//! Questions about other connections to PostgreSQL, asked over a connection of their own: is a backend still at work, and
//! stop it. The wire protocol's own way of cancelling needs a key that the driver keeps to itself.

use std::{fmt, io, sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::clock::Stopwatch;

/// Timeout of one question, and of connecting to ask it.
const DEADLINE: Duration = Duration::from_secs(1);
/// Time after a failure in which no other question is asked: all would use the same broken path.
const PAUSE: Duration = Duration::from_millis(300);
/// The interval at which ending a backend is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Number of attempts to end a backend; PostgreSQL's own timeouts end it later.
const ATTEMPTS: u32 = 120;

/// True also if the backend is gone. Its state is hidden from other roles, which counts as being at work.
const IS_IDLE: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_get_activity($1) WHERE coalesce(state, '') NOT LIKE 'idle%' \
     AND (extract(epoch FROM backend_start) * 1000000)::BIGINT = $2)";
const CANCEL: &str = "SELECT coalesce((SELECT pg_cancel_backend(pid) FROM pg_stat_get_activity($1) \
     WHERE (extract(epoch FROM backend_start) * 1000000)::BIGINT = $2), true)";
const TERMINATE: &str = "SELECT coalesce((SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity($1) \
     WHERE (extract(epoch FROM backend_start) * 1000000)::BIGINT = $2), true)";
const IDENTITY: &str = "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::BIGINT \
     FROM pg_stat_get_activity(pg_backend_pid())";

/// The connection that questions are asked on. Opened with the first one.
pub struct Control {
    options: PgConnectOptions,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    open: Option<PgConnection>,
    failed: Option<Stopwatch>,
}

/// The server's process of one connection. The system reuses process ids, so the start belongs to it.
#[derive(Clone, Debug)]
pub struct Backend {
    pid: i32,
    started_at: i64,
    control: Arc<Control>,
}

impl Control {
    /// Connects with these options when there is something to ask.
    pub fn new(options: PgConnectOptions) -> Self {
        Self { options, line: Mutex::default() }
    }

    /// The backend of an open connection.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn backend_of(self: &Arc<Self>, connection: &mut PgConnection) -> sqlx::Result<Backend> {
        let (pid, started_at): (i32, i64) = sqlx::query_as(IDENTITY).persistent(false).fetch_one(connection).await?;
        Ok(Backend { pid, started_at, control: Arc::clone(self) })
    }

    async fn ask(&self, sql: &'static str, backend: &Backend) -> sqlx::Result<bool> {
        let mut line = timeout(DEADLINE, self.line.lock()).await.map_err(|_| late())?;
        if line.failed.as_ref().is_some_and(|failed| failed.elapsed() < PAUSE) {
            return Err(late());
        }
        // One that has lain idle may be dead: then a new one is asked.
        if let Some(mut open) = line.open.take()
            && let Ok(Ok(answer)) = timeout(DEADLINE, answer(&mut open, sql, backend)).await
        {
            line.open = Some(open);
            return Ok(answer);
        }
        let asked = timeout(DEADLINE, async {
            let mut open = PgConnection::connect_with(&self.options).await?;
            Ok((answer(&mut open, sql, backend).await?, open))
        });
        let asked = asked.await.unwrap_or_else(|_| Err(late()));
        line.failed = asked.is_err().then(Stopwatch::start);
        let (answer, open) = asked?;
        line.open = Some(open);
        Ok(answer)
    }
}

async fn answer(open: &mut PgConnection, sql: &'static str, backend: &Backend) -> sqlx::Result<bool> {
    sqlx::query_scalar(sql).bind(backend.pid).bind(backend.started_at).fetch_one(open).await
}

fn late() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "PostgreSQL does not answer on a connection of its own"))
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options have the password.
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Backend {
    /// True if the backend waits for a statement, or is gone: nothing more will come from it.
    ///
    /// # Errors
    /// PostgreSQL cannot be asked.
    pub async fn is_idle(&self) -> sqlx::Result<bool> {
        self.control.ask(IS_IDLE, self).await
    }

    /// Cancels the statement that the backend executes.
    ///
    /// # Errors
    /// PostgreSQL cannot be asked.
    pub async fn cancel(&self) -> sqlx::Result<()> {
        self.control.ask(CANCEL, self).await.map(drop)
    }

    /// Ends the backend, and with it a transaction whose locks others wait for. Tries for a minute, because the path to
    /// PostgreSQL may be broken in the meantime.
    pub async fn terminate(&self) {
        for _ in 0..ATTEMPTS {
            match self.control.ask(TERMINATE, self).await {
                // The role may lack the right, which trying again does not change.
                Ok(_) | Err(sqlx::Error::Database(_)) => return,
                Err(_) => sleep(RETRY).await,
            }
        }
    }
}
