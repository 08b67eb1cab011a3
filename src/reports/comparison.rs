//! The comparison of two releases, minute by minute, with a verdict for each endpoint.
//!
//! `windows` chooses the minutes, `run` reads them in one statement, [`estimate`] makes a statistic with its error of each
//! release, `batches` accounts for the correlation of neighbouring minutes, and [`judge`] decides which changes are beyond
//! chance. `simulation` plays releases with known changes, to count how often verdicts are wrong.

mod batches;
mod cells;
pub mod estimate;
pub mod judge;
mod normal;
mod question;
#[cfg(test)]
mod replays;
mod run;
#[cfg(test)]
mod simulation;
mod stored_minutes;
mod windows;

pub use estimate::Minutes;
pub use judge::{Change, FALSE_DISCOVERY_RATE, Verdict};
pub use question::ComparisonQuestion;
pub use run::{Comparison, EndpointComparison, run};
#[cfg(test)]
use {
    super::{Statistic, statistic::WorstValue},
    crate::model::Tally,
};
