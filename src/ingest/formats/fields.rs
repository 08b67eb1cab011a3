//! Parses the fields of a row, from JSON and from text. The names are those of the GraphQL API.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use super::{
    decimal::{self, DecimalSign},
    record::ParsedRow,
    time::{self, Time},
};
use crate::{
    ingest::submission::{Candidate, FieldError},
    model::{Label, MetricType},
};

/// A row in JSON. Unknown names are errors: a misspelt field would otherwise be lost silently.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    #[serde(rename = "type", deserialize_with = "kind")]
    kind: MetricType,
    value: f64,
    endpoint: String,
    #[serde(default, deserialize_with = "status")]
    status_code: Option<i32>,
    #[serde(default)]
    timestamp: Option<Time>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, alias = "releaseVersion")]
    release: Option<String>,
    #[serde(default, deserialize_with = "labels")]
    labels: Vec<Label>,
    #[serde(default, alias = "project", alias = "projectSlug")]
    project_id: Option<String>,
}

/// A row as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenFields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: f64,
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Label]>::is_empty", serialize_with = "write_labels")]
    labels: &'a [Label],
}

/// Labels in their order. A key that was sent twice stays so, which is refused where it arrives.
fn write_labels<S: Serializer>(labels: &&[Label], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().map(|Label { key, value }| (key, value)))
}

/// Writes a row as one line of JSON, which reads back as the same row.
///
/// # Errors
/// The row has no form in JSON.
pub fn write_json(candidate: &Candidate, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let Candidate { kind, value, endpoint, status, timestamp, name, release, labels } = candidate;
    let fields = WrittenFields {
        kind: kind.name(),
        value: *value,
        endpoint,
        status_code: *status,
        timestamp: timestamp.map(|timestamp| timestamp.to_string()),
        name: name.as_deref(),
        release: release.as_deref(),
        labels,
    };
    serde_json::to_writer(&mut *out, &fields)?;
    out.push(b'\n');
    Ok(())
}

/// Parses one JSON object.
pub fn from_json(text: &[u8]) -> Result<ParsedRow, FieldError> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(FieldError::row("the row is not UTF-8; send the text in UTF-8"));
    };
    // The JSON library would accept an array of the fields in their order.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(FieldError::row(
            "the row is not a JSON object; send one such as {\"type\":\"CUSTOM\",\"value\":1,\"endpoint\":\"a\"}",
        ));
    }
    let Fields { kind, value, endpoint, status_code, timestamp, name, release, labels, project_id } =
        serde_json::from_str(text).map_err(|_| fault(text))?;
    let timestamp = timestamp.map(|time| time.0);
    let candidate = Candidate { kind, value, endpoint, status: status_code, timestamp, name, release, labels };
    Ok(ParsedRow { project: project_id, candidate })
}

/// Parses an invalid row a second time, to find the field at fault.
#[cold]
fn fault(text: &str) -> FieldError {
    let mut reader = serde_json::Deserializer::from_str(text);
    let fault = serde_path_to_error::deserialize::<_, Fields>(&mut reader).err().map(|error| {
        let field = error.path().to_string();
        let message = error.inner().to_string();
        // Without the position: rows are single lines or array elements.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(words, _)| words).to_owned();
        (field, message)
    });
    // If the object itself is valid, there is text after it.
    let (field, message) =
        fault.unwrap_or_else(|| (String::new(), "there is more than one value in the row".to_owned()));
    let named = message.split('`').nth(1).filter(|_| field == "." && message.contains("field `"));
    let field = named.map_or(field.trim_matches(['.', '?']).to_owned(), str::to_owned);
    FieldError::new(shortened(&field, NAME_SHOWN_MAX), shortened(&message, MESSAGE_SHOWN_MAX))
}

/// Characters of the name of a field that an error shows; no known name is longer.
const NAME_SHOWN_MAX: usize = 60;
/// Characters of a message that an error shows. Messages of the JSON library quote names and texts of the row.
const MESSAGE_SHOWN_MAX: usize = 300;

/// The beginning of a text, so that the errors of a body are not as large as the body.
fn shortened(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn kind<'de, D: Deserializer<'de>>(from: D) -> Result<MetricType, D::Error> {
    struct Reader;

    impl Visitor<'_> for Reader {
        type Value = MetricType;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<MetricType, E> {
            MetricType::named(name).ok_or_else(|| E::custom(unknown_type(name)))
        }
    }

    from.deserialize_str(Reader)
}

