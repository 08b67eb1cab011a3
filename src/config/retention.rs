//! Section `retention`: how long each resolution is kept. Days are kept for ever.

use super::section::section;

section! {
    /// How long measurements are kept. Summaries by day are kept for ever.
    "retention" => Retention {
        /// Days that single measurements are kept.
        raw_days: u32 = 7,
        /// Days that summaries by minute are kept.
        minute_days: u32 = 14,
        /// Days that summaries by hour are kept.
        hour_days: u32 = 400,
    }
}
