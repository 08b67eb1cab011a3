//! Access logs whose lines are JSON objects: the keys that hold the moment, the request, the status and the time.

use std::{borrow::Cow, collections::HashMap, str::FromStr};

use serde_json::value::RawValue;

use super::{
    duration::{self, TimeUnit},
    moment::{self, UtcOffset},
    request,
    syntax::FormatError,
    text::candidate,
};
use crate::ingest::submission::{Candidate, FieldError};

/// The keys of a JSON log, such as `time=ts:s,method=request.method,endpoint=request.uri,status=status,value=duration:ms`.
///
/// Points lead into objects. A unit follows the key of the time of the request, unless the text has one, and may follow the
/// key of the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonMap {
    moment: Source,
    request: Request,
    status: Option<Source>,
    value: Source,
}

/// A key and the unit of its number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    key: String,
    unit: Option<TimeUnit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Request {
    /// One text, as in `GET /orders HTTP/1.1`.
    Line(Source),
    Parts {
        method: Option<Source>,
        target: Source,
    },
}

/// The names on the left of a mapping.
const TARGETS: &str = "time, endpoint, method, request, status, value";

impl FromStr for JsonMap {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let mut found: HashMap<&str, Source> = HashMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (target, key) =
                pair.split_once('=').map(|(target, key)| (target.trim(), key.trim())).unwrap_or_default();
            if !TARGETS.split(", ").any(|known| known == target) || key.is_empty() {
                let message = format!("`{pair}` is not NAME=KEY, where NAME is one of {TARGETS}");
                return Err(FormatError(message));
            }
            let (key, unit) = match key.rsplit_once(':') {
                Some((key, symbol)) => match TimeUnit::by_symbol(symbol) {
                    Some(unit) => (key, Some(unit)),
                    None => {
                        return Err(FormatError(format!("`{pair}` has the unit `{symbol}`; write s, ms, us or ns")));
                    }
                },
                None => (key, None),
            };
            if unit.is_some() && !matches!(target, "time" | "value") {
                return Err(FormatError(format!("`{pair}` has a unit; only time and value have one")));
            }
            if found.insert(target, Source { key: key.to_owned(), unit }).is_some() {
                return Err(FormatError(format!("names {target} twice")));
            }
        }
        let mut take = |target: &str| found.remove(target);
        let lacks = |target: &str| FormatError(format!("lacks {target}, such as --map {EXAMPLE}"));
        let request = match (take("request"), take("endpoint"), take("method")) {
            (Some(line), None, None) => Request::Line(line),
            (None, Some(target), method) => Request::Parts { method, target },
            (None, None, _) => return Err(lacks("endpoint")),
            (Some(_), ..) => return Err(FormatError("names request beside endpoint or method".to_owned())),
        };
        let moment = take("time").ok_or_else(|| lacks("time"))?;
        let value = take("value").ok_or_else(|| lacks("value"))?;
        Ok(Self { moment, request, status: take("status"), value })
    }
}

/// A mapping to learn from.
pub const EXAMPLE: &str = "time=ts,method=request.method,endpoint=request.uri,status=status,value=duration:ms";

/// The members of an object, as they are written.
pub type Members<'a> = HashMap<String, &'a RawValue>;

/// The members of a JSON object. `None` if the text is none.
pub fn members(text: &str) -> Option<Members<'_>> {
    serde_json::from_str(text).ok()
}

/// The member at a path. A key may contain points itself.
pub fn find<'a>(members: &Members<'a>, path: &str) -> Option<&'a RawValue> {
    if let Some(found) = members.get(path) {
        return Some(found);
    }
    path.match_indices('.').find_map(|(at, _)| {
        let inner = self::members(members.get(&path[..at])?.get())?;
        find(&inner, &path[at + 1..])
    })
}

/// A string or a number as text. `None` for null, objects and arrays.
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(value.get()).ok().map(Cow::Owned),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(value.get())),
        _ => None,
    }
}

impl JsonMap {
    /// The key of the request's time, and its unit.
    pub fn duration(&self) -> String {
        let unit = self.value.unit.map_or("with its unit", TimeUnit::name);
        format!("`{}` in {unit}", self.value.key)
    }

    /// The key of the moment.
    pub fn moment(&self) -> String {
        format!("`{}`", self.moment.key)
    }

