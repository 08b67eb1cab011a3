//! Batches of one loader. They hold numbers of keys and untyped values, so that this code is compiled once for all loaders.
//!
//! The only file that uses the dataloader library, which runs batches and caches their results. The library closes a batch
//! after a fixed number of yields, which splits wide levels; batches are therefore closed here.
//!
//! The first caller leads the batch: it waits until no resolver of the request adds keys, then loads all of them. The
//! number of statements thus depends on levels and not on rows. If a leader is dropped (a sibling failed, a client
//! disconnected), those who wait for it ask again and one of them leads.

use std::{
    any::Any,
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dataloader::{BatchFn, cached};
use futures_util::future::BoxFuture;
use tokio::{
    sync::watch,
    task::{unconstrained, yield_now},
};

use super::interner::KeyNumber;
use crate::error::{Error, Result};

/// Consecutive yields without a new key after which a leader loads. Every resolver that can run does so in between.
const QUIET_YIELDS: usize = 2;
/// Keys of one statement. Far above the largest page times the largest nested page; it guards the databases' limits of
/// parameters.
const BATCH_KEYS_MAX: usize = 10_000;

/// A value of any type. A struct and no alias, because the compiler cannot prove that futures with the alias are `Send`.
#[derive(Clone)]
pub struct AnyValue(Arc<dyn Any + Send + Sync>);

impl AnyValue {
    /// Forgets the type of a value.
    pub fn new<V: Send + Sync + 'static>(value: V) -> Self {
        Self(Arc::new(value))
    }

    /// A clone of the value.
    ///
    /// # Errors
    /// [`Error::Internal`] if it has another type.
    pub fn typed<V: Clone + 'static>(&self) -> Result<V> {
        let typed = self.0.downcast_ref::<V>().cloned();
        typed.ok_or_else(|| Error::internal("a loaded value has another type than its loader"))
    }
}

/// Loads the values of a batch.
pub trait LoadBatch: Send + Sync {
    /// One value for each key, in the order of the keys; `None` for a key without a value.
    fn load(&self, keys: &[KeyNumber]) -> BoxFuture<'_, Result<Vec<Option<AnyValue>>>>;
}

/// Counts the keys that all loaders of a request are asked for.
#[derive(Debug, Default)]
pub struct Activity(AtomicU64);

impl Activity {
    fn record(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until no resolver adds keys.
    async fn quiet(&self) {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mut quiet_yields = 0;
        while quiet_yields < QUIET_YIELDS {
            yield_now().await;
            let now = self.0.load(Ordering::Relaxed);
            quiet_yields = if now == seen { quiet_yields + 1 } else { 0 };
            seen = now;
        }
    }
}

/// The library's view of [`LoadBatch`]. It returns a result for every key, so that the library caches errors too.
struct BatchLoader(Arc<dyn LoadBatch>);

impl BatchFn<KeyNumber, Result<Option<AnyValue>>> for BatchLoader {
    async fn load(&mut self, keys: &[KeyNumber]) -> HashMap<KeyNumber, Result<Option<AnyValue>>> {
        let loaded = self.0.load(keys).await.and_then(|values| {
            let is_complete = values.len() == keys.len();
            is_complete
                .then_some(values)
                .ok_or_else(|| Error::internal("a batch did not return one value for each key"))
        });
        match loaded {
            Ok(values) => keys.iter().copied().zip(values.into_iter().map(Ok)).collect(),
            Err(error) => keys.iter().map(|key| (*key, Err(error.clone()))).collect(),
        }
    }
}

/// Changes when the batch ends, with or without results.
type BatchEnd = watch::Receiver<()>;

#[derive(Clone, Default)]
enum KeyState {
    /// Never requested, or its leader was dropped.
    #[default]
    Idle,
    /// In the batch that still accepts keys.
    Gathering,
    /// In a batch that is being loaded.
    Loading(BatchEnd),
    /// The library has the result.
    Loaded,
}

#[derive(Default)]
struct State {
    /// By number.
    keys: Vec<KeyState>,
    /// The batch that still accepts keys.
    gathering: Option<(Vec<KeyNumber>, BatchEnd)>,
}

impl State {
    fn key(&mut self, key: KeyNumber) -> &mut KeyState {
        if self.keys.len() <= key {
            self.keys.resize(key + 1, KeyState::Idle);
        }
        &mut self.keys[key]
    }
}

/// A caller's part in the batch of its key.
enum Enlisted<'a> {
    Loaded,
    Waits(BatchEnd),
    Leads(Leader<'a>),
}

/// The batches of one loader.
pub struct Batcher {
    state: Mutex<State>,
    batches: cached::Loader<KeyNumber, Result<Option<AnyValue>>, BatchLoader>,
}

impl Batcher {
    /// A batcher without results.
    pub fn new(source: Arc<dyn LoadBatch>) -> Self {
        // The library neither waits nor splits, because it gets complete batches.
        let batches = cached::Loader::new(BatchLoader(source)).with_yield_count(0).with_max_batch_size(usize::MAX);
        Self { state: Mutex::default(), batches }
    }

