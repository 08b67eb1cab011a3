//! The fields behind those of the common or combined log format: which of them is the time of the request.

use super::unclear::Unclear;
use crate::ingest::formats::access_log::{TimeUnit, duration, layout};

/// The names of the request's time in logs with named fields, as documents of nginx use them.
const NAMES: [&str; 2] = ["rt=", "request_time="];

/// Numbers of seconds from which on a number is a moment and no time of a request: that of 2001.
const MOMENT_SECONDS: f64 = 1e9;

/// Choices that are offered, at most.
const CHOICES_MAX: usize = 3;

/// A reason against a format.
pub struct UnclearTail {
    pub reason: Unclear,
    /// The tail holds no number, so other lines may decide.
    pub is_without_number: bool,
}

/// A field behind those of the format, such as `0.250`, `"-"` or `rt="0.250"`.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    /// The text before the value, without white space: `rt=`.
    key: &'a str,
    value: &'a str,
    is_quoted: bool,
}

impl Token<'_> {
    /// The token with a variable in the place of its value.
    fn with(&self, variable: &str) -> String {
        let quote = if self.is_quoted { "\"" } else { "" };
        format!(" {}{quote}{variable}{quote}", self.key)
    }

    fn is_number(&self) -> bool {
        self.key.is_empty() && duration::decimal(self.value, TimeUnit::Milliseconds).is_some()
    }

    /// Seconds with three decimals, as nginx writes a time. `$gzip_ratio` has two.
    fn is_nginx_time(&self) -> bool {
        let is_time = |(whole, fraction): (&str, &str)| !whole.is_empty() && fraction.len() == 3;
        self.value.split_once('.').is_some_and(is_time)
            && duration::decimal(self.value, TimeUnit::Milliseconds).is_some_and(|seconds| seconds < MOMENT_SECONDS)
    }

    /// Seconds and microseconds of one time, `%T/%D` of Apache.
    fn is_seconds_and_micros(&self) -> bool {
        let Some((seconds, micros)) = self.value.split_once('/') else { return false };
        match (seconds.parse::<u64>(), micros.parse::<u64>()) {
            (Ok(seconds), Ok(micros)) => self.key.is_empty() && micros / 1_000_000 == seconds,
            _ => false,
        }
    }

    fn is_with_unit(&self) -> bool {
        self.key.is_empty() && duration::with_unit(self.value).is_some()
    }
}

/// The text behind two quoted fields.
pub fn two_quoted(tail: &str) -> Option<&str> {
    let skip = |text: &'_ str| -> Option<usize> {
        let inside = text.strip_prefix(" \"")?;
        let end = closing_quote(inside);
        (end < inside.len()).then_some(end + 3)
    };
    let first = skip(tail)?;
    let second = skip(&tail[first..])?;
    Some(&tail[first + second..])
}

