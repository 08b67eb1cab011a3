//! The target of a request: `/graphql/` means `/graphql`, on every route. Clients of other servers are set to the longer
//! form, and a redirect would cost each of their requests another one.

use axum::http::{Request, Uri, uri::PathAndQuery};

/// Removes slashes at the end of the path.
pub fn trim_slashes<B>(request: &mut Request<B>) {
    if let Some(trimmed) = without_last_slashes(request.uri()) {
        *request.uri_mut() = trimmed;
    }
}

/// `None` if the path has no slash at its end, or nothing else.
fn without_last_slashes(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || trimmed.is_empty() {
        return None;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{trimmed}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_path_is_trimmed() {
        for (target, expected) in [
            ("/graphql/", "/graphql"),
            ("/graphql//", "/graphql"),
            ("/graphql/?query=/a/", "/graphql?query=/a/"),
            ("/ingest/v1/metrics/?project=a%2F", "/ingest/v1/metrics?project=a%2F"),
            ("http://localhost:8000/graphql/?a", "http://localhost:8000/graphql?a"),
            ("/graphql", "/graphql"),
            ("/graphql?query=/", "/graphql?query=/"),
            ("/", "/"),
            ("//", "//"),
        ] {
            let mut request = Request::builder().uri(target).body(()).unwrap();
            trim_slashes(&mut request);
            assert_eq!(request.uri().to_string(), expected);
        }
        let mut asterisk = Request::builder().uri("*").body(()).unwrap();
        trim_slashes(&mut asterisk);
        assert_eq!(asterisk.uri(), "*");
    }
}
