//! Two releases side by side, minute by minute: what became slower, what quicker, and what only looks so.

mod batches;
pub mod judge;
mod normal;
mod run;
pub mod side;
mod windows;

pub use judge::{Change, FALSE_DISCOVERY_RATE, Verdict};
pub use run::{Comparison, EndpointComparison, Limits, Question, run};
pub use side::{Minute, Minutes};
