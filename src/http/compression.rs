//! Compression of responses, except small ones, streams, and formats that are compressed already.

use std::cmp::Reverse;

use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, Predicate, predicate::SizeAbove},
};

use super::header_list::{self, Item};

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

/// Encodings of equal weight in the order of preference.
const PREFERRED: [&str; 3] = ["br", "gzip", "zstd"];
/// The same for browsers, which read all of them.
const PREFERRED_BY_BROWSERS: [&str; 3] = ["zstd", "br", "gzip"];

/// Leaves only the best encoding in `Accept-Encoding`, so that the layer has no choice.
///
/// The layer would choose zstd wherever it is listed. Programs list it because a library does, and then do not decode it:
/// fetch in Node.js 20, for instance. So it is for clients that accept nothing else as gladly, and for browsers, which are
/// known by a header that no other client sends.
pub fn choose(headers: &mut HeaderMap) {
    let items = header_list::items(headers, &header::ACCEPT_ENCODING);
    let items: Vec<_> = items.iter().map(|item| Item::read(item)).collect();
    let listed = |encoding: &str| {
        let is_meant = |name: &str| name.eq_ignore_ascii_case(encoding) || (name, encoding) == ("x-gzip", "gzip");
        items.iter().find(|item| is_meant(item.value)).map(Item::weight)
    };
    let any = listed("*").unwrap_or(0);
    let is_browser = headers.contains_key("sec-fetch-site");
    let preferred = if is_browser { PREFERRED_BY_BROWSERS } else { PREFERRED };
    let ranked = preferred.iter().enumerate().map(|(rank, encoding)| {
        let weight = listed(encoding).unwrap_or(any);
        (weight, Reverse(rank), *encoding)
    });
    let best = ranked.max().filter(|(weight, ..)| *weight > listed("identity").unwrap_or(0));
    if let Some((_, _, encoding)) = best {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &'static str, is_browser: bool) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
        if is_browser {
            headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        }
        choose(&mut headers);
        headers[header::ACCEPT_ENCODING].to_str().unwrap().to_owned()
    }

    #[test]
    fn zstd_is_for_those_who_ask_for_it_alone_and_for_browsers() {
        for (accept, expected, to_a_browser) in [
            ("gzip, deflate, br, zstd", "br", "zstd"),
            ("gzip, deflate, zstd", "gzip", "zstd"),
            ("zstd", "zstd", "zstd"),
            ("zstd, deflate", "zstd", "zstd"),
            ("zstd, gzip;q=0.5", "zstd", "zstd"),
            ("zstd;q=0.5, br;q=.6", "br", "br"),
            ("gzip, br;q=0.5", "gzip", "gzip"),
            ("gzip;q=1.0000", "gzip", "gzip"),
            ("GZIP;q=high", "gzip", "gzip"),
            ("x-gzip", "gzip", "gzip"),
            ("*", "br", "zstd"),
            ("br;q=0, *;q=0.1", "gzip", "zstd"),
            // Left to the layer, which sends no encoding.
            ("identity, gzip;q=0.5", "identity, gzip;q=0.5", "identity, gzip;q=0.5"),
            ("gzip;q=0", "gzip;q=0", "gzip;q=0"),
            ("deflate", "deflate", "deflate"),
            ("", "", ""),
        ] {
            assert_eq!(chosen(accept, false), expected, "{accept}");
            assert_eq!(chosen(accept, true), to_a_browser, "{accept}, a browser");
        }
    }
}
