//! Section `self_monitoring`: measurements of the server's own requests.

use std::time::Duration;

use super::section::section;

section! {
    /// Measurements of the requests that the server handles, stored in the project `perfgraph/perfgraph`. Reports and
    /// streams leave them out, unless they name this project or its organization.
    "self_monitoring" => SelfMonitoring {
        /// Records requests.
        enabled: bool = true,
        /// Interval at which recorded requests are written.
        flush_interval ("flush_interval_ms"): Duration = Duration::from_millis(500),
        /// Requests of one operation written per interval. If there are more, a random sample of this size is written:
        /// percentiles stay representative, counts are too low.
        requests_per_operation_max: usize = 100,
    }
}
