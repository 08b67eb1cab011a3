//! Validation of the settings: bounds of single values, and relations between them. Pure; finds all problems in one pass.
//!
//! Zero and the largest value of every number follow from the unit in its key, so a new setting is covered without a line
//! here. All other rules are listed below.

use std::time::Duration;

use super::error::Problem;
use super::section::Key;
use super::{Config, DatabaseUrl, LiveBus, TrustedDocuments};

/// An id contains a sequence number of 14 bits, and the rows of one call take a contiguous range of sequence numbers.
const INGEST_ROWS_CEILING: usize = 16_384;
/// SQLite limits expressions to 1,000 levels, and each condition of a disjunction adds one.
const FILTER_CONDITIONS_CEILING: usize = 800;
/// The JSON library reads no deeper.
const REQUEST_DEPTH_CEILING: usize = 127;
/// PostgreSQL refuses index entries of more than about 2,700 bytes; endpoints are unique by path and releases by version.
const ENDPOINT_BYTES_CEILING: usize = 2_000;
/// The smallest buffer that the HTTP library accepts for the head of a request.
const HEADER_BYTES_FLOOR: usize = 8_192;
/// SQLite accepts 32,766 parameters in a statement, and a membership needs five.
const TEAM_CHANGE_CEILING: usize = 5_000;
/// The endpoints of up to 500 projects are cached in memory.
const ENDPOINTS_CEILING: usize = 100_000;
/// The maximum of `ingest.rollup_rows_percent`. All rollups of one measurement alone on its day are eight rows.
const ROLLUP_ROWS_PERCENT_CEILING: usize = 1_000_000;
/// The keys of labels are compared with each other.
const LABELS_CEILING: usize = 100;
/// A shorter lease ends while a busy machine renews it; a longer one keeps the number of a crashed instance from the next.
const NODE_LEASE_MS: std::ops::RangeInclusive<u128> = 1_000..=600_000;
const MINUTES_PER_HOUR: u64 = 60;
const MINUTES_PER_DAY: u64 = 24 * MINUTES_PER_HOUR;

/// Keys for which 0 is a valid value. Any other limit or timeout of 0 would refuse every request.
const MAY_BE_ZERO: [&str; 7] = [
    "database.check_bytes_max",
    "retention.clock_settle_hours",
    "server.drain_delay_ms",
    "server.drain_timeout_ms",
    "ingest.time_window_future_minutes",
    "limits.batch_operations_max",
    "limits.document_cache_bytes_max",
];

/// The maximum by the ending of a key. Larger values overflow clocks, or integers of the databases.
const UNIT_CEILINGS: [(&str, u64, &str); 7] = [
    ("_ms", 86_400_000, "a day"),
    ("_minutes", 525_600, "a year"),
    ("_hours", 876_000, "a century"),
    ("_days_ahead", 366, "a year"),
    ("_days", 36_500, "a century"),
    ("_connections", 10_000, "more than any database accepts"),
    ("_max", 2_147_483_647, "the largest 32-bit integer"),
];

/// All problems of these settings.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let mut problems: Vec<_> = config.keys().iter().filter_map(number).collect();
    problems.extend(listen(config));
    problems.extend(headers(config));
    problems.extend(credentials(config));
    problems.extend(node_lease(config));
    problems.extend(database_url(&config.database.url));
    problems.extend(pooling(config));
    problems.extend(bus(config));
    problems.extend(ceilings(config));
    problems.extend(orders_of_sizes(config).iter().filter_map(violation));
    problems.extend(orders_of_times(config).iter().filter_map(violation));
    problems.extend(graphiql(config));
    problems.extend(trusted_documents(config));
    problems
}

fn number(key: &Key) -> Option<Problem> {
    let (path, number) = (key.path.as_str(), key.number?);
    let ceiling = UNIT_CEILINGS.iter().find(|(unit, ..)| path.ends_with(unit));
    let sentence = match ceiling {
        _ if number == 0 && !MAY_BE_ZERO.contains(&path) => format!("{path} is 0; the minimum is 1"),
        Some((_, ceiling, meaning)) if number > *ceiling => {
            format!("{path} is {number}; the maximum is {ceiling} ({meaning})")
        }
        _ => return None,
    };
    Some(Problem::new(&[path], sentence))
}

