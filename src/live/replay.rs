//! Reads committed batches again, in the order of their sequences and a page at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Range,
};

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationDef,
};

use super::{
    CommittedBatch, Filter, Poke, StreamEvent,
    event::{Packer, Rows},
    publisher::Missing,
};
use crate::{
    db::{Database, StatementLog},
    entity::{endpoint, ingest_batch, metric_event, organization_stream},
    error::Result,
    model::{
        Key, Measurement, MetricId, MetricType, OrganizationId, Position, Positions, ProjectId, RecordedMetric,
        Timestamp,
    },
};

/// Ledger rows read at once, and measurements at once.
const BATCHES_MAX: u64 = 500;
const ROWS_MAX: u32 = 5_000;

/// The last committed sequence of these organizations, or of all.
pub async fn last_sequences(
    database: &Database,
    organizations: Option<&BTreeSet<OrganizationId>>,
) -> Result<HashMap<OrganizationId, i64>> {
    let mut query = organization_stream::Entity::find();
    if let Some(organizations) = organizations {
        query = query.filter(organization_stream::Column::OrganizationId.is_in(organizations.iter().copied()));
    }
    let rows = query.all(&database.reader(StatementLog::default())).await?;
    Ok(rows.into_iter().map(|row| (row.organization_id, row.last_seq)).collect())
}

/// Where every organization stands.
pub async fn standing(database: &Database) -> Result<Vec<Poke>> {
    let last = last_sequences(database, None).await?;
    Ok(last.into_iter().map(|(organization, sequence)| Poke::committed(organization, sequence)).collect())
}

/// A batch as the database has it.
#[derive(Debug)]
pub enum Found {
    /// With all of its rows.
    Whole(CommittedBatch),
    /// Retention has taken rows of it.
    Incomplete {
        /// Whose.
        organization: OrganizationId,
        /// Which.
        sequence: i64,
    },
}

/// The next missing batches of several organizations, in the order of their sequences and as many as make a page: two
/// statements, however many organizations.
pub async fn committed(database: &Database, missing: &[Missing]) -> Result<Vec<Found>> {
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
    let parts: Vec<_> = batches.iter().map(|batch| (batch, 0..total(batch))).collect();
    let mut rows = measurements(database, &Filter::default(), &parts).await?;
    Ok(batches.iter().filter_map(|batch| whole(batch, &mut rows)).collect())
}

fn whole(batch: &ingest_batch::Model, rows: &mut BTreeMap<i64, Measured>) -> Option<Found> {
    let (organization, sequence) = (batch.organization_id, batch.seq?);
    let measurements = taken(rows, batch, &(0..total(batch))).filter_map(|(_, row)| row.measurement());
    let measurements: Vec<_> = measurements.collect();
    if u32::try_from(measurements.len()).ok() != Some(total(batch)) {
        return Some(Found::Incomplete { organization, sequence });
    }
    Some(Found::Whole(CommittedBatch {
        organization,
        project: Key::new(organization, batch.project_id),
        sequence,
        first_id: batch.first_id,
        received_at: batch.received_at,
        measurements,
    }))
}

/// A stretch of one organization's stream, as far as it was read.
#[derive(Debug)]
pub struct Page {
    organization: OrganizationId,
    parts: Vec<Part>,
}

/// A commit, or rows of it.
#[derive(Debug)]
struct Part {
    sequence: i64,
    total: u32,
    /// Those that pass, behind their places in the commit.
    passing: Vec<(u32, RecordedMetric)>,
    /// How many are no longer kept; `None`: nobody knows.
    missed: Option<u64>,
    end: Position,
}

impl Page {
    /// Packs what was read into events.
    pub fn pack(self, packer: &mut Packer) {
        let organization = self.organization;
        for Part { sequence, total, passing, missed, end } in self.parts {
            let before = (missed != Some(0)).then(|| packer.at().clone());
            packer.take(Rows { organization, sequence, total, passing: passing.into_iter(), end });
            if let Some(before) = before {
                packer.lose(before, missed);
            }
        }
    }
}

