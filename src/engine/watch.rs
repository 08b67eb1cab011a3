//! Subscriptions, executed once for all who watch the same.
//!
//! Those whose document, variables and scope are equal share one execution (`shared`): each of its events is resolved and
//! written as JSON once, and handed to everybody. A watcher (`watcher`) knows where it stands. Whoever resumes, or was too
//! slow, reads the stretch that it misses up to a place of the shared execution, and goes on there without gap or repeat;
//! such stretches are shared too, for as long as a crowd needs to come back.
//!
//! What a subscription's resolver has to know of this is [`Course`]: which part of the stream it is to carry, and where
//! each event stands.

mod course;
mod frame;
mod hub;
mod identity;
mod shared;
mod watcher;

pub use course::{Course, Opening, Overflow, Part};
pub use frame::{Event, Frame, Place};
pub use hub::{Hub, Settings, Stretch};
pub use identity::{Identity, root_fields};
pub use shared::{Boundary, Joined, Subscription};
pub use watcher::Watcher;
