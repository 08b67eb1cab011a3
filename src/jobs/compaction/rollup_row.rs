//! Rows of rollup tables, and their merge into wider buckets. Pure.

use std::collections::BTreeMap;

use sea_orm::QueryResult;

use crate::{
    error::{Error, Result},
    model::{Sketch, StoredTally, Timestamp},
};

/// The measurements of a series in one bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct RollupRow {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    pub bucket: i64,
    pub endpoint: i64,
    pub tally: StoredTally,
}

/// The columns of a [`RollupRow`] in the order of [`Columns`].
pub const COLUMNS: &str = "organization_id, project_id, kind, bucket, endpoint_id, n, n_err, sum, min, max, sketch";

pub type Columns = (i64, i64, i16, i64, i64, i64, i64, f64, f64, f64, Vec<u8>);

impl From<Columns> for RollupRow {
    fn from((organization, project, kind, bucket, endpoint, n, n_err, sum, min, max, sketch): Columns) -> Self {
        let tally = StoredTally::from_columns((n, n_err, sum, min, max, sketch));
        Self { organization, project, kind, bucket, endpoint, tally }
    }
}

/// The measurements that one commit added to a bucket of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct RollupPart {
    pub row: RollupRow,
    pub part: i64,
}

/// The primary key of a part: organization, project, type, bucket, endpoint, part.
pub type PartKey = (i64, i64, i16, i64, i64, i64);

impl RollupPart {
    /// The key before all others.
    pub const BEFORE_ALL: PartKey = (i64::MIN, i64::MIN, i16::MIN, i64::MIN, i64::MIN, i64::MIN);

    /// The key of this part.
    pub const fn key(&self) -> PartKey {
        let RollupRow { organization, project, kind, bucket, endpoint, .. } = self.row;
        (organization, project, kind, bucket, endpoint, self.part)
    }

    /// Reads a part from [`COLUMNS`] and the column `part` after them.
    pub fn read(result: &QueryResult) -> Result<Self> {
        let figures = (
            result.try_get_by_index(5)?,
            result.try_get_by_index(6)?,
            result.try_get_by_index(7)?,
            result.try_get_by_index(8)?,
            result.try_get_by_index(9)?,
            result.try_get_by_index(10)?,
        );
        let row = RollupRow {
            organization: result.try_get_by_index(0)?,
            project: result.try_get_by_index(1)?,
            kind: result.try_get_by_index(2)?,
            bucket: result.try_get_by_index(3)?,
            endpoint: result.try_get_by_index(4)?,
            tally: StoredTally::from_columns(figures),
        };
        Ok(Self { row, part: result.try_get_by_index(11)? })
    }
}

/// Merges rows into one per series and bucket of `width` microseconds, in the order of their keys.
///
/// # Errors
/// A sketch cannot be decoded.
pub fn merged(rows: impl IntoIterator<Item = RollupRow>, width: i64) -> Result<Vec<RollupRow>> {
    let mut groups: BTreeMap<_, (RollupRow, Option<Sketch>)> = BTreeMap::new();
    for mut row in rows {
        row.bucket = Timestamp::from_micros(row.bucket).floor(width).as_micros();
        let key = (row.organization, row.project, row.kind, row.bucket, row.endpoint);
        match groups.get_mut(&key) {
            None => drop(groups.insert(key, (row, None))),
            Some((sum, sketch)) => {
                if sketch.is_none() {
                    // Decoded on the first merge only: most rows are not merged.
                    sketch.insert(Sketch::new()).merge_encoded(&sum.tally.distribution).map_err(Error::internal)?;
                }
                let sketch = sketch.get_or_insert_default();
                let merge = |_: &mut Vec<u8>, bytes: &Vec<u8>| sketch.merge_encoded(bytes);
                sum.tally.merge_with(&row.tally, merge).map_err(Error::internal)?;
            }
        }
    }
    let encoded = |(mut row, sketch): (RollupRow, Option<Sketch>)| {
        if let Some(sketch) = sketch {
            row.tally.distribution = sketch.encode();
        }
        row
    };
    Ok(groups.into_values().map(encoded).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Tally, timestamp::MINUTE_MICROS};

    fn row(bucket: i64, endpoint: i64, values: &[f64]) -> RollupRow {
        let mut tally = Tally::default();
        for (value, status) in values.iter().zip([500].into_iter().chain(std::iter::repeat(200))) {
            tally.add(*value, status);
        }
        RollupRow { organization: 1, project: 2, kind: 1, bucket, endpoint, tally: tally.encode() }
    }

    #[test]
    fn buckets_of_a_series_become_one_and_others_stay_apart() {
        let minute = MINUTE_MICROS;
        let rows =
            [row(minute, 7, &[5.0, 1.0]), row(0, 8, &[4.0]), row(2 * minute, 7, &[3.0]), row(60 * minute, 7, &[9.0])];
        let mut expected = [row(0, 7, &[5.0, 1.0, 3.0]), row(0, 8, &[4.0]), row(60 * minute, 7, &[9.0])];
        expected[0].tally.errors = 2;
        assert_eq!(merged(rows.clone(), 60 * minute).unwrap(), expected);
        assert_eq!(merged(rows.clone(), minute).unwrap().len(), 4);
        let mut damaged = rows;
        damaged[2].tally.distribution = vec![9];
        assert!(merged(damaged, 60 * minute).is_err());
    }
}