    /// The value of a key; `None` if it has none.
    ///
    /// # Errors
    /// The error of the batch, which all its callers get.
    pub async fn load(&self, key: KeyNumber, activity: &Activity) -> Result<Option<AnyValue>> {
        loop {
            match self.enlist(key, activity) {
                // The library's lock is free. Without `unconstrained`, callers beyond the runtime's budget would yield.
                Enlisted::Loaded => return unconstrained(self.batches.try_load(key)).await.map_err(Error::internal)?,
                // An error means that the sender was dropped, which ends a batch. Within the runtime's budget, callers
                // would wake in portions, and the leader of the next batch would see quiet between them.
                Enlisted::Waits(mut end) => drop(unconstrained(end.changed()).await),
                Enlisted::Leads(leader) => leader.load(activity).await,
            }
        }
    }

    fn enlist(&self, key: KeyNumber, activity: &Activity) -> Enlisted<'_> {
        let mut state = self.state();
        match state.key(key) {
            KeyState::Loaded => return Enlisted::Loaded,
            KeyState::Loading(end) => return Enlisted::Waits(end.clone()),
            KeyState::Idle | KeyState::Gathering => activity.record(),
        }
        let is_new = matches!(mem::replace(state.key(key), KeyState::Gathering), KeyState::Idle);
        if let Some((keys, end)) = &mut state.gathering {
            if is_new {
                keys.push(key);
            }
            return Enlisted::Waits(end.clone());
        }
        let (sender, end) = watch::channel(());
        state.gathering = Some((vec![key], end));
        Enlisted::Leads(Leader { batcher: self, keys: Vec::new(), _end: sender })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leader of a batch. When it is dropped, the batch ends, and keys without a result may be enlisted again.
struct Leader<'a> {
    batcher: &'a Batcher,
    /// Empty while the batch still accepts keys.
    keys: Vec<KeyNumber>,
    /// Dropped after the state was updated, which wakes those who wait.
    _end: watch::Sender<()>,
}

impl Leader<'_> {
    /// Loads the keys of all callers that enlist until it is quiet.
    async fn load(mut self, activity: &Activity) {
        activity.quiet().await;
        self.close();
        for keys in self.keys.chunks(BATCH_KEYS_MAX) {
            // Every key has a result, which may be an error; callers read it from the library.
            if self.batcher.batches.try_load_many(keys.to_vec()).await.is_ok() {
                let mut state = self.batcher.state();
                for key in keys {
                    *state.key(*key) = KeyState::Loaded;
                }
            }
        }
    }

    fn close(&mut self) {
        let mut state = self.batcher.state();
        if let Some((keys, end)) = state.gathering.take() {
            for key in &keys {
                *state.key(*key) = KeyState::Loading(end.clone());
            }
            self.keys = keys;
        }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut state = self.batcher.state();
        let keys = if self.keys.is_empty() {
            state.gathering.take().map_or_else(Vec::new, |(keys, _)| keys)
        } else {
            mem::take(&mut self.keys)
        };
        for key in keys {
            let state = state.key(key);
            if !matches!(state, KeyState::Loaded) {
                *state = KeyState::Idle;
            }
        }
    }
}
