//! Parses the body of a GraphQL request. Errors name the property that is wrong.

pub mod scan;

use std::{fmt, sync::Arc};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, StatusCode},
};
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use serde_path_to_error::Segment;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::{
    content_encoding::{self, Bounds, Encoding},
    in_flight::{Broken, CountedBody, Held, InFlight, no_room},
    media_type,
};
use crate::{
    config::Limits,
    engine::Request,
    error::{Error, Result},
};

/// True if `Content-Type` is JSON in UTF-8.
pub fn is_json(headers: &HeaderMap) -> bool {
    media_type::of_body(headers).as_deref() == Some("application/json")
}

/// Reads a whole body of at most `limits.body_bytes_max` bytes, encoded and decoded. Its room is taken until the returned
/// [`Held`] is dropped.
///
/// # Errors
/// The status and the fault: 413 if the body exceeds the limit, 400 if the client disconnected early or the encoding is
/// malformed, 503 if there is no room.
pub async fn read(
    in_flight: &Arc<InFlight>,
    body: Body,
    encoding: Encoding,
    limits: &Limits,
) -> Result<(Vec<u8>, Held), (StatusCode, Error)> {
    let limit = limits.body_bytes_max;
    let declared = body.size_hint().exact();
    if declared.is_some_and(|bytes| bytes > u64::try_from(limit).unwrap_or(u64::MAX)) {
        return Err(refused(in_flight.collect(body), limit).await);
    }
    if encoding != Encoding::Identity {
        return decode(in_flight.stream(body), encoding, limits).await;
    }
    let mut body = in_flight.collect(body);
    // Memory that is reserved takes no room before it is written to; growing by halves would copy, and leave the halves behind.
    let mut whole = Vec::with_capacity(declared.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0));
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|broken| match broken {
            Broken::Early => (StatusCode::BAD_REQUEST, Error::input("body", broken.to_string())),
            Broken::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, no_room()),
        })?;
        if whole.len() + piece.len() > limit {
            drop(whole);
            return Err(refused(body, limit).await);
        }
        whole.extend_from_slice(&piece);
    }
    Ok((whole, body.held()))
}

/// The answer to a body above the limit, after its rest was read: up to four times the limit, which is more than most
/// clients that do not know the limit send.
async fn refused(body: CountedBody, limit: usize) -> (StatusCode, Error) {
    body.discard(limit.saturating_mul(4)).await;
    too_large(limit)
}

fn too_large(limit: usize) -> (StatusCode, Error) {
    let message = format!("the maximum is {limit} bytes (limits.body_bytes_max); send less per request");
    (StatusCode::PAYLOAD_TOO_LARGE, Error::input("body", message))
}

/// Reads and decodes a whole body. Only the decoded bytes take room.
async fn decode(
    body: CountedBody,
    encoding: Encoding,
    limits: &Limits,
) -> Result<(Vec<u8>, Held), (StatusCode, Error)> {
    let limit = limits.body_bytes_max;
    let held = body.held();
    let bytes_max = u64::try_from(limit).unwrap_or(u64::MAX);
    let bounds = Bounds { bytes_max, members_max: limits.ingest_body_members_max };
    let mut decoded = content_encoding::decoded(body, encoding, bounds);
    let mut whole = Vec::new();
    loop {
        let piece = match decoded.fill_buf().await {
            Ok([]) => return Ok((whole, held)),
            Ok(piece) => piece,
            Err(error) if content_encoding::is_too_large(&error) => return Err(too_large(limit)),
            Err(error) if content_encoding::is_without_room(&error) => {
                return Err((StatusCode::SERVICE_UNAVAILABLE, no_room()));
            }
            Err(error) => {
                let message = content_encoding::message(&error, encoding);
                return Err((StatusCode::BAD_REQUEST, Error::input("body", message)));
            }
        };
        if whole.len() + piece.len() > limit {
            drop(whole);
            held.release();
            discard(decoded, limit.saturating_mul(4)).await;
            return Err(too_large(limit));
        }
        held.grow(piece.len()).await.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, no_room()))?;
        whole.extend_from_slice(piece);
        let taken = piece.len();
        decoded.consume(taken);
    }
}

