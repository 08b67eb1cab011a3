//! Section `compaction`: merging of rollups.

use std::time::Duration;

use super::section::section;

section! {
    /// Merging of the rollups that each commit appends into one per minute, five minutes, hour and day. Merging makes
    /// queries cheaper and does not change their results.
    "compaction" => Compaction {
        /// Delay between the end of a minute and its merge. Measurements that arrive later are merged by a later run.
        delay ("delay_ms"): Duration = Duration::from_mins(2),
        /// Interval between runs.
        interval ("interval_ms"): Duration = Duration::from_secs(15),
    }
}
