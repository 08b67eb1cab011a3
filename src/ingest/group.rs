//! The submissions that share a commit: who claims which ledger row, and what each is answered. Pure.

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

/// A job with everything that its rows need.
#[derive(Debug)]
pub struct Entry<'a> {
    pub job: &'a Job,
    /// The id of its first row; unique even where it has none.
    pub first_id: i64,
    /// The ledger's key: the caller's, or a generated one.
    pub key: Cow<'a, str>,
    /// The refusals as the ledger stores them; only where a repeated key can ask for them.
    pub rejections: Option<String>,
    /// Per measurement.
    pub endpoints: Vec<EndpointId>,
}

/// What makes a ledger row unique, and the order in which ledger rows are locked.
pub type LedgerKey<'a> = (i64, &'a str, &'a str);

impl<'a> Entry<'a> {
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

/// A ledger row that an earlier commit wrote.
#[derive(Clone, Debug)]
pub struct Stored {
    pub organization: i64,
    pub source: String,
    pub key: String,
    pub sequence: Option<i64>,
    pub body_hash: Vec<u8>,
    pub accepted: u32,
    pub rejections: Option<String>,
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    /// Stored by this commit, under this sequence if it has rows.
    Stored { sequence: Option<i64>, first_id: i64 },
    /// Not stored by this commit: its key had been seen.
    Answered(Result<Receipt>),
}

/// For each entry the entry that claims its ledger row: itself, or an earlier one with the same key.
#[derive(Debug)]
pub struct Leaders(Vec<usize>);

impl Leaders {
    pub fn of(entries: &[Entry<'_>]) -> Self {
        let mut first = HashMap::with_capacity(entries.len());
        let leaders = entries.iter().enumerate();
        Self(leaders.map(|(index, entry)| *first.entry(entry.ledger_key()).or_insert(index)).collect())
    }

    /// Those who claim, in the order in which every instance locks ledger rows.
    pub fn in_lock_order<'e, 'j>(&self, entries: &'e [Entry<'j>]) -> Vec<&'e Entry<'j>> {
        let mut leaders: Vec<_> = self
            .0
            .iter()
            .enumerate()
            .filter(|(index, leader)| index == *leader)
            .filter_map(|(index, _)| entries.get(index))
            .collect();
        leaders.sort_unstable_by_key(|entry| entry.ledger_key());
        leaders
    }

    /// Each entry's outcome, in their order.
    pub fn outcomes(
        &self,
        entries: &[Entry<'_>],
        claimed: &HashSet<i64>,
        earlier: &[Stored],
        sequences: &HashMap<i64, i64>,
    ) -> Vec<Outcome> {
        let earlier: HashMap<LedgerKey<'_>, &Stored> =
            earlier.iter().map(|row| ((row.organization, row.source.as_str(), row.key.as_str()), row)).collect();
        let outcome = |(index, entry): (usize, &Entry<'_>)| {
            let leader = self.0.get(index).and_then(|leader| entries.get(*leader)).unwrap_or(entry);
            let sequence = sequences.get(&leader.first_id).copied();
            if !claimed.contains(&leader.first_id) {
                Outcome::Answered(match earlier.get(&entry.ledger_key()) {
                    Some(stored) => again(entry, &stored.body_hash, || stored.receipt()),
                    // Retention removed it between two statements of ours: the next try is a new batch.
                    None => Err(Error::Unavailable {
                        message: "the idempotency key was forgotten in this very moment; send the same batch again",
                        retry_after_s: 1,
                        source: None,
                    }),
                })
            } else if leader.first_id == entry.first_id {
                Outcome::Stored { sequence, first_id: entry.first_id }
            } else {
                Outcome::Answered(again(entry, &leader.job.body_hash, || Ok(leader.job.receipt(sequence, true))))
            }
        };
        entries.iter().enumerate().map(outcome).collect()
    }
}

/// The answer to a key that was seen before.
fn again(entry: &Entry<'_>, body_hash: &[u8], answer: impl FnOnce() -> Result<Receipt>) -> Result<Receipt> {
    if entry.job.body_hash == body_hash {
        answer()
    } else {
        Err(Error::Conflict(format!(
            "idempotencyKey `{}` was already used for a batch with other content; use a new key for a new batch",
            callers_key(&entry.key)
        )))
    }
}

impl Stored {
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
