//! The body of an ingest request: its format, its encoding, and its bytes, counted and decoded while they arrive.

mod members;

use std::{io, pin::Pin};

use async_compression::{
    tokio::bufread::{GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use axum::http::{HeaderMap, header};
use futures_util::stream;
use thiserror::Error;
use tokio::io::{AsyncBufRead, BufReader};
use tokio_util::io::StreamReader;

use self::members::{Members, TooManyMembers};
use crate::{
    config::Limits,
    http::{
        in_flight::{Broken, CountedBody},
        media_type,
    },
    ingest::formats::{Format, ReadError},
};

/// Maximum window of a zstd frame as a power of two: 8 MiB, the minimum that RFC 8878 recommends decoders to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Size of the buffer for decoded bytes.
const BUFFER_BYTES: usize = 16 * 1_024;

/// The format by `Content-Type`. `None` if it is not supported or not in UTF-8.
pub fn format(headers: &HeaderMap) -> Option<Format> {
    match media_type::of_body(headers)?.as_str() {
        "application/x-ndjson" | "application/jsonl" => Some(Format::Ndjson),
        "application/json" => Some(Format::JsonArray),
        "text/csv" => Some(Format::Csv),
        _ => None,
    }
}

/// The encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// No encoding.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// zstd (RFC 8878).
    Zstd,
}

/// The encoding by `Content-Encoding`. `None` if it is not supported, or if there are several.
pub fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Some(Encoding::Identity) };
    if values.next().is_some() {
        return None;
    }
    match value.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Some(Encoding::Identity),
        "gzip" | "x-gzip" => Some(Encoding::Gzip),
        "zstd" => Some(Encoding::Zstd),
        _ => None,
    }
}

/// The encoded body exceeds the limit.
#[derive(Debug, Error)]
#[error("is larger than {0} bytes")]
struct TooManyBytes(u64);

/// The decoded bytes of a body whose encoded bytes and members are limited.
pub fn decoded(body: CountedBody, encoding: Encoding, limits: &Limits) -> Pin<Box<dyn AsyncBufRead + Send>> {
    let (bytes_max, members_max) = (limits.ingest_body_bytes_max, limits.ingest_body_members_max);
    let pieces = stream::unfold((body, 0), move |(mut body, mut bytes)| async move {
        let piece = body.next().await?;
        bytes += piece.as_ref().map_or(0, |piece| u64::try_from(piece.len()).unwrap_or(u64::MAX));
        let piece = match piece {
            Ok(_) if bytes > bytes_max => Err(io::Error::other(TooManyBytes(bytes_max))),
            piece => piece.map_err(io::Error::other),
        };
        Some((piece, (body, bytes)))
    });
    let encoded = StreamReader::new(Box::pin(pieces));
    match encoding {
        Encoding::Identity => Box::pin(encoded),
        Encoding::Gzip => {
            let members = Members::new(encoded, members_max, GzipDecoder::new);
            Box::pin(BufReader::with_capacity(BUFFER_BYTES, members))
        }
        Encoding::Zstd => {
            let decoder =
                |encoded| ZstdDecoder::with_params(encoded, &[DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)]);
            Box::pin(BufReader::with_capacity(BUFFER_BYTES, Members::new(encoded, members_max, decoder)))
        }
    }
}

/// True if reading failed because the encoded or the decoded body is too large.
pub fn is_too_large(broken: &ReadError) -> bool {
    match broken {
        ReadError::TooLarge(_) => true,
        ReadError::Source(error) => is_caused_by::<TooManyBytes>(error),
        ReadError::Malformed(_) => false,
    }
}

/// True if reading failed because the body gave way to others.
pub fn is_without_room(broken: &ReadError) -> bool {
    let ReadError::Source(error) = broken else { return false };
    matches!(error.get_ref().and_then(|cause| cause.downcast_ref()), Some(Broken::NoRoom))
}

fn is_caused_by<E: std::error::Error + 'static>(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<E>)
}

/// The message for a body that could not be read to its end.
pub fn message(broken: &ReadError, encoding: Encoding) -> String {
    match broken {
        ReadError::Source(error) if is_caused_by::<Broken>(error) => "ended before it was complete".to_owned(),
        ReadError::Source(error) if is_caused_by::<TooManyMembers>(error) => error.to_string(),
        ReadError::Source(_) if encoding == Encoding::Gzip => "is not complete and valid gzip".to_owned(),
        ReadError::Source(_) if encoding == Encoding::Zstd => {
            format!("is not complete and valid zstd with a window of at most {} MiB", (1 << ZSTD_WINDOW_LOG_MAX) >> 20)
        }
        ReadError::Source(_) => "ended before it was complete".to_owned(),
        ReadError::Malformed(_) | ReadError::TooLarge(_) => broken.to_string(),
    }
}
