//! One execution for all who watch the same: it runs as long as anybody does, and hands each event to everybody.

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

use super::{Course, Frame, Identity, Opening, Place};
use crate::{
    auth::Viewer,
    engine::{Admitted, error::Phase},
    error::Error,
    model::Positions,
};

/// What is executed: everything that identical subscriptions have in common.
pub struct Subscription {
    /// By what they are known.
    pub identity: Identity,
    /// Who asks.
    pub viewer: Viewer,
    /// What they ask.
    pub admitted: Admitted,
}

/// How far an execution has come.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Nobody knows yet whether it will run.
    Starting,
    /// It runs.
    Open(Opening),
    /// It cannot begin.
    Refused(Arc<Frame>),
    /// It is over.
    Ended,
}

/// A shared execution. Dropped by the last who holds it, it ends.
pub struct Shared {
    /// What is executed.
    pub subscription: Arc<Subscription>,
    channel: Arc<Channel>,
    leaving: CancellationToken,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.leaving.cancel();
    }
}

/// Where events go.
struct Channel {
    /// Events that a watcher may be behind, and that are remembered.
    frames_max: usize,
    state: Mutex<State>,
    stage: watch::Sender<Stage>,
}

struct State {
    /// Gone when the execution is over.
    frames: Option<broadcast::Sender<Arc<Frame>>>,
    boundary: Option<Boundary>,
    memory: Memory,
}

/// What a newcomer is told first.
enum Memory {
    /// The last event of a state.
    Latest(Option<Arc<Frame>>),
    /// Everything since the beginning, and how many bytes that is.
    All { frames: Vec<Arc<Frame>>, bytes: usize },
    /// It became too much, or too old: a newcomer begins by itself.
    Gone,
}

/// Bytes of events that are remembered for newcomers.
const MEMORY_BYTES_MAX: usize = 524_288;
/// How long they are: a crowd that lost its server comes back within seconds.
const MEMORY_KEPT: Duration = Duration::from_secs(30);

impl Memory {
    fn told(&self) -> Option<Vec<Arc<Frame>>> {
        match self {
            Self::Latest(latest) => Some(latest.iter().cloned().collect()),
            Self::All { frames, .. } => Some(frames.clone()),
            Self::Gone => None,
        }
    }

    fn remember(&mut self, frame: &Arc<Frame>, is_state: bool, frames_max: usize) {
        match self {
            Self::Latest(latest) if is_state => *latest = Some(Arc::clone(frame)),
            Self::All { frames, bytes } => {
                *bytes += frame.bytes();
                frames.push(Arc::clone(frame));
                if frames.len() > frames_max || *bytes > MEMORY_BYTES_MAX {
                    *self = Self::Gone;
                }
            }
            Self::Latest(_) | Self::Gone => {}
        }
    }
}

/// A place between two events.
#[derive(Clone, Debug)]
pub struct Boundary {
    /// Where it is.
    pub at: Arc<Positions>,
    /// The cursor of that.
    pub cursor: Arc<str>,
    /// What the execution has delivered before it.
    pub rows: u64,
}

impl Opening {
    /// Where the tail begins.
    pub(super) fn boundary(&self) -> Option<Boundary> {
        match self {
            Self::Places { start, cursor, .. } => {
                Some(Boundary { at: Arc::clone(start), cursor: Arc::clone(cursor), rows: 0 })
            }
            Self::State | Self::Plain => None,
        }
    }
}

impl Place {
    /// The boundary behind this event.
    pub(super) fn end(&self) -> Boundary {
        let rows = self.rows_before + self.rows;
        Boundary { at: Arc::clone(&self.to), cursor: Arc::clone(&self.cursor), rows }
    }
}

/// The end of a shared execution that one watcher holds.
pub struct Joined {
    /// Keeps it running.
    pub shared: Arc<Shared>,
    /// Every event from here on.
    pub frames: broadcast::Receiver<Arc<Frame>>,
    /// Where `frames` begin; nothing while the execution starts.
    pub boundary: Option<Boundary>,
    /// What came before `frames` and has to be told first.
    pub before: Vec<Arc<Frame>>,
    /// How far the execution has come.
    pub stage: watch::Receiver<Stage>,
}

impl Shared {
    /// An execution that is still to be run by [`Driver::run`], and the first who listens to it.
    pub fn begin(subscription: Arc<Subscription>, capacity: usize) -> (Arc<Self>, Joined, Driver) {
        let sender = broadcast::Sender::new(capacity.max(1));
        let frames = sender.subscribe();
        let memory = if subscription.identity.begins_behind() {
            Memory::All { frames: Vec::new(), bytes: 0 }
        } else {
            Memory::Latest(None)
        };
        let channel = Arc::new(Channel {
            frames_max: capacity,
            state: Mutex::new(State { frames: Some(sender), boundary: None, memory }),
            stage: watch::Sender::new(Stage::Starting),
        });
        let leaving = CancellationToken::new();
        let driver = Driver { channel: Arc::clone(&channel), leaving: leaving.clone() };
        let stage = channel.stage.subscribe();
        let shared = Arc::new(Self { subscription, channel, leaving });
        let joined = Joined { shared: Arc::clone(&shared), frames, boundary: None, before: Vec::new(), stage };
        (shared, joined, driver)
    }

