//! Section `compaction`: when the rollups of single commits are merged.

use super::section::section;

section! {
    /// When the rollups that each commit leaves behind are merged into one per minute, five minutes, hour and day. Answers
    /// are the same before and after; they cost less after.
    "compaction" => Compaction {
        /// Milliseconds after the end of a minute before it is merged. Measurements that arrive later are merged later.
        delay_ms: u64 = 120_000,
        /// Milliseconds between two looks for minutes to merge.
        interval_ms: u64 = 15_000,
    }
}
