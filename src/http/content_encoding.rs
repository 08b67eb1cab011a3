//! Encodings of request bodies: gzip and zstd, decoded while they arrive, with bounds on their bytes and members.

mod members;

use std::{io, pin::Pin};

use async_compression::{
    tokio::bufread::{GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use axum::http::{HeaderMap, HeaderValue, header};
use futures_util::stream;
use thiserror::Error;
use tokio::io::{AsyncBufRead, BufReader};
use tokio_util::io::StreamReader;

use self::members::{Members, TooManyMembers};
use super::in_flight::{Broken, CountedBody};
use crate::error::Error as Fault;

/// Maximum window of a zstd frame as a power of two: 8 MiB, the minimum that RFC 8878 recommends decoders to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Size of the buffer for decoded bytes.
const BUFFER_BYTES: usize = 16 * 1_024;

/// The value of `Accept-Encoding` in the response to a body in another encoding.
pub const SUPPORTED: HeaderValue = HeaderValue::from_static("gzip, zstd");

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
pub fn of_body(headers: &HeaderMap) -> Option<Encoding> {
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

/// The fault of a body in another encoding.
pub fn unsupported() -> Fault {
    Fault::input("Content-Encoding", "must be gzip or zstd, or absent")
}

/// The encoded body exceeds the limit.
#[derive(Debug, Error)]
#[error("is larger than {0} bytes")]
struct TooManyBytes(u64);

/// Bounds on an encoded body.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Encoded bytes.
    pub bytes_max: u64,
    /// Members (gzip) or frames (zstd).
    pub members_max: u32,
}

/// The decoded bytes of a body.
pub fn decoded(body: CountedBody, encoding: Encoding, bounds: Bounds) -> Pin<Box<dyn AsyncBufRead + Send>> {
    let Bounds { bytes_max, members_max } = bounds;
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

/// True if reading failed because the encoded body is too large.
pub fn is_too_large(error: &io::Error) -> bool {
    is_caused_by::<TooManyBytes>(error)
}

/// True if reading failed because the body gave way to others.
pub fn is_without_room(error: &io::Error) -> bool {
    matches!(error.get_ref().and_then(|cause| cause.downcast_ref()), Some(Broken::NoRoom))
}

fn is_caused_by<E: std::error::Error + 'static>(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<E>)
}

/// The message for a body that could not be read to its end.
pub fn message(error: &io::Error, encoding: Encoding) -> String {
    if is_caused_by::<TooManyMembers>(error) {
        return error.to_string();
    }
    match encoding {
        Encoding::Gzip if !is_caused_by::<Broken>(error) => "is not complete and valid gzip".to_owned(),
        Encoding::Zstd if !is_caused_by::<Broken>(error) => {
            format!("is not complete and valid zstd with a window of at most {} MiB", (1 << ZSTD_WINDOW_LOG_MAX) >> 20)
        }
        _ => "ended before it was complete".to_owned(),
    }
}
