//! The request whose work is under way, for log lines.
//!
//! A task-local and no span: a span costs several microseconds per request, because each poll of the request, each
//! statement and each row enters it, and most requests write no line.

use std::sync::Arc;

use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static CURRENT: Option<LoggedRequest>;
}

/// The parts of a request that its log lines show.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// The id that the response carries, too.
    pub id: Arc<str>,
    /// The id of the caller's trace, if there is one.
    pub trace: Option<Arc<str>>,
}

impl LoggedRequest {
    /// The request that the current task works for.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Option::clone).ok().flatten()
    }

    /// Attributes the log lines of `work` to a request; `None` for work that no request asked for.
    pub fn attribute<F: Future>(request: Option<Self>, work: F) -> TaskLocalFuture<Option<Self>, F> {
        CURRENT.scope(request, work)
    }
}
