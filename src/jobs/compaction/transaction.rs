//! The steps of compaction in the database, and the SQL that both databases share.

use super::rollup_row::{RollupPart, RollupRow};
use crate::model::{Grain, GrainColumns, SeriesDay, metric::ERROR_STATUS_MIN};

/// The tables of the levels, each with the grain of which it is the finest.
pub const LEVELS: [(&str, Grain); 4] = [
    ("metric_rollup_1m", Grain::Minute),
    ("metric_rollup_5m", Grain::FiveMinutes),
    ("metric_rollup_1h", Grain::Hour),
    ("metric_rollup_1d", Grain::Day),
];

/// An open transaction that holds the right to rewrite merged rows. Dropped without `commit` it rolls back.
pub trait Transaction: Send + Sized {
    /// Deletes parts and returns the number of deleted rows.
    fn remove(&mut self, parts: &[RollupPart]) -> impl Future<Output = sqlx::Result<usize>> + Send;

    /// The grains of these series and days, as far as they are stored.
    fn grains(&mut self, series: &[SeriesDay]) -> impl Future<Output = sqlx::Result<Vec<GrainColumns>>> + Send;

    /// The merged rows of a level with the keys of these rows.
    fn stored(&mut self, table: &str, keys: &[RollupRow]) -> impl Future<Output = sqlx::Result<Vec<RollupRow>>> + Send;

    /// Inserts or replaces merged rows of a level.
    fn replace(&mut self, table: &str, rows: &[RollupRow]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// The measurements of a series in the hour from `from` on as the transaction began, by endpoint, bin, and bucket of at most
    /// `width` microseconds.
    fn measured(
        &mut self,
        series: SeriesDay,
        from: i64,
        width: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<MeasuredColumns>>> + Send;

    /// Deletes the rollups of a series on a day, and its parts as the transaction began.
    fn clear(&mut self, series: SeriesDay) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Changes the grain of a series on a day, for all endpoints together and by endpoint.
    fn set_grain(&mut self, series: SeriesDay, grain: Grain) -> impl Future<Output = sqlx::Result<()>> + Send;

    fn commit(self) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// The columns of [`Transaction::measured`]: bucket, endpoint, bin, `n`, `n_err`, `sum`, `min`, `max`.
pub type MeasuredColumns = (i64, i64, i16, i64, i64, f64, f64, f64);

/// The statement of [`Transaction::set_grain`].
pub const SET_GRAIN: &str = "UPDATE metric_grain SET all_endpoints = $1, by_endpoint = $1 \
    WHERE organization_id = $2 AND project_id = $3 AND kind = $4 AND day = $5";

/// The statement of [`Transaction::measured`].
pub fn measured(sum: &str) -> String {
    format!(
        "SELECT $4 + (ts - $4) / $6 * $6, endpoint_id, bin, COUNT(*), COUNT(*) FILTER (WHERE status >= {ERROR_STATUS_MIN}), \
         {sum}, MIN(value), MAX(value) FROM metric_event WHERE organization_id = $1 AND project_id = $2 AND kind = $3 \
         AND ts >= $4 AND ts < $5 GROUP BY 1, 2, 3"
    )
}

/// The statements of [`Transaction::clear`].
pub fn clear() -> Vec<String> {
    let of_series = "organization_id = $1 AND project_id = $2 AND kind = $3";
    let rollups = LEVELS.into_iter().map(|(table, _)| table).chain(["metric_rollup_part"]);
    rollups.map(|table| format!("DELETE FROM {table} WHERE {of_series} AND bucket >= $4 AND bucket < $5")).collect()
}
