//! Reads committed batches from the database, in the order of their sequences, page by page.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Range,
};

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationDef,
};

use super::{
    event::{CommitRows, EventPacker, StreamEvent},
    filter::Filter,
    notice::CommitNotice,
    publisher::{CommittedBatch, MissingCommits},
};
use crate::{
    db::{Database, StatementLog},
    entity::{endpoint, ingest_batch, metric_event, organization_stream},
    error::Result,
    model::{
        CommitPosition, CommitPositions, Key, Labels, Measurement, MetricId, MetricType, OrganizationId, ProjectId,
        RecordedMetric, Scope, Timestamp, VisibleOrganizations,
    },
};

/// Ledger rows of one page.
const BATCHES_MAX: u64 = 500;
/// Measurements of one page.
const ROWS_MAX: u32 = 5_000;

/// Reads the last committed sequence of these organizations, or of all but the server's own, as far as the scope contains
/// them.
pub async fn last_sequences(
    scope: &Scope,
    database: &Database,
    organizations: Option<&BTreeSet<OrganizationId>>,
) -> Result<HashMap<OrganizationId, i64>> {
    use organization_stream::Column;
    let mut query = organization_stream::Entity::find();
    match (organizations, scope.organizations()) {
        (None, VisibleOrganizations::Everything) => {
            query = query.filter(Column::OrganizationId.ne(database.own_organization()));
        }
        (None, VisibleOrganizations::Organization(own)) => query = query.filter(Column::OrganizationId.eq(own)),
        (Some(organizations), _) => {
            let seen = organizations.iter().copied().filter(|organization| scope.sees(*organization));
            query = query.filter(Column::OrganizationId.is_in(seen));
        }
    }
    let rows = query.all(&database.reader(StatementLog::default())).await?;
    Ok(rows.into_iter().map(|row| (row.organization_id, row.last_seq)).collect())
}

/// Reads the last commit of every organization, for the server's own follower.
pub async fn last_commits(database: &Database) -> Result<Vec<CommitNotice>> {
    let rows = organization_stream::Entity::find().all(&database.reader(StatementLog::default())).await?;
    Ok(rows.into_iter().map(|row| CommitNotice::committed(row.organization_id, row.last_seq)).collect())
}

/// A batch as the database holds it.
#[derive(Debug)]
pub enum StoredBatch {
    /// All rows of the batch.
    Complete(CommittedBatch),
    /// A batch of which retention has removed rows.
    Incomplete {
        /// The organization.
        organization: OrganizationId,
        /// The sequence of the commit.
        sequence: i64,
    },
}

/// Reads the next missing batches of several organizations, in the order of their sequences, for the server's own
/// follower: one page in two statements, whatever the number of organizations.
pub async fn committed(database: &Database, missing: &[MissingCommits]) -> Result<Vec<StoredBatch>> {
    use ingest_batch::Column;
    let any = missing.iter().fold(Condition::any(), |any, one| {
        let of_one = Condition::all().add(Column::OrganizationId.eq(one.organization));
        any.add(of_one.add(Column::Seq.between(one.after + 1, one.to)))
    });
    let mut batches = ledger(database, any).await?;
    let mut next: HashMap<OrganizationId, i64> = missing.iter().map(|one| (one.organization, one.after + 1)).collect();
    batches.retain(|batch| {
        let next = next.entry(batch.organization_id).or_default();
        let is_next = batch.seq == Some(*next);
        *next += i64::from(is_next);
        is_next
    });
    let mut rows = 0_u32;
    let within = batches.iter().take_while(|batch| {
        rows = rows.saturating_add(total(batch));
        rows <= ROWS_MAX
    });
    let within = within.count().max(1);
    batches.truncate(within);
    let ranges: Vec<_> = batches.iter().map(|batch| (batch, 0..total(batch))).collect();
    let mut rows = measurements(database, &Filter::default(), &ranges).await?;
    Ok(batches.iter().filter_map(|batch| stored_batch(batch, &mut rows)).collect())
}

