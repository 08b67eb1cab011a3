//! The format of an access log, seen from its first lines. Where a line can mean several things, the detection ends with what
//! it saw and the options that decide.

mod json;
mod tail;
mod unclear;
mod w3c;

pub use self::unclear::Unclear;
use super::{LogFormat, TimeUnit, layout, syntax, text, utf8, without_container};

/// Lines that are looked at.
const LINES_MAX: usize = 100;

/// Detects the format of the beginning of a log. The unit is that of the one number behind the fields of the combined log
/// format, where it is known.
///
/// # Errors
/// The lines have no format that is known, have several, or do not say which number is the time of the request.
pub fn detect(head: &[u8], unit: Option<TimeUnit>) -> Result<LogFormat, Unclear> {
    let lines = lines(head);
    if let Some(found) = json::detect(&lines) {
        return found;
    }
    if let Some(found) = w3c::detect(&lines, unit) {
        return found;
    }
    text_format(&lines, unit)
}

/// True if the first line is one of an access log, whether or not its format is certain.
pub fn is_log(head: &[u8]) -> bool {
    lines(head).first().is_some_and(|line| tail_of(line).is_some()) || detect(head, None).is_ok()
}

/// The first lines, without empty ones and without the objects of a container.
fn lines(head: &[u8]) -> Vec<String> {
    // The last line may be cut off.
    let whole = head.iter().rposition(|byte| *byte == b'\n').map_or(head, |end| &head[..end]);
    whole
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(LINES_MAX)
        .map(|line| without_container(&utf8(line)).into_owned())
        .collect()
}

/// The format of lines of text.
fn text_format(lines: &[String], unit: Option<TimeUnit>) -> Result<LogFormat, Unclear> {
    let known = syntax::known::DETECTED.iter().filter_map(|name| name.parse().ok()).collect::<Vec<LogFormat>>();
    let mut found: Option<(usize, LogFormat)> = None;
    let mut without_time = None;
    for (row, line) in (1..).zip(lines) {
        let format = match known.iter().find(|format| format.parse(line.as_bytes()).is_ok()) {
            Some(format) => format.clone(),
            None => match tail_of(line).map(|(base, tail)| tail::format(base, tail, unit)) {
                Some(Ok(format)) => format.parse().map_err(|error| Unclear::new(format!("row {row}: {error}")))?,
                // The server did not measure this request, so its line decides nothing.
                Some(Err(unclear)) if unclear.is_without_number => {
                    without_time = without_time.or(Some(unclear.reason));
                    continue;
                }
                Some(Err(unclear)) => {
                    return Err(Unclear { seen: format!("row {row}: {}", unclear.reason.seen), ..unclear.reason });
                }
                None => continue,
            },
        };
        match &found {
            Some((_, first)) if *first == format => {}
            Some((first_row, first)) => {
                let seen =
                    format!("row {first_row} has the format `{}`, and row {row} `{}`", first.written, format.written);
                return Err(
                    Unclear::new(seen).or("all lines have one format", format!("--log-format '{}'", first.written))
                );
            }
            None => found = Some((row, format)),
        }
    }
    match (found, without_time) {
        (Some((_, format)), _) => Ok(format),
        (None, Some(unclear)) => Err(unclear),
        (None, None) => Err(unknown(lines)),
    }
}

/// The text behind the fields of the common or combined log format, with the name of that format.
fn tail_of(line: &str) -> Option<(&'static str, &str)> {
    let mut parts = syntax::parse("common").ok()?;
    parts.push(syntax::Part::Field(syntax::NamedField {
        name: String::new(),
        extent: layout::Extent::Anything,
        meaning: syntax::Meaning::Ignored,
    }));
    let mut pieces = text::pieces(&parts).ok()?;
    if let Some(layout::Piece::Field(field)) = pieces.last_mut() {
        field.slot = Some(0);
    }
    let slots = layout::read(&pieces, line).ok()?;
    let tail = &line[slots[0].0..slots[0].1];
    // Referrer and user agent.
    Some(match tail::two_quoted(tail) {
        Some(behind) => ("combined", behind),
        None => ("common", tail),
    })
}

fn unknown(lines: &[String]) -> Unclear {
    let first = lines.first().map(|line| line.chars().take(120).collect::<String>()).unwrap_or_default();
    if first.is_empty() {
        return Unclear::new("the file contains no rows");
    }
    let unclear = Unclear::new(format!("`{first}` is no line of a log format that is known"));
    let format = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time"#;
    unclear
        .or("the server is nginx, with its own log_format", format!("--log-format '{format}'"))
        .or("the server is Apache, with its own LogFormat", r#"--log-format '%h %l %u %t "%r" %>s %b %D'"#.to_owned())
}