fn tokens(tail: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = tail.trim_start();
    while !rest.is_empty() {
        let length = rest.find(|character: char| character.is_whitespace() || character == '"').unwrap_or(rest.len());
        if rest[length..].starts_with('"') {
            let inside = &rest[length + 1..];
            let end = closing_quote(inside);
            tokens.push(Token { key: &rest[..length], value: &inside[..end], is_quoted: true });
            rest = inside.get(end + 1..).unwrap_or_default().trim_start();
        } else {
            let word = &rest[..length];
            let key = word.find('=').map_or(0, |at| at + 1);
            tokens.push(Token { key: &word[..key], value: &word[key..], is_quoted: false });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The byte of the quote that ends a quoted text, or the length of the text.
fn closing_quote(text: &str) -> usize {
    layout::quotes(text).first().copied().unwrap_or(text.len())
}

/// The format of lines with this tail.
pub fn format(base: &str, tail: &str, unit: Option<TimeUnit>) -> Result<String, UnclearTail> {
    let tokens = tokens(tail);
    let with = |chosen: usize, variable: &str| {
        tokens.iter().enumerate().fold(base.to_owned(), |format, (at, token)| {
            format + &token.with(if at == chosen { variable } else { "$any" })
        })
    };
    let only = |is_one: &dyn Fn(&Token<'_>) -> bool| {
        let mut found = tokens.iter().enumerate().filter(|(_, token)| is_one(token)).map(|(at, _)| at);
        found.next().filter(|_| found.next().is_none())
    };
    let is_named = |token: &Token<'_>| NAMES.contains(&token.key);
    if let Some(named) = only(&is_named) {
        let token = tokens[named];
        match unit {
            Some(unit) => return Ok(with(named, unit_variable(unit))),
            None if token.is_nginx_time() => return Ok(with(named, "$request_time")),
            None => {}
        }
    } else if let Some(unit) = unit {
        let unquoted = only(&|token| token.is_number() && !token.is_quoted);
        if let Some(number) = unquoted.or_else(|| only(&|token| token.is_number())) {
            return Ok(with(number, unit_variable(unit)));
        }
    } else if let Some(number) =
        only(&|token| token.is_number() || token.is_seconds_and_micros() || token.is_with_unit())
    {
        let token = tokens[number];
        if token.is_nginx_time() {
            return Ok(with(number, "$request_time"));
        }
        if token.is_seconds_and_micros() {
            return Ok(with(number, "$request_time_s/$request_time_us"));
        }
        if token.is_with_unit() {
            return Ok(with(number, "$duration"));
        }
    }
    let numbers: Vec<_> = tokens.iter().enumerate().filter(|(_, token)| token.is_number() || is_named(token)).collect();
    let is_without_number = numbers.iter().all(|(_, token)| token.value == "-");
    Err(UnclearTail { reason: unclear(base, &numbers, with), is_without_number })
}

/// The variable of a number in a unit.
const fn unit_variable(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Seconds => "$request_time_s",
        TimeUnit::Milliseconds => "$request_time_ms",
        TimeUnit::Microseconds => "$request_time_us",
        TimeUnit::Nanoseconds => "$request_time_ns",
    }
}

fn unclear(base: &str, numbers: &[(usize, &Token<'_>)], with: impl Fn(usize, &str) -> String) -> Unclear {
    let shown: Vec<_> =
        numbers.iter().take(6).map(|(_, token)| format!("`{}{}`", token.key, shortened(token.value))).collect();
    let option = |at, variable| format!("--log-format '{}'", with(at, variable));
    match numbers {
        [] => Unclear::new(format!(
            "the lines have the format `{base}`, without the time of the request; add $request_time (nginx) or %D (Apache) to \
             the end of the format of the server"
        ))
        .or(
            "the time stands elsewhere in the line, with your own format",
            r#"--log-format '$remote_addr $request_time $remote_user [$time_local] "$request" $status $body_bytes_sent'"#,
        ),
        [(at, token)] => {
            let seen =
                format!("{} stands behind the fields of the format `{base}`, in a unit that is not certain", shown[0]);
            let units = [TimeUnit::Microseconds, TimeUnit::Milliseconds, TimeUnit::Seconds];
            units.into_iter().fold(Unclear::new(seen), |unclear, unit| {
                let said_by = if unit == TimeUnit::Microseconds { " (%D of Apache)" } else { "" };
                let meaning = format!("{} are {}{said_by}", shortened(token.value), unit.name());
                unclear.or(meaning, option(*at, unit_variable(unit)))
            })
        }
        several => {
            let list = shown.join(", ");
            let mut seen = format!(
                "{list} stand behind the fields of the format `{base}`; which of them is the time of the request?"
            );
            let is_whole = |token: &Token<'_>| !token.value.contains('.');
            if several.len() == 2 && several.iter().all(|(_, token)| is_whole(token)) {
                seen.push_str(" Two whole numbers are none if they are the bytes of Apache's combinedio (%I %O)");
            }
            let mut likely: Vec<_> = several.iter().filter(|(_, token)| token.is_nginx_time()).collect();
            likely.extend(several.iter().filter(|(_, token)| !token.is_nginx_time()).rev());
            likely.into_iter().take(CHOICES_MAX).fold(Unclear::new(seen), |unclear, (at, token)| {
                let (variable, unit) = if token.is_nginx_time() {
                    ("$request_time", TimeUnit::Seconds)
                } else {
                    ("$request_time_us", TimeUnit::Microseconds)
                };
                unclear.or(format!("it is `{}` in {}", shortened(token.value), unit.name()), option(*at, variable))
            })
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(24).collect()
}
