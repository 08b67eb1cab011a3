//! A shared execution: it runs while it has subscribers and sends each event to all of them.

#[cfg(test)]
mod tests;

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream::BoxStream};
use tokio::{
    sync::{broadcast, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{EncodedResponse, EventSpan, Execution, StreamKind, SubscriptionKey};
use crate::{
    auth::Viewer,
    engine::{PreparedOperation, error::Phase},
    error::Error,
    model::CommitPositions,
};

/// The part that equal subscriptions share.
pub struct Subscription {
    /// The key of the execution.
    pub key: SubscriptionKey,
    /// The caller.
    pub viewer: Viewer,
    /// The operation.
    pub operation: PreparedOperation,
}

/// The stage of an execution.
#[derive(Clone, Debug)]
pub enum Stage {
    /// It has neither events nor a refusal.
    Starting,
    /// It runs.
    Open(StreamKind),
    /// It cannot start.
    Refused(Arc<EncodedResponse>),
    /// It has ended.
    Ended,
}

/// A shared execution. It ends when its last subscriber drops it.
pub struct SharedExecution {
    /// The subscription.
    pub subscription: Arc<Subscription>,
    channel: Arc<Channel>,
    leaving: CancellationToken,
}

impl Drop for SharedExecution {
    fn drop(&mut self) {
        self.leaving.cancel();
    }
}

/// The channel from an execution to its subscribers.
struct Channel {
    /// Events that a subscriber may lag, and that the backlog keeps.
    responses_max: usize,
    state: Mutex<State>,
    stage: watch::Sender<Stage>,
}

struct State {
    /// `None` when the execution has ended.
    responses: Option<broadcast::Sender<Arc<EncodedResponse>>>,
    position: Option<StreamPosition>,
    /// The cursor after the last event.
    cursor: Option<Arc<str>>,
    backlog: Backlog,
}

/// Events that a new subscriber gets first.
enum Backlog {
    /// The last snapshot.
    Latest(Option<Arc<EncodedResponse>>),
    /// All events since the start, with their size in bytes.
    All { responses: Vec<Arc<EncodedResponse>>, bytes: usize },
    /// None: they became too many or too old, and a new subscriber starts an execution of its own.
    Gone,
}

/// Bytes of the events that are kept for new subscribers.
const BACKLOG_BYTES_MAX: usize = 524_288;
/// Time for which they are kept: many clients of a lost server reconnect within seconds.
const BACKLOG_KEPT: Duration = Duration::from_secs(30);

impl Backlog {
    fn events(&self) -> Option<Vec<Arc<EncodedResponse>>> {
        match self {
            Self::Latest(latest) => Some(latest.iter().cloned().collect()),
            Self::All { responses, .. } => Some(responses.clone()),
            Self::Gone => None,
        }
    }

    fn push(&mut self, response: &Arc<EncodedResponse>, is_snapshot: bool, responses_max: usize) {
        match self {
            Self::Latest(latest) if is_snapshot => *latest = Some(Arc::clone(response)),
            Self::All { responses, bytes } => {
                *bytes += response.bytes();
                responses.push(Arc::clone(response));
                if responses.len() > responses_max || *bytes > BACKLOG_BYTES_MAX {
                    *self = Self::Gone;
                }
            }
            Self::Latest(_) | Self::Gone => {}
        }
    }
}

/// A position between two events.
#[derive(Clone, Debug)]
pub struct StreamPosition {
    /// The position.
    pub at: Arc<CommitPositions>,
    /// Its cursor.
    pub cursor: Arc<str>,
    /// The number of rows that the execution has delivered before.
    pub rows: u64,
}

impl StreamKind {
    /// The start of the live end.
    pub(super) fn position(&self) -> Option<StreamPosition> {
        match self {
            Self::Resumable { start, cursor, .. } => {
                Some(StreamPosition { at: Arc::clone(start), cursor: Arc::clone(cursor), rows: 0 })
            }
            Self::Snapshots | Self::Events { .. } => None,
        }
    }

    /// The cursor of the start.
    pub(super) const fn start(&self) -> Option<&Arc<str>> {
        match self {
            Self::Resumable { cursor, .. } => Some(cursor),
            Self::Events { start } => start.as_ref(),
            Self::Snapshots => None,
        }
    }
}

impl EventSpan {
    /// The position after this event.
    pub(super) fn end(&self) -> StreamPosition {
        let rows = self.rows_before + self.rows;
        StreamPosition { at: Arc::clone(&self.to), cursor: Arc::clone(&self.cursor), rows }
    }
}

/// The receiving end of a shared execution.
pub struct SharedReceiver {
    /// Keeps the execution running.
    pub shared: Arc<SharedExecution>,
    /// All further events.
    pub responses: broadcast::Receiver<Arc<EncodedResponse>>,
    /// The position before the further events; `None` while the execution starts.
    pub position: Option<StreamPosition>,
    /// The cursor before the events to deliver; `None` while the execution starts, or if the stream cannot resume.
    pub cursor: Option<Arc<str>>,
    /// Events to deliver before the further ones.
    pub before: Vec<Arc<EncodedResponse>>,
    /// The stage of the execution.
    pub stage: watch::Receiver<Stage>,
}

impl SharedExecution {
    /// An execution for [`Driver::run`], with its first receiver.
    pub fn begin(subscription: Arc<Subscription>, capacity: usize) -> (Arc<Self>, SharedReceiver, Driver) {
        let sender = broadcast::Sender::new(capacity.max(1));
        let responses = sender.subscribe();
        let backlog = if subscription.key.starts_after_cursor() {
            Backlog::All { responses: Vec::new(), bytes: 0 }
        } else {
            Backlog::Latest(None)
        };
        let channel = Arc::new(Channel {
            responses_max: capacity,
            state: Mutex::new(State { responses: Some(sender), position: None, cursor: None, backlog }),
            stage: watch::Sender::new(Stage::Starting),
        });
        let leaving = CancellationToken::new();
        let driver = Driver { channel: Arc::clone(&channel), leaving: leaving.clone() };
        let stage = channel.stage.subscribe();
        let shared = Arc::new(Self { subscription, channel, leaving });
        let receiver = SharedReceiver {
            shared: Arc::clone(&shared),
            responses,
            position: None,
            cursor: None,
            before: Vec::new(),
            stage,
        };
        (shared, receiver, driver)
    }

    /// It has started, and has not ended.
    pub fn is_open(&self) -> bool {
        matches!(*self.channel.stage.borrow(), Stage::Open(_))
    }

    /// A further receiver; `None` when the execution has ended, or when its backlog is gone.
    pub fn join(self: &Arc<Self>) -> Option<SharedReceiver> {
        let state = self.channel.state();
        let responses = state.responses.as_ref()?.subscribe();
        // After the backlog's events the cursor is another one.
        let cursor = state.cursor.clone().filter(|_| matches!(state.backlog, Backlog::Latest(_)));
        Some(SharedReceiver {
            shared: Arc::clone(self),
            responses,
            position: state.position.clone(),
            cursor,
            before: state.backlog.events()?,
            stage: self.channel.stage.subscribe(),
        })
    }
}

impl Channel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, kind: StreamKind) {
        {
            let mut state = self.state();
            (state.position, state.cursor) = (kind.position(), kind.start().cloned());
        }
        self.stage.send_replace(Stage::Open(kind));
    }

    /// Under one lock, so that a subscriber that joins misses nothing and gets nothing twice. Nobody joins after the last.
    fn send(&self, response: EncodedResponse, is_last: bool) {
        let response = Arc::new(response);
        let mut state = self.state();
        if let Some(span) = &response.mark.span {
            state.position = Some(span.end());
        }
        if let Some(cursor) = &response.mark.cursor {
            state.cursor = Some(Arc::clone(cursor));
        }
        let is_snapshot = matches!(*self.stage.borrow(), Stage::Open(StreamKind::Snapshots));
        state.backlog.push(&response, is_snapshot && response.mark.span.is_none(), self.responses_max);
        if let Some(responses) = &state.responses {
            // An error means that there is no subscriber.
            let _ = responses.send(response);
        }
        if is_last {
            state.responses = None;
        }
    }

    /// Drops the events since the start.
    fn forget(&self) {
        let backlog = &mut self.state().backlog;
        if matches!(backlog, Backlog::All { .. }) {
            *backlog = Backlog::Gone;
        }
    }

    fn end(&self) {
        self.state().responses = None;
        self.stage.send_if_modified(|stage| {
            let is_refused = matches!(stage, Stage::Refused(_));
            if !is_refused {
                *stage = Stage::Ended;
            }
            !is_refused
        });
    }
}