fn stored_batch(batch: &ingest_batch::Model, rows: &mut BTreeMap<i64, MeasurementRow>) -> Option<StoredBatch> {
    let (organization, sequence) = (batch.organization_id, batch.seq?);
    let measurements = take_range(rows, batch, &(0..total(batch))).filter_map(|(_, row)| row.measurement());
    let measurements: Vec<_> = measurements.collect();
    if u32::try_from(measurements.len()).ok() != Some(total(batch)) {
        return Some(StoredBatch::Incomplete { organization, sequence });
    }
    Some(StoredBatch::Complete(CommittedBatch {
        organization,
        project: Key::new(organization, batch.project_id),
        sequence,
        first_id: batch.first_id,
        received_at: batch.received_at,
        measurements,
    }))
}

/// A page of one organization's stream.
#[derive(Debug)]
pub struct ReplayPage {
    organization: OrganizationId,
    commits: Vec<ReplayedCommit>,
}

/// The rows of a commit, or some of them.
#[derive(Debug)]
struct ReplayedCommit {
    sequence: i64,
    total: u32,
    /// The matching rows with their indexes in the commit.
    matching: Vec<(u32, RecordedMetric)>,
    /// The number of rows that retention removed, if known.
    missed: Option<u64>,
    end: CommitPosition,
}

impl ReplayPage {
    /// Packs the rows into events.
    pub fn pack(self, packer: &mut EventPacker) {
        let organization = self.organization;
        for ReplayedCommit { sequence, total, matching, missed, end } in self.commits {
            let before = (missed != Some(0)).then(|| packer.at().clone());
            packer.add(CommitRows { organization, sequence, total, matching: matching.into_iter(), end });
            if let Some(before) = before {
                packer.add_gap(before, missed);
            }
        }
    }
}

/// Reads a page of one organization's commits between two positions: two statements, and a third if retention may have
/// removed rows. An organization outside of the scope has no rows.
pub async fn page(
    scope: &Scope,
    database: &Database,
    filter: &Filter,
    organization: OrganizationId,
    from: CommitPosition,
    to: CommitPosition,
) -> Result<ReplayPage> {
    use ingest_batch::Column;
    if !scope.sees(organization) {
        let nothing =
            ReplayedCommit { sequence: to.sequence, total: 0, matching: Vec::new(), missed: Some(0), end: to };
        return Ok(ReplayPage { organization, commits: vec![nothing] });
    }
    let wanted = Condition::all()
        .add(Column::OrganizationId.eq(organization))
        .add(Column::Seq.between(from.sequence + 1, to.touched()));
    let batches = ledger(database, wanted).await?;
    let first = batches.first().and_then(|batch| batch.seq);
    if first != Some(from.sequence + 1) {
        // Sequences have no gaps, so retention has removed the ledger's older rows.
        let end = first.map_or(to, |first| CommitPosition::after(first - 1));
        let lost = ReplayedCommit { sequence: end.sequence, total: 0, matching: Vec::new(), missed: None, end };
        return Ok(ReplayPage { organization, commits: vec![lost] });
    }
    let ranges = ranges_between(&batches, from, to);
    let covered: Vec<_> =
        ranges.iter().filter(|(batch, _)| filter.covers(Key::new(organization, batch.project_id))).cloned().collect();
    let mut rows = measurements(database, filter, &covered).await?;
    let mut missed = missed(database, &covered).await?;
    let commits = ranges.iter().filter_map(|(batch, range)| {
        let sequence = batch.seq?;
        let metric = |(ordinal, row): (u32, MeasurementRow)| {
            let id = MetricId(row.id);
            let measurement = row.measurement()?;
            let project = Key::new(organization, batch.project_id);
            let metric = RecordedMetric { id, project, measurement, received_at: batch.received_at };
            filter.matches(&metric.measurement).then_some((ordinal, metric))
        };
        Some(ReplayedCommit {
            sequence,
            total: total(batch),
            matching: take_range(&mut rows, batch, range).filter_map(metric).collect(),
            missed: Some(missed.remove(&sequence).unwrap_or(0)),
            end: CommitPosition::inside(sequence, range.end, total(batch)),
        })
    });
    Ok(ReplayPage { organization, commits: commits.collect() })
}

