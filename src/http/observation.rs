//! Response extensions by which handlers tell the middleware what to log and to record.

use std::borrow::Cow;

/// The database work of a request.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseWork {
    /// The number of SQL statements.
    pub statements: usize,
    /// The sum of their durations in milliseconds. Statements run concurrently, so it may exceed that of the request.
    pub elapsed_ms: f64,
}

/// Name and database work of an operation, for the log and the server's own metrics.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The name of the operation, recorded instead of the route.
    pub operation: Cow<'static, str>,
    /// The database work, if an operation ran.
    pub database: Option<DatabaseWork>,
}

/// Excludes the response from the server's own measurements. Streams and WebSockets last as long as their clients want;
/// the operations on them are recorded individually.
#[derive(Clone, Copy, Debug)]
pub struct Unrecorded;
