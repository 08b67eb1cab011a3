//! Checks that the data in a database is consistent: the ledger, the raw rows, the rollups and the breakdowns must agree.

mod breakdowns;

use std::collections::{BTreeMap, HashMap};

use perfgraph::{
    entity::{ingest_batch, metric_event, metric_rollup_part},
    model::{
        Grain, SeriesDay, SeriesGrain, Sketch,
        timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryResult, Statement};

use super::TestDatabase;

/// Organization, project, type, bucket, endpoint.
type Series = (i64, i64, i16, i64, i64);

/// The levels of rollups, and the length of time that a row of each covers.
pub const LEVELS: [(&str, i64); 4] = [
    ("metric_rollup_1m", MINUTE_MICROS),
    ("metric_rollup_5m", FIVE_MINUTES_MICROS),
    ("metric_rollup_1h", HOUR_MICROS),
    ("metric_rollup_1d", DAY_MICROS),
];

#[derive(Debug, Default)]
struct Cell {
    count: i64,
    errors: i64,
    sum: f64,
    values: Vec<f64>,
    sketch: Sketch,
}

/// Fails if a batch of the ledger does not have exactly its rows, or if a rollup is not the aggregation of the raw
/// rows. Returns the ledger: the number of rows by key.
pub async fn check(database: &TestDatabase) -> BTreeMap<String, i64> {
    // One snapshot: compaction runs meanwhile, and a part must not be read a second time as a merged row.
    let session = database.reader().begin().await.unwrap();
    if session.get_database_backend() == DbBackend::Postgres {
        session.execute_unprepared("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    }
    let events = metric_event::Entity::find().all(&session).await.unwrap();
    let batches = ingest_batch::Entity::find().all(&session).await.unwrap();
    let mut ids: Vec<_> = events.iter().map(|event| event.id.0).collect();
    ids.sort_unstable();
    let mut expected: Vec<_> =
        batches.iter().flat_map(|batch| batch.first_id..batch.first_id + i64::from(batch.n_accepted)).collect();
    expected.sort_unstable();
    assert!(ids == expected, "{} rows, but the ledger has {}", ids.len(), expected.len());

    let grains = grains(&session).await;
    let parts = rows_in(&session, "metric_rollup_part").await;
    for (table, width) in LEVELS {
        let rolled = rows_in(&session, table).await;
        assert!(
            rolled.iter().all(|row| has_level(&grains, &part_series(row), width)),
            "{table} is too fine for a series"
        );
        // Parts that are not merged yet belong to every level.
        let parts = parts.iter().filter(|part| has_level(&grains, &part_series(part), width)).cloned();
        check_level(&events, rolled.into_iter().chain(parts), &grains, width);
    }
    breakdowns::check(&session, &events).await;
    batches.into_iter().map(|batch| (batch.idem_key, i64::from(batch.n_accepted))).collect()
}

/// Compares breakdowns with the raw rows alone.
pub async fn check_breakdowns(database: &TestDatabase) {
    let session = database.reader();
    breakdowns::check(&session, &metric_event::Entity::find().all(&session).await.unwrap()).await;
}

/// All rows of a rollup table, which has the columns of a part.
pub async fn rows(database: &TestDatabase, table: &str) -> Vec<metric_rollup_part::Model> {
    rows_in(&database.reader(), table).await
}

/// The number of rows of a table.
pub async fn count(database: &TestDatabase, table: &str) -> i64 {
    let session = database.reader();
    let statement = Statement::from_string(session.get_database_backend(), format!("SELECT COUNT(*) FROM {table}"));
    session.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn rows_in(session: &impl ConnectionTrait, table: &str) -> Vec<metric_rollup_part::Model> {
    let statement = Statement::from_string(session.get_database_backend(), format!("SELECT * FROM {table}"));
    metric_rollup_part::Entity::find().from_raw_sql(statement).all(session).await.unwrap()
}

type Grains = HashMap<SeriesDay, SeriesGrain>;

async fn grains(session: &impl ConnectionTrait) -> Grains {
    let sql = "SELECT organization_id, project_id, kind, day, all_endpoints, by_endpoint FROM metric_grain";
    let rows = session.query_all_raw(Statement::from_string(session.get_database_backend(), sql)).await.unwrap();
    let read = |row: &QueryResult| {
        let series = SeriesDay {
            organization: row.try_get_by_index(0).unwrap(),
            project: row.try_get_by_index(1).unwrap(),
            kind: row.try_get_by_index(2).unwrap(),
            day: row.try_get_by_index(3).unwrap(),
        };
        let grain = |at| Grain::from_code(row.try_get_by_index(at).unwrap());
        (series, SeriesGrain { all_endpoints: grain(4), by_endpoint: grain(5) })
    };
    rows.iter().map(read).collect()
}

/// True if a series has rollups of this width on the day of a bucket.
fn has_level(grains: &Grains, &(organization, project, kind, bucket, endpoint): &Series, width: i64) -> bool {
    let day = bucket - bucket.rem_euclid(DAY_MICROS);
    let grain = grains.get(&SeriesDay { organization, project, kind, day }).copied().unwrap_or_default();
    let grain = if endpoint == 0 { grain.all_endpoints } else { grain.by_endpoint };
    grain.width_micros().is_some_and(|finest| finest <= width)
}

const fn part_series(row: &metric_rollup_part::Model) -> Series {
    (row.organization_id.0, row.project_id.0, row.kind, row.bucket.as_micros(), row.endpoint_id.0)
}

fn check_level(
    events: &[metric_event::Model],
    rolled_up: impl Iterator<Item = metric_rollup_part::Model>,
    grains: &Grains,
    width: i64,
) {
    let mut cells: BTreeMap<Series, Cell> = BTreeMap::new();
    for event in events {
        for endpoint in [0, event.endpoint_id.0] {
            let bucket = event.ts.floor(width).as_micros();
            let series = (event.organization_id.0, event.project_id.0, event.kind, bucket, endpoint);
            if !has_level(grains, &series, width) {
                continue;
            }
            let cell = cells.entry(series).or_default();
            cell.count += 1;
            cell.errors += i64::from(event.status >= 400);
            cell.sum += event.value;
            cell.values.push(event.value);
            cell.sketch.record(event.bin, 1);
        }
    }
    let mut rolled: BTreeMap<Series, Cell> = BTreeMap::new();
    for row in rolled_up {
        let bucket = row.bucket.floor(width).as_micros();
        let series = (row.organization_id.0, row.project_id.0, row.kind, bucket, row.endpoint_id.0);
        let cell = rolled.entry(series).or_default();
        cell.count += row.n;
        cell.errors += row.n_err;
        cell.sum += row.sum;
        cell.values.extend([row.min, row.max]);
        cell.sketch.merge_encoded(&row.sketch).unwrap();
    }
    assert!(cells.keys().eq(rolled.keys()), "{} series, {} rolled up by {width}", cells.len(), rolled.len());
    for (series, cell) in &mut cells {
        let rolled = rolled.get_mut(series).unwrap();
        assert_eq!((rolled.count, rolled.errors), (cell.count, cell.errors), "{series:?}");
        assert!((rolled.sum - cell.sum).abs() <= 1e-9 * cell.sum.abs(), "{series:?}: {} {}", rolled.sum, cell.sum);
        cell.values.sort_by(f64::total_cmp);
        rolled.values.sort_by(f64::total_cmp);
        let ends = |values: &[f64]| (values.first().copied(), values.last().copied());
        assert_eq!(ends(&rolled.values), ends(&cell.values), "{series:?}");
        assert_eq!(rolled.sketch.encode(), cell.sketch.encode(), "{series:?}");
    }
}
