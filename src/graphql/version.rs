//! Opaque versions of objects, for optimistic locks of clients that do not keep all digits of a time. `updated_at` increases
//! with every change, so it identifies the state of a row.

use data_encoding::BASE64URL_NOPAD;

use crate::model::Timestamp;

const PREFIX: &str = "Version:";

/// The version of an object that was last changed at this time.
pub fn encode(updated_at: Timestamp) -> String {
    BASE64URL_NOPAD.encode(format!("{PREFIX}{}", updated_at.as_micros()).as_bytes())
}

/// The time of the last change of a version; `None` if this server did not make it.
pub fn decode(version: &str) -> Option<Timestamp> {
    let bytes = BASE64URL_NOPAD.decode(version.as_bytes()).ok()?;
    let micros = std::str::from_utf8(&bytes).ok()?.strip_prefix(PREFIX)?.parse().ok()?;
    Some(Timestamp::from_micros(micros)).filter(|time| encode(*time) == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_keep_every_microsecond_and_other_texts_are_none() {
        let time: Timestamp = "2026-01-31T12:00:00.123456Z".parse().unwrap();
        assert_eq!(decode(&encode(time)), Some(time));
        assert_ne!(encode(time), encode(time.plus_micros(1)));
        let padded = BASE64URL_NOPAD.encode(b"Version:+5");
        for wrong in ["", "5", "2026-01-31T12:00:00Z", "T3JnYW5pemF0aW9uOjE", &padded] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
