//! The decision between the page and data for `GET /graphql`.

use axum::http::request::Parts;

use super::accept;
use crate::http::media_type;

/// True if GraphiQL answers the request: a browser opens the address. If the address contains an operation, the page shows it
/// in a tab. Programs get data.
pub fn is_wanted(parts: &Parts) -> bool {
    let ranges = media_type::accepted(&parts.headers);
    let accepts = |essence: &str| ranges.iter().any(|range| range.essence == essence && range.weight > 0);
    let has = |name: &str| {
        let mut parameters = parts.uri.query().unwrap_or_default().split('&');
        parameters.any(|parameter| parameter.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
    };
    if !accepts("text/html") || has("documentId") || has("extensions") {
        return false;
    }
    // Java programs up to JDK 18 accept HTML in every request, but data as well; browsers also name XHTML.
    !has("query") || accepts("application/xhtml+xml") || accept::negotiate(&parts.headers).is_none()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const CHROMIUM: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
                            application/signed-exchange;v=b3;q=0.7";
    const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    const JAVA: &str = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2";

    #[test]
    fn browsers_get_the_page_and_programs_get_data() {
        for (accept, bare, operation, stored) in [
            (CHROMIUM, true, true, false),
            (FIREFOX, true, true, false),
            ("text/html", true, true, false),
            ("text/html;q=0, */*", false, false, false),
            (JAVA, true, false, false),
            ("text/html, application/json;q=0.9", true, false, false),
            ("*/*", false, false, false),
            ("application/json", false, false, false),
            ("text/event-stream", false, false, false),
        ] {
            let wanted = |address: &str| {
                let request = Request::builder().uri(address).header("accept", accept).body(()).unwrap();
                is_wanted(&request.into_parts().0)
            };
            let addresses = ["/graphql", "/graphql?variables=%7B%7D&query=%7Ba%7D", "/graphql?documentId=abc"];
            assert_eq!(addresses.map(wanted), [bare, operation, stored], "{accept}");
        }
    }
}
