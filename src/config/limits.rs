//! Section `limits`: what one request may cost, so that no client can hurt another.
//!
//! Limits of an operation are counted with every fragment spread out, since that is what is executed.

use super::section::section;

section! {
    /// What one request may cost. Whatever goes beyond is refused before it reaches the database.
    "limits" => Limits {
        /// Bytes of a request's head: its address and all of its headers, 100 at most; beyond it is 431.
        header_bytes_max: usize = 65_536,
        /// Bytes of a request's body: room for 10,000 measurements in one call. Documents have a limit of their own.
        body_bytes_max: usize = 5_242_880,
        /// Bytes of a body of metrics for `/ingest/v1/metrics`, as it arrives and once it is decoded.
        ingest_body_bytes_max: u64 = 5_242_880,
        /// Bytes of a GraphQL document without its variables: 16 for each of the tokens allowed by default.
        document_bytes_max: usize = 32_768,
        /// Tokens (names, values, punctuation) of a document.
        tokens_max: usize = 2_000,
        /// Operations and fragments defined in a document.
        definitions_max: usize = 50,
        /// Levels of fields inside each other. Introspection is measured apart, as its standard query nests deeper.
        depth_max: usize = 12,
        /// Aliased fields of an operation.
        aliases_max: usize = 30,
        /// Fields at the top of an operation.
        root_fields_max: usize = 20,
        /// Directives of an operation.
        directives_max: usize = 20,
        /// Fields of an operation, with every fragment spread out.
        fields_max: usize = 2_000,
        /// Cost of an operation: fields times the sizes of the lists they stand in.
        cost_max: u64 = 5_000,
        /// Bytes of documents kept ready to run, parsed and validated; also how many can be named by their hash alone. 0
        /// keeps none, and persisted queries are then never found.
        document_cache_bytes_max: u64 = 16_777_216,
        /// Operations in one request, as a list in JSON; 0 or 1 refuses lists.
        batch_operations_max: usize = 20,
        /// Items of a list that was asked for without a size.
        page_size_default: u32 = 20,
        /// Items of a list at most.
        page_size_max: u32 = 100,
        /// Rows that a page by number may lie behind the start: they are passed over one by one.
        page_offset_max: u64 = 10_000,
        /// Levels of `and`, `or` and `not` inside each other in a filter.
        filter_depth_max: usize = 8,
        /// Conditions of a filter: each value that it compares with is one, and so is each filter inside of it. At most
        /// 800.
        filter_conditions_max: usize = 200,
        /// Measurements in one call; at most 16384.
        ingest_rows_max: usize = 10_000,
        /// People who join or leave a team in one call; at most 5000.
        team_change_max: usize = 1_000,
        /// Departments in figures about employees (`byDepartment`), of each organization or of all together.
        departments_max: usize = 1_000,
        /// Buckets of time in the answer of one field: of a series, or of all series of the field together.
        buckets_max: usize = 10_000,
        /// Groups that measurements may fall into when they are grouped, be it to show the first few of them.
        groups_max: usize = 10_000,
        /// Single measurements that an exact answer may be read from.
        exact_rows_max: u32 = 200_000,
        /// Minutes of each of two releases that are compared.
        comparison_minutes_max: u32 = 1_440,
        /// Endpoints of a project that are compared from one release to another: those with the most measurements.
        comparison_endpoints_max: u32 = 200,
        /// Subscriptions open at once on one WebSocket.
        subscriptions_per_socket_max: usize = 50,
        /// Sockets open at once.
        sockets_max: usize = 10_000,
        /// Streams over HTTP (server-sent events and multipart) open at once.
        streams_max: usize = 10_000,
        /// Bytes of one message from a client on a WebSocket: room for a document with its variables.
        websocket_message_bytes_max: usize = 65_536,
        /// Milliseconds that a new WebSocket has to send `connection_init` before it is closed with 4408.
        connection_init_timeout_ms: u64 = 5_000,
    }
}
