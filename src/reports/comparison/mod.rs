//! Two releases side by side, minute by minute: what became slower, what quicker, and what only looks so.

mod batches;
pub mod judge;
mod normal;
#[cfg(test)]
mod replays;
mod run;
pub mod side;
#[cfg(test)]
mod simulation;
mod windows;

pub use judge::{Change, FALSE_DISCOVERY_RATE, Verdict};
pub use run::{Comparison, EndpointComparison, Question, run};
pub use side::Minutes;
#[cfg(test)]
use {
    super::{Statistic, statistic::Worst},
    crate::model::Tally,
};
