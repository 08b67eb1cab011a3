//! Loaders: keys that are requested side by side share one batch, and each key is loaded once.
//!
//! A request has a loader for each relation. Only the conversion of keys and values is compiled for each of them: keys
//! become numbers and values untyped on the way to `batcher`, which decides when a batch is complete.

mod batcher;
mod interner;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};

pub use interner::group;

use crate::error::Result;
use batcher::{Activity, AnyValue, Batcher, LoadBatch};
use interner::{Interner, KeyNumber};

/// State that all loaders of a request share: the source that they load from, and their activity.
#[derive(Debug)]
pub struct Shared<S> {
    source: S,
    activity: Activity,
}

impl<S> Shared<S> {
    /// Shared state for loaders of `source`.
    pub fn new(source: S) -> Arc<Self> {
        Arc::new(Self { source, activity: Activity::default() })
    }
}

/// Loads a batch of distinct keys. Returns one value for each key, in the order of the keys; `None` for a key without a
/// value.
type Run<K, V, S> = for<'a> fn(&'a S, Vec<K>) -> BoxFuture<'a, Result<Vec<Option<V>>>>;

/// Loads values by key, in batches, each key once. A request uses two or three of its loaders, so that an unused loader
/// allocates nothing.
pub struct Loader<K, V, S> {
    shared: Arc<Shared<S>>,
    run: Run<K, V, S>,
    /// The key that was loaded without a batch, and its value.
    alone: OnceLock<(K, Option<V>)>,
    /// Created for the first key that may share a batch.
    batches: OnceLock<Box<Batches<K, V, S>>>,
}

struct Batches<K, V, S> {
    source: Arc<TypedSource<K, V, S>>,
    batcher: Batcher,
}

/// Converts between numbered keys and untyped values on one side and those of the loader on the other.
struct TypedSource<K, V, S> {
    shared: Arc<Shared<S>>,
    run: Run<K, V, S>,
    keys: Mutex<Interner<K>>,
}

impl<K, V, S> TypedSource<K, V, S> {
    fn keys(&self) -> MutexGuard<'_, Interner<K>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V, S> LoadBatch for TypedSource<K, V, S>
where
    K: Eq + Hash + Clone + Send,
    V: Send + Sync + 'static,
    S: Send + Sync,
{
    fn load(&self, keys: &[KeyNumber]) -> BoxFuture<'_, Result<Vec<Option<AnyValue>>>> {
        let keys = {
            let interned = self.keys();
            keys.iter().filter_map(|number| interned.key(*number).cloned()).collect()
        };
        let untyped = |values: Vec<Option<V>>| values.into_iter().map(|value| value.map(AnyValue::new)).collect();
        (self.run)(&self.shared.source, keys).map_ok(untyped).boxed()
    }
}

impl<K, V, S> Loader<K, V, S>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: Send + Sync + 'static,
{
    /// A loader that loads batches by `run`.
    pub fn new(shared: &Arc<Shared<S>>, run: Run<K, V, S>) -> Self {
        Self { shared: Arc::clone(shared), run, alone: OnceLock::new(), batches: OnceLock::new() }
    }

    /// The value of a key; `None` if it has none.
    ///
    /// # Errors
    /// The error of the batch, which all its callers get.
    pub async fn load(&self, key: K) -> Result<Option<V>> {
        if let Some((_, value)) = self.alone.get().filter(|(known, _)| *known == key) {
            return Ok(value.clone());
        }
        let Batches { source, batcher } = self.batches();
        let number = source.keys().number(key);
        let value = batcher.load(number, &self.shared.activity).await?;
        value.map(|value| value.typed()).transpose()
    }

    /// Loads without waiting for other keys. For the only root field of a request, beside which nothing else is resolved.
    ///
    /// # Errors
    /// The error of the load.
    pub async fn load_alone(&self, key: K) -> Result<Option<V>> {
        if self.alone.get().is_some() {
            return self.load(key).await;
        }
        let value = (self.run)(&self.shared.source, vec![key.clone()]).await?.pop().flatten();
        // If another caller was faster after all, this value is returned but not cached.
        let _ = self.alone.set((key, value.clone()));
        Ok(value)
    }

    fn batches(&self) -> &Batches<K, V, S> {
        self.batches.get_or_init(|| {
            let (shared, keys) = (Arc::clone(&self.shared), Mutex::default());
            let source = Arc::new(TypedSource { shared, run: self.run, keys });
            Box::new(Batches { batcher: Batcher::new(Arc::clone(&source) as Arc<dyn LoadBatch>), source })
        })
    }
}

/// The values of distinct keys, in the order of the keys.
pub(crate) fn in_order<'a, K: Eq + Hash + 'a, V>(
    keys: impl IntoIterator<Item = &'a K>,
    mut found: HashMap<K, V>,
) -> Vec<Option<V>> {
    keys.into_iter().map(|key| found.remove(key)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;
    use crate::error::Error;

    fn counting(batches: &Arc<AtomicUsize>) -> Loader<u32, u32, Arc<AtomicUsize>> {
        Loader::new(&Shared::new(Arc::clone(batches)), |batches, keys: Vec<u32>| {
            Box::pin(async move {
                batches.fetch_add(1, Ordering::SeqCst);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                Ok(keys.into_iter().map(|key| (key < 100).then_some(key * 2)).collect())
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
    async fn a_key_that_was_loaded_alone_is_not_loaded_again() {
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
        // One more key after each yield.
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
    async fn a_leader_that_is_dropped_before_its_load_fails_no_other_caller() {
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
    async fn a_leader_that_is_dropped_during_its_load_fails_no_other_caller() {
        let batches = Arc::default();
        let loader = counting(&batches);
        let mut first = Box::pin(loader.load(1));
        let mut others = Box::pin(join_all([2, 3, 200].map(|key| loader.load(key))));
        // All enlist, then the first caller loads the keys of all ...
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
    async fn the_error_of_a_batch_is_cached_for_its_keys() {
        let loader =
            Loader::<u32, u32, ()>::new(&Shared::new(()), |(), _| Box::pin(async { Err(Error::not_found("the row")) }));
        assert!(loader.load(1).await.is_err());
        assert!(loader.load(1).await.is_err(), "the error is cached for this request");
    }

    #[tokio::test]
    async fn a_batch_with_too_few_values_fails_its_callers() {
        let loader = Loader::<u32, u32, ()>::new(&Shared::new(()), |(), _| Box::pin(async { Ok(vec![Some(1)]) }));
        let answers = join_all([1, 2].map(|key| loader.load(key))).await;
        assert!(answers.iter().all(Result::is_err));
    }

    #[tokio::test]
    async fn each_key_of_many_batches_is_loaded_once() {
        let batches = Arc::default();
        let loader = counting(&batches);
        for keys in [0..10, 5..20, 0..20] {
            let answers = join_all(keys.clone().map(|key| loader.load(key))).await;
            let expected: Vec<_> = keys.map(|key| Some(key * 2)).collect();
            assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
        }
        assert_eq!(batches.load(Ordering::SeqCst), 2, "the third has no new key");
    }
}
