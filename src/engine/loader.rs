//! One loader: keys that are asked for side by side share a batch, and each is loaded once.
//!
//! The only file that knows the dataloader library, which runs batches and remembers their answers. When a batch is
//! complete is decided here: the library waits a fixed number of turns.
//!
//! Who asks first leads the batch: it waits until nobody of the request asks for anything more, whatever their number,
//! and then loads for all. That is what makes the number of statements one of levels and never of rows; loaders that wait
//! a fixed number of turns split wide levels. A leader that goes away in the middle (a sibling failed, a client
//! disconnected) hurts nobody: those who waited for it ask again.

use std::{
    collections::{HashMap, HashSet},
    fmt::{self, Debug},
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dataloader::{BatchFn, cached};
use futures_util::future::BoxFuture;
use tokio::{
    sync::watch,
    task::{unconstrained, yield_now},
};

use crate::error::{Error, Result};

/// For how many of its turns a leader must see nobody ask before it loads: every field that can run runs in between.
const QUIET_TURNS: usize = 2;
/// Keys of one statement: far above the largest page times the largest nested page, it only guards the databases' limit
/// of parameters.
const BATCH_KEYS_MAX: usize = 10_000;

/// Counts what the loaders of a request are asked for, so that all of them see when it becomes quiet.
#[derive(Debug, Default)]
struct Pulse(AtomicU64);

impl Pulse {
    fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    async fn quiet(&self) {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mut quiet_turns = 0;
        while quiet_turns < QUIET_TURNS {
            yield_now().await;
            let now = self.0.load(Ordering::Relaxed);
            quiet_turns = if now == seen { quiet_turns + 1 } else { 0 };
            seen = now;
        }
    }
}

/// What the loaders of a request share: what they load from, and the pulse that they all feel.
#[derive(Debug)]
pub struct Shared<S> {
    source: S,
    pulse: Pulse,
}

impl<S> Shared<S> {
    /// For loaders that load from `source`.
    pub fn new(source: S) -> Arc<Self> {
        Arc::new(Self { source, pulse: Pulse::default() })
    }
}

/// Answers many keys; keys that are missing in the answer do not exist.
type Run<K, V, S> = for<'a> fn(&'a S, Vec<K>) -> BoxFuture<'a, Result<HashMap<K, V>>>;

/// Runs a batch for the library. It answers every key, so that all of them are remembered.
struct Runs<K, V, S> {
    shared: Arc<Shared<S>>,
    run: Run<K, V, S>,
}

impl<K, V, S> BatchFn<Silent<K>, Result<Option<V>>> for Runs<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Clone + Send + Sync,
    S: Send + Sync,
{
    async fn load(&mut self, keys: &[Silent<K>]) -> HashMap<Silent<K>, Result<Option<V>>> {
        match (self.run)(&self.shared.source, keys.iter().map(|Silent(key)| key.clone()).collect()).await {
            Ok(mut found) => keys.iter().map(|key| (key.clone(), Ok(found.remove(&key.0)))).collect(),
            Err(error) => keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect(),
        }
    }
}

/// A key as the library gets it, which writes every key down for a message that nobody reads.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Silent<K>(K);

impl<K> Debug for Silent<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
}

type Batches<K, V, S> = cached::Loader<Silent<K>, Result<Option<V>>, Runs<K, V, S>>;

/// Ends when the batch that it was enlisted in is over, one way or the other.
type Over = watch::Receiver<()>;

struct State<K> {
    /// Keys whose answers the library remembers.
    known: HashSet<K>,
    /// The batch that still takes keys.
    gathering: Option<(HashSet<K>, Over)>,
    /// Keys whose batch is under way.
    loading: HashMap<K, Over>,
}

/// Loads values by key, in batches, each key once. A request has a loader for everything and uses two or three, so a
/// loader that nobody asks allocates nothing.
pub struct Loader<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Clone + Send + Sync,
    S: Send + Sync,
{
    shared: Arc<Shared<S>>,
    run: Run<K, V, S>,
    /// What was asked for alone, and is remembered like everything else.
    alone: OnceLock<(K, Option<V>)>,
    /// Made when the first key is asked for together with others.
    inner: OnceLock<Box<Inner<K, V, S>>>,
}

