//! The submissions that share a commit: which of them claims a ledger row, and the outcome of each. Pure.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    idempotency::{callers_key, generated_key},
    job::Job,
    submission::{Receipt, Rejection},
};
use crate::{
    error::{Error, Result},
    model::{EndpointId, OrganizationId, StreamCursor},
};

/// A job with the ids of its rows.
#[derive(Debug)]
pub struct CommitEntry<'a> {
    pub job: &'a Job,
    /// The id of its first row. Unique even for a job without rows.
    pub first_id: i64,
    /// The key in the ledger: the caller's, or a generated one.
    pub key: Cow<'a, str>,
    /// The rejections in JSON, for the ledger; `None` if there are none or no retry can ask for them.
    pub rejections: Option<String>,
    /// The endpoint of each measurement.
    pub endpoints: Vec<EndpointId>,
}

/// The primary key of a ledger row, by which ledger rows are locked in order: organization, source, key.
pub type LedgerKey<'a> = (i64, &'a str, &'a str);

impl<'a> CommitEntry<'a> {
    pub fn new(job: &'a Job, first_id: i64, endpoints: Vec<EndpointId>) -> Result<Self> {
        let rejections = match &job.key {
            Some(_) if !job.rejected.is_empty() => Some(serde_json::to_string(&job.rejected).map_err(Error::internal)?),
            _ => None,
        };
        let key = match &job.key {
            Some(key) => Cow::Borrowed(key.as_str()),
            None => Cow::Owned(generated_key(first_id)),
        };
        Ok(Self { job, first_id, key, rejections, endpoints })
    }

    pub fn ledger_key(&self) -> LedgerKey<'_> {
        (self.job.project.organization.0, &self.job.source, &self.key)
    }
}

/// A ledger row of an earlier commit.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    pub organization: i64,
    pub source: String,
    pub key: String,
    pub sequence: Option<i64>,
    pub body_hash: Vec<u8>,
    pub accepted: u32,
    pub rejections: Option<String>,
}

/// The outcome of a job.
#[derive(Debug)]
pub enum Outcome {
    /// This commit stored it, under `sequence` if it has rows.
    Stored { sequence: Option<i64>, first_id: i64 },
    /// This commit did not store it, because its key had been used.
    Answered(Result<Receipt>),
}

/// The index of the entry that claims the ledger row of each entry: itself, or an earlier one with the same key.
#[derive(Debug)]
pub struct KeyOwners(Vec<usize>);

impl KeyOwners {
    pub fn of(entries: &[CommitEntry<'_>]) -> Self {
        let mut first = HashMap::with_capacity(entries.len());
        let indexed = entries.iter().enumerate();
        Self(indexed.map(|(index, entry)| *first.entry(entry.ledger_key()).or_insert(index)).collect())
    }

    /// The entries that claim a ledger row, in the order in which every instance locks these.
    pub fn in_lock_order<'e, 'j>(&self, entries: &'e [CommitEntry<'j>]) -> Vec<&'e CommitEntry<'j>> {
        let mut owners: Vec<_> = self
            .0
            .iter()
            .enumerate()
            .filter(|(index, owner)| index == *owner)
            .filter_map(|(index, _)| entries.get(index))
            .collect();
        owners.sort_unstable_by_key(|entry| entry.ledger_key());
        owners
    }

    /// The outcome of each entry, in their order.
    pub fn outcomes(
        &self,
        entries: &[CommitEntry<'_>],
        claimed: &HashSet<i64>,
        earlier: &[LedgerRow],
        sequences: &HashMap<i64, i64>,
    ) -> Vec<Outcome> {
        let earlier: HashMap<LedgerKey<'_>, &LedgerRow> =
            earlier.iter().map(|row| ((row.organization, row.source.as_str(), row.key.as_str()), row)).collect();
        let outcome = |(index, entry): (usize, &CommitEntry<'_>)| {
            let owner = self.0.get(index).and_then(|owner| entries.get(*owner)).unwrap_or(entry);
            let sequence = sequences.get(&owner.first_id).copied();
            if !claimed.contains(&owner.first_id) {
                Outcome::Answered(match earlier.get(&entry.ledger_key()) {
                    Some(stored) => repeated(entry, &stored.body_hash, || stored.receipt()),
                    // Retention removed it between two statements, so the next attempt is a new batch.
                    None => Err(Error::Unavailable {
                        message: "the idempotency key has just expired; send the same batch again",
                        retry_after_s: 1,
                        source: None,
                    }),
                })
            } else if owner.first_id == entry.first_id {
                Outcome::Stored { sequence, first_id: entry.first_id }
            } else {
                Outcome::Answered(repeated(entry, &owner.job.body_hash, || Ok(owner.job.receipt(sequence, true))))
            }
        };
        entries.iter().enumerate().map(outcome).collect()
    }
}

/// The result for a repeated key: the receipt if the content is the same, a conflict otherwise.
fn repeated(entry: &CommitEntry<'_>, body_hash: &[u8], answer: impl FnOnce() -> Result<Receipt>) -> Result<Receipt> {
    if entry.job.body_hash == body_hash {
        answer()
    } else {
        Err(Error::Conflict(format!(
            "idempotencyKey `{}` was already used for a batch with other content; use a new key for a new batch",
            callers_key(&entry.key)
        )))
    }
}

impl LedgerRow {
    fn receipt(&self) -> Result<Receipt> {
        let rejected: Vec<Rejection> = match &self.rejections {
            Some(json) => serde_json::from_str(json).map_err(Error::internal)?,
            None => Vec::new(),
        };
        let cursor = self.sequence.map(|sequence| StreamCursor {
            organization: OrganizationId(self.organization),
            sequence,
            ordinal: self.accepted.saturating_sub(1),
        });
        Ok(Receipt { accepted: self.accepted, rejected, duplicate: true, cursor })
    }
}
