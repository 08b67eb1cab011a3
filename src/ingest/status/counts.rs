//! The counters of one project and way in, and its last refusals. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{ingest::submission::FieldError, model::Timestamp};

/// Characters of a stored message.
const MESSAGE_CHARACTERS: usize = 200;

/// A reason for which rows were refused lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Microseconds since 1970 of the last time.
    at: i64,
    /// The name of the field in the API; empty for the row as a whole.
    pub field: String,
    /// The problem and its fix, without texts of the row.
    pub message: String,
}

impl Refusal {
    /// The number of different refusals that are kept.
    pub const KEPT: usize = 10;

    /// The last time.
    pub const fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at)
    }
}

/// The counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were stored.
    pub accepted: u64,
    /// Rows that were refused.
    pub refused: u64,
    /// Rows among the refused ones that were too old.
    pub late: u64,
    /// Rows that were received again under a key that was used, and not stored again.
    pub ignored: u64,
    /// Requests that were refused as a whole.
    pub refused_requests: u64,
    /// The last time at which anything arrived.
    pub last_seen_at: Timestamp,
    /// The last refusals, each different, in the order of their times.
    pub refusals: VecDeque<Refusal>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            accepted: 0,
            refused: 0,
            late: 0,
            ignored: 0,
            refused_requests: 0,
            last_seen_at: Timestamp::from_micros(0),
            refusals: VecDeque::new(),
        }
    }
}

impl Counts {
    /// Keeps a refusal.
    pub fn refuse(&mut self, error: &FieldError, now: Timestamp) {
        let refusal =
            Refusal { at: now.as_micros(), field: without_texts(&error.field), message: without_texts(&error.message) };
        self.keep(refusal);
    }

    fn keep(&mut self, refusal: Refusal) {
        // Rows with one mistake and different values have one reason, of which the last example is kept.
        let reason = |refusal: &Refusal| (refusal.field.clone(), without_numbers(&refusal.message));
        let same = reason(&refusal);
        self.refusals.retain(|known| reason(known) != same);
        self.refusals.push_back(refusal);
        if self.refusals.len() > Refusal::KEPT {
            self.refusals.pop_front();
        }
    }

    /// Adds counts that came later.
    pub fn merge(&mut self, later: Self) {
        self.accepted += later.accepted;
        self.refused += later.refused;
        self.late += later.late;
        self.ignored += later.ignored;
        self.refused_requests += later.refused_requests;
        self.last_seen_at = self.last_seen_at.max(later.last_seen_at);
        for refusal in later.refusals {
            self.keep(refusal);
        }
    }

    /// The refusals as stored text.
    pub fn stored_refusals(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.refusals)
    }

    /// Refusals from stored text. A text that another version wrote has none.
    pub fn read_refusals(stored: &str) -> VecDeque<Refusal> {
        serde_json::from_str(stored).unwrap_or_default()
    }
}

/// Begins the part of a message that says what to send, and quotes only names of this program.
const ADVICE: [&str; 3] = ["; send ", ", expected ", "; expected "];

/// A message without the text of a row that it quotes, because it may be a secret in the wrong field. The text may contain
/// quotes itself, so it ends with the last one before the advice.
fn without_texts(message: &str) -> String {
    let advice = ADVICE.iter().filter_map(|begin| message.rfind(begin)).max().unwrap_or(message.len());
    let (problem, advice) = message.split_at(advice);
    let hidden = problem.find(['`', '"']).map(|begin| {
        let quote = if problem[begin..].starts_with('`') { '`' } else { '"' };
        let end = problem.rfind(quote).filter(|end| *end > begin).unwrap_or(problem.len());
        format!("{}{quote}…{}", &problem[..begin], &problem[end..])
    });
    let text = format!("{}{advice}", hidden.as_deref().unwrap_or(problem));
    text.chars().take(MESSAGE_CHARACTERS).collect()
}

/// A message with `#` for each word that has a digit.
fn without_numbers(message: &str) -> String {
    let word = |word| if str::contains(word, |char: char| char.is_ascii_digit()) { "#" } else { word };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(counts: &mut Counts, message: &str, at: i64) {
        counts.refuse(&FieldError::new("value", message.to_owned()), Timestamp::from_micros(at));
    }

    #[test]
    fn the_last_ten_different_refusals_are_kept_without_texts_of_rows() {
        let mut counts = Counts::default();
        for at in 0..30_u8 {
            let reason = char::from(b'a' + at % 15);
            refuse(&mut counts, &format!("-{at} is {reason}; send 0 to 9"), at.into());
        }
        refuse(&mut counts, "-99 is o; send 0 to 9", 99);
        assert_eq!(counts.refusals.len(), Refusal::KEPT);
        let last = counts.refusals.back().unwrap();
        assert_eq!((last.at().as_micros(), last.message.as_str()), (99, "-99 is o; send 0 to 9"));
        assert_eq!(Counts::read_refusals(&counts.stored_refusals().unwrap()), counts.refusals);
        assert!(Counts::read_refusals("of another version").is_empty());
        for (message, kept) in [
            ("`hunter2` is not a type; send one of `CUSTOM`", "`…` is not a type; send one of `CUSTOM`"),
            ("`a`hunter2` is not a time", "`…` is not a time"),
            (
                "unknown field `hunter2`, expected one of `type`, `value`",
                "unknown field `…`, expected one of `type`, `value`",
            ),
            ("invalid type: string \"a\\\"hunter2\", expected f64", "invalid type: string \"…\", expected f64"),
            ("begins with `hunter2", "begins with `…"),
        ] {
            refuse(&mut counts, message, 1);
            assert_eq!(counts.refusals.back().unwrap().message, kept);
        }
        refuse(&mut counts, &"x".repeat(10_000), 1);
        assert_eq!(counts.refusals.back().unwrap().message.len(), MESSAGE_CHARACTERS);
    }

    #[test]
    fn counts_of_instances_add_up() {
        let mut counts =
            Counts { accepted: 1, refused: 2, late: 1, ignored: 3, refused_requests: 1, ..Counts::default() };
        refuse(&mut counts, "a", 1);
        let mut later = Counts { last_seen_at: Timestamp::from_micros(7), ..counts.clone() };
        refuse(&mut later, "b", 2);
        counts.merge(later);
        assert_eq!(
            (counts.accepted, counts.refused, counts.late, counts.ignored, counts.refused_requests),
            (2, 4, 2, 6, 2)
        );
        assert_eq!((counts.last_seen_at.as_micros(), counts.refusals.len()), (7, 2));
    }
}
