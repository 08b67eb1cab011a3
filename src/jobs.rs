//! Background work. [`schedule`] lists every job, [`runner`] runs them; the other files hold the work itself.

pub mod breakdowns;
pub mod compaction;
pub mod demo_traffic;
pub mod partitions;
pub mod retention;
pub mod rollup_choice;
pub mod runner;
pub mod schedule;
pub mod self_monitoring;
mod series_day;
pub mod statistics;
