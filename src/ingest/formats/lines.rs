//! Records that are lines. Empty lines are skipped.

use super::record::{FeedResult, Framing, ParsedRow, ReadError, RecordBytes};
use crate::ingest::submission::FieldError;

/// The framing of lines, with the function that parses one.
pub struct Lines<F> {
    parse: F,
    /// The last record was handed out: the next byte begins another.
    is_handed_out: bool,
}

impl<F> Lines<F> {
    pub const fn new(parse: F) -> Self {
        Self { parse, is_handed_out: false }
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
            if is_blank(record) {
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
        Ok(!self.is_handed_out && !is_blank(record))
    }

    fn parse(&mut self, record: &RecordBytes) -> Result<ParsedRow, FieldError> {
        (self.parse)(record.bytes.trim_ascii())
    }
}

fn is_blank(record: &RecordBytes) -> bool {
    !record.is_too_long && record.bytes.trim_ascii().is_empty()
}
