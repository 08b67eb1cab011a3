//! Cached facts about projects, each for five seconds: their statuses, and the keys of their slugs.

use std::{
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use quick_cache::sync::Cache;

use crate::clock::Stopwatch;

/// Time for which a fact is reused without another query.
const LIFETIME: Duration = Duration::from_secs(5);
/// Projects of which a fact is cached.
const PROJECTS_MAX: usize = 10_000;

/// The cache.
#[derive(Debug)]
pub(super) struct Known<K, V> {
    facts: Cache<K, Fact<V>>,
    /// Number of times that facts were forgotten so far.
    forgotten: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Fact<V> {
    value: V,
    since: Stopwatch,
}

/// A query that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct FactQuery {
    forgotten: u64,
    since: Stopwatch,
}

impl<K: Eq + Hash, V: Copy> Default for Known<K, V> {
    fn default() -> Self {
        Self { facts: Cache::new(PROJECTS_MAX), forgotten: AtomicU64::new(0) }
    }
}

impl<K: Clone + Eq + Hash, V: Copy> Known<K, V> {
    /// The fact, unless it is unknown or too old.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.facts.get(key).filter(|fact| fact.since.elapsed() < LIFETIME).map(|fact| fact.value)
    }

    /// Begins a query, before it is sent.
    pub(super) fn begin(&self) -> FactQuery {
        FactQuery { forgotten: self.forgotten.load(Ordering::SeqCst), since: Stopwatch::start() }
    }

    /// Keeps the result of a query, unless facts were forgotten meanwhile: the query may have read an earlier one.
    pub(super) fn keep(&self, key: &K, value: V, query: FactQuery) {
        self.facts.insert(key.clone(), Fact { value, since: query.since });
        // Checked after the insertion, so that no call of `forget` falls between.
        if self.forgotten.load(Ordering::SeqCst) != query.forgotten {
            self.facts.remove(key);
        }
    }

    /// Forgets the fact of a project that was changed.
    pub(super) fn forget(&self, key: &K) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.facts.remove(key);
    }

    /// Forgets all facts.
    pub(super) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.facts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_kept_until_its_project_is_changed() {
        let known = Known::default();
        assert_eq!(known.get(&7), None);
        for forget in [|known: &Known<i32, char>| known.forget(&7), Known::forget_all] {
            known.keep(&7, 'a', known.begin());
            assert_eq!(known.get(&7), Some('a'));
            forget(&known);
            assert_eq!(known.get(&7), None);
        }
    }

    #[test]
    fn a_fact_that_was_read_before_a_change_is_not_kept() {
        let known = Known::default();
        for forget in [|known: &Known<i32, char>| known.forget(&7), Known::forget_all] {
            let query = known.begin();
            forget(&known);
            known.keep(&7, 'a', query);
            assert_eq!(known.get(&7), None);
        }
    }
}
