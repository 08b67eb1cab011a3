//! The minutes of an endpoint as they are stored, packed.
//!
//! A comparison holds the minutes of all its endpoints until the last row has come, because rows come in the order of time. As
//! values of their own they took twice as much memory, and a decoded sketch takes many times as much.

use bytes::{Buf, BufMut};

use super::estimate::Minutes;
use crate::model::{StoredTally, sketch::SketchError};

/// The figures of a row without its sketch: start, two counts, sum, two extremes, and the length of the sketch.
const FIGURES_BYTES: usize = 6 * size_of::<u64>() + size_of::<u32>();

/// The columns of a rollup row: `n`, `n_err`, `sum`, `min`, `max`, `sketch`.
pub type Columns = (i64, i64, f64, f64, f64, Vec<u8>);

/// The size of a block. All have the same, so that the memory of one comparison serves the next one.
const BLOCK_BYTES: usize = 8 * 1_024;

/// Rows one behind the other, in blocks that are not moved when they are full.
#[derive(Default)]
pub struct StoredMinutes {
    blocks: Vec<Vec<u8>>,
}

impl StoredMinutes {
    /// Adds a row: the start of its minute in microseconds, and its columns.
    ///
    /// # Errors
    /// The sketch has 4 GiB or more.
    pub fn push(&mut self, start: i64, (n, n_err, sum, min, max, sketch): Columns) -> Result<(), SketchError> {
        let length = u32::try_from(sketch.len()).map_err(|_| SketchError::Damaged)?;
        let needed = FIGURES_BYTES + sketch.len();
        let mut block = match self.blocks.pop() {
            Some(last) if last.capacity() - last.len() >= needed => last,
            full => {
                self.blocks.extend(full);
                Vec::with_capacity(needed.max(BLOCK_BYTES))
            }
        };
        block.put_i64(start);
        block.put_i64(n);
        block.put_i64(n_err);
        block.put_f64(sum);
        block.put_f64(min);
        block.put_f64(max);
        block.put_u32(length);
        block.put_slice(&sketch);
        self.blocks.push(block);
        Ok(())
    }

    /// The measurements of each minute.
    ///
    /// # Errors
    /// A sketch is damaged.
    pub fn decoded(self) -> Result<Minutes, SketchError> {
        let mut minutes = Minutes::new();
        for block in self.blocks {
            let mut rest = block.as_slice();
            while rest.has_remaining() {
                let start = rest.get_i64();
                let (n, n_err) = (rest.get_i64(), rest.get_i64());
                let (sum, min, max) = (rest.get_f64(), rest.get_f64(), rest.get_f64());
                let length = rest.get_u32() as usize;
                let (sketch, behind) = rest.split_at_checked(length).ok_or(SketchError::Damaged)?;
                let stored = StoredTally::from_columns((n, n_err, sum, min, max, sketch.to_vec()));
                minutes.entry(start).or_default().merge_stored(&stored)?;
                rest = behind;
            }
        }
        Ok(minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tally;

    fn columns(values: &[f64]) -> Columns {
        let mut tally = Tally::default();
        for value in values {
            tally.add(*value, 500);
        }
        let stored = tally.encode();
        let (n, n_err) = (stored.n(), stored.n_err());
        let (sum, min, max) = (stored.sum.value(), stored.min().unwrap(), stored.max().unwrap());
        (n, n_err, sum, min, max, stored.distribution)
    }

    #[test]
    fn rows_come_back_added_up_by_minute() {
        let mut stored = StoredMinutes::default();
        for minute in 0..1_000 {
            stored.push(minute, columns(&[1.0, f64::from(u32::try_from(minute).unwrap())])).unwrap();
        }
        stored.push(7, columns(&[900.0])).unwrap();
        let (used, taken) =
            stored.blocks.iter().fold((0, 0), |(used, taken), block| (used + block.len(), taken + block.capacity()));
        assert!(taken < used + 2 * BLOCK_BYTES, "{taken} bytes for {used}");
        let minutes = stored.decoded().unwrap();
        assert_eq!(minutes.len(), 1_000);
        let seventh = &minutes[&7];
        assert_eq!((seventh.count, seventh.errors, seventh.sum.value()), (3, 3, 908.0));
        assert_eq!((seventh.min(), seventh.max()), (Some(1.0), Some(900.0)));
        assert_eq!(seventh.distribution.bins().count(), 3);
        assert_eq!(minutes[&999].max(), Some(999.0));
    }

    #[test]
    fn a_damaged_sketch_is_an_error() {
        let mut stored = StoredMinutes::default();
        stored.push(0, (1, 0, 1.0, 1.0, 1.0, vec![255, 255])).unwrap();
        assert!(stored.decoded().is_err());
    }
}