fn ceilings(Config { limits, ingest, .. }: &Config) -> Vec<Problem> {
    let rows_max = usize::try_from(ingest.rows_max).unwrap_or(usize::MAX);
    let index = "longer values do not fit into an index of the database";
    let labels = "streams hold the labels of measurements in memory";
    let ceilings = [
        ("limits.ingest_rows_max", rows_max, INGEST_ROWS_CEILING, "the rows of one call share a range of ids"),
        (
            "limits.request_depth_max",
            limits.request_depth_max,
            REQUEST_DEPTH_CEILING,
            "the reader of JSON follows no deeper",
        ),
        (
            "limits.filter_conditions_max",
            limits.filter_conditions_max,
            FILTER_CONDITIONS_CEILING,
            "the database limits the depth of an expression",
        ),
        (
            "limits.team_change_max",
            limits.team_change_max,
            TEAM_CHANGE_CEILING,
            "the database limits the parameters of a statement",
        ),
        ("ingest.endpoint_bytes_max", ingest.endpoint_bytes_max, ENDPOINT_BYTES_CEILING, index),
        ("ingest.tag_bytes_max", ingest.tag_bytes_max, ENDPOINT_BYTES_CEILING, index),
        ("ingest.labels_max", ingest.labels_max, LABELS_CEILING, labels),
        ("ingest.label_key_bytes_max", ingest.label_key_bytes_max, ENDPOINT_BYTES_CEILING, labels),
        ("ingest.label_value_bytes_max", ingest.label_value_bytes_max, ENDPOINT_BYTES_CEILING, labels),
        (
            "ingest.endpoints_max",
            ingest.endpoints_max,
            ENDPOINTS_CEILING,
            "the endpoints of active projects are cached in memory",
        ),
        (
            "ingest.rollup_rows_percent",
            usize::try_from(ingest.rollup_rows_percent).unwrap_or(usize::MAX),
            ROLLUP_ROWS_PERCENT_CEILING,
            "all rollups are written then",
        ),
    ];
    let above = ceilings.iter().filter(|(_, number, ceiling, _)| number > ceiling);
    let problem = |(key, number, ceiling, reason): &(&str, usize, usize, &str)| {
        Problem::new(&[key], format!("{key} is {number}; the maximum is {ceiling}, because {reason}"))
    };
    above.map(problem).collect()
}

fn listen(config: &Config) -> Option<Problem> {
    let listen = config.server.listen;
    let is_reachable = !listen.ip().to_canonical().is_loopback();
    is_reachable.then(|| {
        let sentence = format!(
            "server.listen is {listen}, which other machines can reach. There is no authentication yet, so anyone could \
             read and write all data. Listen on 127.0.0.1:{}, behind a reverse proxy that authenticates if others need \
             access",
            listen.port()
        );
        Problem::new(&["server.listen"], sentence)
    })
}

fn headers(config: &Config) -> Option<Problem> {
    let bytes = config.limits.header_bytes_max;
    // Zero is reported already.
    (1..HEADER_BYTES_FLOOR).contains(&bytes).then(|| {
        let sentence = format!(
            "limits.header_bytes_max is {bytes}; the minimum is {HEADER_BYTES_FLOOR}, because browsers and proxies send \
             heads of that size"
        );
        Problem::new(&["limits.header_bytes_max"], sentence)
    })
}

fn node_lease(config: &Config) -> Option<Problem> {
    let millis = config.database.node_lease.as_millis();
    // Zero is reported already.
    (millis > 0 && !NODE_LEASE_MS.contains(&millis)).then(|| {
        let (least, most) = (NODE_LEASE_MS.start(), NODE_LEASE_MS.end());
        let sentence = format!(
            "database.node_lease_ms is {millis}; it may be {least} to {most}: a shorter lease ends while a busy machine \
             renews it, and a longer one keeps the number of a crashed instance from the next"
        );
        Problem::new(&["database.node_lease_ms"], sentence)
    })
}

fn credentials(config: &Config) -> Option<Problem> {
    let is_without_origin = config.server.cors_credentials && config.server.cors_origins.is_empty();
    is_without_origin.then(|| {
        let sentence = "server.cors_credentials is true, but server.cors_origins is empty. List the origins that may \
                        send credentials";
        Problem::new(&["server.cors_credentials", "server.cors_origins"], sentence.to_owned())
    })
}

