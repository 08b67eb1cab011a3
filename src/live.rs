//! The push path: what was just committed, carried to whoever watches.
//!
//! Delivery here is never the record: a stream that missed something reads it again from the database.

pub mod bus;
pub mod changes;
pub mod cursors;
mod event;
mod filter;
mod follower;
mod poke;
mod publisher;
mod replay;
pub mod stream;
mod tail;
pub mod window;

pub use bus::{Bus, POLL_INTERVAL, SharedBus};
pub use cursors::{Cursors, Purpose, Unsealed};
pub use event::{Gap, GapReason, StreamEvent};
pub use filter::Filter;
pub use follower::Follower;
pub use poke::Poke;
pub use publisher::{CommittedBatch, Publisher};
pub use stream::{Pace, Source};
pub use window::Windows;