struct Inner<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Clone + Send + Sync,
    S: Send + Sync,
{
    state: Mutex<State<K>>,
    batches: Batches<K, V, S>,
}

enum Part {
    Known,
    Waits(Over),
    Leads(watch::Sender<()>),
}

impl<K, V, S> Loader<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Clone + Send + Sync,
    S: Send + Sync,
{
    fn inner(&self) -> &Inner<K, V, S> {
        self.inner.get_or_init(|| {
            let runs = Runs { shared: Arc::clone(&self.shared), run: self.run };
            // It neither waits nor splits: a batch is complete when it comes.
            let batches = cached::Loader::new(runs).with_yield_count(0).with_max_batch_size(usize::MAX);
            let state = State { known: HashSet::new(), gathering: None, loading: HashMap::new() };
            Box::new(Inner { state: Mutex::new(state), batches })
        })
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.inner().state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V, S> Loader<K, V, S>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: Send + Sync + 'static,
{
    /// A loader that answers many keys by `run`; keys that are missing in its answer do not exist.
    pub fn new(shared: &Arc<Shared<S>>, run: Run<K, V, S>) -> Self {
        Self { shared: Arc::clone(shared), run, alone: OnceLock::new(), inner: OnceLock::new() }
    }

    /// The value of a key, or `None` where there is none.
    ///
    /// # Errors
    /// What the batch failed with; every caller of the batch gets it.
    pub async fn load(&self, key: K) -> Result<Option<V>> {
        if let Some((_, value)) = self.alone.get().filter(|(known, _)| *known == key) {
            return Ok(value.clone());
        }
        loop {
            match self.enlist(&key) {
                // The library's lock is free at once, and would still end the turn of those beyond the runtime's budget.
                Part::Known => {
                    return unconstrained(self.batches().try_load(Silent(key))).await.map_err(Error::internal)?;
                }
                // An error says that the sender is gone, which is how a batch ends. Waiting takes no part in the runtime's
                // turns: those who waited would learn it in portions, and the leader of the next batch see quiet between.
                Part::Waits(mut over) => drop(unconstrained(over.changed()).await),
                Part::Leads(over) => self.lead(over).await,
            }
        }
    }

    /// The same for the first of a request, who knows that nobody else can ask for anything meanwhile.
    ///
    /// # Errors
    /// What loading failed with.
    pub async fn load_alone(&self, key: K) -> Result<Option<V>> {
        if self.alone.get().is_some() {
            return self.load(key).await;
        }
        let value = (self.run)(&self.shared.source, vec![key.clone()]).await?.remove(&key);
        // Somebody who was not alone after all got there first: then this answer is just not remembered.
        let _ = self.alone.set((key, value.clone()));
        Ok(value)
    }

    fn batches(&self) -> &Batches<K, V, S> {
        &self.inner().batches
    }

    fn enlist(&self, key: &K) -> Part {
        let mut state = self.state();
        if state.known.contains(key) {
            return Part::Known;
        }
        if let Some(over) = state.loading.get(key) {
            return Part::Waits(over.clone());
        }
        self.shared.pulse.beat();
        if let Some((keys, over)) = &mut state.gathering {
            keys.insert(key.clone());
            return Part::Waits(over.clone());
        }
        let (sender, over) = watch::channel(());
        state.gathering = Some((HashSet::from([key.clone()]), over));
        Part::Leads(sender)
    }

    /// Loads for everybody who enlists until it is quiet. The sender is dropped last, which is how the others learn it.
    async fn lead(&self, _over: watch::Sender<()>) {
        let mut batch = Batch { loader: self, keys: Vec::new() };
        self.shared.pulse.quiet().await;
        batch.close();
        for keys in batch.keys.chunks(BATCH_KEYS_MAX) {
            // Every key has an answer of its own, be it an error; those are asked for below.
            if self.batches().try_load_many(keys.iter().cloned().map(Silent).collect()).await.is_ok() {
                self.state().known.extend(keys.iter().cloned());
            }
        }
    }
}

/// A batch as its leader holds it. Dropped, it is over, and keys without an answer may be enlisted again.
struct Batch<'a, K: Eq + Hash + Clone + Send + Sync, V: Clone + Send + Sync, S: Send + Sync> {
    loader: &'a Loader<K, V, S>,
    /// None while it still takes keys.
    keys: Vec<K>,
}

impl<K: Eq + Hash + Clone + Send + Sync, V: Clone + Send + Sync, S: Send + Sync> Batch<'_, K, V, S> {
    fn close(&mut self) {
        let mut state = self.loader.state();
        if let Some((keys, over)) = state.gathering.take() {
            self.keys = keys.into_iter().collect();
            state.loading.extend(self.keys.iter().map(|key| (key.clone(), over.clone())));
        }
    }
}

