//! Section `retention`: retention periods per resolution.

use super::section::section;

section! {
    /// Retention periods. Queries about older times are answered from coarser rollups; rollups per day are never deleted.
    "retention" => Retention {
        /// Days for which single measurements are kept. At most `hour_days` and `key_days`. Afterwards there are rollups, and counts
        /// by status, by release and by name: of hours for `hour_days`, of days forever.
        raw_days: u32 = 7,
        /// Days for which rollups per minute and per five minutes are kept, and at least `raw_days`. At most `hour_days`. More
        /// than `raw_days` gives them to all series when single measurements expire, also to those that are too sparse for
        /// them until then (`ingest.rollup_rows_percent`): each takes about as much space as a measurement.
        minute_days: u32 = 7,
        /// Days for which rollups per hour, by status, release and name as well, and counts of late measurements are kept.
        hour_days: u32 = 400,
        /// Days for which changes of organizations, employees, projects and releases are kept. A subscription to
        /// changes can resume from a cursor of this time without a gap.
        change_days: u32 = 30,
        /// Days for which idempotency keys and stream cursors are kept. A later retry counts as a new request: its
        /// measurements are refused as too old, unless they carry no time or are imported. A stream that resumes from an
        /// older cursor reports a gap.
        key_days: u32 = 14,
        /// Hours for which a clock that jumped by more than a day must run evenly before data is removed by it. The clock is
        /// compared with the database's, with the time since the last removal and with the newest data; until it is believed,
        /// nothing is removed. An SQLite file has no clock of its own to compare with, so there a wrong clock of the machine
        /// gives wrong times to measurements without one. 0: the clock of this machine is always believed.
        clock_settle_hours: u32 = 24,
    }
}
