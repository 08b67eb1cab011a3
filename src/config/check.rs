//! Which settings contradict each other or make no sense: pure, and complete in one pass.
//!
//! Zero and absurdly large numbers are refused for every key by its unit, so a new setting is covered without a line
//! here; what only a relation between keys shows is listed below, by section.

use super::error::Problem;
use super::section::Key;
use super::{Config, DatabaseUrl, LiveBus, TrustedDocuments};

/// Ids hold 14 bits of sequence, and the rows of one call take an unbroken range of them.
const INGEST_ROWS_CEILING: usize = 16_384;
/// SQLite nests 1,000 levels, and each condition of a row of alternatives is one.
const FILTER_CONDITIONS_CEILING: usize = 800;
/// PostgreSQL refuses index entries of more than about 2,700 bytes, and endpoints are unique by path
/// and releases by version.
const ENDPOINT_BYTES_CEILING: usize = 2_000;
/// What the HTTP library keeps for the head of a request at least.
const HEADER_BYTES_FLOOR: usize = 8_192;
/// SQLite takes 32,766 parameters in a statement, and a membership has five.
const TEAM_CHANGE_CEILING: usize = 5_000;
const MINUTES_PER_HOUR: u64 = 60;
const MINUTES_PER_DAY: u64 = 24 * MINUTES_PER_HOUR;
/// All endpoints of a full project are remembered, by up to 500 projects.
const ENDPOINTS_CEILING: usize = 100_000;

/// Here zero has a meaning; everywhere else it would turn the server off.
const MAY_BE_ZERO: [&str; 5] = [
    "server.drain_delay_ms",
    "server.drain_timeout_ms",
    "ingest.time_window_future_minutes",
    "limits.batch_operations_max",
    "limits.document_cache_bytes_max",
];

/// The largest number by the end of a key. Beyond it lie overflowing clocks and integers that no database takes.
const UNIT_CEILINGS: [(&str, u64, &str); 7] = [
    ("_ms", 86_400_000, "a day"),
    ("_minutes", 525_600, "a year"),
    ("_hours", 876_000, "a century"),
    ("_days_ahead", 366, "a year"),
    ("_days", 36_500, "a century"),
    ("_connections", 10_000, "more than databases serve"),
    ("_max", 2_147_483_647, "the largest 32-bit integer"),
];

/// Everything that is wrong with these settings.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let mut problems: Vec<_> = config.keys().iter().filter_map(number).collect();
    problems.extend(listen(config));
    problems.extend(headers(config));
    problems.extend(credentials(config));
    problems.extend(database_url(&config.database.url));
    problems.extend(bus(config));
    problems.extend(ceilings(config));
    problems.extend(orders_of_sizes(config).iter().filter_map(broken));
    problems.extend(orders_of_times(config).iter().filter_map(broken));
    problems.extend(graphiql(config));
    problems.extend(trusted_documents(config));
    problems
}

fn number(key: &Key) -> Option<Problem> {
    let (path, number) = (key.path.as_str(), key.number?);
    let ceiling = UNIT_CEILINGS.iter().find(|(unit, ..)| path.ends_with(unit));
    let sentence = match ceiling {
        _ if number == 0 && !MAY_BE_ZERO.contains(&path) => format!("{path} = 0 makes no sense: it must be at least 1"),
        Some((_, ceiling, words)) if number > *ceiling => {
            format!("{path} = {number} is too large: it must be at most {ceiling} ({words})")
        }
        _ => return None,
    };
    Some(Problem::new(&[path], sentence))
}

fn ceilings(Config { limits, ingest, .. }: &Config) -> Vec<Problem> {
    let ceilings = [
        (
            "limits.ingest_rows_max",
            limits.ingest_rows_max,
            INGEST_ROWS_CEILING,
            "the ids of one call are an unbroken range of so many",
        ),
        (
            "limits.filter_conditions_max",
            limits.filter_conditions_max,
            FILTER_CONDITIONS_CEILING,
            "the database nests no deeper",
        ),
        (
            "limits.team_change_max",
            limits.team_change_max,
            TEAM_CHANGE_CEILING,
            "one statement takes no more parameters",
        ),
        (
            "ingest.endpoint_bytes_max",
            ingest.endpoint_bytes_max,
            ENDPOINT_BYTES_CEILING,
            "the database's index takes no longer ones",
        ),
        (
            "ingest.tag_bytes_max",
            ingest.tag_bytes_max,
            ENDPOINT_BYTES_CEILING,
            "the database's index takes no longer ones",
        ),
        (
            "ingest.endpoints_max",
            ingest.endpoints_max,
            ENDPOINTS_CEILING,
            "every instance remembers the endpoints of busy projects",
        ),
    ];
    let above = ceilings.iter().filter(|(_, number, ceiling, _)| number > ceiling);
    let problem = |(key, number, ceiling, because): &(&str, usize, usize, &str)| {
        Problem::new(&[key], format!("{key} = {number} must be at most {ceiling}: {because}"))
    };
    above.map(problem).collect()
}