/// Runs an execution, and ends it also when dropped halfway.
pub struct Driver {
    channel: Arc<Channel>,
    leaving: CancellationToken,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.channel.end();
    }
}

impl Driver {
    /// Runs the execution until it ends or has no subscriber.
    pub async fn run(self, execution: Arc<Execution>, mut events: BoxStream<'static, EncodedResponse>) {
        let mut kinds = execution.kinds();
        let mut is_open = false;
        let mut kept = pin!(sleep(BACKLOG_KEPT));
        let mut is_kept = true;
        // The event that was read to see whether the one before was the last.
        let mut ahead = None;
        loop {
            let response = tokio::select! {
                biased;
                () = self.leaving.cancelled() => return,
                opened = kinds.changed(), if !is_open => {
                    if opened.is_ok() && let Some(kind) = kinds.borrow_and_update().clone() {
                        is_open = true;
                        self.channel.open(kind);
                    }
                    continue;
                }
                () = &mut kept, if is_kept => {
                    is_kept = false;
                    self.channel.forget();
                    continue;
                }
                response = async { if ahead.is_some() { ahead.take() } else { events.next().await } } => response,
            };
            let Some(response) = response else { return };
            // Whoever joined between the last error and the end would get the error of others, or nothing.
            let next = if response.is_faulty { events.next().now_or_never() } else { None };
            let is_last = matches!(next, Some(None));
            ahead = next.flatten();
            // The resolver may have reported the kind in the same step as the first event.
            if !is_open {
                is_open = true;
                let kind = kinds.borrow_and_update().clone();
                match kind {
                    Some(kind) => self.channel.open(kind),
                    None if response.phase == Phase::Request => {
                        self.channel.stage.send_replace(Stage::Refused(Arc::new(response)));
                        return;
                    }
                    None => self.channel.open(StreamKind::Events { start: None }),
                }
            }
            self.channel.send(response, is_last);
            if is_last {
                return;
            }
        }
    }
}

/// Contains a panic in its own execution.
pub fn contained(events: BoxStream<'static, EncodedResponse>) -> BoxStream<'static, EncodedResponse> {
    AssertUnwindSafe(events)
        .catch_unwind()
        .map(|response| {
            response.unwrap_or_else(|panic| {
                let words = panic.downcast_ref::<&str>().copied();
                let words =
                    words.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
                tracing::error!(message = words, "a subscription panicked");
                EncodedResponse::fault(&Error::internal("panic"), Phase::Request)
            })
        })
        .boxed()
}

/// Waits until an execution runs, is refused or ends.
pub async fn started(stage: &mut watch::Receiver<Stage>) -> Stage {
    let started =
        stage.wait_for(|stage| !matches!(stage, Stage::Starting)).map(|stage| stage.map(|stage| stage.clone()));
    started.await.unwrap_or(Stage::Ended)
}
