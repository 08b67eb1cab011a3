//! Rows of a series and day with a grain.

use sea_orm::QueryResult;

use crate::{
    error::Result,
    model::{Grain, SeriesDay},
};

/// Reads organization, project, type, day, and the number of a grain.
///
/// # Errors
/// A column is missing or has another type.
pub fn read(row: &QueryResult) -> Result<(SeriesDay, Grain)> {
    let series = SeriesDay {
        organization: row.try_get_by_index(0)?,
        project: row.try_get_by_index(1)?,
        kind: row.try_get_by_index(2)?,
        day: row.try_get_by_index(3)?,
    };
    Ok((series, Grain::from_code(row.try_get_by_index(4)?)))
}