    /// Reads a line. Another program may have written a prefix before the object.
    ///
    /// # Errors
    /// The line is no JSON object, or a member is absent or invalid.
    pub fn parse(&self, line: &str, offset: Option<UtcOffset>) -> Result<Candidate, FieldError> {
        let start = line.find('{').unwrap_or(0);
        let members = members(&line[start..])
            .ok_or_else(|| FieldError::row("is not a JSON object; every line of this log must be one"))?;
        let get = |source: &Source| find(&members, &source.key).and_then(text);
        let need = |field: &'static str, source: &Source| {
            get(source)
                .ok_or_else(|| FieldError::new(field, format!("the line has no text or number at `{}`", source.key)))
        };
        let value = need("value", &self.value)?;
        let form = self.value.unit.map_or(duration::Form::WithUnit, duration::Form::Plain);
        let value = duration::milliseconds(&value, form, &format!("`{}`", self.value.key))?;
        let moment = need("timestamp", &self.moment)?;
        let is_number = moment.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let form = match self.moment.unit {
            Some(unit) => moment::Form::Epoch(unit),
            None if is_number => moment::Form::EpochBySize,
            None => moment::Form::Text,
        };
        let timestamp = moment::moment(&[(&form, &moment)], offset)?;
        let endpoint = match &self.request {
            Request::Line(line) => request::endpoint(&need("endpoint", line)?)?,
            Request::Parts { method, target } => {
                let method = method.as_ref().map(|method| need("endpoint", method)).transpose()?;
                request::endpoint_of(method.as_deref(), &need("endpoint", target)?)?
            }
        };
        let status = self.status.as_ref().and_then(get);
        let status = status.map(|status| request::status(&status)).transpose()?.flatten();
        Ok(candidate(endpoint, value, status, timestamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_names_the_keys() {
        let map: JsonMap = "time=t, request=r ,value=http.took:us,status=s".parse().unwrap();
        let line = r#"{"t":"2026-01-31T12:00:00Z","r":"GET /a HTTP/1.1","http":{"took":1500},"s":"200","x":[1]}"#;
        let row = map.parse(line, None).unwrap();
        assert_eq!((row.endpoint.as_str(), row.value, row.status), ("GET /a", 1.5, Some(200)));
        // Keys with points, a prefix, a number of a moment, no status.
        let line = r#"2026-01-31T12:00:01Z stdout F {"t":1769860800,"r":"GET /a HTTP/1.1","http.took":1500.5}"#;
        let row = map.parse(line, None).unwrap();
        assert_eq!((row.value, row.status), (1.5005, None));
        assert_eq!(row.timestamp.unwrap().to_string(), "2026-01-31T12:00:00Z");
        for (line, field) in [
            ("x", ""),
            ("{", ""),
            (r#"{"t":1769860800,"r":"GET /a HTTP/1.1","http.took":null}"#, "value"),
            (r#"{"t":1769860800,"r":"GET /a HTTP/1.1","http.took":"15ms"}"#, "value"),
            (r#"{"t":1769860800,"r":"GET /a HTTP/1.1","http.took":-1}"#, "value"),
            (r#"{"t":17698608,"r":"GET /a HTTP/1.1","http.took":1}"#, "timestamp"),
            (r#"{"r":"GET /a HTTP/1.1","http.took":1}"#, "timestamp"),
            (r#"{"t":1769860800,"r":"hello","http.took":1}"#, "endpoint"),
            (r#"{"t":1769860800,"r":"GET /a HTTP/1.1","http.took":1,"s":"ok"}"#, "statusCode"),
        ] {
            assert_eq!(map.parse(line, None).unwrap_err().field, field, "{line}");
        }
        let without_unit: JsonMap = "time=t,endpoint=e,value=v".parse().unwrap();
        let row = without_unit.parse(r#"{"t":1769860800,"e":"/a","v":"0.25s"}"#, None).unwrap();
        assert_eq!((row.endpoint.as_str(), row.value), ("/a", 250.0));
        assert!(without_unit.parse(r#"{"t":1769860800,"e":"/a","v":250}"#, None).is_err(), "a number needs a unit");
    }

    #[test]
    fn a_wrong_mapping_is_refused_by_name() {
        for (map, words) in [
            ("", "endpoint"),
            ("time=t,endpoint=e", "value"),
            ("value=v:ms,endpoint=e", "time"),
            ("time=t,value=v:ms", "endpoint"),
            ("time=t,value=v:min,endpoint=e", "min"),
            ("time=t,value=v:ms,endpoint=e:ms", "unit"),
            ("time=t,value=v:ms,endpoint=e,request=r", "request"),
            ("time=t,time=u,value=v:ms,endpoint=e", "twice"),
            ("duration=d", "duration"),
            ("time=", "time="),
            ("x", "x"),
        ] {
            let FormatError(message) = map.parse::<JsonMap>().unwrap_err();
            assert!(message.contains(words), "{map}: {message}");
        }
    }
}