fn database_url(url: &DatabaseUrl) -> Option<Problem> {
    let text = url.reveal();
    let file = text.strip_prefix("sqlite:").map(|rest| rest.trim_start_matches('/'));
    let sentence = match (url.scheme(), file) {
        ("sqlite", Some(file)) if file.is_empty() || file.starts_with('?') => {
            "database.url contains no file name; write sqlite://FILE, for example sqlite://perfgraph.sqlite".to_owned()
        }
        ("sqlite", _) if text.contains(":memory:") || text.contains("mode=memory") => {
            "database.url is a database in memory, which each connection has to itself; write sqlite://FILE".to_owned()
        }
        ("postgres" | "postgresql", _) if !text.contains("://") => {
            "database.url is incomplete; write postgres://USER:PASSWORD@HOST/DATABASE".to_owned()
        }
        ("sqlite" | "postgres" | "postgresql", _) => return None,
        (scheme, _) => {
            let found = if scheme.is_empty() { String::new() } else { format!(", not {scheme}:") };
            format!("database.url must begin with sqlite:// or postgres:// (or postgresql://){found}")
        }
    };
    Some(Problem::new(&["database.url"], sentence))
}

fn pooling(config: &Config) -> Option<Problem> {
    let super::Database { url, transaction_pooling, direct_url, .. } = &config.database;
    let is_given = !direct_url.reveal().is_empty();
    let (keys, sentence): (&[&'static str], _) = match (transaction_pooling, is_given) {
        (true, _) if url.is_sqlite() => (
            &["database.transaction_pooling", "database.url"],
            "database.transaction_pooling is true, but database.url is an SQLite file. Set database.transaction_pooling to false",
        ),
        (true, _) if !direct_url.is_postgres() => (
            &["database.direct_url", "database.transaction_pooling"],
            "database.transaction_pooling is true: set database.direct_url to the address of the PostgreSQL server itself, \
             postgres://USER:PASSWORD@HOST/DATABASE",
        ),
        (false, true) => (
            &["database.direct_url", "database.transaction_pooling"],
            "database.direct_url is set, but database.transaction_pooling is false. Change one of them",
        ),
        _ => return None,
    };
    Some(Problem::new(keys, sentence.to_owned()))
}

fn bus(config: &Config) -> Option<Problem> {
    let (bus, url) = (config.live.bus, config.live.bus_url.reveal());
    let is_broker = ["redis://", "redis+unix://"].iter().any(|scheme| url.starts_with(scheme));
    let (keys, sentence): (&[&'static str], _) = match bus {
        LiveBus::Postgres if config.database.url.is_sqlite() => (
            &["live.bus", "database.url"],
            "live.bus is \"postgres\", but database.url is an SQLite file, which a single instance uses. Set live.bus to \
             \"auto\"",
        ),
        LiveBus::Redis if !is_broker => (
            &["live.bus", "live.bus_url"],
            "live.bus is \"redis\", but live.bus_url is no address of a broker. Set it to \"redis://HOST:6379\"",
        ),
        LiveBus::Auto | LiveBus::Local | LiveBus::Postgres if !url.is_empty() => {
            (&["live.bus_url", "live.bus"], "live.bus_url is set, but live.bus is not \"redis\". Change one of them")
        }
        _ => return None,
    };
    Some(Problem::new(keys, sentence.to_owned()))
}

/// A number as it is written, and converted for comparison.
struct Amount {
    key: &'static str,
    written: u64,
    compared: u64,
}

fn amount(key: &'static str, number: impl TryInto<u64>) -> Amount {
    minutes(key, number, 1)
}

fn duration(key: &'static str, duration: Duration) -> Amount {
    amount(key, duration.as_millis())
}

/// A time, converted to minutes.
fn minutes(key: &'static str, number: impl TryInto<u64>, minutes_each: u64) -> Amount {
    let written = number.try_into().unwrap_or(u64::MAX);
    Amount { key, written, compared: written.saturating_mul(minutes_each) }
}

/// The first amount must not exceed the second. Otherwise, this happens.
type Order = (Amount, Amount, &'static str);

fn orders_of_sizes(Config { limits, ingest, .. }: &Config) -> Vec<Order> {
    let document = || amount("limits.document_bytes_max", limits.document_bytes_max);
    let commit = || amount("ingest.commit_rows_max", ingest.commit_rows_max);
    let rows = || amount("limits.ingest_rows_max", ingest.rows_max);
    vec![
        (
            amount("limits.page_size_default", limits.page_size_default),
            amount("limits.page_size_max", limits.page_size_max),
            "a list without a size would be refused",
        ),
        (rows(), commit(), "one call would not fit into one transaction"),
        (amount("ingest.part_rows", ingest.part_rows), rows(), "a part would be refused like any larger call"),
        (
            commit(),
            amount("ingest.queue_rows_max", ingest.queue_rows_max),
            "a transaction, which takes its rows from the queue, would never reach its size",
        ),
        (
            amount("limits.body_bytes_max", limits.body_bytes_max),
            amount("limits.bodies_bytes_max", limits.bodies_bytes_max),
            "the largest body would never find room",
        ),
        (
            document(),
            amount("limits.body_bytes_max", limits.body_bytes_max),
            "the longest documents would not fit into a body",
        ),
        (
            document(),
            amount("limits.websocket_message_bytes_max", limits.websocket_message_bytes_max),
            "the longest documents would not fit into a WebSocket message",
        ),
    ]
}

fn orders_of_times(Config { server, database, ingest, retention, live, .. }: &Config) -> Vec<Order> {
    let days = |key, days| minutes(key, days, MINUTES_PER_DAY);
    let raw = || days("retention.raw_days", retention.raw_days);
    let hour_rollups = || days("retention.hour_days", retention.hour_days);
    let minute_rollups = || days("retention.minute_days", retention.minute_days);
    vec![
        (
            minutes("ingest.time_window_past_hours", ingest.time_window_past_hours, MINUTES_PER_HOUR),
            raw(),
            "measurements would be accepted and deleted at once",
        ),
        (raw(), hour_rollups(), "rollups would be deleted before the measurements they are made of"),
        (
            raw(),
            days("retention.key_days", retention.key_days),
            "a retry could store measurements twice that are still kept",
        ),
        (minute_rollups(), hour_rollups(), "coarse rollups would be deleted before the finer ones"),
        (
            minutes("live.window_max_hours", live.window_max_hours, MINUTES_PER_HOUR),
            raw(),
            "a live window would begin with measurements that are deleted",
        ),
        (
            duration("live.window_delay_ms", live.window_delay),
            duration("live.window_grace_ms", live.window_grace),
            "a window would be final before it is pushed",
        ),
        (
            duration("database.acquire_timeout_ms", database.acquire_timeout),
            duration("server.request_timeout_ms", server.request_timeout),
            "a request would time out before its wait for a connection",
        ),
        (
            minutes("ingest.time_window_future_minutes", ingest.time_window_future_minutes, 1),
            days("database.partition_days_ahead", database.partition_days_ahead),
            "measurements would be accepted for days without a partition",
        ),
    ]
}

fn violation((small, large, consequence): &Order) -> Option<Problem> {
    (small.compared > large.compared).then(|| {
        let Amount { key, written, .. } = small;
        let (other, ceiling) = (large.key, large.written);
        let sentence = format!(
            "{key} is {written}, more than {other}, which is {ceiling}: {consequence}. Lower it, or raise {other}"
        );
        Problem::new(&[key, other], sentence)
    })
}

fn trusted_documents(config: &Config) -> Option<Problem> {
    let graphql = &config.graphql;
    if graphql.trusted_documents != TrustedDocuments::Off && graphql.trusted_documents_file.is_empty() {
        let sentence = "graphql.trusted_documents is on, but graphql.trusted_documents_file is empty. Name the file of the documents";
        return Some(Problem::new(
            &["graphql.trusted_documents", "graphql.trusted_documents_file"],
            sentence.to_owned(),
        ));
    }
    let is_useless = graphql.trusted_documents == TrustedDocuments::Only && graphql.graphiql;
    is_useless.then(|| {
        let sentence = "graphql.graphiql is true, but graphql.trusted_documents is \"only\", which refuses the documents \
                        that GraphiQL sends. Set graphql.graphiql to false";
        Problem::new(&["graphql.trusted_documents", "graphql.graphiql"], sentence.to_owned())
    })
}

fn graphiql(config: &Config) -> Option<Problem> {
    let is_without_schema = config.graphql.graphiql && !config.graphql.introspection;
    is_without_schema.then(|| {
        let sentence = "graphql.graphiql is true, but graphql.introspection is false, and GraphiQL reads the schema. Set \
                        both to true, or both to false";
        Problem::new(&["graphql.graphiql", "graphql.introspection"], sentence.to_owned())
    })
}
