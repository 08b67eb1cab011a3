//! Lines of web servers' access logs: nginx `combined` and Apache `common` or `combined`, with the time that the request
//! took behind it: `$request_time` of nginx (seconds with a point) or `%D` of Apache (whole microseconds).
//!
//! The time is the first bare number behind the quoted fields, or behind `rt=` or `request_time=`.

use super::{Row, Unreadable};
use crate::{
    ingest::Candidate,
    model::{MetricType, Timestamp},
};

/// How the time that a request took is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds with a decimal point, microseconds without.
    #[default]
    Detect,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

/// Names of the time, where a log has names.
const NAMES: [&str; 2] = ["rt=", "request_time="];

/// Reads one line.
pub fn row(line: &[u8], unit: TimeUnit) -> Result<Row, Unreadable> {
    let line = std::str::from_utf8(line).map_err(|_| Unreadable::new("", "the line is not UTF-8"))?;
    let parts = Line::split(line).ok_or_else(|| {
        let message =
            "is not a line of a combined access log: ADDRESS - USER [TIME] \"METHOD PATH HTTP/1.1\" STATUS BYTES …";
        Unreadable::new("", message)
    })?;
    let timestamp = time(parts.time).ok_or_else(|| {
        Unreadable::new("timestamp", format!("`{}` is not a time such as 31/Jan/2026:12:00:00 +0000", parts.time))
    })?;
    let endpoint = endpoint(parts.request).ok_or_else(|| {
        let request: String = parts.request.chars().take(64).collect();
        Unreadable::new("endpoint", format!("`{request}` is not a request such as GET /orders HTTP/1.1"))
    })?;
    let status = parts.status.parse().map_err(|_| {
        Unreadable::new(
            "statusCode",
            format!("`{}` is not an HTTP status", parts.status.chars().take(16).collect::<String>()),
        )
    })?;
    let value = request_time(parts.rest, unit).ok_or_else(|| {
        let message = "the line does not say how long the request took; add $request_time (nginx) or %D (Apache) to the end \
                       of the log format";
        Unreadable::new("value", message)
    })?;
    let candidate = Candidate {
        kind: MetricType::ApiResponse,
        value,
        endpoint,
        status: Some(status),
        timestamp: Some(timestamp),
        name: None,
        release: None,
    };
    Ok(Row { project: None, candidate })
}

/// The parts of a line that matter.
struct Line<'a> {
    time: &'a str,
    request: &'a str,
    status: &'a str,
    /// Behind the status: bytes, then perhaps referrer and agent, then what the log adds.
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn split(line: &'a str) -> Option<Self> {
        let (_, rest) = line.split_once('[')?;
        let (time, rest) = rest.split_once(']')?;
        let (request, rest) = quoted(rest.trim_start())?;
        let (status, rest) = word(rest)?;
        Some(Self { time, request, status, rest })
    }
}

/// A text in quotes at the start, in which a backslash takes the next character along, and what is behind it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })?;
    Some((&inside[..end], &inside[end + 1..]))
}

fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(' ').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn time(text: &str) -> Option<Timestamp> {
    match jiff::Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text) {
        Ok(moment) => Some(Timestamp::from_micros(moment.as_microsecond())),
        // $time_iso8601
        Err(_) => text.parse().ok(),
    }
}

fn endpoint(request: &str) -> Option<String> {
    let mut words = request.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let is_method = !method.is_empty() && method.len() <= 16 && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_protocol = words.next().is_none_or(|protocol| protocol.starts_with("HTTP/"));
    (is_method && is_protocol && !target.is_empty() && words.next().is_none()).then(|| format!("{method} {target}"))
}

/// In milliseconds.
fn request_time(rest: &str, unit: TimeUnit) -> Option<f64> {
    // The number of bytes sent, `-` for none.
    let (_, mut rest) = word(rest)?;
    let mut bare = None;
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        if rest.starts_with('"') {
            rest = quoted(rest)?.1;
            continue;
        }
        let (part, behind) = word(rest)?;
        rest = behind;
        if let Some(number) = NAMES.iter().find_map(|name| part.strip_prefix(name)) {
            return milliseconds(number.trim_matches('"'), unit);
        }
        bare = bare.or_else(|| milliseconds(part, unit));
    }
    bare
}

fn milliseconds(text: &str, unit: TimeUnit) -> Option<f64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    Some(match unit {
        TimeUnit::Detect if text.contains('.') => number * 1_000.0,
        TimeUnit::Detect | TimeUnit::Microseconds => number / 1_000.0,
        TimeUnit::Seconds => number * 1_000.0,
        TimeUnit::Milliseconds => number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Candidate, Unreadable> {
        row(line.as_bytes(), TimeUnit::Detect).map(|row| row.candidate)
    }

    #[test]
    fn lines_of_nginx_and_apache_are_read() {
        const HEAD: &str = "203.0.113.9 - - [31/Jan/2026:13:00:00 +0100] \"GET /orders/17?x=\\\"y\\\" HTTP/1.1\" 200";
        let moment: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        for (rest, value) in [
            (" 512 \"-\" \"curl/8\" 0.250", 250.0),
            (" 512 \"-\" \"a \\\"quoted\\\" agent\" \"10.0.0.1\" 0.250 0.100", 250.0),
            (" 512 \"-\" \"curl/8\" rt=0.250 uct=\"0.001\"", 250.0),
            (" 512 \"-\" \"curl/8\" 1 request_time=0.250", 250.0),
            (" - \"-\" \"curl/8\" 250000", 250.0),
            (" 512 1500", 1.5),
        ] {
            let candidate = read(&format!("{HEAD}{rest}")).unwrap();
            assert!((candidate.value - value).abs() < 1e-9, "{rest}: {}", candidate.value);
            assert_eq!((candidate.status, candidate.timestamp), (Some(200), Some(moment)));
            assert_eq!(candidate.endpoint, "GET /orders/17?x=\\\"y\\\"");
        }
        let iso = read("::1 - me [2026-01-31T13:00:00+01:00] \"PUT /a HTTP/2.0\" 204 0 \"-\" \"-\" 0.001").unwrap();
        assert_eq!((iso.timestamp, &*iso.endpoint), (Some(moment), "PUT /a"));
        let line = format!("{HEAD} 512 \"-\" \"curl/8\" 250");
        assert_eq!(row(line.as_bytes(), TimeUnit::Milliseconds).unwrap().candidate.value.to_bits(), 250_f64.to_bits());
    }

    #[test]
    fn what_is_no_request_says_what_is_missing() {
        let head = "203.0.113.9 - - [31/Jan/2026:13:00:00 +0100]";
        for (line, field) in [
            ("hello".to_owned(), ""),
            (String::new(), ""),
            (format!("{head} \"GET / HTTP/1.1\" 200 12 \"-\" \"curl/8\""), "value"),
            (format!("{head} \"GET / HTTP/1.1\" abc 12 0.1"), "statusCode"),
            (format!("{head} \"\\x16\\x03\\x01\" 400 157 \"-\" \"-\" 0.1"), "endpoint"),
            (format!("{head} \"-\" 408 0 \"-\" \"-\" 0.1"), "endpoint"),
            (line_with_time("32/Jan/2026:13:00:00 +0100"), "timestamp"),
        ] {
            assert_eq!(read(&line).unwrap_err().field, field, "{line}");
        }
    }

    fn line_with_time(time: &str) -> String {
        format!("::1 - - [{time}] \"GET / HTTP/1.1\" 200 12 \"-\" \"-\" 0.1")
    }
}
