//! Section `ingest`: what is accepted, and how much waits or commits together.

use super::section::section;

section! {
    /// How measurements are accepted and written.
    "ingest" => Ingest {
        /// Hours into the past: an older measurement is refused.
        time_window_past_hours: u32 = 168,
        /// Minutes into the future: a later measurement is refused. Covers clocks that run fast; 0 allows none.
        time_window_future_minutes: u32 = 10,
        /// Measurements waiting to be written. When as many wait, callers are told to come back later.
        queue_rows_max: usize = 100_000,
        /// Measurements written in one transaction. Callers that arrive together share one.
        commit_rows_max: usize = 20_000,
        /// Measurements of a longer body or file that are written at once, while the rest of it is read. A retry with an
        /// idempotency key must meet the same number.
        part_rows: usize = 5_000,
        /// Bytes of an endpoint's path or name.
        endpoint_bytes_max: usize = 500,
        /// Bytes of a measurement's `name`, and of its `release`. At most 2000.
        tag_bytes_max: usize = 200,
        /// Whether ids in the paths of `API_RESPONSE` and `PAGE_LOAD` become `:id` (`/orders/17?page=2` is counted as
        /// `/orders/:id`), so that they are few endpoints with many measurements each.
        endpoint_templates: bool = true,
        /// Endpoints of one project. Measurements of further ones are kept under the endpoint `__other__`. At most 100000.
        endpoints_max: usize = 1_000,
    }
}