/// Reads a status or null. Programs that keep a column with gaps as floats write `200.0`.
fn status<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Option<i32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number such as 200")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
            from.deserialize_any(self)
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
            let status = i32::try_from(number);
            status.map(Some).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
            let status = i32::try_from(number);
            status.map(Some).map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
        }

        fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
            whole(number).map(Some).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(number), &self))
        }
    }

    from.deserialize_option(Reader)
}

/// Reads an object of texts or null. Keys that occur twice are kept for validation, which refuses them.
fn labels<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Label>, D::Error> {
    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Vec<Label>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of texts such as {\"region\":\"eu\"}")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut labels = Vec::new();
            while let Some((key, value)) = map.next_entry()? {
                labels.push(Label { key, value });
            }
            Ok(labels)
        }
    }

    from.deserialize_any(Reader)
}

/// The integer that a float stands for. `None` if it has a fraction or is too large.
fn whole(number: f64) -> Option<i32> {
    let is_whole = number.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the range")]
    is_whole.then_some(number as i32)
}

fn unknown_type(name: &str) -> String {
    let names: Vec<_> = MetricType::ALL.iter().map(|kind| kind.name()).collect();
    let name: String = name.chars().take(64).collect();
    format!("`{name}` is not a type of metric; send one of {}", names.join(", "))
}

/// The fields of a row as text.
#[derive(Clone, Copy, Default)]
pub struct TextFields<'a> {
    pub kind: Option<&'a str>,
    pub value: Option<&'a str>,
    pub endpoint: Option<&'a str>,
    pub status: Option<&'a str>,
    pub timestamp: Option<&'a str>,
    pub name: Option<&'a str>,
    pub release: Option<&'a str>,
    pub project: Option<&'a str>,
    /// The labels, each key with its value.
    pub labels: &'a [(&'a str, &'a str)],
    /// The sign in numbers.
    pub decimal_sign: DecimalSign,
}

/// Parses a row whose fields are text.
pub fn from_texts(texts: TextFields<'_>) -> Result<ParsedRow, FieldError> {
    let TextFields { kind, value, endpoint, status, timestamp, name, release, project, labels, decimal_sign } = texts;
    let type_name = kind.map(str::trim).unwrap_or_default();
    let kind = MetricType::named(type_name).ok_or_else(|| FieldError::new("type", unknown_type(type_name)))?;
    let value = value.map(str::trim).unwrap_or_default();
    let value = decimal::parse(value, decimal_sign).map_err(|message| FieldError::new("value", message))?;
    let status = match status.map(str::trim) {
        None => None,
        Some(text) => {
            let status = text.parse().ok().or_else(|| whole(decimal::parse(text, decimal_sign).ok()?));
            let message = || format!("{} is not a whole number such as 200", quoted(text));
            Some(status.ok_or_else(|| FieldError::new("statusCode", message()))?)
        }
    };
    let timestamp = timestamp.map(|text| time::parse(text.trim())).transpose();
    let timestamp = timestamp.map_err(|message| FieldError::new("timestamp", message))?;
    let endpoint = endpoint.unwrap_or_default().to_owned();
    let (name, release) = (name.map(str::to_owned), release.map(str::to_owned));
    let label = |(key, value): &(&str, &str)| Label { key: (*key).to_owned(), value: (*value).to_owned() };
    let labels = labels.iter().map(label).collect();
    let candidate = Candidate { kind, value, endpoint, status, timestamp, name, release, labels };
    Ok(ParsedRow { project: project.map(|text| text.trim().to_owned()), candidate })
}