impl<K: Eq + Hash + Clone + Send + Sync, V: Clone + Send + Sync, S: Send + Sync> Drop for Batch<'_, K, V, S> {
    fn drop(&mut self) {
        let mut state = self.loader.state();
        if self.keys.is_empty() {
            state.gathering = None;
        }
        for key in &self.keys {
            state.loading.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::{FutureExt, future::join_all};

    use super::*;

    fn counting(batches: &Arc<AtomicUsize>) -> Loader<u32, u32, Arc<AtomicUsize>> {
        Loader::new(&Shared::new(Arc::clone(batches)), |batches, keys: Vec<u32>| {
            Box::pin(async move {
                batches.fetch_add(1, Ordering::SeqCst);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                Ok(keys.into_iter().filter(|key| *key < 100).map(|key| (key, key * 2)).collect())
            })
        })
    }

    #[tokio::test]
    async fn siblings_share_a_batch_and_absent_keys_are_none() {
        let batches = Arc::default();
        let loader = counting(&batches);
        let answers = join_all((95..105).map(|key| loader.load(key))).await;
        assert_eq!(answers[0].as_ref().unwrap(), &Some(190));
        assert_eq!(answers[9].as_ref().unwrap(), &None);
        assert_eq!(batches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_was_asked_for_alone_is_known_to_those_who_come_later() {
        let batches = Arc::default();
        let loader = counting(&batches);
        assert_eq!(loader.load_alone(7).await.unwrap(), Some(14));
        assert_eq!(loader.load(7).await.unwrap(), Some(14));
        assert_eq!(batches.load(Ordering::SeqCst), 1);
        let answers = join_all([7, 8, 200].map(|key| loader.load(key))).await;
        assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [Some(14), Some(16), None]);
        assert_eq!(batches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_level_of_any_width_is_one_batch() {
        let batches = Arc::default();
        let loader = counting(&batches);
        // Those who come later, as long as somebody comes in every turn.
        let late = |key: u32| {
            let loader = &loader;
            async move {
                for _ in 0..key {
                    tokio::task::yield_now().await;
                }
                loader.load(key).await
            }
        };
        let answers = join_all((0..500).map(late)).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(batches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_leader_that_goes_away_before_it_is_quiet_hurts_nobody() {
        let batches = Arc::default();
        let loader = counting(&batches);
        let mut first = Box::pin(loader.load(1));
        let mut others = Box::pin(join_all([1, 2].map(|key| loader.load(key))));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(others.as_mut().now_or_never().is_none());
        drop(first);
        let answers: Vec<_> = others.await.into_iter().map(Result::unwrap).collect();
        assert_eq!((answers, batches.load(Ordering::SeqCst)), (vec![Some(2), Some(4)], 1));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_in_the_middle_hurts_nobody() {
        let batches = Arc::default();
        let loader = counting(&batches);
        let mut first = Box::pin(loader.load(1));
        let mut others = Box::pin(join_all([2, 3, 200].map(|key| loader.load(key))));
        // Everybody enlists, then the first caller takes all keys into its batch ...
        for _ in 0..10 {
            assert!(first.as_mut().now_or_never().is_none());
            assert!(others.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        assert_eq!(batches.load(Ordering::SeqCst), 1, "the first caller's batch is under way");
        // ... and is dropped there.
        drop(first);
        let answers: Vec<_> = others.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [Some(4), Some(6), None]);
    }

    #[tokio::test]
    async fn a_failing_batch_fails_its_callers_only() {
        let loader =
            Loader::<u32, u32, ()>::new(&Shared::new(()), |(), _| Box::pin(async { Err(Error::not_found("the row")) }));
        assert!(loader.load(1).await.is_err());
        assert!(loader.load(1).await.is_err(), "and stays failed for this request");
    }
}
