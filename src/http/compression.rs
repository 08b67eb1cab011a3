//! Which answers are compressed: those that are worth it, never a stream of answers, nothing that is compressed already.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, Predicate, predicate::SizeAbove},
};

/// Below, what is saved on the wire fits into one packet anyway.
const BYTES_MIN: u64 = 1_000;

/// What streams, where an answer would wait for the compressor, and what is compressed as it is.
const NEVER: [&str; 5] = ["text/event-stream", "multipart/mixed", "image/png", "font/woff", "application/octet-stream"];

/// The layer, or none where compression is switched off. Fast levels: answers are made once and sent once.
pub fn layer(is_on: bool) -> Option<CompressionLayer<impl Predicate>> {
    let worth_it = SizeAbove::new(BYTES_MIN).and(is_compressible);
    is_on.then(|| CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it))
}

fn is_compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !NEVER.iter().any(|never| media_type.starts_with(never))
}
