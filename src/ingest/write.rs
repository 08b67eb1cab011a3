//! One transaction per group: the claim of keys, counts of late rows, raw rows, rollup parts, last the sequence and the
//! ledger, so that the order of sequences is the order of commits. Late rows then remove the breakdowns of their hours, or add
//! to them. This file holds the steps; `postgres` and `sqlite` hold their SQL.

mod postgres;
mod sqlite;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::Future,
};

use super::{
    breakdown::{self, Addition},
    commit_group::{CommitEntry, KeyOwners, LedgerKey, LedgerRow, Outcome},
    grain::CommitGrains,
    late::{self, LateRow},
    publish_order::{PublishOrder, PublishPermit},
    rollup::{self, LabelRow, RawRow, RollupPart},
};
use crate::{
    db::{
        Writer,
        lease::{self, Lease},
    },
    error::{Error, Result},
    model::{DayParts, OrganizationId, SeriesDay},
};

/// A committed group.
#[derive(Debug)]
pub struct Written {
    /// One per entry, in their order. Sequences of an organization ascend.
    pub outcomes: Vec<Outcome>,
    /// To be held until the rows are published.
    pub permit: PublishPermit,
}

/// An entry of the ledger with its sequence.
#[derive(Debug)]
struct LedgerEntry<'e, 'j> {
    entry: &'e CommitEntry<'j>,
    /// The distance of its sequence to the last one that this commit gives to its organization. `None` for an entry without
    /// rows, which has no sequence.
    behind: Option<i64>,
}

/// An organization, its last sequence, the time before which there may be breakdowns, and the time before which single measurements may
/// be removed at any moment.
type StreamEnd = (i64, i64, Option<i64>, Option<i64>);

/// Organization, project, type, day, and the parts of the day that were decided about.
type Marked = (i64, i64, i16, i64, i32);

