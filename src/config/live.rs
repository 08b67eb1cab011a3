//! Section `live`: the way from a commit to whoever watches.

use super::section::section;

section! {
    /// How committed measurements reach those who watch.
    "live" => Live {
        /// Committed batches that a subscriber may be behind before it has to read them from the database again.
        channel_batches_max: usize = 1_024,
        /// Hours that a live window spans at most.
        window_max_hours: u32 = 24,
        /// Milliseconds between two states of a live window at least.
        window_every_min_ms: u64 = 500,
        /// Steps in which a live window moves on until all of it is replaced: its length by the common divisor of its
        /// length and its pace.
        window_steps_max: usize = 600,
        /// Groups (endpoints, for instance) of one live window.
        window_groups_max: usize = 2_000,
        /// Steps that hold something, of every group of every live window together: about 200 bytes each.
        window_cells_max: usize = 500_000,
        /// Different live windows computed at once; everyone who watches the same counts once.
        windows_max: usize = 5_000,
        /// Milliseconds after its end at which a live window is pushed: what was on its way by then is in it.
        window_delay_ms: u64 = 250,
        /// Milliseconds after its end until which late measurements revise a live window that was pushed.
        window_grace_ms: u64 = 5_000,
    }
}
