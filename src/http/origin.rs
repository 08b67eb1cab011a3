//! Checks of the headers `Host` and `Origin`: the pages that may send requests to this server.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::{Origin, Server};

/// True if a `Host` header is `localhost` or a loopback address, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// True if a `Host` header is a local name or the host of a public origin.
pub fn is_own_host(host: &str, server: &Server) -> bool {
    is_loopback(host) || server.public_origins.iter().any(|origin| origin.authority().eq_ignore_ascii_case(host))
}

/// True if a request comes from a page of this server, of its public origins, or of `server.cors_origins`. A request without
/// `Origin` is not a browser's cross-origin request and is allowed.
pub fn is_allowed(headers: &HeaderMap, server: &Server) -> bool {
    let is_listed = |header: &HeaderValue| {
        let mut known = server.public_origins.iter().chain(&server.cors_origins);
        known.any(|origin: &Origin| origin.as_str().as_bytes() == header.as_bytes())
    };
    is_same_origin(headers) || headers.get(header::ORIGIN).is_some_and(is_listed)
}

/// True if the origin of a request is its host.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    matches!((origin, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

/// Headers that a page of another origin can send only after a preflight request.
pub const PREFLIGHT: [&str; 3] = ["perfgraph-preflight", "apollo-require-preflight", "x-apollo-operation-name"];

/// True if a GET request may execute a query. A page of another origin can send one without a preflight request (as an
/// image, for instance): it does not see the response, but could put load on the server and measure response times.
pub fn may_query(headers: &HeaderMap, server: &Server) -> bool {
    if PREFLIGHT.iter().any(|name| headers.contains_key(*name)) {
        return true;
    }
    if headers.contains_key(header::ORIGIN) {
        return is_allowed(headers, server);
    }
    // Browsers send this header where they send no origin; other clients do not.
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn similar_names_are_not_loopback_names() {
        for host in
            ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000", "[::1]", "app.localhost:1"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.com", "localhost.example.com:8000", "127.0.0.1.example.com", "10.0.0.1", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    fn server() -> Server {
        let list = |text: &str| vec![Origin::parse(text).unwrap()];
        Server {
            public_origins: list("https://perf.example.com"),
            cors_origins: list("http://localhost:3000"),
            ..Server::default()
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = [("host", "localhost:8000")].iter().chain(pairs);
        pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn hosts_are_local_or_public() {
        let server = server();
        assert!(is_own_host("localhost:8000", &server) && is_own_host("Perf.Example.com", &server));
        for foreign in ["example.com", "perf.example.com:8000", "localhost.example.com"] {
            assert!(!is_own_host(foreign, &server), "{foreign}");
        }
    }

    #[test]
    fn pages_of_own_public_and_cors_origins_are_allowed() {
        let allowed = |origin| is_allowed(&headers(&[("origin", origin)]), &server());
        for known in ["http://localhost:8000", "https://perf.example.com", "http://localhost:3000"] {
            assert!(allowed(known), "{known}");
        }
        for other in [
            "http://localhost:9000",
            "https://example.com",
            "http://perf.example.com",
            "https://localhost:3000",
            "null",
        ] {
            assert!(!allowed(other), "{other}");
        }
        assert!(is_allowed(&headers(&[]), &server()));
    }

    #[test]
    fn a_get_of_another_origin_is_not_executed() {
        let may = |pairs: &[(&'static str, &'static str)]| may_query(&headers(pairs), &server());
        assert!(may(&[]), "curl");
        assert!(may(&[("sec-fetch-site", "same-origin")]) && may(&[("sec-fetch-site", "none")]));
        assert!(!may(&[("sec-fetch-site", "cross-site")]) && !may(&[("sec-fetch-site", "same-site")]));
        assert!(may(&[("origin", "http://localhost:8000"), ("sec-fetch-site", "same-origin")]));
        assert!(may(&[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")]));
        assert!(!may(&[("origin", "http://localhost:3001")]) && !may(&[("origin", "null")]));
        for header in PREFLIGHT {
            assert!(may(&[(header, ""), ("sec-fetch-site", "cross-site")]), "{header}");
        }
    }
}
