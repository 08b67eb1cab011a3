//! Records that are lines. Empty lines and comments are skipped.

use super::record::{FeedResult, Framing, ParsedRow, ReadError, RecordBytes};
use crate::ingest::submission::FieldError;

/// The framing of lines, with the function that parses one.
pub struct Lines<F> {
    parse: F,
    /// The first character of lines that are no records.
    comment: Option<u8>,
    /// The last record was handed out: the next byte begins another.
    is_handed_out: bool,
}

impl<F> Lines<F> {
    pub const fn new(parse: F) -> Self {
        Self { parse, comment: None, is_handed_out: false }
    }

    /// Skips lines that begin with this character.
    pub fn without_comments(self, comment: Option<u8>) -> Self {
        Self { comment, ..self }
    }

    fn is_skipped(&self, record: &RecordBytes) -> bool {
        let first = record.bytes.trim_ascii().first();
        match first {
            None => !record.is_too_long,
            first => self.comment.is_some() && first == self.comment.as_ref(),
        }
    }
}

impl<F: FnMut(&[u8]) -> Result<ParsedRow, FieldError> + Send> Framing for Lines<F> {
    fn feed(&mut self, chunk: &[u8], record: &mut RecordBytes) -> Result<FeedResult, ReadError> {
        if std::mem::take(&mut self.is_handed_out) {
            record.clear();
        }
        let mut taken = 0;
        while let Some(length) = chunk[taken..].iter().position(|byte| *byte == b'\n') {
            record.push(&chunk[taken..taken + length]);
            taken += length + 1;
            if self.is_skipped(record) {
                record.clear();
            } else {
                self.is_handed_out = true;
                return Ok(FeedResult::Complete(taken));
            }
        }
        record.push(&chunk[taken..]);
        Ok(FeedResult::Incomplete)
    }

    fn end(&mut self, record: &mut RecordBytes) -> Result<bool, ReadError> {
        Ok(!self.is_handed_out && !self.is_skipped(record))
    }

    fn parse(&mut self, record: &RecordBytes) -> Result<ParsedRow, FieldError> {
        (self.parse)(record.bytes.trim_ascii())
    }
}