fn listen(config: &Config) -> Option<Problem> {
    let listen = config.server.listen;
    let reachable = !listen.ip().to_canonical().is_loopback();
    reachable.then(|| {
        let sentence = format!(
            "server.listen = {listen} is reachable from other machines, and no authentication is configured (there is \
             none to configure yet), so anyone could read and write everything: listen on 127.0.0.1:{}, behind a \
             reverse proxy that authenticates if others need it",
            listen.port()
        );
        Problem::new(&["server.listen"], sentence)
    })
}

fn headers(config: &Config) -> Option<Problem> {
    let bytes = config.limits.header_bytes_max;
    // Zero is already complained about.
    (1..HEADER_BYTES_FLOOR).contains(&bytes).then(|| {
        let sentence = format!(
            "limits.header_bytes_max = {bytes} must be at least {HEADER_BYTES_FLOOR}: browsers and proxies send so much"
        );
        Problem::new(&["limits.header_bytes_max"], sentence)
    })
}

fn credentials(config: &Config) -> Option<Problem> {
    let is_lost = config.server.cors_credentials && config.server.cors_origins.is_empty();
    is_lost.then(|| {
        let sentence =
            "server.cors_credentials = true needs an origin to allow them to: list it in server.cors_origins";
        Problem::new(&["server.cors_credentials", "server.cors_origins"], sentence.to_owned())
    })
}

fn database_url(url: &DatabaseUrl) -> Option<Problem> {
    let text = url.reveal();
    let file = text.strip_prefix("sqlite:").map(|rest| rest.trim_start_matches('/'));
    let sentence = match (url.scheme(), file) {
        ("sqlite", Some(file)) if file.is_empty() || file.starts_with('?') => {
            "database.url names no file: write sqlite://FILE, for example sqlite://perfgraph.sqlite".to_owned()
        }
        ("sqlite", _) if text.contains(":memory:") || text.contains("mode=memory") => {
            "database.url names a database in memory, which every connection would see empty: write sqlite://FILE"
                .to_owned()
        }
        ("postgres" | "postgresql", _) if !text.contains("://") => {
            "database.url is incomplete: write postgres://USER:PASSWORD@HOST/DATABASE".to_owned()
        }
        ("sqlite" | "postgres" | "postgresql", _) => return None,
        (scheme, _) => {
            let found = if scheme.is_empty() { String::new() } else { format!(", not {scheme}:") };
            format!("database.url must begin with sqlite:// or postgres:// (or postgresql://){found}")
        }
    };
    Some(Problem::new(&["database.url"], sentence))
}