/// What one organization committed between two places, as much as makes a page: two statements, and a third where
/// retention has begun to take rows.
pub async fn page(
    database: &Database,
    filter: &Filter,
    organization: OrganizationId,
    from: Position,
    to: Position,
) -> Result<Page> {
    use ingest_batch::Column;
    let wanted = Condition::all()
        .add(Column::OrganizationId.eq(organization))
        .add(Column::Seq.between(from.sequence + 1, to.touched()));
    let batches = ledger(database, wanted).await?;
    let first = batches.first().and_then(|batch| batch.seq);
    if first != Some(from.sequence + 1) {
        // Sequences have no gaps, so the ledger no longer goes back that far.
        let end = first.map_or(to, |first| Position::after(first - 1));
        let lost = Part { sequence: end.sequence, total: 0, passing: Vec::new(), missed: None, end };
        return Ok(Page { organization, parts: vec![lost] });
    }
    let stretches = stretches(&batches, from, to);
    let watched: Vec<_> = stretches
        .iter()
        .filter(|(batch, _)| filter.watches(Key::new(organization, batch.project_id)))
        .cloned()
        .collect();
    let mut rows = measurements(database, filter, &watched).await?;
    let mut missed = missed(database, &watched).await?;
    let parts = stretches.iter().filter_map(|(batch, range)| {
        let sequence = batch.seq?;
        let metric = |(ordinal, row): (u32, Measured)| {
            let id = MetricId(row.id);
            let measurement = row.measurement()?;
            let project = Key::new(organization, batch.project_id);
            let metric = RecordedMetric { id, project, measurement, received_at: batch.received_at };
            filter.passes(&metric.measurement).then_some((ordinal, metric))
        };
        Some(Part {
            sequence,
            total: total(batch),
            passing: taken(&mut rows, batch, range).filter_map(metric).collect(),
            missed: Some(missed.remove(&sequence).unwrap_or(0)),
            end: Position::inside(sequence, range.end, total(batch)),
        })
    });
    Ok(Page { organization, parts: parts.collect() })
}

/// A commit, and the places of rows in it.
type Rowed<'a> = (&'a ingest_batch::Model, Range<u32>);

/// Which rows of which commit lie between two places, as many as make a page.
fn stretches(batches: &[ingest_batch::Model], from: Position, to: Position) -> Vec<Rowed<'_>> {
    let mut room = ROWS_MAX;
    let mut stretches = Vec::new();
    for batch in batches {
        let Some(sequence) = batch.seq.filter(|_| room > 0) else { break };
        let start = if sequence == from.touched() && from.rows > 0 { from.rows } else { 0 };
        let end = if sequence > to.sequence { to.rows } else { total(batch) };
        let end = end.min(start.saturating_add(room));
        room -= end.saturating_sub(start);
        stretches.push((batch, start..end));
    }
    stretches
}

async fn ledger(database: &Database, wanted: Condition) -> Result<Vec<ingest_batch::Model>> {
    use ingest_batch::Column;
    let query = ingest_batch::Entity::find().filter(wanted);
    let query = query.order_by_asc(Column::OrganizationId).order_by_asc(Column::Seq).limit(BATCHES_MAX);
    Ok(query.all(&database.reader(StatementLog::default())).await?)
}

/// A measurement with the path of its endpoint.
#[derive(Debug, FromQueryResult)]
struct Measured {
    id: i64,
    kind: i16,
    ts: Timestamp,
    value: f64,
    status: i16,
    name: String,
    release: String,
    path: String,
}

impl Measured {
    fn measurement(self) -> Option<Measurement> {
        Some(Measurement {
            kind: MetricType::from_code(self.kind)?,
            value: self.value,
            endpoint: self.path,
            status: self.status,
            timestamp: self.ts,
            name: self.name,
            release: self.release,
        })
    }
}