/// An open transaction. Dropped without `commit` it rolls back.
trait Transaction: Send + Sized {
    /// Claims the callers' keys that are new, so that no other transaction stores under them. Returns the first ids of
    /// their entries.
    fn claim(&mut self, keyed: &[&CommitEntry<'_>]) -> impl Future<Output = sqlx::Result<Vec<i64>>> + Send;

    /// The ledger rows of keys that were not new.
    fn earlier(&mut self, keys: &[LedgerKey<'_>]) -> impl Future<Output = sqlx::Result<Vec<LedgerRow>>> + Send;

    /// Inserts raw rows and rollup parts. If no row has a name or a release, these columns are left out, which is faster.
    fn insert(&mut self, part: i64, load: &RowsAndParts<'_>) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Inserts labels. They have a table of their own, because a column would take eight bytes in each row without labels.
    fn insert_labels(&mut self, labels: &[LabelRow]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Inserts counts of late rows.
    fn insert_late(&mut self, part: i64, late: &[LateRow]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Advances the sequences of organizations (ascending), writes the ledger, which finds receipts by key and rows by
    /// sequence. Advances and returns nothing if another instance has taken the node of the lease.
    fn conclude(
        &mut self,
        lease: Option<Lease>,
        steps: &[(i64, i64)],
        ledger: &[LedgerEntry<'_, '_>],
    ) -> impl Future<Output = sqlx::Result<Vec<StreamEnd>>> + Send;

    /// The marks of these series and days, which nobody changes until the commit. After `conclude`, which waits for the time before
    /// which there may be breakdowns.
    fn marked(&mut self, late: &[(SeriesDay, DayParts)]) -> impl Future<Output = sqlx::Result<Vec<Marked>>> + Send;

    /// Removes the breakdowns of hours and days that get more measurements by this commit. After `marked`.
    fn reopen(&mut self, late: &[(SeriesDay, DayParts)]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Adds rows to the breakdowns by one column of these days, and removes those by several columns. After `marked`.
    fn extend(
        &mut self,
        kept: &[(SeriesDay, DayParts)],
        hours: &[Addition],
        days: &[Addition],
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    fn commit(self) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Stores a group of entries in one transaction and returns when it is durable.
pub async fn group(
    writer: &Writer,
    publish_order: &PublishOrder,
    lease: Option<Lease>,
    entries: &[CommitEntry<'_>],
    grains: &CommitGrains,
) -> Result<Written> {
    // Sorting and sketching happen before the transaction, so that it stays short: SQLite has one writer.
    let owners = KeyOwners::of(entries);
    let claiming = owners.in_lock_order(entries);
    let load = RowsAndParts::of(claiming.iter().copied(), grains);
    let log = entries.first().map(|entry| entry.job.log.clone()).unwrap_or_default();
    let prepared = Prepared { entries, owners, claiming, load, grains, lease };
    match writer {
        Writer::Sqlite(pool) => prepared.write(sqlite::begin(pool, log).await?, publish_order).await,
        Writer::Postgres(stock) => prepared.write(postgres::begin(stock, log).await?, publish_order).await,
    }
}

/// The raw rows of a commit, their rollup parts and their labels.
struct RowsAndParts<'a> {
    rows: Vec<RawRow<'a>>,
    parts: Vec<RollupPart>,
    labels: Vec<LabelRow>,
}

impl<'a> RowsAndParts<'a> {
    fn of<'j: 'a>(entries: impl IntoIterator<Item = &'a CommitEntry<'j>> + Clone, grains: &CommitGrains) -> Self {
        let labels = rollup::labels(entries.clone());
        let rows = rollup::rows(entries);
        let parts = rollup::parts(&rows, grains);
        Self { rows, parts, labels }
    }
}

/// A group before its transaction.
struct Prepared<'e, 'j> {
    entries: &'e [CommitEntry<'j>],
    owners: KeyOwners,
    claiming: Vec<&'e CommitEntry<'j>>,
    load: RowsAndParts<'e>,
    grains: &'e CommitGrains,
    /// The lease under which the ids were made.
    lease: Option<Lease>,
}

impl Prepared<'_, '_> {
    async fn write(self, mut transaction: impl Transaction, publish_order: &PublishOrder) -> Result<Written> {
        let (claimed, earlier) = self.claim(&mut transaction).await?;
        self.count_late(&mut transaction, &claimed).await?;
        let load = if earlier.is_empty() {
            self.load
        } else {
            let fresh = self.claiming.iter().copied();
            RowsAndParts::of(fresh.filter(|entry| claimed.contains(&entry.first_id)), self.grains)
        };
        // In the order of arrival, so that an earlier submission gets a lower sequence.
        let (storing, empty): (Vec<_>, Vec<_>) = self
            .entries
            .iter()
            .filter(|entry| claimed.contains(&entry.first_id))
            .partition(|entry| !entry.job.measurements.is_empty());
        let mut permit = PublishPermit::default();
        if let Some(part) = storing.iter().map(|entry| entry.first_id).min() {
            transaction.insert(part, &load).await?;
            if !load.labels.is_empty() {
                transaction.insert_labels(&load.labels).await?;
            }
            permit = publish_order.acquire(organizations(&storing)).await;
        }
        let (steps, mut ledger) = number(&storing);
        // An entry without rows and key is never read again.
        let keyed = empty.into_iter().filter(|entry| entry.job.key.is_some());
        ledger.extend(keyed.map(|entry| LedgerEntry { entry, behind: None }));
        let last =
            if ledger.is_empty() { Vec::new() } else { transaction.conclude(self.lease, &steps, &ledger).await? };
        if last.len() != steps.len() {
            return Err(lease::lost());
        }
        let before = last.iter().filter_map(|(organization, _, before, _)| Some((*organization, (*before)?))).collect();
        let late = breakdown::out_of_date(&load.rows, &before);
        if !late.is_empty() {
            self::late(&mut transaction, &load.rows, late, &last).await?;
        }
        transaction.commit().await.map_err(unconfirmed)?;
        let last = last.into_iter().map(|(organization, sequence, ..)| (organization, sequence)).collect();
        let sequences = ledger.iter().filter_map(|row| Some((row.entry.first_id, row.sequence(&last)?)));
        let sequences = sequences.collect();
        Ok(Written { outcomes: self.owners.outcomes(self.entries, &claimed, &earlier, &sequences), permit })
    }

    /// Counts late rows of the claimed entries, so that a repeated key counts once.
    async fn count_late(&self, transaction: &mut impl Transaction, claimed: &HashSet<i64>) -> Result<()> {
        let fresh = || self.entries.iter().filter(|entry| claimed.contains(&entry.first_id));
        let late = late::rows(fresh().map(|entry| (entry.job.project, &entry.job.late)));
        if let (Some(part), false) = (fresh().map(|entry| entry.first_id).min(), late.is_empty()) {
            transaction.insert_late(part, &late).await?;
        }
        Ok(())
    }

    /// The first ids of the entries to store, and the ledger rows of the others.
    async fn claim(&self, transaction: &mut impl Transaction) -> Result<(HashSet<i64>, Vec<LedgerRow>)> {
        let (keyed, free): (Vec<_>, Vec<_>) =
            self.claiming.iter().copied().partition(|entry: &&CommitEntry<'_>| entry.job.key.is_some());
        let mut claimed: HashSet<i64> = free.iter().map(|entry| entry.first_id).collect();
        if keyed.is_empty() {
            return Ok((claimed, Vec::new()));
        }
        claimed.extend(transaction.claim(&keyed).await?);
        let seen_before = keyed.iter().filter(|entry| !claimed.contains(&entry.first_id));
        let keys: Vec<LedgerKey<'_>> = seen_before.map(|entry| entry.ledger_key()).collect();
        let earlier = if keys.is_empty() { Vec::new() } else { transaction.earlier(&keys).await? };
        Ok((claimed, earlier))
    }
}

/// Brings the breakdowns of late rows up to date.
async fn late(
    transaction: &mut impl Transaction,
    rows: &[RawRow<'_>],
    late: Vec<(SeriesDay, DayParts)>,
    last: &[StreamEnd],
) -> sqlx::Result<()> {
    let raw_since: HashMap<_, _> =
        last.iter().map(|(organization, .., raw_since)| (*organization, *raw_since)).collect();
    let is_kept = |(series, _): &(SeriesDay, DayParts)| {
        raw_since.get(&series.organization).is_some_and(|raw_since| Some(series.day) < *raw_since)
    };
    // All at once, in the order in which other transactions lock them.
    let marked = transaction.marked(&late).await?;
    let (kept, late): (Vec<_>, Vec<_>) = late.into_iter().partition(is_kept);
    let late = breakdown::with_rows(&late, &marked);
    if !late.is_empty() {
        transaction.reopen(&late).await?;
    }
    if let (false, Some(part)) = (kept.is_empty(), rows.iter().map(|row| row.id).min()) {
        let (hours, days) = breakdown::additions(rows, &kept, part);
        transaction.extend(&kept, &hours, &days).await?;
    }
    Ok(())
}

fn organizations<'a>(storing: &'a [&CommitEntry<'_>]) -> impl Iterator<Item = OrganizationId> + 'a {
    storing.iter().map(|entry| entry.job.project.organization)
}

/// The number of sequences that each organization takes, ascending by organization, which is the order in which rows are
/// locked; and the ledger entries with their distance to the last sequence.
fn number<'e, 'j>(storing: &[&'e CommitEntry<'j>]) -> (Vec<(i64, i64)>, Vec<LedgerEntry<'e, 'j>>) {
    let mut steps = BTreeMap::new();
    let from_the_last = storing.iter().rev().map(|entry| {
        let step: &mut i64 = steps.entry(entry.job.project.organization.0).or_insert(0);
        *step += 1;
        LedgerEntry { entry, behind: Some(*step - 1) }
    });
    let mut ledger: Vec<_> = from_the_last.collect();
    ledger.reverse();
    (steps.into_iter().collect(), ledger)
}

impl LedgerEntry<'_, '_> {
    /// The sequence, given the last sequence of each organization.
    fn sequence(&self, last: &HashMap<i64, i64>) -> Option<i64> {
        Some(last.get(&self.entry.job.project.organization.0)? - self.behind?)
    }
}

/// The error of a failed COMMIT. It may have taken effect, so it is never retried here, which could store twice.
fn unconfirmed(error: sqlx::Error) -> Error {
    Error::Unavailable {
        message: "the database did not confirm the batch; send it again with the same idempotency key",
        retry_after_s: 1,
        source: Some(crate::error::Cause::new(error)),
    }
}

/// The first and the last time in a ledger row: of its measurements, or its arrival if it has none.
fn times(entry: &CommitEntry<'_>) -> (i64, i64) {
    let times = || entry.job.measurements.iter().map(|measurement| measurement.timestamp.as_micros());
    let arrival = entry.job.received_at.as_micros();
    (times().min().unwrap_or(arrival), times().max().unwrap_or(arrival))
}

/// A count in the ledger's integer type, which holds far more rows than a call may have.
fn count(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}
