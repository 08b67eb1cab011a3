//! Two releases side by side, minute by minute: what became slower, what quicker, and what only looks so.

mod batches;
pub mod judge;
mod normal;
pub mod side;

pub use judge::{Change, FALSE_DISCOVERY_RATE, Verdict};
pub use side::{Minute, Minutes};