fn bus(config: &Config) -> Option<Problem> {
    let (bus, url) = (config.live.bus, config.live.bus_url.reveal());
    let is_broker = ["redis://", "redis+unix://"].iter().any(|scheme| url.starts_with(scheme));
    let (keys, sentence): (&[&'static str], _) = match bus {
        LiveBus::Postgres if config.database.url.is_sqlite() => (
            &["live.bus", "database.url"],
            "live.bus = \"postgres\" needs a PostgreSQL database: an SQLite file is one instance's alone, so leave it at \
             \"auto\"",
        ),
        LiveBus::Redis if !is_broker => (
            &["live.bus", "live.bus_url"],
            "live.bus = \"redis\" needs the broker's address: live.bus_url = \"redis://HOST:6379\"",
        ),
        LiveBus::Auto | LiveBus::Local | LiveBus::Postgres if !url.is_empty() => {
            (&["live.bus_url", "live.bus"], "live.bus_url is the address of a broker, and live.bus is not \"redis\"")
        }
        _ => return None,
    };
    Some(Problem::new(keys, sentence.to_owned()))
}

/// A setting with its number as it is written, and in the unit that it is compared in.
struct Amount {
    key: &'static str,
    written: u64,
    compared: u64,
}

fn amount(key: &'static str, number: impl TryInto<u64>) -> Amount {
    time(key, number, 1)
}

/// Times in different units are compared in minutes.
fn time(key: &'static str, number: impl TryInto<u64>, minutes_each: u64) -> Amount {
    let written = number.try_into().unwrap_or(u64::MAX);
    Amount { key, written, compared: written.saturating_mul(minutes_each) }
}

/// The first amount must not be above the second, for this reason.
type Order = (Amount, Amount, &'static str);

fn orders_of_sizes(Config { limits, ingest, .. }: &Config) -> Vec<Order> {
    let document = || amount("limits.document_bytes_max", limits.document_bytes_max);
    let commit = || amount("ingest.commit_rows_max", ingest.commit_rows_max);
    vec![
        (
            amount("limits.page_size_default", limits.page_size_default),
            amount("limits.page_size_max", limits.page_size_max),
            "a list asked for without a size would be refused",
        ),
        (amount("limits.ingest_rows_max", limits.ingest_rows_max), commit(), "one call is written in one transaction"),
        (
            amount("ingest.part_rows", ingest.part_rows),
            amount("limits.ingest_rows_max", limits.ingest_rows_max),
            "a part is a call like any other",
        ),
        (
            commit(),
            amount("ingest.queue_rows_max", ingest.queue_rows_max),
            "a transaction is filled from those that wait",
        ),
        (document(), amount("limits.body_bytes_max", limits.body_bytes_max), "a document that long could never arrive"),
        (
            document(),
            amount("limits.websocket_message_bytes_max", limits.websocket_message_bytes_max),
            "a document that long could never be subscribed to",
        ),
    ]
}

fn orders_of_times(Config { server, database, ingest, retention, live, .. }: &Config) -> Vec<Order> {
    let raw = || time("retention.raw_days", retention.raw_days, MINUTES_PER_DAY);
    let minutes = || time("retention.minute_days", retention.minute_days, MINUTES_PER_DAY);
    let hours = time("retention.hour_days", retention.hour_days, MINUTES_PER_DAY);
    vec![
        (
            time("ingest.time_window_past_hours", ingest.time_window_past_hours, MINUTES_PER_HOUR),
            raw(),
            "measurements would be accepted that are not kept",
        ),
        (raw(), minutes(), "what is kept one by one must be kept in coarser rollups too"),
        (minutes(), hours, "what is kept by the minute must be kept in coarser rollups too"),
        (
            time("live.window_max_hours", live.window_max_hours, MINUTES_PER_HOUR),
            raw(),
            "a live window begins with single measurements, which would be gone",
        ),
        (
            amount("live.window_delay_ms", live.window_delay_ms),
            amount("live.window_grace_ms", live.window_grace_ms),
            "a window would be final before it is pushed",
        ),
        (
            amount("database.acquire_timeout_ms", database.acquire_timeout_ms),
            amount("server.request_timeout_ms", server.request_timeout_ms),
            "the request would be over before the wait for a connection is",
        ),
        (
            time("ingest.time_window_future_minutes", ingest.time_window_future_minutes, 1),
            time("database.partition_days_ahead", database.partition_days_ahead, MINUTES_PER_DAY),
            "measurements would be accepted for which there is no partition",
        ),
    ]
}

fn broken((small, large, because): &Order) -> Option<Problem> {
    (small.compared > large.compared).then(|| {
        let Amount { key, written, .. } = small;
        let (other, ceiling) = (large.key, large.written);
        let sentence =
            format!("{key} = {written} is more than {other} = {ceiling}: {because}; lower it, or raise {other}");
        Problem::new(&[key, other], sentence)
    })
}

fn trusted_documents(config: &Config) -> Option<Problem> {
    let graphql = &config.graphql;
    if graphql.trusted_documents != TrustedDocuments::Off && graphql.trusted_documents_file.is_empty() {
        let sentence = "graphql.trusted_documents needs graphql.trusted_documents_file: the file with the documents";
        return Some(Problem::new(
            &["graphql.trusted_documents", "graphql.trusted_documents_file"],
            sentence.to_owned(),
        ));
    }
    let idle = graphql.trusted_documents == TrustedDocuments::Only && graphql.graphiql;
    idle.then(|| {
        let sentence =
            "graphql.trusted_documents = \"only\" leaves GraphiQL nothing to run: set graphql.graphiql = false";
        Problem::new(&["graphql.trusted_documents", "graphql.graphiql"], sentence.to_owned())
    })
}

fn graphiql(config: &Config) -> Option<Problem> {
    let blind = config.graphql.graphiql && !config.graphql.introspection;
    blind.then(|| {
        let sentence = "graphql.graphiql = true needs graphql.introspection = true, because the page reads the schema: \
                        set both to false, or both to true";
        Problem::new(&["graphql.graphiql", "graphql.introspection"], sentence.to_owned())
    })
}
