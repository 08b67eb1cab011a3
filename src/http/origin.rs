//! Which pages may talk to the server: host names and origins, compared without trusting either.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::{Origin, Server};

/// Whether a `Host` header names this machine: `localhost` or a loopback address, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// Whether the request names this server as its host: a local name, or the name that a proxy is known by.
pub fn is_own_host(host: &str, server: &Server) -> bool {
    is_loopback(host) || server.public_origins.iter().any(|origin| origin.authority().eq_ignore_ascii_case(host))
}

/// Whether a browser's request comes from a page that may talk to this server: its own, those of its public origins, and
/// those that are listed. Requests that name no origin are not a browser's cross-site requests.
pub fn is_welcome(headers: &HeaderMap, server: &Server) -> bool {
    let is_listed = |header: &HeaderValue| {
        let mut known = server.public_origins.iter().chain(&server.cors_origins);
        known.any(|origin: &Origin| origin.as_str().as_bytes() == header.as_bytes())
    };
    is_same(headers) || headers.get(header::ORIGIN).is_some_and(is_listed)
}

/// Whether a browser's request comes from a page of the host that it asks.
fn is_same(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    matches!((origin, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

/// Headers that a page of another origin can send only after the server allowed it.
pub const PREFLIGHT: [&str; 3] = ["perfgraph-preflight", "apollo-require-preflight", "x-apollo-operation-name"];

/// Whether a GET may be run as a query. A page of another origin could send one without asking (as an image, say): it
/// would not see the answer, but could load the server and guess from the time it takes.
pub fn may_query(headers: &HeaderMap, server: &Server) -> bool {
    if PREFLIGHT.iter().any(|name| headers.contains_key(*name)) {
        return true;
    }
    if headers.contains_key(header::ORIGIN) {
        return is_welcome(headers, server);
    }
    // Browsers tell what kind of request it is where they send no origin; nobody else sends this header.
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
    fn loopback_names_and_nothing_that_looks_like_them() {
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
    fn pages_are_own_public_or_listed() {
        let welcome = |origin| is_welcome(&headers(&[("origin", origin)]), &server());
        for known in ["http://localhost:8000", "https://perf.example.com", "http://localhost:3000"] {
            assert!(welcome(known), "{known}");
        }
        for other in [
            "http://localhost:9000",
            "https://example.com",
            "http://perf.example.com",
            "https://localhost:3000",
            "null",
        ] {
            assert!(!welcome(other), "{other}");
        }
        assert!(is_welcome(&headers(&[]), &server()));
    }

    #[test]
    fn a_get_of_a_foreign_page_is_no_query() {
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
