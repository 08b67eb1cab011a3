//! Serializes commits of one organization from taking the sequence until the rows are published.
//!
//! The database orders the commits, but not the moments at which two connections learn of them: without this lock the
//! later of two commits could reach the publisher first. Live streams would notice the gap and read the database, which
//! is correct but slow. Across processes the row lock on the sequence orders the commits.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::model::OrganizationId;

/// Number of locks. Organizations share them; with this many, two busy organizations rarely collide.
const STRIPES: usize = 64;

/// The locks, one per stripe of organizations.
#[derive(Debug)]
pub struct PublishOrder(Vec<Arc<Mutex<()>>>);

/// Held from taking the sequence until the rows are published.
#[derive(Debug, Default)]
pub struct PublishPermit {
    _stripes: Vec<OwnedMutexGuard<()>>,
}

impl PublishOrder {
    pub fn new() -> Self {
        Self((0..STRIPES).map(|_| Arc::default()).collect())
    }

    /// Waits until no other commit of these organizations is between its sequence and its publication.
    pub async fn acquire(&self, organizations: impl IntoIterator<Item = OrganizationId>) -> PublishPermit {
        // Ascending and without duplicates, so that two commits that share stripes cannot deadlock.
        let stripes: BTreeSet<usize> = organizations.into_iter().map(stripe).collect();
        let mut held = Vec::with_capacity(stripes.len());
        for lock in stripes.into_iter().filter_map(|stripe| self.0.get(stripe)) {
            held.push(Arc::clone(lock).lock_owned().await);
        }
        PublishPermit { _stripes: held }
    }
}

fn stripe(organization: OrganizationId) -> usize {
    // Ids of one millisecond differ in their low bits, others from bit 22 on.
    let mixed = organization.0 ^ (organization.0 >> 22);
    usize::try_from(mixed.rem_euclid(64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn commits_of_one_organization_wait_and_others_do_not() {
        let order = PublishOrder::new();
        let permit = order.acquire([OrganizationId(1), OrganizationId(1), OrganizationId(65)]).await;
        let second = order.acquire([OrganizationId(1)]);
        tokio::pin!(second);
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(order.acquire([OrganizationId(2)]).await);
        drop(permit);
        drop(second.await);
    }
}
