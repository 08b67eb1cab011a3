//! The log of SQL statements that a request sent, in order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Stopwatch;

/// A statement that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The SQL with placeholders, never with values.
    pub sql: Arc<str>,
    /// Number of rows read or changed.
    pub rows: u64,
    /// Milliseconds until all rows were received.
    pub elapsed_ms: f64,
}

/// The statements of one request; clones share the log.
#[derive(Clone, Debug, Default)]
pub struct StatementLog(Arc<Mutex<Vec<Statement>>>);

impl StatementLog {
    /// Adds a statement that read or changed `rows` rows and was sent when `watch` started.
    pub fn add(&self, sql: impl Into<Arc<str>>, rows: impl TryInto<u64>, watch: Stopwatch) {
        let rows = rows.try_into().unwrap_or(u64::MAX);
        self.locked().push(Statement { sql: sql.into(), rows, elapsed_ms: watch.elapsed_ms() });
    }

    /// The statements so far, in the order of completion.
    pub fn statements(&self) -> Vec<Statement> {
        self.locked().clone()
    }

    /// Number of statements so far.
    pub fn count(&self) -> usize {
        self.locked().len()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Statement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
