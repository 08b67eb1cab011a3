//! Changes of the directory on any instance, read from the change log, which every change writes in its transaction.
//!
//! Signals that a log has advanced may be lost; the log is the source of truth. Its numbering has no gaps, so a reader that
//! finds one knows exactly which entries retention has removed, and reports them.

mod page;
mod relay;
mod removal;
mod signal;
mod stream;

pub use self::{
    page::{ChangeEvent, RemovedChanges},
    relay::ChangeRelay,
    removal::remove_before,
    signal::ChangeSignal,
    stream::{ChangeFilter, watch},
};
