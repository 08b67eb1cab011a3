//! Reads committed batches again, in the order of their sequences and a page at a time.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationDef,
};

use super::{CommittedBatch, Filter, Poke, StreamEvent, publisher::Missing};
use crate::{
    db::{Database, StatementLog},
    entity::{endpoint, ingest_batch, metric_event, organization_stream},
    error::{Error, Result},
    model::{
        Key, Measurement, MetricId, MetricType, OrganizationId, ProjectId, RecordedMetric, StreamCursor, Timestamp,
    },
};

/// Ledger rows read at once, and measurements at once unless a single batch has more.
const BATCHES_MAX: u64 = 500;
const ROWS_MAX: i64 = 10_000;

/// The last committed sequence of these organizations, or of all.
pub async fn last_sequences<'a>(
    database: &Database,
    organizations: Option<impl IntoIterator<Item = &'a OrganizationId>>,
) -> Result<HashMap<OrganizationId, i64>> {
    let mut query = organization_stream::Entity::find();
    if let Some(organizations) = organizations {
        query = query.filter(organization_stream::Column::OrganizationId.is_in(organizations.into_iter().copied()));
    }
    let rows = query.all(&database.reader(StatementLog::default())).await?;
    Ok(rows.into_iter().map(|row| (row.organization_id, row.last_seq)).collect())
}

/// Where every organization stands.
pub async fn standing(database: &Database) -> Result<Vec<Poke>> {
    let rows = organization_stream::Entity::find().all(&database.reader(StatementLog::default())).await?;
    Ok(rows.iter().map(|row| Poke::committed(row.organization_id, row.last_seq)).collect())
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
    let any = missing.iter().fold(Condition::any(), |any, one| {
        any.add(
            Condition::all()
                .add(ingest_batch::Column::OrganizationId.eq(one.organization))
                .add(ingest_batch::Column::Seq.between(one.after + 1, one.to)),
        )
    });
    let mut batches = ingest_batch::Entity::find()
        .filter(any)
        .order_by_asc(ingest_batch::Column::OrganizationId)
        .order_by_asc(ingest_batch::Column::Seq)
        .limit(BATCHES_MAX)
        .all(&database.reader(StatementLog::default()))
        .await?;
    let mut next: HashMap<OrganizationId, i64> = missing.iter().map(|one| (one.organization, one.after + 1)).collect();
    batches.retain(|batch| {
        let next = next.entry(batch.organization_id).or_default();
        let is_next = batch.seq == Some(*next);
        *next += i64::from(is_next);
        is_next
    });
    shorten(&mut batches);
    let everything = Filter::default();
    let watched: Vec<_> = batches.iter().collect();
    let mut rows = if watched.is_empty() {
        Rows::of(Vec::new())
    } else {
        Rows::of(measurements(database, &everything, &watched).await?)
    };
    Ok(watched.into_iter().filter_map(|batch| whole(batch, &mut rows)).collect())
}