/// A commit and a range of row indexes in it.
type CommitRange<'a> = (&'a ingest_batch::Model, Range<u32>);

/// The rows of each commit between two positions, as many as make a page.
fn ranges_between(batches: &[ingest_batch::Model], from: CommitPosition, to: CommitPosition) -> Vec<CommitRange<'_>> {
    let mut remaining = ROWS_MAX;
    let mut ranges = Vec::new();
    for batch in batches {
        let Some(sequence) = batch.seq.filter(|_| remaining > 0) else { break };
        let start = if sequence == from.touched() && from.rows > 0 { from.rows } else { 0 };
        let end = if sequence > to.sequence { to.rows } else { total(batch) };
        let end = end.min(start.saturating_add(remaining));
        remaining -= end.saturating_sub(start);
        ranges.push((batch, start..end));
    }
    ranges
}

async fn ledger(database: &Database, wanted: Condition) -> Result<Vec<ingest_batch::Model>> {
    use ingest_batch::Column;
    let query = ingest_batch::Entity::find().filter(wanted);
    let query = query.order_by_asc(Column::OrganizationId).order_by_asc(Column::Seq).limit(BATCHES_MAX);
    Ok(query.all(&database.reader(StatementLog::default())).await?)
}

/// A measurement with the path of its endpoint.
#[derive(Debug, FromQueryResult)]
struct MeasurementRow {
    id: i64,
    kind: i16,
    ts: Timestamp,
    value: f64,
    status: i16,
    name: String,
    release: String,
    path: String,
}

impl MeasurementRow {
    fn measurement(self) -> Option<Measurement> {
        Some(Measurement {
            kind: MetricType::from_code(self.kind)?,
            value: self.value,
            endpoint: self.path,
            status: self.status,
            timestamp: self.ts,
            name: self.name,
            release: self.release,
            labels: Labels::Unread,
        })
    }
}

