//! Compression of responses, except small ones, streams, and formats that are compressed already.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, Predicate, predicate::SizeAbove},
};

/// Smaller responses fit into one packet anyway.
const BYTES_MIN: u64 = 1_000;

/// Media types of streams, whose events would wait in the compressor, and of compressed formats.
const UNCOMPRESSED: [&str; 5] =
    ["text/event-stream", "multipart/mixed", "image/png", "font/woff", "application/octet-stream"];

/// The layer, or `None` if compression is disabled. It uses the fastest levels, because each response is sent only once.
pub fn layer(is_enabled: bool) -> Option<CompressionLayer<impl Predicate>> {
    let predicate = SizeAbove::new(BYTES_MIN).and(is_compressible);
    is_enabled.then(|| CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(predicate))
}

fn is_compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !UNCOMPRESSED.iter().any(|excluded| media_type.starts_with(excluded))
}
