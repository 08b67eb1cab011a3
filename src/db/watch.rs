//! Waits for the answers of PostgreSQL, and notices that none will come. Bytes that are lost on the way leave both ends
//! waiting for each other, which neither notices by itself.

use std::{io, pin::pin, time::Duration};

use tokio::time::timeout;

use super::control::Backend;
use crate::clock::Stopwatch;

/// The interval at which PostgreSQL is asked whether it still works on a statement that has no answer yet.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Number of times in a row that PostgreSQL must say that it does not, each with an interval for an answer to arrive.
const LOOKS: u32 = 2;

/// The watch over the statements of one connection.
#[derive(Clone, Debug)]
pub struct Watch {
    process: Option<Backend>,
    longest: Duration,
}

impl Watch {
    /// Watches this process of PostgreSQL, whose statements take `longest` at most. Behind a pooler none is known, and only the time
    /// counts. SQLite is not watched.
    pub(super) const fn new(process: Option<Backend>, longest: Duration) -> Self {
        Self { process, longest }
    }

    /// The same for statements that may take any time, for which `statement_timeout` is switched off.
    #[must_use]
    pub const fn without_limit(mut self) -> Self {
        self.longest = Duration::MAX;
        self
    }

    /// Waits for the answer to a statement for as long as PostgreSQL works on it.
    ///
    /// # Errors
    /// That of the work, or [`io::ErrorKind::TimedOut`] if no answer will come.
    pub async fn answer<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let Some(process) = &self.process else {
            return match self.longest {
                Duration::MAX => work.await,
                longest => timeout(longest, work).await.unwrap_or_else(|_| Err(lost())),
            };
        };
        let mut work = pin!(work);
        match timeout(LOOK_INTERVAL, work.as_mut()).await {
            Ok(answer) => answer,
            // In a box of its own, because few statements take that long.
            Err(_) => Box::pin(self.closely(process, work)).await,
        }
    }

    async fn closely<T>(
        &self,
        process: &Backend,
        mut work: impl Future<Output = sqlx::Result<T>> + Unpin,
    ) -> sqlx::Result<T> {
        let (waited, mut idle) = (Stopwatch::start(), 0);
        loop {
            let is_idle = tokio::select! {
                answer = &mut work => return answer,
                is_idle = process.is_idle() => is_idle,
            };
            idle = if matches!(is_idle, Ok(true)) { idle + 1 } else { 0 };
            // An answer that was on its way when PostgreSQL was asked arrives now.
            if let Ok(answer) = timeout(LOOK_INTERVAL, &mut work).await {
                return answer;
            }
            if idle >= LOOKS || waited.elapsed() >= self.longest {
                return Err(lost());
            }
        }
    }
}

fn lost() -> sqlx::Error {
    let reason = "the connection to PostgreSQL is lost: it sends no answer and no error";
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, reason))
}
