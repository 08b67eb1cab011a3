//! The push path: what was just committed, carried to whoever watches.
//!
//! Delivery here is never the record: a stream that missed something reads it again from the database.

pub mod bus;
mod follower;
mod poke;
mod publisher;
mod replay;
pub mod stream;
pub mod window;

pub use bus::{Bus, POLL_INTERVAL, SharedBus};
pub use follower::Follower;
pub use poke::Poke;
pub use publisher::{CommittedBatch, Publisher};
pub use stream::{Filter, StreamEvent};
pub use window::Windows;