fn quoted(text: &str) -> String {
    format!("`{}`", text.chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn a_row_reads_back_as_it_was_written() {
        let full = r#"{"type":"CUSTOM","value":0.1,"endpoint":"café \"x\"","statusCode":200,
            "timestamp":"2026-01-31T12:00:00.123456Z","name":"LCP","release":"1.4","labels":{"region":"eu"}}"#;
        for text in [full, r#"{"type":"PAGE_LOAD","value":5e-324,"endpoint":"/"}"#] {
            let candidate = from_json(text.as_bytes()).unwrap().candidate;
            let mut written = Vec::new();
            write_json(&candidate, &mut written).unwrap();
            assert_eq!(from_json(&written).unwrap().candidate, candidate);
            assert!(written.strip_suffix(b"\n").is_some_and(|line| !line.contains(&b'\n')), "one line");
        }
    }

    #[test]
    fn a_version_has_the_name_of_the_schema_too() {
        for name in ["release", "releaseVersion"] {
            let row = format!(r#"{{"type":"CUSTOM","value":1,"endpoint":"e","{name}":"1.4"}}"#);
            assert_eq!(from_json(row.as_bytes()).unwrap().candidate.release.as_deref(), Some("1.4"), "{name}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        let in_json = |field: &str, text: &str| {
            let row = format!(r#"{{"type":"CUSTOM","value":1,"endpoint":"e","{field}":{text}}}"#);
            from_json(row.as_bytes()).map(|row| (row.candidate.status, row.candidate.timestamp))
        };
        let in_text = |status: Option<&str>, timestamp: Option<&str>| {
            let texts =
                TextFields { kind: Some("CUSTOM"), value: Some("1"), endpoint: Some("e"), ..TextFields::default() };
            let texts = TextFields { status, timestamp, ..texts };
            from_texts(texts).map(|row| (row.candidate.status, row.candidate.timestamp))
        };
        for (text, status) in [("200", 200), ("200.0", 200), ("2e2", 200), ("2.0E2", 200), ("0.0", 0), ("-1.0", -1)] {
            assert_eq!(in_json("statusCode", text), Ok((Some(status), None)), "{text}");
            assert_eq!(in_text(Some(text), None), Ok((Some(status), None)), "{text}");
        }
        assert_eq!(in_json("statusCode", "null"), Ok((None, None)));
        for text in ["200.5", "2147483648.0", "1e300", "-1e300", "2147483648"] {
            let (json, text) = (in_json("statusCode", text).unwrap_err(), in_text(Some(text), None).unwrap_err());
            assert_eq!((json.field, text.field), ("statusCode".into(), "statusCode".into()));
            assert!(json.message.contains("a whole number such as 200"), "{}", json.message);
        }
        for text in ["NaN", "inf", "ok", "0x10"] {
            assert!(in_text(Some(text), None).is_err(), "{text}");
        }
        let moment = Some(Timestamp::from_millis(1_793_534_400_000));
        for text in ["1793534400000", "1793534400000.0", "1.7935344e12"] {
            assert_eq!(in_json("timestamp", text), Ok((None, moment)), "{text}");
            assert_eq!(in_text(None, Some(text)), Ok((None, moment)), "{text}");
        }
        assert!(in_text(None, Some("NaN")).is_err() && in_text(None, Some("inf")).is_err());
    }

    #[test]
    fn labels_are_an_object_of_texts() {
        let read = |labels: &str| {
            let row = format!(r#"{{"type":"CUSTOM","value":1,"endpoint":"e","labels":{labels}}}"#);
            from_json(row.as_bytes()).map(|row| row.candidate.labels)
        };
        let label = |key: &str, value: &str| Label { key: key.to_owned(), value: value.to_owned() };
        assert_eq!(read(r#"{"b":"2","a":"1","b":"3"}"#), Ok(vec![label("b", "2"), label("a", "1"), label("b", "3")]));
        assert_eq!((read("{}"), read("null")), (Ok(Vec::new()), Ok(Vec::new())));
        for wrong in ["[]", "\"region=eu\"", "7"] {
            let FieldError { field, message } = read(wrong).unwrap_err();
            assert_eq!(field, "labels");
            assert!(message.contains("an object of texts such as {\"region\":\"eu\"}"), "{message}");
        }
        for wrong in [r#"{"port":8080}"#, r#"{"port":null}"#] {
            let FieldError { field, message } = read(wrong).unwrap_err();
            assert!(field.starts_with("labels") && message.contains("expected a string"), "{field}: {message}");
        }
    }

    #[test]
    fn an_error_is_short_whatever_the_row_is() {
        let long = "ä".repeat(20_000);
        for row in [
            format!(r#"{{"{long}":1}}"#),
            format!(r#"{{"type":"CUSTOM","value":"{long}","endpoint":"/"}}"#),
            format!(r#"{{"type":"{long}"}}"#),
            format!(r#"{{"type":"CUSTOM","value":1,"endpoint":"/","timestamp":"{long}"}}"#),
            format!("{{{long}"),
        ] {
            let FieldError { field, message } = from_json(row.as_bytes()).unwrap_err();
            assert!(field.len() < 200 && message.len() < 1_000, "{field}: {message}");
        }
        let texts = TextFields { kind: Some("CUSTOM"), value: Some(&long), ..TextFields::default() };
        assert!(from_texts(texts).unwrap_err().message.len() < 1_000);
    }
}