fn whole(batch: &ingest_batch::Model, rows: &mut Rows) -> Option<Found> {
    let (organization, sequence) = (batch.organization_id, batch.seq?);
    let measurements: Vec<_> = rows.take(batch.first_id, last_id(batch)).filter_map(Measured::measurement).collect();
    if i64::try_from(measurements.len()).ok() != Some(i64::from(batch.n_accepted)) {
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

/// What was read, and how far.
#[derive(Debug)]
pub struct Page {
    /// One per batch with rows that pass the filter.
    pub events: Vec<StreamEvent>,
    /// The last sequence that the page covers, whether or not anything in it passed.
    pub last: i64,
}

/// The first row to be read.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    organization: OrganizationId,
    sequence: i64,
    ordinal: u32,
}

impl Start {
    /// The batch `sequence`, without the rows up to `resume` where that stands in this very batch.
    pub fn at(organization: OrganizationId, sequence: i64, resume: Option<&StreamCursor>) -> Self {
        let inside = resume.filter(|cursor| cursor.organization == organization && cursor.sequence == sequence);
        Self { organization, sequence, ordinal: inside.map_or(0, |cursor| cursor.ordinal.saturating_add(1)) }
    }
}

/// The batches from `start` up to the sequence `to`, as many as make a page: two statements.
pub async fn page(database: &Database, filter: &Filter, start: Start, to: i64) -> Result<Page> {
    let ledger = ledger(database, start, to).await?;
    let last = ledger.last().and_then(|batch| batch.seq).unwrap_or(to);
    let watched: Vec<&ingest_batch::Model> =
        ledger.iter().filter(|batch| filter.watches(Key::new(batch.organization_id, batch.project_id))).collect();
    if watched.is_empty() {
        return Ok(Page { events: Vec::new(), last });
    }
    let mut rows = Rows::of(measurements(database, filter, &watched).await?);
    let events = watched.into_iter().filter_map(|batch| event(batch, &mut rows, filter, start));
    Ok(Page { events: events.collect(), last })
}

/// The ledger rows of a page, without gaps.
async fn ledger(database: &Database, start: Start, to: i64) -> Result<Vec<ingest_batch::Model>> {
    let from = start.sequence;
    let mut batches = ingest_batch::Entity::find()
        .filter(ingest_batch::Column::OrganizationId.eq(start.organization))
        .filter(ingest_batch::Column::Seq.between(from, to))
        .order_by_asc(ingest_batch::Column::Seq)
        .limit(BATCHES_MAX)
        .all(&database.reader(StatementLog::default()))
        .await?;
    // Sequences have no gaps, so the first one is missing only where the ledger no longer goes back that far.
    if batches.first().and_then(|batch| batch.seq) != Some(from) {
        return Err(Error::input(
            "after",
            "is older than what is kept; open the stream without it and query the time in between",
        ));
    }
    shorten(&mut batches);
    Ok(batches)
}

/// Leaves as many batches as have a page's rows together, one at least.
fn shorten(batches: &mut Vec<ingest_batch::Model>) {
    let mut rows = 0;
    let within = batches
        .iter()
        .take_while(|batch| {
            rows += i64::from(batch.n_accepted);
            rows <= ROWS_MAX
        })
        .count();
    batches.truncate(within.max(1));
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

/// Everything in the hull of these batches by series, time and id. Other batches may reach into the hull; their rows
/// fall out by id. Constant bounds instead of a join with the ledger keep both planners on the index.
async fn measurements(database: &Database, filter: &Filter, batches: &[&ingest_batch::Model]) -> Result<Vec<Measured>> {
    use metric_event::Column;
    let hull = |low: fn(&ingest_batch::Model) -> i64, high: fn(&ingest_batch::Model) -> i64| {
        let low = batches.iter().map(|batch| low(batch)).min();
        let high = batches.iter().map(|batch| high(batch)).max();
        low.zip(high).unwrap_or_default()
    };
    let times = hull(|batch| batch.min_ts.as_micros(), |batch| batch.max_ts.as_micros());
    let ids = hull(|batch| batch.first_id, last_id);
    let organizations: BTreeSet<OrganizationId> = batches.iter().map(|batch| batch.organization_id).collect();
    let projects: BTreeSet<ProjectId> = batches.iter().map(|batch| batch.project_id).collect();
    Ok(metric_event::Entity::find()
        .select_only()
        .columns([Column::Id, Column::Kind, Column::Ts, Column::Value, Column::Status, Column::Name, Column::Release])
        .column(endpoint::Column::Path)
        .join(JoinType::InnerJoin, endpoint_of_event())
        .filter(Column::OrganizationId.is_in(organizations))
        .filter(Column::ProjectId.is_in(projects))
        .filter(Column::Kind.is_in(filter.kinds().map(MetricType::code)))
        .filter(Column::Ts.between(times.0, times.1))
        .filter(Column::Id.between(ids.0, ids.1))
        .into_model::<Measured>()
        .all(&database.reader(StatementLog::default()))
        .await?)
}

fn endpoint_of_event() -> RelationDef {
    metric_event::Entity::belongs_to(endpoint::Entity)
        .from((metric_event::Column::OrganizationId, metric_event::Column::EndpointId))
        .to((endpoint::Column::OrganizationId, endpoint::Column::Id))
        .into()
}

fn last_id(batch: &ingest_batch::Model) -> i64 {
    batch.first_id + i64::from(batch.n_accepted) - 1
}

/// Measurements by id, to be taken out batch by batch.
struct Rows(std::collections::BTreeMap<i64, Measured>);

impl Rows {
    fn of(found: Vec<Measured>) -> Self {
        Self(found.into_iter().map(|row| (row.id, row)).collect())
    }

    fn take(&mut self, first: i64, last: i64) -> impl Iterator<Item = Measured> {
        let mut rest = self.0.split_off(&first);
        let mut after = rest.split_off(&(last + 1));
        self.0.append(&mut after);
        rest.into_values()
    }
}

fn event(batch: &ingest_batch::Model, rows: &mut Rows, filter: &Filter, start: Start) -> Option<StreamEvent> {
    let sequence = batch.seq?;
    let seen = if sequence == start.sequence { start.ordinal } else { 0 };
    let recorded = |row: Measured| {
        let id = MetricId(row.id);
        let measurement = row.measurement()?;
        filter.passes(&measurement).then(|| RecordedMetric {
            id,
            project: Key::new(batch.organization_id, batch.project_id),
            measurement,
            received_at: batch.received_at,
        })
    };
    let metrics: Vec<_> = rows.take(batch.first_id + i64::from(seen), last_id(batch)).filter_map(recorded).collect();
    let cursor = StreamCursor {
        organization: batch.organization_id,
        sequence,
        ordinal: u32::try_from(batch.n_accepted - 1).unwrap_or(0),
    };
    (!metrics.is_empty()).then_some(StreamEvent { cursor, metrics })
}