/// Reads all rows in the bounding box of these ranges, by id. Rows of other batches in the box are ignored. Constant bounds
/// instead of a join with the ledger keep both planners on the index.
async fn measurements(
    database: &Database,
    filter: &Filter,
    ranges: &[CommitRange<'_>],
) -> Result<BTreeMap<i64, MeasurementRow>> {
    use metric_event::Column;
    let Some(bounds) = bounding_box(database, ranges) else { return Ok(BTreeMap::new()) };
    let rows = metric_event::Entity::find()
        .select_only()
        .columns([Column::Id, Column::Kind, Column::Ts, Column::Value, Column::Status, Column::Name, Column::Release])
        .column(endpoint::Column::Path)
        .join(JoinType::InnerJoin, endpoint_of_event())
        .filter(bounds)
        .filter(Column::Kind.is_in(filter.kinds().map(MetricType::code)))
        .into_model::<MeasurementRow>()
        .all(&database.reader(StatementLog::default()))
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Counts the rows of each commit that retention removed. Removed rows cannot be filtered, so all of them count.
async fn missed(database: &Database, ranges: &[CommitRange<'_>]) -> Result<HashMap<i64, u64>> {
    let kept = database.kept().raw;
    let is_touched = |(batch, _): &&CommitRange<'_>| batch.min_ts < kept;
    let touched: Vec<_> = ranges.iter().filter(is_touched).cloned().collect();
    let Some(bounds) = bounding_box(database, &touched) else { return Ok(HashMap::new()) };
    let ids = metric_event::Entity::find().select_only().column(metric_event::Column::Id).filter(bounds);
    let ids: Vec<i64> = ids.into_tuple().all(&database.reader(StatementLog::default())).await?;
    let ids: BTreeSet<i64> = ids.into_iter().collect();
    let missed = touched.iter().filter_map(|(batch, range)| {
        let kept = ids.range(batch.first_id + i64::from(range.start)..batch.first_id + i64::from(range.end)).count();
        let missed = u64::from(range.end - range.start).saturating_sub(kept as u64);
        Some((batch.seq?, missed))
    });
    Ok(missed.collect())
}

/// The smallest box of project, time and id around these rows, from the retention limit on; `None` without rows.
fn bounding_box(database: &Database, ranges: &[CommitRange<'_>]) -> Option<Condition> {
    use metric_event::Column;
    let organizations: BTreeSet<OrganizationId> = ranges.iter().map(|(batch, _)| batch.organization_id).collect();
    let projects: BTreeSet<ProjectId> = ranges.iter().map(|(batch, _)| batch.project_id).collect();
    let first = ranges.iter().map(|(batch, range)| batch.first_id + i64::from(range.start)).min()?;
    let last = ranges.iter().map(|(batch, range)| batch.first_id + i64::from(range.end) - 1).max()?;
    let from = ranges.iter().map(|(batch, _)| batch.min_ts).min()?.max(database.kept().raw);
    let to = ranges.iter().map(|(batch, _)| batch.max_ts).max()?;
    let bounds = Condition::all()
        .add(Column::OrganizationId.is_in(organizations))
        .add(Column::ProjectId.is_in(projects))
        .add(Column::Ts.between(from.as_micros(), to.as_micros()))
        .add(Column::Id.between(first, last));
    Some(bounds)
}

fn endpoint_of_event() -> RelationDef {
    metric_event::Entity::belongs_to(endpoint::Entity)
        .from((metric_event::Column::OrganizationId, metric_event::Column::EndpointId))
        .to((endpoint::Column::OrganizationId, endpoint::Column::Id))
        .into()
}

/// The number of rows of a commit.
fn total(batch: &ingest_batch::Model) -> u32 {
    u32::try_from(batch.n_accepted).unwrap_or(0)
}

/// Removes the rows of a commit from those that were read, each with its index in the commit.
fn take_range(
    rows: &mut BTreeMap<i64, MeasurementRow>,
    batch: &ingest_batch::Model,
    range: &Range<u32>,
) -> impl Iterator<Item = (u32, MeasurementRow)> + use<> {
    let first_id = batch.first_id;
    let mut rest = rows.split_off(&(first_id + i64::from(range.start)));
    let mut after = rest.split_off(&(first_id + i64::from(range.end)));
    rows.append(&mut after);
    rest.into_iter().filter_map(move |(id, row)| Some((u32::try_from(id - first_id).ok()?, row)))
}

/// A stream between two positions.
pub struct Replay {
    scope: Scope,
    database: Database,
    filter: Filter,
    packer: EventPacker,
    /// The end position of each organization that was not read completely.
    ahead: VecDeque<(OrganizationId, CommitPosition)>,
    has_ended: bool,
}

impl Replay {
    pub fn new(
        scope: &Scope,
        database: Database,
        filter: Filter,
        from: CommitPositions,
        until: &CommitPositions,
        batch_max: usize,
    ) -> Self {
        let ahead = until.iter().filter(|(organization, to)| from.of(*organization) < *to).collect();
        let packer = EventPacker::new(from, batch_max);
        Self { scope: *scope, database, filter, packer, ahead, has_ended: false }
    }

    /// The next event. There is at least one, and only the last has caught up.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>> {
        loop {
            if let Some(event) = self.packer.pop_full() {
                return Ok(Some(event));
            }
            let Some((organization, to)) = self.ahead.front().copied() else {
                let has_ended = std::mem::replace(&mut self.has_ended, true);
                return Ok((!has_ended).then(|| self.packer.cut(true)));
            };
            let from = self.packer.at().of(organization);
            if from < to {
                let page = page(&self.scope, &self.database, &self.filter, organization, from, to).await?;
                page.pack(&mut self.packer);
            } else {
                self.ahead.pop_front();
            }
        }
    }
}
