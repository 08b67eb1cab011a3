//! Subscriptions, executed once for all subscribers of the same.
//!
//! Subscriptions with equal document, variables and scope share one execution (`shared`): each of its events is resolved
//! and written as JSON once, and sent to all of them. A subscriber (`subscriber`) knows its position in the stream. One
//! that resumes, or that was too slow, reads a replay up to a position of the shared execution and continues there
//! without gap or repetition. Replays are shared too, for the seconds in which many clients reconnect.
//!
//! The resolver of a subscription knows only [`Execution`]: it reads the segment to deliver, and reports the position of
//! each event.

mod event;
mod execution;
mod hub;
mod key;
mod resume;
mod shared;
mod subscriber;

pub use event::{EncodedResponse, Event, EventMark, EventSpan};
pub use execution::{Execution, Overflow, Segment, StreamKind};
pub use hub::{Hub, Replay, Settings};
pub use key::SubscriptionKey;
pub use resume::ResumeCursor;
pub use shared::{SharedReceiver, StreamPosition, Subscription};
pub use subscriber::Subscriber;
