//! What a request asked of the database: every statement with its text, in order, counted per request.

use std::sync::{Arc, Mutex, PoisonError};

/// One statement as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The SQL with placeholders; never the values.
    pub sql: String,
    /// Rows read or changed.
    pub rows: u64,
    /// Milliseconds until the answer was complete.
    pub elapsed_ms: f64,
}

/// Collects the statements of one request; clones share the collection.
#[derive(Clone, Debug, Default)]
pub struct StatementLog(Arc<Mutex<Vec<Statement>>>);

impl StatementLog {
    /// Adds one statement.
    pub fn record(&self, statement: Statement) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(statement);
    }

    /// What was sent so far, in the order of completion.
    pub fn statements(&self) -> Vec<Statement> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many were sent so far.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
