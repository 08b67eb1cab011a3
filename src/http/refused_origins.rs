//! Log lines about refused pages. To a page a refusal looks like a network error, so the operator reads here which setting
//! would allow it. Each origin is logged once a minute at most: pages must not be able to fill the log.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, header};

use crate::clock::Stopwatch;

/// Time between two log lines about the same origin.
const REPEATED_AFTER: Duration = Duration::from_mins(1);
/// Origins that are remembered. Further ones are not logged until an old one is forgotten.
const ORIGINS_MAX: usize = 100;
/// Characters of an origin that the log shows.
const SHOWN_MAX: usize = 200;

/// The origins that were refused lately.
#[derive(Debug, Default)]
pub struct RefusedOrigins {
    told: Mutex<HashMap<String, Stopwatch>>,
}

impl RefusedOrigins {
    /// Logs that a page was refused, and the setting that would allow it.
    pub fn tell(&self, headers: &HeaderMap) {
        let Some(origin) = shown_origin(headers).filter(|origin| self.is_due(origin)) else { return };
        if origin == "null" {
            tracing::warn!(
                "a page without an origin is refused, such as a file: serve it over HTTP and list its origin in \
                 server.cors_origins"
            );
        } else {
            tracing::warn!(
                origin,
                "pages of this origin are refused: list it in server.cors_origins, or in server.public_origins if it is \
                 the address of this server behind a proxy"
            );
        }
    }

    /// Logs that a page may not send these headers, and the setting that would allow it.
    pub fn tell_headers(&self, headers: &HeaderMap, refused: &[String]) {
        let refused = refused.join(", ");
        let Some(origin) = shown_origin(headers).filter(|origin| self.is_due(&format!("{origin} {refused}"))) else {
            return;
        };
        tracing::warn!(origin, headers = refused, "pages may not send these headers: list them in server.cors_headers");
    }

    fn is_due(&self, subject: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, since| since.elapsed() < REPEATED_AFTER);
        if told.contains_key(subject) || told.len() >= ORIGINS_MAX {
            return false;
        }
        told.insert(subject.to_owned(), Stopwatch::start());
        true
    }
}

fn shown_origin(headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?;
    Some(String::from_utf8_lossy(origin.as_bytes()).chars().take(SHOWN_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_due_once_and_their_number_is_bounded() {
        let refused = RefusedOrigins::default();
        assert!(refused.is_due("https://a.example") && !refused.is_due("https://a.example"));
        let others = (0..1_000).filter(|number| refused.is_due(&format!("https://{number}.example"))).count();
        assert_eq!(others, ORIGINS_MAX - 1);
    }
}
