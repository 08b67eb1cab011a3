//! The keys of access logs in JSON: those of Caddy, Traefik, Istio, Google Cloud, and the variables of nginx.

use serde_json::value::RawValue;

use super::unclear::Unclear;
use crate::ingest::formats::access_log::{
    LogFormat,
    json::{EXAMPLE, JsonMap, Members, find, members, text},
    moment::unit_by_size,
    syntax::known,
};

/// Keys that only the log of this program has together.
const KNOWN: &[(&str, &[&str])] = &[
    ("caddy", &["ts", "request.method", "request.uri", "status", "duration"]),
    ("traefik-json", &["DownstreamStatus", "Duration", "RequestMethod", "RequestPath"]),
    ("istio-json", &["start_time", "method", "path", "response_code", "response_flags", "duration"]),
    ("google-cloud", &["timestamp", "httpRequest.requestMethod", "httpRequest.requestUrl", "httpRequest.latency"]),
];

/// Variables of nginx that no other program names so.
const NGINX: &[&str] = &[
    "body_bytes_sent",
    "bytes_sent",
    "http_referer",
    "http_user_agent",
    "remote_addr",
    "remote_user",
    "request_length",
    "request_uri",
    "server_protocol",
    "upstream_addr",
    "upstream_response_time",
];

/// Keys of the moment, in the order of preference.
const MOMENTS: &[&str] =
    &["time_iso8601", "@timestamp", "timestamp", "time_local", "time", "msec", "datetime", "date", "ts"];

/// The format of lines that are JSON objects; `None` if the first line is none.
pub fn detect(lines: &[String]) -> Option<Result<LogFormat, Unclear>> {
    let first = lines.first()?;
    let start = first.find('{').filter(|_| first.ends_with('}'))?;
    let objects: Vec<_> = lines.iter().filter_map(|line| members(line.get(start..)?)).collect();
    let first = members(&first[start..])?;
    let known = KNOWN.iter().find(|(_, keys)| keys.iter().all(|key| find(&first, key).is_some()));
    let map = match known {
        Some((name, _)) => known_map(name, &objects),
        None => nginx(&objects),
    };
    Some(
        map.and_then(|map| map.parse::<JsonMap>().ok().map(|parsed| named(&map, parsed)))
            .ok_or_else(|| unclear(&first)),
    )
}

/// The format, written as the option that says the same.
fn named(map: &str, parsed: JsonMap) -> LogFormat {
    LogFormat { written: format!("--map {map}"), ..LogFormat::mapped(parsed) }
}

/// The mapping of a known log. Keys whose values can have several units are looked at.
fn known_map(name: &str, objects: &[Members<'_>]) -> Option<String> {
    let map = known::json(name)?;
    match name {
        "caddy" => {
            let value = if seconds_or_text(objects, "duration")? { "duration:s" } else { "duration" };
            Some(map.replace("ts:s", &moment(objects, "ts")?).replace("duration:s", value))
        }
        "traefik-json" => {
            let moment = ["StartUTC", "StartLocal", "time"].into_iter().find(|key| value(objects, key).is_some())?;
            Some(map.replace("StartUTC", moment))
        }
        _ => Some(map.to_owned()),
    }
}

/// The mapping of variables of nginx in an object.
fn nginx(objects: &[Members<'_>]) -> Option<String> {
    let first = objects.first()?;
    let has = |key: &&&str| first.contains_key(**key);
    let is_seconds = || seconds_or_text(objects, "request_time") == Some(true);
    if NGINX.iter().filter(has).count() == 0 || !is_seconds() {
        return None;
    }
    let moment = moment(objects, MOMENTS.iter().find(has)?)?;
    let target = ["request_uri", "uri", "path", "url"].into_iter().find(|key| first.contains_key(*key));
    let method = ["request_method", "method"].into_iter().find(|key| first.contains_key(*key));
    let request = match (method, target) {
        (Some(method), Some(target)) => format!("method={method},endpoint={target}"),
        _ if first.contains_key("request") => "request=request".to_owned(),
        _ => return None,
    };
    let status = if first.contains_key("status") { ",status=status" } else { "" };
    Some(format!("time={moment},{request}{status},value=request_time:s"))
}

/// The key of a moment, with the unit if it is a number.
fn moment(objects: &[Members<'_>], key: &str) -> Option<String> {
    let moment = text(value(objects, key)?)?;
    let is_number = moment.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    Some(if is_number { format!("{key}:{}", unit_by_size(&moment)?.symbol()) } else { key.to_owned() })
}

/// True for numbers of seconds, which have a decimal point in one of the lines at least; false for texts with a unit. `None`
/// for whole numbers, whose unit is not certain.
fn seconds_or_text(objects: &[Members<'_>], key: &str) -> Option<bool> {
    let texts: Vec<_> = objects.iter().filter_map(|object| text(find(object, key)?)).collect();
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if texts.iter().any(|text| !is_number(text)) {
        return texts.iter().all(|text| text.ends_with('s')).then_some(false);
    }
    texts.iter().any(|text| text.contains('.')).then_some(true)
}

fn value<'a>(objects: &[Members<'a>], key: &str) -> Option<&'a RawValue> {
    objects.iter().find_map(|object| find(object, key))
}

fn unclear(first: &Members<'_>) -> Unclear {
    let mut keys: Vec<_> = first.keys().map(|key| key.chars().take(32).collect::<String>()).collect();
    keys.sort_unstable();
    keys.truncate(20);
    let seen = format!(
        "the file is JSON, but neither metrics with the keys type, value and endpoint nor an access log whose keys and units \
         are known; its keys are {}",
        keys.join(", ")
    );
    Unclear::new(seen).or("it is an access log, with its own keys and the unit of the time", format!("--map {EXAMPLE}"))
}