/// Converts the properties of a JSON object to a request, which may lack a document. Unknown properties are ignored.
///
/// # Errors
/// [`Error::Input`] naming the property.
pub fn request(properties: Map<String, Value>) -> Result<Request> {
    serde_path_to_error::deserialize(Value::Object(properties))
        .map_err(|error| Error::input(error.path().to_string(), error.inner().to_string()))
}

/// Reads and drops the rest of a body, up to this many decoded bytes, so that a client that is still sending sees the
/// answer.
async fn discard(mut decoded: impl AsyncBufRead + Unpin, bytes_max: usize) {
    let mut discarded = 0;
    while discarded < bytes_max
        && let Ok(piece) = decoded.fill_buf().await
        && !piece.is_empty()
    {
        let length = piece.len();
        discarded += length;
        decoded.consume(length);
    }
}

/// The bytes that programs on Windows write in front of a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The content of a body.
pub enum Content {
    /// One operation.
    One(Box<Request>),
    /// A batch of operations, each parsed individually.
    Batch(Vec<Result<Request>>),
}

/// An error of a body.
#[derive(Debug)]
pub enum Malformed {
    /// The body is not JSON.
    Syntax(Error),
    /// The body is JSON, but not a GraphQL request.
    Request(Error),
}

/// Parses one operation (an object) or a batch of operations (an array).
///
/// # Errors
/// [`Malformed`] naming the property. An error of one member of a batch is returned in the place of that member.
pub fn content(bytes: &[u8], limits: &Limits) -> Result<Content, Malformed> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    scan::check(bytes, limits).map_err(Malformed::Request)?;
    // Serde would read an array as the properties of one request in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return batch(bytes, limits.batch_operations_max).map(Content::Batch);
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
        return Err(Error::input("body", "an operation must be an object; batches cannot be nested"));
    }
    let request: Request = parse(bytes)?;
    if request.names_a_document() { Ok(request) } else { Err(no_document()) }
}

/// The fault of a request without a document.
pub fn no_document() -> Error {
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
            Error::input("body", "batches are disabled (limits.batch_operations_max); send one operation as an object")
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

/// Reads a JSON array of any length and keeps at most `kept_max` members.
struct Members {
    kept_max: usize,
}

/// The first members of an array, unparsed, and the number of all members.
struct CountedMembers<'de> {
    kept: Vec<&'de RawValue>,
    count: usize,
}

impl<'de> DeserializeSeed<'de> for Members {
    type Value = CountedMembers<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = CountedMembers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.kept_max {
            match list.next_element()? {
                Some(member) => kept.push(member),
                None => return Ok(CountedMembers { count: kept.len(), kept }),
            }
        }
        let mut count = kept.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(CountedMembers { kept, count })
    }
}

/// Parses a property of a request that came as JSON text of its own.
///
/// # Errors
/// [`Error::Limit`] if it holds too many values, and [`Error::Input`] if it is no JSON object.
pub fn property<T: DeserializeOwned>(name: &'static str, text: &str, limits: &Limits) -> Result<T> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    scan::check(text.as_bytes(), limits)?;
    parse(text.as_bytes()).map_err(|_| Error::input(name, "must be a JSON object"))
}

/// Parses JSON. On failure it is parsed again to find the path of the property that is wrong.
///
/// # Errors
/// [`Error::Input`] with the path of the property, or with the position in the text.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|first| {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            // An error before the first property has a position but no path.
            Err(error) if matches!(error.path().iter().next(), Some(Segment::Map { .. })) => {
                Error::input(error.path().to_string(), error.inner().to_string())
            }
            _ => Error::input("body", format!("is not a GraphQL request in JSON: {first}")),
        }
    })
}
