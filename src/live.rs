//! The push path: committed measurements and changes, carried to subscribers.
//!
//! Delivery is at most once and never the record: a stream that missed something reads it from the database.

pub mod bus;
pub mod changes;
pub mod cursors;
mod event;
mod filter;
mod follower;
mod notice;
mod publisher;
mod replay;
pub mod stream;
mod tail;
pub mod window;

pub use bus::{Bus, POLL_INTERVAL, SharedBus};
pub use cursors::{CursorPurpose, Cursors, OpenedCursor};
pub use event::{Gap, GapReason, StreamEvent, StreamPacing};
pub use filter::{ELSEWHERE, Filter};
pub use follower::Follower;
pub use notice::CommitNotice;
pub use publisher::{CommittedBatch, Publisher};
pub use stream::StreamSource;
pub use window::Windows;
