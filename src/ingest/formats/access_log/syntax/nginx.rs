//! Formats of nginx: variables such as `$request_time` or `${status}`. Unknown variables are read over.
//!
//! Beyond nginx's own variables, a time has the names `$request_time_s`, `_ms`, `_us` and `_ns` for a number in that unit, and
//! `$duration` for a number with its unit.

use super::part::{Meaning, Part, field, ignored};
use crate::ingest::formats::access_log::{
    duration::{self, TimeUnit},
    layout::Extent,
    moment,
};

/// Variables without white space in their values.
const WORDS: &[&str] = &[
    "body_bytes_sent",
    "bytes_sent",
    "connection",
    "connection_requests",
    "gzip_ratio",
    "hostname",
    "pid",
    "pipe",
    "proxy_protocol_addr",
    "realip_remote_addr",
    "remote_addr",
    "remote_port",
    "req_id",
    "request_id",
    "request_length",
    "scheme",
    "server_addr",
    "server_port",
    "server_protocol",
    "ssl_cipher",
    "ssl_protocol",
    "word",
];

/// The parts of a format.
pub fn parse(format: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find('$') {
        parts.push(Part::Literal(rest[..at].to_owned()));
        rest = &rest[at + 1..];
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let braced = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (name, behind) = braced.unwrap_or_else(|| {
            let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
            rest.split_at(length)
        });
        parts.push(if name.is_empty() { Part::Literal("$".to_owned()) } else { variable(name) });
        rest = behind;
    }
    parts.push(Part::Literal(rest.to_owned()));
    parts
}

fn variable(name: &str) -> Part {
    let shown = format!("${name}");
    let plain = |unit, rank| field(&shown, Extent::Number, Meaning::Duration(duration::Form::Plain(unit), rank));
    match name {
        "time_local" | "time_iso8601" => field(&shown, Extent::Moment, Meaning::Moment(moment::Form::Text)),
        "msec" => field(&shown, Extent::Epoch, Meaning::Moment(moment::Form::Epoch(TimeUnit::Seconds))),
        "request" => field(&shown, Extent::Text, Meaning::Request),
        "request_method" => field(&shown, Extent::Word, Meaning::Method),
        "request_uri" => field(&shown, Extent::Text, Meaning::Target(0)),
        "uri" | "document_uri" => field(&shown, Extent::Text, Meaning::Target(1)),
        "status" => field(&shown, Extent::Number, Meaning::Status(0)),
        "request_time" => field(&shown, Extent::Number, Meaning::Duration(duration::Form::Fraction, 0)),
        "upstream_response_time" => field(&shown, Extent::Numbers, Meaning::Duration(duration::Form::Fractions, 3)),
        "request_time_s" => plain(TimeUnit::Seconds, 2),
        "request_time_ms" => plain(TimeUnit::Milliseconds, 1),
        "request_time_us" => plain(TimeUnit::Microseconds, 0),
        "request_time_ns" => plain(TimeUnit::Nanoseconds, 0),
        "duration" => field(&shown, Extent::Measure, Meaning::Duration(duration::Form::WithUnit, 0)),
        "host" | "http_host" | "server_name" => ignored(&shown, Extent::Host),
        "upstream_connect_time" | "upstream_header_time" | "upstream_response_length" | "upstream_status" => {
            ignored(&shown, Extent::Numbers)
        }
        _ if WORDS.contains(&name) => ignored(&shown, Extent::Word),
        _ => ignored(&shown, Extent::Text),
    }
}
