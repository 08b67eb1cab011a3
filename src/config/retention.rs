//! Section `retention`: for how long each resolution is kept.

use super::section::section;

section! {
    /// For how long measurements are kept. What is older is answered from coarser rollups; days are kept for ever.
    "retention" => Retention {
        /// Days for which single measurements are kept.
        raw_days: u32 = 7,
        /// Days for which rollups per minute and per five minutes are kept.
        minute_days: u32 = 14,
        /// Days for which rollups per hour are kept, and the counts of what came too late.
        hour_days: u32 = 400,
        /// Days for which it is kept what changed in the directory: so long after it was interrupted, a subscription to
        /// changes can go on without a gap.
        change_days: u32 = 30,
        /// Days for which idempotency keys and places in streams are remembered, at least `raw_days`. A retry after that
        /// is taken for something new; its measurements are refused as too old unless they are sent without a time, or
        /// imported. A stream that resumes from before that is told so.
        key_days: u32 = 14,
    }
}
