//! Checks of the headers `Host` and `Origin`: the pages that may send requests to this server.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Version, header},
};

use crate::{
    config::{Origin, Server},
    error::{Error, Result},
};

/// True if a `Host` header is `localhost` or a loopback address, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// True if a `Host` header is a local name or the host of a public origin.
fn is_own_host(host: &str, server: &Server) -> bool {
    is_loopback(host) || server.public_origins.iter().any(|origin| origin.authority().eq_ignore_ascii_case(host))
}

/// Checks that a request is meant for this server: by its `Host` header, and by its target if that names a host. Without
/// authentication every caller is an administrator, so a web page must not reach the server under a host name that it made
/// resolve to loopback (DNS rebinding).
///
/// # Errors
/// [`Error::Input`] if `Host` is missing, repeated or no text, as HTTP/1.1 requires; [`Error::Forbidden`] for the host of
/// another server.
pub fn check_host(request: &Request, server: &Server) -> Result<()> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(Error::input("Host", "is given more than once")),
        (Some(host), None) => {
            Some(host.to_str().map_err(|_| Error::input("Host", "must be a host name and a port in ASCII"))?)
        }
        (None, _) if request.version() == Version::HTTP_11 => {
            return Err(Error::input("Host", "is missing; HTTP/1.1 requires it"));
        }
        (None, _) => None,
    };
    let target = request.uri().authority().map(axum::http::uri::Authority::as_str);
    let is_foreign = |host: &str| !is_own_host(host, server);
    if server.listen.ip().to_canonical().is_loopback() && host.into_iter().chain(target).any(is_foreign) {
        return Err(Error::Forbidden(
            "the header Host must be a local name (localhost, 127.0.0.1, [::1]) or the host of one of \
             server.public_origins"
                .to_owned(),
        ));
    }
    Ok(())
}

/// True if a request comes from a page of this server, of its public origins, or of `server.cors_origins`. A request without
/// the headers of browsers does not come from a page and is allowed.
pub fn is_allowed(headers: &HeaderMap, server: &Server) -> bool {
    if headers.contains_key(header::ORIGIN) {
        return headers.get_all(header::ORIGIN).iter().all(|origin| is_known(origin, headers, server));
    }
    // Browsers send this header where they send no origin; other clients do not.
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
}

fn is_known(origin: &HeaderValue, headers: &HeaderMap, server: &Server) -> bool {
    let Some(origin) = origin.to_str().ok().and_then(Origin::parse) else {
        return false;
    };
    let mut listed = server.public_origins.iter().chain(&server.cors_origins);
    // Pages under local names come from the listener itself, which does not encrypt. A public host has the scheme that its
    // setting says.
    let own = || {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_loopback(host));
        host.and_then(|host| Origin::parse(&format!("http://{host}")))
    };
    listed.any(|known| *known == origin) || own().is_some_and(|own| own == origin)
}

/// Headers that a page of another origin can send only after a preflight request.
pub const PREFLIGHT: [&str; 3] = ["perfgraph-preflight", "apollo-require-preflight", "x-apollo-operation-name"];

/// True if a GET request may execute a query. A page of another origin can send one without a preflight request (as an
/// image, for instance): it does not see the response, but could put load on the server and measure response times.
pub fn may_query(headers: &HeaderMap, server: &Server) -> bool {
    PREFLIGHT.iter().any(|name| headers.contains_key(*name)) || is_allowed(headers, server)
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
            "https://localhost:8000",
            "localhost:8000",
            "https://example.com",
            "http://perf.example.com",
            "https://localhost:3000",
            "null",
        ] {
            assert!(!allowed(other), "{other}");
        }
        assert!(is_allowed(&headers(&[]), &server()));
        assert!(!is_allowed(&headers(&[("sec-fetch-site", "cross-site")]), &server()));
        assert!(allowed("HTTP://LocalHost:8000"), "a scheme and a host have no case");
        let both = [("origin", "http://localhost:8000"), ("origin", "https://example.com")];
        let both = both.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let mut several = headers(&[]);
        several.extend(both.into_iter().map(|(name, value): (axum::http::HeaderName, _)| (Some(name), value)));
        assert!(!is_allowed(&several, &server()), "each of several origins counts");
    }

    #[test]
    fn a_public_host_has_the_scheme_of_its_origin() {
        let mut headers = headers(&[("origin", "http://perf.example.com")]);
        headers.insert("host", HeaderValue::from_static("perf.example.com"));
        assert!(!is_allowed(&headers, &server()));
        headers.insert("origin", HeaderValue::from_static("https://perf.example.com"));
        assert!(is_allowed(&headers, &server()));
    }

    #[test]
    fn the_default_port_may_be_left_out() {
        for (host, origin) in [("localhost:80", "http://localhost"), ("[::1]", "http://[::1]:80")] {
            let mut headers = headers(&[("origin", origin)]);
            headers.insert("host", HeaderValue::from_static(host));
            assert!(is_allowed(&headers, &server()), "{host} {origin}");
        }
    }

    #[test]
    fn a_request_names_one_host_of_this_server() {
        let check = |version, target: &str, hosts: &[&'static str]| {
            let mut request = Request::builder().version(version).uri(target);
            for host in hosts {
                request = request.header("host", *host);
            }
            check_host(&request.body(axum::body::Body::empty()).unwrap(), &server())
        };
        for (version, target, hosts) in [
            (Version::HTTP_11, "/", &["localhost:8000"][..]),
            (Version::HTTP_11, "http://localhost:8000/graphql", &["localhost:8000"]),
            (Version::HTTP_11, "http://perf.example.com/graphql", &["127.0.0.1:8000"]),
            (Version::HTTP_10, "/", &[]),
        ] {
            assert!(check(version, target, hosts).is_ok(), "{version:?} {target} {hosts:?}");
        }
        for (target, hosts) in [
            ("/", &["example.com"][..]),
            ("/", &[""]),
            ("http://example.com/", &["localhost:8000"]),
            ("http://localhost:8000/", &["example.com"]),
            ("http://user@localhost:8000/", &["localhost:8000"]),
        ] {
            let refused = check(Version::HTTP_11, target, hosts);
            assert!(matches!(refused, Err(Error::Forbidden(_))), "{target} {hosts:?}: {refused:?}");
        }
        for hosts in [&[][..], &["localhost", "localhost"], &["localhost", "example.com"]] {
            assert!(matches!(check(Version::HTTP_11, "/", hosts), Err(Error::Input { .. })), "{hosts:?}");
        }
        assert!(check(Version::HTTP_10, "/", &["localhost", "localhost"]).is_err());
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
