//! From the rows of a commit to the parts of the minute rollup. Pure.

use crate::model::{
    EndpointId, Measurement, Sketch, StoredTally,
    sketch::bin_of,
    timestamp::{MINUTE_MICROS, Timestamp},
};

use super::group::Entry;

/// A raw row as both databases store it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    pub ts: i64,
    pub id: i64,
    pub value: f64,
    pub endpoint: i64,
    pub status: i16,
    pub bin: i16,
    /// Where its name and its release stand, if it has any: mostly none has, and rows are moved about a lot.
    pub tags: Option<&'a Measurement>,
}

impl<'a> Row<'a> {
    /// What was measured, if it says so.
    pub fn name(&self) -> &'a str {
        self.tags.map_or("", |measurement| &measurement.name)
    }

    /// The release that was running, if it says so.
    pub fn release(&self) -> &'a str {
        self.tags.map_or("", |measurement| &measurement.release)
    }
}

/// What one commit adds to one cell of the minute rollup.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    pub bucket: i64,
    pub endpoint: i64,
    pub tally: StoredTally,
}

/// The rows of these entries in the order of the raw table's index: sorted inserts touch 40 times fewer pages.
pub fn rows<'e, 'j: 'e>(entries: impl IntoIterator<Item = &'e Entry<'j>>) -> Vec<Row<'e>> {
    let mut rows = Vec::new();
    for entry in entries {
        let project = entry.job.project;
        let numbered = (entry.first_id..).zip(&entry.job.measurements).zip(&entry.endpoints);
        rows.extend(numbered.map(|((id, measurement), endpoint)| Row {
            organization: project.organization.0,
            project: project.id.0,
            kind: measurement.kind.code(),
            ts: measurement.timestamp.as_micros(),
            id,
            value: measurement.value,
            endpoint: endpoint.0,
            status: measurement.status,
            bin: bin_of(measurement.value),
            tags: measurement.is_tagged().then_some(measurement),
        }));
    }
    rows.sort_unstable_by_key(|row| (row.organization, row.project, row.kind, row.ts, row.id));
    rows
}

/// The cells of `rows`, which [`rows`] has sorted: one per endpoint and one for all endpoints, per minute.
pub fn cells(rows: &[Row<'_>]) -> Vec<Cell> {
    let series = |row: &Row<'_>| (row.organization, row.project, row.kind, bucket(row));
    let mut cells = Vec::new();
    let mut minute = Vec::new();
    for run in rows.chunk_by(|a, b| series(a) == series(b)) {
        cells.extend(cell(run.iter(), EndpointId::ALL.0));
        minute.clear();
        minute.extend(run);
        minute.sort_unstable_by_key(|row: &&Row<'_>| row.endpoint);
        for own in minute.chunk_by(|a, b| a.endpoint == b.endpoint) {
            cells.extend(own.first().and_then(|row| cell(own.iter().copied(), row.endpoint)));
        }
    }
    cells
}

fn bucket(row: &Row<'_>) -> i64 {
    Timestamp::from_micros(row.ts).floor(MINUTE_MICROS).as_micros()
}

fn cell<'r>(rows: impl Iterator<Item = &'r Row<'r>> + Clone, endpoint: i64) -> Option<Cell> {
    let first = rows.clone().next()?;
    // A sketch that is made of all its bins at once need not grow.
    let mut tally = StoredTally::empty(Sketch::of(rows.clone().map(|row| row.bin)).encode());
    for row in rows {
        tally.add_figures(row.value, row.status);
    }
    Some(Cell {
        organization: first.organization,
        project: first.project,
        kind: first.kind,
        bucket: bucket(first),
        endpoint,
        tally,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ts: i64, endpoint: i64, value: f64, status: i16) -> Row<'static> {
        Row {
            organization: 1,
            project: 2,
            kind: 1,
            ts,
            id: ts,
            value,
            endpoint,
            status,
            bin: bin_of(value),
            tags: None,
        }
    }

    #[test]
    fn a_minute_has_one_cell_per_endpoint_and_one_for_all() {
        let rows =
            [row(0, 7, 3.0, 200), row(1, 8, 1.0, 500), row(59_999_999, 7, 2.0, 404), row(60_000_000, 7, 9.0, 399)];
        let cells = cells(&rows);
        let summary: Vec<_> = cells
            .iter()
            .map(|Cell { bucket, endpoint, tally, .. }| {
                let extremes = tally.min().zip(tally.max()).unwrap();
                (*bucket, *endpoint, tally.count, tally.errors, tally.sum, extremes.0, extremes.1)
            })
            .collect();
        assert_eq!(
            summary,
            [
                (0, 0, 3, 2, 6.0, 1.0, 3.0),
                (0, 7, 2, 1, 5.0, 2.0, 3.0),
                (0, 8, 1, 1, 1.0, 1.0, 1.0),
                (60_000_000, 0, 1, 0, 9.0, 9.0, 9.0),
                (60_000_000, 7, 1, 0, 9.0, 9.0, 9.0),
            ]
        );
        let mut all = crate::model::Tally::default();
        all.merge_stored(&cells[1].tally).unwrap();
        all.merge_stored(&cells[2].tally).unwrap();
        assert_eq!(all.encode(), cells[0].tally);
    }
}
