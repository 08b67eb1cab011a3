//! Idempotency keys and the hash that tells whether two submissions have the same content. Pure.

use super::submission::{Mode, Submission};
use crate::error::{Error, Result};

/// Maximum length of an idempotency key in bytes; a UUID or a hash in hex fits several times.
const KEY_BYTES_MAX: usize = 200;

/// Separates a key from the number of a part. Callers' keys contain no control characters.
const PART_SEPARATOR: char = '\u{1}';

/// Checks that a caller may use this text as an idempotency key.
///
/// # Errors
/// [`Error::Input`] with the problem.
pub fn check_key(key: &str) -> Result<()> {
    let message = if key.is_empty() {
        "is empty; send a text that is unique to this batch, such as a UUID, or leave it out"
    } else if key.len() > KEY_BYTES_MAX {
        "is longer than 200 bytes; send a shorter text that is unique to this batch, such as a UUID"
    } else if key.chars().any(char::is_control) {
        // Control characters are reserved for generated keys.
        "contains control characters; send printable text such as a UUID"
    } else {
        return Ok(());
    };
    Err(Error::input("idempotencyKey", message))
}

/// The key under which part `part` of a larger source is stored.
pub fn part_key(key: &str, part: u64) -> String {
    format!("{key}{PART_SEPARATOR}{part}")
}

/// The caller's key in the key of a part.
pub fn callers_key(key: &str) -> &str {
    key.split(PART_SEPARATOR).next().unwrap_or(key)
}

/// The key of a submission that came without one; it equals no caller's key.
pub fn generated_key(first_id: i64) -> String {
    format!("{PART_SEPARATOR}{first_id}")
}

/// The hash of the content of a submission. Lengths are part of it, so that fields cannot run together.
pub fn body_hash(submission: &Submission) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 * submission.candidates.len() + 32);
    bytes.extend(submission.project.id.0.to_le_bytes());
    bytes.push(u8::from(submission.mode == Mode::Atomic));
    for candidate in &submission.candidates {
        bytes.extend(candidate.kind.code().to_le_bytes());
        bytes.extend(candidate.value.to_bits().to_le_bytes());
        // A wider integer than the field's own has room for "missing".
        bytes.extend(candidate.status.map_or(i64::MIN, i64::from).to_le_bytes());
        let micros = candidate.timestamp.map_or(i128::MIN, |at| i128::from(at.as_micros()));
        bytes.extend(micros.to_le_bytes());
        bytes.extend(candidate.endpoint.len().to_le_bytes());
        bytes.extend(candidate.endpoint.as_bytes());
        // Only if present: bodies without tags keep the hash that they had before tags existed. The type's code, which
        // begins a candidate, is never negative, so the markers are unambiguous.
        for (marker, text) in [(-1_i16, &candidate.name), (-2, &candidate.release)] {
            if let Some(text) = text {
                bytes.extend(marker.to_le_bytes());
                bytes.extend(text.len().to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
        // In one order, because that of an object in JSON means nothing.
        let mut labels: Vec<_> = candidate.labels.iter().collect();
        labels.sort_unstable();
        for label in labels {
            bytes.extend((-3_i16).to_le_bytes());
            for text in [&label.key, &label.value] {
                bytes.extend(text.len().to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
    }
    blake3::hash(&bytes).as_bytes().to_vec()
}

/// The hash of a job without rows.
pub fn empty_hash() -> Vec<u8> {
    blake3::hash(b"").as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ingest::submission::Candidate,
        model::{Key, Label, MetricType, OrganizationId, ProjectId},
    };

    fn submission(endpoints: &[&str]) -> Submission {
        let candidate = |endpoint: &&str| Candidate {
            kind: MetricType::Custom,
            value: 1.0,
            endpoint: (*endpoint).to_owned(),
            status: None,
            timestamp: None,
            name: None,
            release: None,
            labels: Vec::new(),
        };
        Submission {
            project: Key::new(OrganizationId(1), ProjectId(2)),
            candidates: endpoints.iter().map(candidate).collect(),
            idempotency_key: Some("key".to_owned()),
            source: "test".to_owned(),
            mode: Mode::Partial,
        }
    }

    #[test]
    fn different_bodies_have_different_hashes() {
        let base = body_hash(&submission(&["ab", "c"]));
        assert_eq!(base, body_hash(&submission(&["ab", "c"])));
        assert_ne!(base, body_hash(&submission(&["a", "bc"])));
        let mut other = submission(&["ab", "c"]);
        other.candidates[0].status = Some(0);
        assert_ne!(base, body_hash(&other));
        let mut other = submission(&["ab", "c"]);
        other.mode = Mode::Atomic;
        assert_ne!(base, body_hash(&other));
        let mut tagged = submission(&["ab", "c"]);
        tagged.candidates[0].name = Some("x".to_owned());
        let mut swapped = submission(&["ab", "c"]);
        swapped.candidates[0].release = Some("x".to_owned());
        let mut labelled = submission(&["ab", "c"]);
        labelled.candidates[0].labels = vec![Label { key: "ab".to_owned(), value: "c".to_owned() }];
        let mut shifted = labelled.clone();
        shifted.candidates[0].labels = vec![Label { key: "a".to_owned(), value: "bc".to_owned() }];
        assert!(body_hash(&labelled) != base && body_hash(&labelled) != body_hash(&shifted));
        let hashes = [base, body_hash(&tagged), body_hash(&swapped)];
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
    }

    /// Keys that were used before tags existed still match their bodies.
    #[test]
    fn a_body_without_tags_keeps_its_hash() {
        let hash = blake3::Hash::from_slice(&body_hash(&submission(&["ab", "c"]))).unwrap();
        assert_eq!(hash.to_hex().as_str(), "741fd5f346a1b189917f3ae8ed208e832393722ee8372b7dd70dba3f9fce2d5e");
    }

    #[test]
    fn keys_are_short_printable_text() {
        assert!(check_key("0190f3c2-7d0a-7c3e-8d52-2f1f6a3b9c11").is_ok());
        for wrong in ["", "a\u{1}", &"x".repeat(201)] {
            assert!(check_key(wrong).is_err());
        }
    }
}
