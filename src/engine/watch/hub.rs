//! Finds the execution that a subscription can share, and the stretches that others have just read.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::BoxStream};
use moka::future::Cache;
use tokio_util::task::TaskTracker;

use super::{
    Course, Frame, Identity, Part, Subscription,
    shared::{Boundary, Driver, Joined, Shared, contained},
};
use crate::{engine::error::Phase, error::Error, model::Positions};

/// What sharing may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Events that a watcher may be behind a shared execution.
    pub frames_max: usize,
    /// Bytes of stretches that are kept for others.
    pub stretches_bytes_max: u64,
}

/// How long a stretch is kept for others who resume at the same place: a crowd that lost its server takes seconds.
const STRETCH_KEPT: Duration = Duration::from_secs(5);
/// A stretch is read in parts: so many events, or so many bytes.
const PART_FRAMES_MAX: usize = 256;
const PART_BYTES_MAX: usize = 524_288;
/// Executions that are over are forgotten when there are at least so many.
const FORGET_FROM: usize = 64;

/// Part of a stretch.
pub struct Stretch {
    /// In order; there is one at least.
    pub frames: Vec<Arc<Frame>>,
}

impl Stretch {
    /// Where it ends; nothing when it failed.
    pub fn end(&self) -> Option<(&Arc<Positions>, &Arc<str>)> {
        let place = self.frames.last()?.place.as_ref()?;
        Some((&place.to, &place.cursor))
    }
}

/// Runs an execution: the engine's part.
pub type Execute<'a> = &'a (dyn Fn(&Arc<Subscription>, Arc<Course>) -> BoxStream<'static, Frame> + Send + Sync);

/// All running executions.
pub struct Hub {
    settings: Settings,
    /// Whoever starts the server also waits for what runs here.
    tasks: TaskTracker,
    running: Mutex<HashMap<Identity, Weak<Shared>>>,
    stretches: Cache<(Identity, Arc<str>, Arc<str>), Arc<Stretch>>,
    executions: AtomicU64,
    answers: Arc<AtomicU64>,
}

impl Hub {
    /// Nothing runs yet.
    pub fn new(settings: Settings, tasks: TaskTracker) -> Self {
        let bytes = |stretch: &Arc<Stretch>| stretch.frames.iter().map(|frame| frame.bytes()).sum::<usize>();
        let stretches = Cache::builder()
            .time_to_live(STRETCH_KEPT)
            .max_capacity(settings.stretches_bytes_max)
            .weigher(move |_, stretch| u32::try_from(bytes(stretch)).unwrap_or(u32::MAX))
            .build();
        let running = Mutex::default();
        Self { settings, tasks, running, stretches, executions: AtomicU64::new(0), answers: Arc::default() }
    }

    /// How often a subscription was executed, and how many answers that made: both whoever watches.
    pub fn executed(&self) -> (u64, u64) {
        (self.executions.load(Ordering::Relaxed), self.answers.load(Ordering::Relaxed))
    }

    /// How many executions are watched now.
    pub fn running(&self) -> usize {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().filter(|shared| shared.strong_count() > 0).count()
    }

    /// Listens to the execution of this subscription; the first who does starts it.
    pub fn join(&self, subscription: Subscription, execute: Execute<'_>) -> Joined {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let found = running.get(&subscription.identity).and_then(Weak::upgrade);
        if let Some(joined) = found.and_then(|shared| shared.join()) {
            return joined;
        }
        if running.len() >= FORGET_FROM && running.len() == running.capacity() {
            running.retain(|_, shared| shared.strong_count() > 0);
        }
        let identity = subscription.identity;
        let (shared, joined, driver) = Shared::begin(Arc::new(subscription), self.settings.frames_max);
        running.insert(identity, Arc::downgrade(&shared));
        self.start(&shared, driver, execute);
        joined
    }

    /// The stretch behind a cursor, towards a place of the tail: all of it, or as much as makes a part.
    pub async fn stretch(
        &self,
        subscription: &Arc<Subscription>,
        after: &Arc<str>,
        until: &Boundary,
        execute: Execute<'_>,
    ) -> Arc<Stretch> {
        let part = Part::Stretch { after: Arc::clone(after), until: Arc::clone(&until.at) };
        let key = (subscription.identity, Arc::clone(after), Arc::clone(&until.cursor));
        let reading = self.read(subscription, part, Some(&until.at), execute);
        let stretch = self.stretches.get_with(key.clone(), reading).await;
        if stretch.end().is_none() {
            // What failed is tried again by the next who asks.
            self.stretches.invalidate(&key).await;
        }
        stretch
    }

    /// The note that a watcher let go of something.
    pub async fn skip(&self, subscription: &Arc<Subscription>, part: Part, execute: Execute<'_>) -> Arc<Stretch> {
        self.read(subscription, part, None, execute).await
    }

    async fn read(
        &self,
        subscription: &Arc<Subscription>,
        part: Part,
        until: Option<&Arc<Positions>>,
        execute: Execute<'_>,
    ) -> Arc<Stretch> {
        let mut answers = self.execute(subscription, Arc::new(Course::new(part)), execute);
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while let Some(frame) = answers.next().await {
            bytes += frame.bytes();
            let is_last = frame.place.as_ref().is_none_or(|place| until.is_none_or(|until| place.to.reaches(until)));
            frames.push(Arc::new(frame));
            if is_last || frames.len() >= PART_FRAMES_MAX || bytes >= PART_BYTES_MAX {
                break;
            }
        }
        if frames.is_empty() {
            let fault = Error::internal("a stretch of a stream had no end");
            frames.push(Arc::new(Frame::fault(&fault, Phase::Request)));
        }
        Arc::new(Stretch { frames })
    }

    fn start(&self, shared: &Shared, driver: Driver, execute: Execute<'_>) {
        let course = Arc::new(Course::new(Part::Tail));
        let answers = self.execute(&shared.subscription, Arc::clone(&course), execute);
        self.tasks.spawn(driver.run(course, answers));
    }

    fn execute(
        &self,
        subscription: &Arc<Subscription>,
        course: Arc<Course>,
        execute: Execute<'_>,
    ) -> BoxStream<'static, Frame> {
        self.executions.fetch_add(1, Ordering::Relaxed);
        let answers = Arc::clone(&self.answers);
        let counted = execute(subscription, course).inspect(move |_| {
            answers.fetch_add(1, Ordering::Relaxed);
        });
        contained(counted.boxed())
    }
}
