//! What a body says that it is, and its bytes as they arrive: counted, decoded, never all of them at once.

use std::{io, pin::Pin};

use async_compression::{
    tokio::bufread::{GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use futures_util::StreamExt;
use thiserror::Error;
use tokio::io::{AsyncBufRead, BufReader};
use tokio_util::io::StreamReader;

use crate::ingest::formats::{Format, ReadError};

/// The largest window that a zstd frame may ask for, as a power of two: 8 MiB, what RFC 8878 wants every decoder to have.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// What decoded bytes are read through.
const BUFFER_BYTES: usize = 16 * 1_024;

/// The format that `Content-Type` names, where it is one of ours and its text is UTF-8.
pub fn format(headers: &HeaderMap) -> Option<Format> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next()?.to_ascii_lowercase();
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    let format = match essence.as_str() {
        "application/x-ndjson" | "application/jsonl" => Format::Ndjson,
        "application/json" => Format::JsonArray,
        "text/csv" => Format::Csv,
        _ => return None,
    };
    is_utf8.then_some(format)
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// The encoding that `Content-Encoding` names, where it is a single one of ours.
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

/// More bytes on the wire than allowed.
#[derive(Debug, Error)]
#[error("is larger than {0} bytes")]
struct TooManyBytes(u64);

/// The decoded bytes of a body of at most so many bytes on the wire.
pub fn source(body: Body, encoding: Encoding, bytes_max: u64) -> Pin<Box<dyn AsyncBufRead + Send>> {
    let mut bytes = 0;
    let pieces = body.into_data_stream().map(move |piece| {
        let piece = piece.map_err(io::Error::other)?;
        bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if bytes > bytes_max { Err(io::Error::other(TooManyBytes(bytes_max))) } else { Ok(piece) }
    });
    let encoded = StreamReader::new(pieces);
    match encoding {
        Encoding::Identity => Box::pin(encoded),
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(encoded);
            decoder.multiple_members(true);
            Box::pin(BufReader::with_capacity(BUFFER_BYTES, decoder))
        }
        Encoding::Zstd => {
            let mut decoder = ZstdDecoder::with_params(encoded, &[DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)]);
            decoder.multiple_members(true);
            Box::pin(BufReader::with_capacity(BUFFER_BYTES, decoder))
        }
    }
}

/// Whether a body ended because it is too large, before or after it was decoded.
pub fn is_too_large(broken: &ReadError) -> bool {
    match broken {
        ReadError::TooLarge(_) => true,
        ReadError::Source(error) => is_caused_by::<TooManyBytes>(error),
        ReadError::Malformed(_) => false,
    }
}

fn is_caused_by<E: std::error::Error + 'static>(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<E>)
}

/// What to tell the sender of a body that ended before its end.
pub fn words(broken: &ReadError, encoding: Encoding) -> String {
    match broken {
        ReadError::Source(error) if is_caused_by::<axum::Error>(error) => "ended before it was complete".to_owned(),
        ReadError::Source(_) if encoding == Encoding::Gzip => "is not complete and valid gzip".to_owned(),
        ReadError::Source(_) if encoding == Encoding::Zstd => {
            format!("is not complete and valid zstd with a window of at most {} MiB", (1 << ZSTD_WINDOW_LOG_MAX) >> 20)
        }
        ReadError::Source(_) => "ended before it was complete".to_owned(),
        ReadError::Malformed(_) | ReadError::TooLarge(_) => broken.to_string(),
    }
}
