//! W3C trace context: the trace id of a request appears in the log and in the response.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::random::Random;

/// The request header.
const TRACEPARENT: &str = "traceparent";
/// The response header.
pub static TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The trace that a caller started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub id: Arc<str>,
    flags: String,
}

impl Trace {
    /// Parses `traceparent`. A malformed header is ignored.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(TRACEPARENT)?.to_str().ok()?;
        let mut parts = text.split('-');
        let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let has_valid_length = match version {
            "00" => parts.next().is_none(),
            // Later versions may append fields to those of this version.
            "ff" => false,
            version => is_hex(version, 2),
        };
        let is_valid = has_valid_length && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2);
        let is_nonzero = id.bytes().any(|digit| digit != b'0') && parent.bytes().any(|digit| digit != b'0');
        (is_valid && is_nonzero).then(|| Self { id: id.into(), flags: flags.to_owned() })
    }

    /// The response header: the trace id and a new span id for this request.
    pub fn response(&self, random: &Random) -> Option<HeaderValue> {
        let span = random.number().max(1);
        HeaderValue::from_str(&format!("00-{}-{span:016x}-{}", self.id, self.flags)).ok()
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_parent_is_ignored() {
        let read = |text: &'static str| {
            let headers = [(HeaderName::from_static(TRACEPARENT), HeaderValue::from_static(text))];
            Trace::read(&headers.into_iter().collect())
        };
        let id = "0af7651916cd43dd8448eb211c80319c";
        let trace = read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(*trace.id, *id);
        let response = trace.response(&Random::seeded(1)).unwrap();
        assert_eq!(response, trace.response(&Random::seeded(1)).unwrap());
        assert!(response.to_str().unwrap().starts_with(&format!("00-{id}-")) && response.as_bytes().ends_with(b"-01"));
        assert!(read("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").is_some());
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
