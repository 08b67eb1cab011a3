//! Whether what stands in a database is consistent: the ledger, the raw rows and the rollups say the same.

use std::collections::BTreeMap;

use perfgraph::{
    entity::{ingest_batch, metric_event, metric_rollup_minute},
    model::{Sketch, timestamp::MINUTE_MICROS},
};
use sea_orm::EntityTrait;

use super::TestDatabase;

/// Organization, project, type, minute, endpoint.
type Series = (i64, i64, i16, i64, i64);

#[derive(Debug, Default)]
struct Cell {
    count: i64,
    errors: i64,
    sum: f64,
    values: Vec<f64>,
    sketch: Sketch,
}

/// Fails where a batch of the ledger has not exactly its rows, or a rollup is not the aggregation of the raw rows.
/// Answers the ledger: key and number of rows.
pub async fn check(database: &TestDatabase) -> BTreeMap<String, i64> {
    let session = database.reader();
    let events = metric_event::Entity::find().all(&session).await.unwrap();
    let batches = ingest_batch::Entity::find().all(&session).await.unwrap();
    let mut ids: Vec<_> = events.iter().map(|event| event.id.0).collect();
    ids.sort_unstable();
    let mut expected: Vec<_> =
        batches.iter().flat_map(|batch| batch.first_id..batch.first_id + i64::from(batch.n_accepted)).collect();
    expected.sort_unstable();
    assert!(ids == expected, "{} rows, but the ledger has {}", ids.len(), expected.len());

    let mut cells: BTreeMap<Series, Cell> = BTreeMap::new();
    for event in &events {
        for endpoint in [0, event.endpoint_id.0] {
            let minute = event.ts.floor(MINUTE_MICROS).as_micros();
            let series = (event.organization_id.0, event.project_id.0, event.kind, minute, endpoint);
            let cell = cells.entry(series).or_default();
            cell.count += 1;
            cell.errors += i64::from(event.status >= 400);
            cell.sum += event.value;
            cell.values.push(event.value);
            cell.sketch.record(event.bin, 1);
        }
    }
    let mut rolled: BTreeMap<Series, Cell> = BTreeMap::new();
    for part in metric_rollup_minute::Entity::find().all(&session).await.unwrap() {
        let minute = part.bucket.as_micros();
        let series = (part.organization_id.0, part.project_id.0, part.kind, minute, part.endpoint_id.0);
        let cell = rolled.entry(series).or_default();
        cell.count += part.n;
        cell.errors += part.n_err;
        cell.sum += part.sum;
        cell.values.extend([part.min, part.max]);
        cell.sketch.merge_encoded(&part.sketch).unwrap();
    }
    assert!(cells.keys().eq(rolled.keys()), "{} series, {} rolled up", cells.len(), rolled.len());
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
    batches.into_iter().map(|batch| (batch.idem_key, i64::from(batch.n_accepted))).collect()
}
