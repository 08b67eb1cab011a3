//! Section `limits`: bounds of one request, so that no client can affect others.
//!
//! Limits of an operation count every fragment where it is spread, because that is what is executed.

use std::time::Duration;

use super::section::section;

section! {
    /// Limits of one request or connection. A request beyond a limit is refused before it reaches the database.
    "limits" => Limits {
        /// Bytes of a request's head, that is its request line and headers, with one space in front of each value. At least
        /// 8192. At most 100 headers are accepted. Beyond either the status is 431.
        header_bytes_max: usize = 65_536,
        /// Bytes of a request's body. The default has room for 10,000 measurements in one mutation. Documents have their own
        /// limit.
        body_bytes_max: usize = 5_242_880,
        /// Values (objects, lists, texts, numbers, true, false and null) in the JSON of a request, over all operations of a
        /// batch. They are counted before any of them is read. The default has room for 10,000 measurements in one mutation.
        request_values_max: usize = 100_000,
        /// Depth of nested objects and lists in the JSON of a request. At most 127.
        request_depth_max: usize = 64,
        /// Bytes of a body for `/ingest/v1/metrics`, both compressed and decompressed.
        ingest_body_bytes_max: u64 = 5_242_880,
        /// Bytes of bodies in memory, over all requests, and of unfinished messages on WebSockets, counted as they arrive.
        /// Beyond it a client that has sent nothing for a second is refused first, then others: with status 503, or the socket
        /// is closed with code 1013, to be sent again. At least `body_bytes_max`.
        bodies_bytes_max: usize = 20_971_520,
        /// Rows of a body for `/ingest/v1/metrics` that may be refused. Beyond it, the rest of the body is counted and not
        /// stored.
        ingest_refused_rows_max: u64 = 10_000,
        /// Members (gzip) or frames (zstd) of an encoded body for `/ingest/v1/metrics`.
        ingest_body_members_max: u32 = 1_000,
        /// Bytes of a GraphQL document without its variables. At most `body_bytes_max` and `websocket_message_bytes_max`.
        document_bytes_max: usize = 32_768,
        /// Tokens (names, values, punctuation) of a document.
        tokens_max: usize = 2_000,
        /// Operations and fragments that a document defines.
        definitions_max: usize = 50,
        /// Depth of nested fields. Introspection is measured separately, because its standard query nests deeper.
        depth_max: usize = 12,
        /// Aliased fields of an operation.
        aliases_max: usize = 30,
        /// Fields at the top level of an operation.
        root_fields_max: usize = 20,
        /// Directives of an operation.
        directives_max: usize = 20,
        /// Fields of an operation.
        fields_max: usize = 2_000,
        /// Cost of an operation: the sum of its fields, each multiplied by the sizes of the lists that contain it, and of the
        /// measurements that are read for them (`@reads` in the schema).
        cost_max: u64 = 5_000,
        /// Cost of all operations of a batch together. Operations beyond it are refused. At least `cost_max`.
        batch_cost_max: u64 = 10_000,
        /// Bytes of parsed and validated documents in the cache, which also serves persisted queries. 0 disables both.
        document_cache_bytes_max: u64 = 16_777_216,
        /// Operations in one request (a JSON array). 0 or 1 refuses arrays.
        batch_operations_max: usize = 20,
        /// Items of a list if the query gives no number. At most `page_size_max`.
        page_size_default: u32 = 20,
        /// Items of a list.
        page_size_max: u32 = 100,
        /// Rows that a page selected by its number may skip.
        page_offset_max: u64 = 10_000,
        /// Depth of nested `and`, `or` and `not` in a filter.
        filter_depth_max: usize = 8,
        /// Conditions of a filter. Each value compared with counts, and so does each nested filter. At most 800.
        filter_conditions_max: usize = 200,
        /// Members added to or removed from a project in one mutation. At most 5000.
        team_change_max: usize = 1_000,
        /// Departments in statistics about employees (`byDepartment`), per organization or over all of them.
        departments_max: usize = 1_000,
        /// Time buckets in one field, over all series of the field.
        buckets_max: usize = 10_000,
        /// Groups that grouped measurements may form, whether or not all of them are returned.
        groups_max: usize = 10_000,
        /// Measurements that a filter with `isExact: true` may read.
        exact_rows_max: u32 = 200_000,
        /// Subscriptions and other operations in progress on one WebSocket.
        subscriptions_per_socket_max: usize = 50,
        /// Open connections of clients, WebSockets included; fewer if the system allows fewer open files. Beyond it the
        /// connection that has been idle for longest is closed; if none is idle, new ones get status 503.
        connections_max: u32 = 24_000,
        /// Open WebSockets.
        sockets_max: u32 = 10_000,
        /// Open streams over HTTP (server-sent events, multipart).
        streams_max: u32 = 10_000,
        /// Bytes of one message from a client on a WebSocket: a document with its variables.
        websocket_message_bytes_max: usize = 65_536,
        /// Timeout for `connection_init` on a new WebSocket. After it the socket is closed with code 4408.
        connection_init_timeout ("connection_init_timeout_ms"): Duration = Duration::from_secs(5),
    }
    with {
        /// Limits of `compareReleases`.
        comparison: ComparisonLimits,
    }
}

section! {
    /// Limits of one comparison of two releases.
    "limits" => ComparisonLimits {
        /// Minutes of each release that `compareReleases` compares.
        minutes_max ("comparison_minutes_max"): u32 = 1_440,
        /// Endpoints that `compareReleases` compares: those with the most measurements.
        endpoints_max ("comparison_endpoints_max"): u32 = 200,
    }
}
