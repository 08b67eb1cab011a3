//! The read path: a question becomes a plan (which table answers which stretch of time), one SQL statement, an answer.
//!
//! Every report is narrowed by its caller's scope, costs a constant number of statements and writes nothing. What is
//! counted, summed or compared is exact; percentiles come from sketches and say how far off they may be.

pub mod comparison;
mod filter;
pub mod metric;
mod narrow;
pub mod plan;
pub mod question;
pub mod slowest;
mod sql;
pub mod statistic;
pub mod stats;
pub mod worst;

pub use question::{Projects, Question, StatusFilter, Want};
pub use slowest::EndpointStats;
pub use statistic::Statistic;
pub use stats::{Accuracy, Source, Stats};
pub use worst::{EndpointKey, Sample};
