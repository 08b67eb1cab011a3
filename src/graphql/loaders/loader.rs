//! One loader: keys that are asked for side by side share a batch, and each is loaded once.
//!
//! The only file that knows the dataloader library. Its loaders run a batch inside the future of one of the callers;
//! when that caller goes away in the middle, the others find their key unanswered. Every batch here answers every key,
//! so an unanswered key can only mean that, and the caller asks again: one sibling that fails or one client that
//! disconnects never hurts another field.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    sync::{Arc, OnceLock},
};

use dataloader::{BatchFn, cached};
use futures_util::future::BoxFuture;

use crate::error::{Error, Result};

/// How often a caller polls its siblings before it sends the batch: enough for every field of a level to enlist.
const YIELDS: usize = 3;
/// Keys of one statement; above the largest page times the largest nested page it only guards the parameter limit.
const BATCH_KEYS_MAX: usize = 10_000;
/// How often a caller asks again after siblings went away with its key.
const ATTEMPTS: usize = 16;

type Run<K, V> = Arc<dyn Fn(Vec<K>) -> BoxFuture<'static, Result<HashMap<K, V>>> + Send + Sync>;

type Inner<K, V> = cached::Loader<K, Result<Option<V>>, Batch<K, V>>;

struct Batch<K, V>(Run<K, V>);

impl<K, V> BatchFn<K, Result<Option<V>>> for Batch<K, V>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Clone + Send + Sync,
{
    async fn load(&mut self, keys: &[K]) -> HashMap<K, Result<Option<V>>> {
        match (self.0)(keys.to_vec()).await {
            Ok(mut found) => keys.iter().map(|key| (key.clone(), Ok(found.remove(key)))).collect(),
            Err(error) => keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect(),
        }
    }
}

/// Loads values by key, in batches, each key once.
pub struct Loader<K, V>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Clone + Send + Sync,
{
    run: Run<K, V>,
    /// Made when the first key is asked for: a request has a loader for everything and uses two or three.
    inner: OnceLock<Inner<K, V>>,
}

impl<K, V> Loader<K, V>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A loader that answers many keys by `run`; keys that are missing in its answer do not exist.
    pub fn new<F>(run: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<HashMap<K, V>>> + Send + 'static,
    {
        Self { run: Arc::new(move |keys| -> BoxFuture<'static, _> { Box::pin(run(keys)) }), inner: OnceLock::new() }
    }

    /// The value of a key, or `None` where there is none.
    ///
    /// # Errors
    /// What the batch failed with; every caller of the batch gets it.
    pub async fn load(&self, key: K) -> Result<Option<V>> {
        let loader = self.inner.get_or_init(|| {
            let batch = Batch(Arc::clone(&self.run));
            cached::Loader::new(batch).with_yield_count(YIELDS).with_max_batch_size(BATCH_KEYS_MAX)
        });
        for _ in 0..ATTEMPTS {
            if let Ok(answer) = loader.try_load(key.clone()).await {
                return answer;
            }
        }
        Err(Error::internal(format!("a batch was abandoned {ATTEMPTS} times")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::{FutureExt, future::join_all};

    use super::*;

    fn counting(batches: &Arc<AtomicUsize>) -> Loader<u32, u32> {
        let batches = Arc::clone(batches);
        Loader::new(move |keys: Vec<u32>| {
            let batches = Arc::clone(&batches);
            async move {
                batches.fetch_add(1, Ordering::SeqCst);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                Ok(keys.into_iter().filter(|key| *key < 100).map(|key| (key, key * 2)).collect())
            }
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
        let loader = Loader::<u32, u32>::new(|_| async { Err(Error::not_found("the row")) });
        assert!(loader.load(1).await.is_err());
        assert!(loader.load(1).await.is_err(), "and stays failed for this request");
    }
}
