//! From bytes to a GraphQL request: media type, size and JSON, with errors that name the property.

use std::fmt;

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use serde_path_to_error::Segment;

use crate::{
    engine::Request,
    error::{Error, Result},
};

/// Whether the body says that it is JSON in UTF-8.
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    is_json && is_utf8
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// The status and the fault: 413 with the limit, or 400 when the client broke off.
pub async fn read(body: Body, limit: usize) -> Result<bytes::Bytes, (StatusCode, Error)> {
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        if cause.is_some_and(|cause| cause.is::<axum::Error>() || cause.to_string().contains("length limit")) {
            let advice = format!("the body is larger than {limit} bytes; send less at once");
            (StatusCode::PAYLOAD_TOO_LARGE, Error::input("body", advice))
        } else {
            (StatusCode::BAD_REQUEST, Error::input("body", "the body ended before it was complete"))
        }
    })
}

/// From the properties of a request to the request; unknown ones are ignored.
///
/// # Errors
/// [`Error::Input`] naming the property.
pub fn request(properties: Map<String, Value>) -> Result<Request> {
    let request: Request = serde_path_to_error::deserialize(Value::Object(properties))
        .map_err(|error| Error::input(error.path().to_string(), error.inner().to_string()))?;
    if request.names_a_document() { Ok(request) } else { Err(no_document()) }
}

/// What a body holds.
pub enum Content {
    /// One operation.
    One(Box<Request>),
    /// Several, each as far as it could be read.
    Batch(Vec<Result<Request>>),
}

/// What is wrong with a body.
#[derive(Debug)]
pub enum Malformed {
    /// It is not JSON.
    Syntax(Error),
    /// It is JSON, but not a GraphQL request.
    Request(Error),
}

/// Reads one operation (an object) or a batch of them (an array).
///
/// # Errors
/// [`Malformed`] naming the property; what is wrong with a member of a batch stands in its place.
pub fn content(bytes: &[u8], batch_operations_max: usize) -> Result<Content, Malformed> {
    // A sequence would be taken for the properties of one request in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return batch(bytes, batch_operations_max).map(Content::Batch);
    }
    let request = one(bytes).map_err(|fault| {
        if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
            Malformed::Request(fault)
        } else {
            Malformed::Syntax(fault)
        }
    })?;
    Ok(Content::One(Box::new(request)))
}

fn one(bytes: &[u8]) -> Result<Request> {
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::input("body", "an operation is an object, and a batch holds no further batches"));
    }
    let request: Request = parse(bytes)?;
    if request.names_a_document() { Ok(request) } else { Err(no_document()) }
}

fn no_document() -> Error {
    Error::input("query", "must be the text of a GraphQL document")
}

fn batch(bytes: &[u8], operations_max: usize) -> Result<Vec<Result<Request>>, Malformed> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let members = Members { kept_max: operations_max }
        .deserialize(&mut reader)
        .and_then(|members| reader.end().map(|()| members))
        .map_err(|error| Malformed::Syntax(Error::input("body", format!("is not a list in JSON: {error}"))))?;
    let fault = match members.count {
        _ if operations_max <= 1 => {
            Error::input("body", "batches of operations are not served here; send one operation as an object")
        }
        0 => Error::input("body", "a batch needs at least one operation"),
        count if count > operations_max => Error::Limit {
            what: "the number of operations in the batch",
            actual: u64::try_from(count).unwrap_or(u64::MAX),
            limit: u64::try_from(operations_max).unwrap_or(u64::MAX),
            advice: "send several batches",
        },
        _ => return Ok(members.kept.into_iter().map(|member| one(member.get().as_bytes())).collect()),
    };
    Err(Malformed::Request(fault))
}

/// Reads a list of any length and keeps no more of it than may be used.
struct Members {
    kept_max: usize,
}

/// The first members of a list, unread, and how many it has.
struct Counted<'de> {
    kept: Vec<&'de RawValue>,
    count: usize,
}

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Counted<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Counted<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.kept_max {
            match list.next_element()? {
                Some(member) => kept.push(member),
                None => return Ok(Counted { count: kept.len(), kept }),
            }
        }
        let mut count = kept.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Counted { kept, count })
    }
}

/// Parses JSON; on failure it is read once more to name the property that is wrong.
///
/// # Errors
/// [`Error::Input`] with the path and the place.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|first| {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            // What breaks off before its first property has a place but no name.
            Err(error) if matches!(error.path().iter().next(), Some(Segment::Map { .. })) => {
                Error::input(error.path().to_string(), error.inner().to_string())
            }
            _ => Error::input("body", format!("is not a GraphQL request in JSON: {first}")),
        }
    })
}