/// By id everything that is kept in the hull of these batches by series, time and id. Other batches may reach into the
/// hull; their rows are never taken out. Constant bounds instead of a join with the ledger keep both planners on the index.
async fn measurements(database: &Database, filter: &Filter, parts: &[Rowed<'_>]) -> Result<BTreeMap<i64, Measured>> {
    use metric_event::Column;
    let Some(hull) = hull(database, parts) else { return Ok(BTreeMap::new()) };
    let rows = metric_event::Entity::find()
        .select_only()
        .columns([Column::Id, Column::Kind, Column::Ts, Column::Value, Column::Status, Column::Name, Column::Release])
        .column(endpoint::Column::Path)
        .join(JoinType::InnerJoin, endpoint_of_event())
        .filter(hull)
        .filter(Column::Kind.is_in(filter.kinds().map(MetricType::code)))
        .into_model::<Measured>()
        .all(&database.reader(StatementLog::default()))
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// How many rows of each commit are no longer kept, whether they would have passed or not: what is gone does not say.
async fn missed(database: &Database, parts: &[Rowed<'_>]) -> Result<HashMap<i64, u64>> {
    let kept = database.kept().raw;
    let is_touched = |(batch, _): &&Rowed<'_>| batch.min_ts < kept;
    let touched: Vec<_> = parts.iter().filter(is_touched).cloned().collect();
    let Some(hull) = hull(database, &touched) else { return Ok(HashMap::new()) };
    let ids = metric_event::Entity::find().select_only().column(metric_event::Column::Id).filter(hull);
    let ids: Vec<i64> = ids.into_tuple().all(&database.reader(StatementLog::default())).await?;
    let ids: BTreeSet<i64> = ids.into_iter().collect();
    let missed = touched.iter().filter_map(|(batch, range)| {
        let kept = ids.range(batch.first_id + i64::from(range.start)..batch.first_id + i64::from(range.end)).count();
        let missed = u64::from(range.end - range.start).saturating_sub(kept as u64);
        Some((batch.seq?, missed))
    });
    Ok(missed.collect())
}

/// The smallest box of project, time and id around these rows, without what is no longer kept; nothing around nothing.
fn hull(database: &Database, parts: &[Rowed<'_>]) -> Option<Condition> {
    use metric_event::Column;
    let organizations: BTreeSet<OrganizationId> = parts.iter().map(|(batch, _)| batch.organization_id).collect();
    let projects: BTreeSet<ProjectId> = parts.iter().map(|(batch, _)| batch.project_id).collect();
    let first = parts.iter().map(|(batch, range)| batch.first_id + i64::from(range.start)).min()?;
    let last = parts.iter().map(|(batch, range)| batch.first_id + i64::from(range.end) - 1).max()?;
    let from = parts.iter().map(|(batch, _)| batch.min_ts).min()?.max(database.kept().raw);
    let to = parts.iter().map(|(batch, _)| batch.max_ts).max()?;
    let hull = Condition::all()
        .add(Column::OrganizationId.is_in(organizations))
        .add(Column::ProjectId.is_in(projects))
        .add(Column::Ts.between(from.as_micros(), to.as_micros()))
        .add(Column::Id.between(first, last));
    Some(hull)
}

fn endpoint_of_event() -> RelationDef {
    metric_event::Entity::belongs_to(endpoint::Entity)
        .from((metric_event::Column::OrganizationId, metric_event::Column::EndpointId))
        .to((endpoint::Column::OrganizationId, endpoint::Column::Id))
        .into()
}

/// How many rows a commit has.
fn total(batch: &ingest_batch::Model) -> u32 {
    u32::try_from(batch.n_accepted).unwrap_or(0)
}

/// Takes the rows of a commit out of those that were read, each with its place in the commit.
fn taken(
    rows: &mut BTreeMap<i64, Measured>,
    batch: &ingest_batch::Model,
    range: &Range<u32>,
) -> impl Iterator<Item = (u32, Measured)> + use<> {
    let first_id = batch.first_id;
    let mut rest = rows.split_off(&(first_id + i64::from(range.start)));
    let mut after = rest.split_off(&(first_id + i64::from(range.end)));
    rows.append(&mut after);
    rest.into_iter().filter_map(move |(id, row)| Some((u32::try_from(id - first_id).ok()?, row)))
}

/// A stream between two places.
pub struct Stretch {
    database: Database,
    filter: Filter,
    packer: Packer,
    /// Where each organization is to be read up to.
    ahead: VecDeque<(OrganizationId, Position)>,
    is_over: bool,
}

impl Stretch {
    pub fn new(database: Database, filter: Filter, from: Positions, until: &Positions, batch_max: usize) -> Self {
        let ahead = until.iter().filter(|(organization, to)| from.of(*organization) < *to).collect();
        Self { database, filter, packer: Packer::new(from, batch_max), ahead, is_over: false }
    }

    /// The next event; the last has caught up, and there is one in any case.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>> {
        loop {
            if let Some(event) = self.packer.pop_full() {
                return Ok(Some(event));
            }
            let Some((organization, to)) = self.ahead.front().copied() else {
                let is_over = std::mem::replace(&mut self.is_over, true);
                return Ok((!is_over).then(|| self.packer.cut(true)));
            };
            let from = self.packer.at().of(organization);
            if from < to {
                page(&self.database, &self.filter, organization, from, to).await?.pack(&mut self.packer);
            } else {
                self.ahead.pop_front();
            }
        }
    }
}
