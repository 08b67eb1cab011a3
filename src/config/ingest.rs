//! Section `ingest`: acceptance and storage of measurements.

use super::section::section;
use crate::model::{Timestamp, timestamp::HOUR_MICROS};

section! {
    /// Acceptance and storage of measurements.
    "ingest" => Ingest {
        /// Measurements in one mutation or one part of a longer body. At most 16384 and `ingest.commit_rows_max`.
        rows_max ("limits.ingest_rows_max"): u32 = 10_000,
        /// Maximum age of a measurement in hours. Older ones are refused. At most `retention.raw_days`.
        time_window_past_hours: u32 = 168,
        /// Tolerance for clocks that run fast, in minutes: measurements with a later time are refused. 0 allows none.
        time_window_future_minutes: u32 = 10,
        /// Measurements in the queue for writing. While the queue is full, requests fail with the error code UNAVAILABLE.
        queue_rows_max: u32 = 100_000,
        /// Measurements written in one transaction, which concurrent requests share. At most `queue_rows_max`.
        commit_rows_max: u32 = 20_000,
        /// Measurements per part of a longer body or file: each part is stored as soon as it is read. At most
        /// `limits.ingest_rows_max`. A retry with an idempotency key needs the same value as the first attempt.
        part_rows: usize = 5_000,
        /// Bytes of an endpoint. At most 2000.
        endpoint_bytes_max: usize = 500,
        /// Bytes of a measurement's name and of its release version. At most 2000.
        tag_bytes_max: usize = 200,
        /// Labels of one measurement. At most 100.
        labels_max: usize = 10,
        /// Bytes of the key of a label. At most 2000.
        label_key_bytes_max: usize = 64,
        /// Bytes of the value of a label. At most 2000.
        label_value_bytes_max: usize = 256,
        /// Replaces ids in the paths of `API_RESPONSE` and `PAGE_LOAD` by `:id` and drops the query string, so that
        /// `/orders/17?page=2` is stored as `/orders/:id`. Decodes percent-encoded text, and writes the parameters
        /// `{name}`, `<name>` and `[name]` as `:name`.
        endpoint_templates: bool = true,
        /// Endpoints of one project. Measurements of further endpoints are stored under `__other__`. At most 100000.
        endpoints_max: usize = 1_000,
        /// Rollup rows that a project and type may have on a day, in percent of its measurements; a rollup row takes about as
        /// much space as a measurement. Rollups that are too fine for it are not written, and questions about such times
        /// are answered from single measurements. The default leaves rollups smaller than the measurements. At most
        /// 1000000, with which all rollups are written.
        rollup_rows_percent: u32 = 60,
    }
}

impl Ingest {
    /// Maximum age in days of measurements that are imported: the default retention of hourly rollups.
    pub const DAYS_BACK_MAX: i64 = 400;

    /// Maximum number of rollup rows per measurement.
    pub fn rollup_rows_max(&self) -> f64 {
        f64::from(self.rollup_rows_percent) / 100.0
    }

    /// The same settings for measurements from `since` on, if that is earlier than usual.
    #[must_use]
    pub fn reaching_back(&self, since: Timestamp, now: Timestamp) -> Self {
        // A day more, because the clock goes on while rows are read.
        let hours = (now.as_micros() - since.as_micros()).max(0) / HOUR_MICROS + 1 + 24;
        let hours = u32::try_from(hours).unwrap_or(u32::MAX).max(self.time_window_past_hours);
        Self { time_window_past_hours: hours, ..self.clone() }
    }
}
