//! Lets one commit at a time through to an organization's sequence, from taking it until its rows are published.
//!
//! Without it, of two commits that follow each other the later one could reach the publisher first: the database orders
//! the commits, but nobody orders the moments at which two connections learn of them. Live streams would notice and read
//! the database instead, which is right but slow. Across processes the row lock on the sequence does the ordering.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::model::OrganizationId;

/// Organizations share locks: enough of them that two busy tenants seldom do.
const STRIPES: usize = 64;

/// The locks, one per stripe of organizations.
#[derive(Debug)]
pub struct Turnstile(Vec<Arc<Mutex<()>>>);

/// Held until what was committed has been published.
#[derive(Debug, Default)]
pub struct Turn {
    _stripes: Vec<OwnedMutexGuard<()>>,
}

impl Turnstile {
    pub fn new() -> Self {
        Self((0..STRIPES).map(|_| Arc::default()).collect())
    }

    /// Waits until no other commit of these organizations is between its sequence and its publication.
    pub async fn enter(&self, organizations: impl IntoIterator<Item = OrganizationId>) -> Turn {
        // Ascending and each once: two commits that share stripes can never wait for each other.
        let stripes: BTreeSet<usize> = organizations.into_iter().map(stripe).collect();
        let mut held = Vec::with_capacity(stripes.len());
        for lock in stripes.into_iter().filter_map(|stripe| self.0.get(stripe)) {
            held.push(Arc::clone(lock).lock_owned().await);
        }
        Turn { _stripes: held }
    }
}

fn stripe(organization: OrganizationId) -> usize {
    // Ids made in one millisecond differ in their low bits, others from bit 22 on.
    let mixed = organization.0 ^ (organization.0 >> 22);
    usize::try_from(mixed.rem_euclid(64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_organization_waits_and_others_do_not() {
        let turnstile = Turnstile::new();
        let turn = turnstile.enter([OrganizationId(1), OrganizationId(1), OrganizationId(65)]).await;
        let second = turnstile.enter([OrganizationId(1)]);
        tokio::pin!(second);
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(turnstile.enter([OrganizationId(2)]).await);
        drop(turn);
        drop(second.await);
    }
}