    /// Begins to listen; nothing when it is over, or when what came before is no longer known.
    pub fn join(self: &Arc<Self>) -> Option<Joined> {
        let state = self.channel.state();
        let frames = state.frames.as_ref()?.subscribe();
        Some(Joined {
            shared: Arc::clone(self),
            frames,
            boundary: state.boundary.clone(),
            before: state.memory.told()?,
            stage: self.channel.stage.subscribe(),
        })
    }
}

impl Channel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, opening: Opening) {
        self.state().boundary = opening.boundary();
        self.stage.send_replace(Stage::Open(opening));
    }

    /// Under one lock, so that whoever joins knows what it will still get.
    fn hand_on(&self, frame: Frame) {
        let frame = Arc::new(frame);
        let mut state = self.state();
        if let Some(place) = &frame.place {
            state.boundary = Some(place.end());
        }
        let is_state = matches!(*self.stage.borrow(), Stage::Open(Opening::State));
        state.memory.remember(&frame, is_state && frame.place.is_none(), self.frames_max);
        if let Some(frames) = &state.frames {
            // An error means that nobody watches.
            let _ = frames.send(frame);
        }
    }

    /// Lets go of what is remembered from the beginning.
    fn forget(&self) {
        let memory = &mut self.state().memory;
        if matches!(memory, Memory::All { .. }) {
            *memory = Memory::Gone;
        }
    }

    fn end(&self) {
        self.state().frames = None;
        self.stage.send_if_modified(|stage| {
            let is_refused = matches!(stage, Stage::Refused(_));
            if !is_refused {
                *stage = Stage::Ended;
            }
            !is_refused
        });
    }
}

/// Ends an execution, also when it is dropped half-way.
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
    /// Runs an execution until nobody watches any more, or it ends by itself.
    pub async fn run(self, course: Arc<Course>, mut answers: BoxStream<'static, Frame>) {
        let mut openings = course.openings();
        let mut is_open = false;
        let mut kept = pin!(sleep(MEMORY_KEPT));
        let mut is_kept = true;
        loop {
            let frame = tokio::select! {
                biased;
                () = self.leaving.cancelled() => return,
                opened = openings.changed(), if !is_open => {
                    if opened.is_ok() && let Some(opening) = openings.borrow_and_update().clone() {
                        is_open = true;
                        self.channel.open(opening);
                    }
                    continue;
                }
                () = &mut kept, if is_kept => {
                    is_kept = false;
                    self.channel.forget();
                    continue;
                }
                frame = answers.next() => frame,
            };
            let Some(frame) = frame else { return };
            // The resolver may have opened it in the very step that brought the first event.
            if !is_open {
                is_open = true;
                let opening = openings.borrow_and_update().clone();
                match opening {
                    Some(opening) => self.channel.open(opening),
                    None if frame.phase == Phase::Request => {
                        self.channel.stage.send_replace(Stage::Refused(Arc::new(frame)));
                        return;
                    }
                    None => self.channel.open(Opening::Plain),
                }
            }
            self.channel.hand_on(frame);
        }
    }
}

/// A panic ends its own execution and no other.
pub fn contained(answers: BoxStream<'static, Frame>) -> BoxStream<'static, Frame> {
    AssertUnwindSafe(answers)
        .catch_unwind()
        .map(|frame| {
            frame.unwrap_or_else(|panic| {
                let words = panic.downcast_ref::<&str>().copied();
                let words =
                    words.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
                tracing::error!(message = words, "a subscription panicked");
                Frame::fault(&Error::internal("panic"), Phase::Request)
            })
        })
        .boxed()
}

/// Waits until it is known whether an execution runs.
pub async fn started(stage: &mut watch::Receiver<Stage>) -> Stage {
    let started =
        stage.wait_for(|stage| !matches!(stage, Stage::Starting)).map(|stage| stage.map(|stage| stage.clone()));
    started.await.unwrap_or(Stage::Ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(memory: Memory) -> Channel {
        let frames = Some(broadcast::Sender::new(4));
        let stage = watch::Sender::new(Stage::Open(Opening::Plain));
        Channel { frames_max: 2, state: Mutex::new(State { frames, boundary: None, memory }), stage }
    }

    fn told(channel: &Channel) -> Option<usize> {
        channel.state().memory.told().map(|frames| frames.len())
    }

    fn hand_on(channel: &Channel) {
        channel.hand_on(Frame::fault(&Error::not_found("anything"), Phase::Execution));
    }

    #[test]
    fn a_newcomer_is_told_everything_as_long_as_that_is_not_much() {
        let everything = channel(Memory::All { frames: Vec::new(), bytes: 0 });
        for count in 1..=2 {
            hand_on(&everything);
            assert_eq!(told(&everything), Some(count));
        }
        hand_on(&everything);
        assert_eq!(told(&everything), None, "three are too many");
        let large = channel(Memory::All { frames: Vec::new(), bytes: MEMORY_BYTES_MAX });
        hand_on(&large);
        assert_eq!(told(&large), None, "and so are the bytes");
    }

    #[test]
    fn what_is_old_is_forgotten_and_what_is_live_has_no_past() {
        let everything = channel(Memory::All { frames: Vec::new(), bytes: 0 });
        hand_on(&everything);
        everything.forget();
        assert_eq!(told(&everything), None);
        let live = channel(Memory::Latest(None));
        hand_on(&live);
        live.forget();
        assert_eq!(told(&live), Some(0), "whoever joins gets what comes from now on");
    }
}
