//! Section `live`: the way from a commit to whoever watches.

use super::section::section;

section! {
    /// How committed measurements reach those who watch.
    "live" => Live {
        /// Committed batches that a subscriber may be behind before it has to read them from the database again.
        channel_batches_max: usize = 1_024,
    }
}
