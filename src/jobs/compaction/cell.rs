//! Rows of rollups, and how many of them become one. Pure.

use std::collections::BTreeMap;

use sea_orm::QueryResult;

use crate::{
    error::{Error, Result},
    model::{Sketch, StoredTally, Timestamp},
};

/// What was measured in a bucket of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    pub bucket: i64,
    pub endpoint: i64,
    pub tally: StoredTally,
}

/// The columns of a [`Cell`] in the order of [`Columns`].
pub const COLUMNS: &str = "organization_id, project_id, kind, bucket, endpoint_id, n, n_err, sum, min, max, sketch";

pub type Columns = (i64, i64, i16, i64, i64, i64, i64, f64, f64, f64, Vec<u8>);

impl From<Columns> for Cell {
    fn from((organization, project, kind, bucket, endpoint, n, n_err, sum, min, max, sketch): Columns) -> Self {
        let tally = StoredTally::from_columns((n, n_err, sum, min, max, sketch));
        Self { organization, project, kind, bucket, endpoint, tally }
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
        let figures = (
            row.try_get_by_index(5)?,
            row.try_get_by_index(6)?,
            row.try_get_by_index(7)?,
            row.try_get_by_index(8)?,
            row.try_get_by_index(9)?,
            row.try_get_by_index(10)?,
        );
        let cell = Cell {
            organization: row.try_get_by_index(0)?,
            project: row.try_get_by_index(1)?,
            kind: row.try_get_by_index(2)?,
            bucket: row.try_get_by_index(3)?,
            endpoint: row.try_get_by_index(4)?,
            tally: StoredTally::from_columns(figures),
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
                    sketch.insert(Sketch::new()).merge_encoded(&sum.tally.distribution).map_err(Error::internal)?;
                }
                let sketch = sketch.get_or_insert_default();
                let merge = |_: &mut Vec<u8>, bytes: &Vec<u8>| sketch.merge_encoded(bytes);
                sum.tally.merge_with(&cell.tally, merge).map_err(Error::internal)?;
            }
        }
    }
    let encoded = |(mut cell, sketch): (Cell, Option<Sketch>)| {
        if let Some(sketch) = sketch {
            cell.tally.distribution = sketch.encode();
        }
        cell
    };
    Ok(groups.into_values().map(encoded).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Tally, timestamp::MINUTE_MICROS};

    fn cell(bucket: i64, endpoint: i64, values: &[f64]) -> Cell {
        let mut tally = Tally::default();
        for (value, status) in values.iter().zip([500].into_iter().chain(std::iter::repeat(200))) {
            tally.add(*value, status);
        }
        Cell { organization: 1, project: 2, kind: 1, bucket, endpoint, tally: tally.encode() }
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
        expected[0].tally.errors = 2;
        assert_eq!(merged(cells.clone(), 60 * minute).unwrap(), expected);
        assert_eq!(merged(cells.clone(), minute).unwrap().len(), 4);
        let mut damaged = cells;
        damaged[2].tally.distribution = vec![9];
        assert!(merged(damaged, 60 * minute).is_err());
    }
}
