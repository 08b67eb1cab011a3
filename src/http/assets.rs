//! Pages embedded in the binary: GraphiQL if it was bundled at build time, otherwise a small explorer.

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Paths and contents of the bundle that `make web` builds, sorted by path. Empty if it was not built.
const BUNDLE: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/web_bundle.rs"));

const FALLBACK_PAGE: &str = include_str!("page/explorer.html");
const FALLBACK_SCRIPT: &str = include_str!("page/explorer.js");
const FALLBACK_STYLE: &str = include_str!("page/explorer.css");

/// Allows resources of this server only. The editor needs inline styles, and blob workers for its language service.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; font-src 'self' data:; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);

/// The GraphiQL page.
pub fn graphiql() -> Response {
    let page = bundled("graphiql.html").unwrap_or(FALLBACK_PAGE.as_bytes());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (headers, page).into_response()
}

/// `GET /assets/{path}`.
pub async fn asset(Path(path): Path<String>) -> Response {
    match path.as_str() {
        "explorer.js" => text("text/javascript", FALLBACK_SCRIPT),
        "explorer.css" => text("text/css", FALLBACK_STYLE),
        _ => match bundled(&format!("assets/{path}")) {
            Some(content) => immutable(&path, content),
            None => (StatusCode::NOT_FOUND, "no such asset\n").into_response(),
        },
    }
}

fn text(media_type: &'static str, body: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, body).into_response()
}

fn bundled(path: &str) -> Option<&'static [u8]> {
    let index = BUNDLE.binary_search_by_key(&path, |(path, _)| path).ok()?;
    BUNDLE.get(index).map(|(_, content)| *content)
}

fn immutable(path: &str, content: &'static [u8]) -> Response {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let media_type = match extension {
        "js" => "text/javascript",
        "css" => "text/css",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ttf" => "font/ttf",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    };
    // A file's name contains a hash of its content, so it may be cached forever.
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, content).into_response()
}
