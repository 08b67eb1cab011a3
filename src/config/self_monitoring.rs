//! Section `self_monitoring`: perfgraph's requests as measurements of its own project.

use super::section::section;

section! {
    /// Whether perfgraph records the requests that it serves, as a project of its own organization.
    "self_monitoring" => SelfMonitoring {
        /// Whether requests are recorded.
        enabled: bool = true,
        /// Milliseconds for which requests are collected before they are written together.
        flush_interval_ms: u64 = 500,
        /// Requests of one operation that are written at once. Of more, so many are drawn at random: percentiles stay
        /// what they are, counts become smaller.
        requests_per_operation_max: usize = 100,
    }
}
