//! The first step: may this caller write there, is the submission as a whole acceptable, and what would be stored.

use super::{
    Mode, Receipt, Settings, Submission,
    batch::Job,
    late::Late,
    validate::{Validated, validate},
};
use crate::{
    db::StatementLog,
    directory::reach::{self, PROJECT},
    error::{Error, Result},
    model::{Key, ProjectId, Scope, Timestamp},
};

/// The longest idempotency key, in bytes; a UUID or a hash in hex fits several times.
const KEY_BYTES_MAX: usize = 200;
/// Checks what needs no database.
pub fn shape(scope: &Scope, submission: &Submission, settings: &Settings) -> Result<()> {
    reach::to_metrics(scope, submission.project).require(PROJECT)?;
    let rows = submission.candidates.len();
    if rows == 0 {
        return Err(Error::input("metrics", "is empty; send at least one metric"));
    }
    if u32::try_from(rows).is_ok_and(|rows| rows <= settings.rows_max) {
        Ok(())
    } else {
        Err(Error::Limit {
            what: "the number of metrics in one call",
            actual: u64::try_from(rows).unwrap_or(u64::MAX),
            limit: u64::from(settings.rows_max),
            advice: "send them in several calls, each with an idempotency key of its own",
        })
    }
}

/// Whether a caller may use this text as an idempotency key.
///
/// # Errors
/// [`Error::Input`] that says what is wrong with it.
pub fn check_key(key: &str) -> Result<()> {
    let message = if key.is_empty() {
        "is empty; send a text that is unique to this batch, such as a UUID, or leave it out"
    } else if key.len() > KEY_BYTES_MAX {
        "is longer than 200 bytes; send a shorter text that is unique to this batch, such as a UUID"
    } else if key.chars().any(char::is_control) {
        // Also keeps callers out of the room of generated keys, which start with a control character.
        "contains control characters; send printable text such as a UUID"
    } else {
        return Ok(());
    };
    Err(Error::input("idempotencyKey", message))
}

/// The key of a part of something larger. Callers' keys have no control characters, so none of theirs is like it.
pub fn part_key(key: &str, part: u64) -> String {
    format!("{key}{PART}{part}")
}

/// The key as its caller gave it.
pub fn callers_key(key: &str) -> &str {
    key.split(PART).next().unwrap_or(key)
}

/// What stands between a key and the number of a part.
const PART: char = '\u{1}';

/// A job without rows, which only takes its key. Its hash is that of no rows.
pub fn seal(project: Key<ProjectId>, source: &str, key: String, now: Timestamp) -> Job {
    Job {
        project,
        source: source.to_owned(),
        key: Some(key),
        body_hash: blake3::hash(b"").as_bytes().to_vec(),
        measurements: Vec::new(),
        rejected: Vec::new(),
        late: Late::default(),
        received_at: now,
        log: StatementLog::default(),
    }
}

/// What is left to do for a submission.
pub enum Accepted {
    /// Nothing to store, nothing to count, and no key to remember the answer under.
    Nothing(Receipt),
    /// Something to write.
    Job(Box<Job>),
}

/// Validates the rows and decides what is to be written.
pub fn into_job(submission: Submission, now: Timestamp, settings: &Settings, log: &StatementLog) -> Accepted {
    // Before validation: the same body is the same body, whatever the clock says about its rows by now.
    let body_hash = submission.idempotency_key.as_ref().map_or_else(Vec::new, |_| body_hash(&submission));
    let Submission { project, candidates, idempotency_key, source, mode } = submission;
    let Validated { mut measurements, rejected, mut late } = validate(candidates, now, settings);
    if mode == Mode::Atomic && !rejected.is_empty() {
        measurements.clear();
        // Nothing is lost: the sender keeps all rows, and may send the others again.
        late = Late::default();
    }
    if measurements.is_empty() && late.is_empty() && idempotency_key.is_none() {
        return Accepted::Nothing(Receipt { accepted: 0, rejected, duplicate: false, cursor: None });
    }
    Accepted::Job(Box::new(Job {
        project,
        source,
        key: idempotency_key,
        body_hash,
        measurements,
        rejected,
        late,
        received_at: now,
        log: log.clone(),
    }))
}

/// A hash over everything that makes two submissions the same. Lengths are part of it, so fields cannot run together.
fn body_hash(submission: &Submission) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 * submission.candidates.len() + 32);
    bytes.extend(submission.project.id.0.to_le_bytes());
    bytes.push(u8::from(submission.mode == Mode::Atomic));
    for candidate in &submission.candidates {
        bytes.extend(candidate.kind.code().to_le_bytes());
        bytes.extend(candidate.value.to_bits().to_le_bytes());
        // Statuses are i32 and times i64, so one width more tells "missing" from every number.
        bytes.extend(candidate.status.map_or(i64::MIN, i64::from).to_le_bytes());
        let micros = candidate.timestamp.map_or(i128::MIN, |at| i128::from(at.as_micros()));
        bytes.extend(micros.to_le_bytes());
        bytes.extend(candidate.endpoint.len().to_le_bytes());
        bytes.extend(candidate.endpoint.as_bytes());
        // Only where they are: bodies without them keep the hash that they had before there were any. What begins a
        // candidate is never negative, so nothing else reads like this.
        for (mark, text) in [(-1_i16, &candidate.name), (-2, &candidate.release)] {
            if let Some(text) = text {
                bytes.extend(mark.to_le_bytes());
                bytes.extend(text.len().to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
    }
    blake3::hash(&bytes).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ingest::Candidate,
        model::{MetricType, OrganizationId},
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
    fn the_hash_tells_bodies_apart() {
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
        let hashes = [base, body_hash(&tagged), body_hash(&swapped)];
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
    }

    /// Keys that were used before there were names and releases still find their bodies.
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
