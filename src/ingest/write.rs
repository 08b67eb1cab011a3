//! One transaction per group: the claim of keys, what came too late, raw rows, rollup parts, last the sequence and with it
//! the ledger, so that the order of sequences is the order of commits. What the steps mean is here; how a database spells
//! them is below.

mod endpoints;
mod postgres;
mod sqlite;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::Future,
};

use super::{
    group::{Entry, Leaders, LedgerKey, Outcome, Stored},
    late::{self, LateRow},
    rollup::{self, Cell, Row},
    turnstile::{Turn, Turnstile},
};
pub use endpoints::look_up as endpoints;

use crate::{
    clock::Stopwatch,
    db::{Backend, Statement, StatementLog},
    error::{Error, Result},
    model::OrganizationId,
};

/// A committed group.
#[derive(Debug)]
pub struct Written {
    /// One per entry, in their order; sequences of an organization ascend.
    pub outcomes: Vec<Outcome>,
    /// To be held until the rows are published.
    pub turn: Turn,
}

/// An entry of the ledger, and how far its sequence lies behind the last one that its organization gets by this commit. It
/// has none where it has no rows.
#[derive(Debug)]
struct Placed<'e, 'j> {
    entry: &'e Entry<'j>,
    behind: Option<i64>,
}

/// An open transaction of one database. Dropped without `commit` it rolls back.
trait Transaction: Send + Sized {
    /// Makes sure that nobody else stores under the callers' keys that are new; answers the first ids of those.
    fn claim(&mut self, keyed: &[&Entry<'_>]) -> impl Future<Output = sqlx::Result<Vec<i64>>> + Send;

    /// Reads the ledger rows of keys that were not new.
    fn earlier(&mut self, keys: &[LedgerKey<'_>]) -> impl Future<Output = sqlx::Result<Vec<Stored>>> + Send;

    /// Rows without name and release are written without these columns, which is quicker.
    fn insert(&mut self, part: i64, load: &Load<'_>) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Counts what came too late.
    fn insert_late(&mut self, part: i64, late: &[LateRow]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Moves the sequences of organizations (ascending) on and answers the last one of each. With them it writes the ledger,
    /// which tells what became of a key, and where the rows of a sequence are.
    fn conclude(
        &mut self,
        steps: &[(i64, i64)],
        placed: &[Placed<'_, '_>],
    ) -> impl Future<Output = sqlx::Result<Vec<(i64, i64)>>> + Send;

    fn commit(self) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Stores a group of entries in one transaction and answers when it is durable.
pub async fn group(backend: &Backend, turnstile: &Turnstile, entries: &[Entry<'_>]) -> Result<Written> {
    // Sorting and sketching before the transaction keeps it, and SQLite's only writer, free of our arithmetic.
    let leaders = Leaders::of(entries);
    let claiming = leaders.in_lock_order(entries);
    let load = Load::of(claiming.iter().copied());
    let log = entries.first().map(|entry| entry.job.log.clone()).unwrap_or_default();
    let prepared = Prepared { entries, leaders, claiming, load };
    match backend {
        Backend::Sqlite(pool) => prepared.write(sqlite::begin(pool, log).await?, turnstile).await,
        Backend::Postgres(pool) => prepared.write(postgres::begin(pool, log).await?, turnstile).await,
    }
}

/// The rows of a commit and what they add to the rollup.
struct Load<'a> {
    rows: Vec<Row<'a>>,
    cells: Vec<Cell>,
}

impl<'a> Load<'a> {
    fn of<'j: 'a>(entries: impl IntoIterator<Item = &'a Entry<'j>>) -> Self {
        let rows = rollup::rows(entries);
        let cells = rollup::cells(&rows);
        Self { rows, cells }
    }
}

struct Prepared<'e, 'j> {
    entries: &'e [Entry<'j>],
    leaders: Leaders,
    claiming: Vec<&'e Entry<'j>>,
    load: Load<'e>,
}

impl Prepared<'_, '_> {
    async fn write(self, mut transaction: impl Transaction, turnstile: &Turnstile) -> Result<Written> {
        let (claimed, earlier) = self.claim(&mut transaction).await?;
        self.count_late(&mut transaction, &claimed).await?;
        let load = if earlier.is_empty() {
            self.load
        } else {
            let fresh = self.claiming.iter().copied();
            Load::of(fresh.filter(|entry| claimed.contains(&entry.first_id)))
        };
        // In the order of arrival: whoever came first gets the lower sequence.
        let (storing, empty): (Vec<_>, Vec<_>) = self
            .entries
            .iter()
            .filter(|entry| claimed.contains(&entry.first_id))
            .partition(|entry| !entry.job.measurements.is_empty());
        let mut turn = Turn::default();
        if let Some(part) = storing.iter().map(|entry| entry.first_id).min() {
            transaction.insert(part, &load).await?;
            turn = turnstile.enter(organizations(&storing)).await;
        }
        let (steps, mut placed) = place(&storing);
        // What has neither rows nor a key will never be asked for.
        let asked_for = empty.into_iter().filter(|entry| entry.job.key.is_some());
        placed.extend(asked_for.map(|entry| Placed { entry, behind: None }));
        let last = if placed.is_empty() { Vec::new() } else { transaction.conclude(&steps, &placed).await? };
        if last.len() != steps.len() {
            return Err(Error::internal("the database handed out no sequence"));
        }
        transaction.commit().await.map_err(unconfirmed)?;
        let last = last.into_iter().collect();
        let sequences = placed.iter().filter_map(|placed| Some((placed.entry.first_id, placed.sequence(&last)?)));
        let sequences = sequences.collect();
        Ok(Written { outcomes: self.leaders.outcomes(self.entries, &claimed, &earlier, &sequences), turn })
    }

    /// Counts what came too late in the entries that are claimed: a key that is repeated counts once. Before the sequence is
    /// taken, and without one where nothing else is stored.
    async fn count_late(&self, transaction: &mut impl Transaction, claimed: &HashSet<i64>) -> Result<()> {
        let fresh = || self.entries.iter().filter(|entry| claimed.contains(&entry.first_id));
        let late = late::rows(fresh());
        if let (Some(part), false) = (fresh().map(|entry| entry.first_id).min(), late.is_empty()) {
            transaction.insert_late(part, &late).await?;
        }
        Ok(())
    }

    /// The first ids of the entries that are to be stored, and what is known of the keys of the others.
    async fn claim(&self, transaction: &mut impl Transaction) -> Result<(HashSet<i64>, Vec<Stored>)> {
        let (keyed, free): (Vec<_>, Vec<_>) =
            self.claiming.iter().copied().partition(|entry: &&Entry<'_>| entry.job.key.is_some());
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

fn organizations<'a>(storing: &'a [&Entry<'_>]) -> impl Iterator<Item = OrganizationId> + 'a {
    storing.iter().map(|entry| entry.job.project.organization)
}

/// How far each organization's sequence moves, ascending by organization, which is the order in which rows are locked; and
/// where the sequence of each entry then lies.
fn place<'e, 'j>(storing: &[&'e Entry<'j>]) -> (Vec<(i64, i64)>, Vec<Placed<'e, 'j>>) {
    let mut steps = BTreeMap::new();
    let from_the_last = storing.iter().rev().map(|entry| {
        let step: &mut i64 = steps.entry(entry.job.project.organization.0).or_insert(0);
        *step += 1;
        Placed { entry, behind: Some(*step - 1) }
    });
    let mut placed: Vec<_> = from_the_last.collect();
    placed.reverse();
    (steps.into_iter().collect(), placed)
}

impl Placed<'_, '_> {
    /// Its sequence, if that of its organization went up to this.
    fn sequence(&self, last: &HashMap<i64, i64>) -> Option<i64> {
        Some(last.get(&self.entry.job.project.organization.0)? - self.behind?)
    }
}

/// Whether a COMMIT that failed took effect is not known here. Never retried by ourselves: it could store twice.
fn unconfirmed(error: sqlx::Error) -> Error {
    Error::Unavailable {
        message: "the database did not confirm the batch; send it again with the same idempotency key",
        retry_after_s: 1,
        source: Some(std::sync::Arc::new(error)),
    }
}

/// Records a statement in the log of the first submitter of the group.
fn record(log: &StatementLog, sql: &str, rows: usize, watch: Stopwatch) {
    log.record(Statement {
        sql: sql.to_owned(),
        rows: u64::try_from(rows).unwrap_or(u64::MAX),
        elapsed_ms: watch.elapsed_ms(),
    });
}

/// The times of a ledger row: those of its measurements, or of its arrival where there are none.
fn times(entry: &Entry<'_>) -> (i64, i64) {
    let times = || entry.job.measurements.iter().map(|measurement| measurement.timestamp.as_micros());
    let arrival = entry.job.received_at.as_micros();
    (times().min().unwrap_or(arrival), times().max().unwrap_or(arrival))
}

/// A count as the ledger stores it; a call has far fewer rows than fit.
fn count(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}
