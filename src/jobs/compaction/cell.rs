//! Rows of rollups, and how many of them become one. Pure.

use std::collections::BTreeMap;

use sea_orm::QueryResult;

use crate::{
    error::{Error, Result},
    model::{Sketch, Timestamp},
};

/// What was measured in a bucket of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    pub bucket: i64,
    pub endpoint: i64,
    pub n: i64,
    pub n_err: i64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub sketch: Vec<u8>,
}

/// The columns of a [`Cell`] in the order of [`Columns`].
pub const COLUMNS: &str = "organization_id, project_id, kind, bucket, endpoint_id, n, n_err, sum, min, max, sketch";

pub type Columns = (i64, i64, i16, i64, i64, i64, i64, f64, f64, f64, Vec<u8>);

impl From<Columns> for Cell {
    fn from((organization, project, kind, bucket, endpoint, n, n_err, sum, min, max, sketch): Columns) -> Self {
        Self { organization, project, kind, bucket, endpoint, n, n_err, sum, min, max, sketch }
    }
}

/// What one commit added to a minute of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub cell: Cell,
    pub part: i64,
}

/// Organization, project, type, bucket, endpoint, part.
pub type Place = (i64, i64, i16, i64, i64, i64);

impl Part {
    /// No part comes before it.
    pub const BEFORE_ALL: Place = (i64::MIN, i64::MIN, i16::MIN, i64::MIN, i64::MIN, i64::MIN);

    /// Its key.
    pub const fn place(&self) -> Place {
        let Cell { organization, project, kind, bucket, endpoint, .. } = self.cell;
        (organization, project, kind, bucket, endpoint, self.part)
    }

    /// From a row with the columns of a cell and the part behind them.
    pub fn read(row: &QueryResult) -> Result<Self> {
        let cell = Cell {
            organization: row.try_get_by_index(0)?,
            project: row.try_get_by_index(1)?,
            kind: row.try_get_by_index(2)?,
            bucket: row.try_get_by_index(3)?,
            endpoint: row.try_get_by_index(4)?,
            n: row.try_get_by_index(5)?,
            n_err: row.try_get_by_index(6)?,
            sum: row.try_get_by_index(7)?,
            min: row.try_get_by_index(8)?,
            max: row.try_get_by_index(9)?,
            sketch: row.try_get_by_index(10)?,
        };
        Ok(Self { cell, part: row.try_get_by_index(11)? })
    }
}

/// One cell per series and bucket of `width` microseconds, in the order of their keys.
///
/// # Errors
/// When a sketch cannot be read.
pub fn merged(cells: impl IntoIterator<Item = Cell>, width: i64) -> Result<Vec<Cell>> {
    let mut groups: BTreeMap<_, (Cell, Option<Sketch>)> = BTreeMap::new();
    for mut cell in cells {
        cell.bucket = Timestamp::from_micros(cell.bucket).floor(width).as_micros();
        let place = (cell.organization, cell.project, cell.kind, cell.bucket, cell.endpoint);
        match groups.get_mut(&place) {
            None => drop(groups.insert(place, (cell, None))),
            Some((sum, sketch)) => {
                if sketch.is_none() {
                    // Decoded when there is something to merge it with, and not before.
                    sketch.insert(Sketch::new()).merge_encoded(&sum.sketch).map_err(Error::internal)?;
                }
                let sketch = sketch.get_or_insert_default();
                sketch.merge_encoded(&cell.sketch).map_err(Error::internal)?;
                sum.n = sum.n.saturating_add(cell.n);
                sum.n_err = sum.n_err.saturating_add(cell.n_err);
                sum.sum += cell.sum;
                sum.min = sum.min.min(cell.min);
                sum.max = sum.max.max(cell.max);
            }
        }
    }
    let encoded = |(mut cell, sketch): (Cell, Option<Sketch>)| {
        if let Some(sketch) = sketch {
            cell.sketch = sketch.encode();
        }
        cell
    };
    Ok(groups.into_values().map(encoded).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{sketch::bin_of, timestamp::MINUTE_MICROS};

    fn cell(bucket: i64, endpoint: i64, values: &[f64]) -> Cell {
        let mut sketch = Sketch::new();
        for value in values {
            sketch.record(bin_of(*value), 1);
        }
        Cell {
            organization: 1,
            project: 2,
            kind: 1,
            bucket,
            endpoint,
            n: i64::try_from(values.len()).unwrap(),
            n_err: 1,
            sum: values.iter().sum(),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(0.0, f64::max),
            sketch: sketch.encode(),
        }
    }

    #[test]
    fn buckets_of_a_series_become_one_and_others_stay_apart() {
        let minute = MINUTE_MICROS;
        let cells = [
            cell(minute, 7, &[5.0, 1.0]),
            cell(0, 8, &[4.0]),
            cell(2 * minute, 7, &[3.0]),
            cell(60 * minute, 7, &[9.0]),
        ];
        let mut expected = [cell(0, 7, &[5.0, 1.0, 3.0]), cell(0, 8, &[4.0]), cell(60 * minute, 7, &[9.0])];
        expected[0].n_err = 2;
        assert_eq!(merged(cells.clone(), 60 * minute).unwrap(), expected);
        assert_eq!(merged(cells.clone(), minute).unwrap().len(), 4);
        let mut damaged = cells;
        damaged[2].sketch = vec![9];
        assert!(merged(damaged, 60 * minute).is_err());
    }
}
