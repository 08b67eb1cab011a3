//! Which pages may talk to the server: host names and origins, compared without trusting either.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Whether a `Host` header names this machine: `localhost` or a loopback address, with or without a port.
pub fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// Whether a browser's request comes from a page of this very server. Requests that name no origin are not a browser's
/// cross-site requests.
pub fn is_same(headers: &HeaderMap) -> bool {
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
pub fn may_query(headers: &HeaderMap) -> bool {
    if PREFLIGHT.iter().any(|name| headers.contains_key(*name)) {
        return true;
    }
    if headers.contains_key(header::ORIGIN) {
        return is_same(headers);
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

    #[test]
    fn an_origin_is_compared_with_the_host() {
        let headers = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("localhost:8000"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            headers
        };
        assert!(is_same(&headers(None)));
        assert!(is_same(&headers(Some("http://localhost:8000"))));
        for other in ["http://localhost:9000", "https://example.com", "null"] {
            assert!(!is_same(&headers(Some(other))), "{other}");
        }
    }

    #[test]
    fn a_get_of_a_foreign_page_is_no_query() {
        let may = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().chain(&[("host", "localhost:8000")]);
            may_query(&pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect())
        };
        assert!(may(&[]), "curl");
        assert!(may(&[("sec-fetch-site", "same-origin")]) && may(&[("sec-fetch-site", "none")]));
        assert!(!may(&[("sec-fetch-site", "cross-site")]) && !may(&[("sec-fetch-site", "same-site")]));
        assert!(may(&[("origin", "http://localhost:8000"), ("sec-fetch-site", "same-origin")]));
        assert!(!may(&[("origin", "http://localhost:3000")]) && !may(&[("origin", "null")]));
        for header in PREFLIGHT {
            assert!(may(&[(header, ""), ("sec-fetch-site", "cross-site")]), "{header}");
        }
    }
}
