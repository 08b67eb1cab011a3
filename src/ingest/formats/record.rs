//! The parts that all formats share: the bytes of a record, its boundaries, and the row that is parsed from it.

use std::io;

use thiserror::Error;

use crate::ingest::submission::{Candidate, FieldError};

/// Maximum size of one record in bytes. A longer record is rejected as a row and skipped without being buffered.
pub const RECORD_BYTES_MAX: usize = 64 * 1_024;

/// A row as it was parsed, before validation.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedRow {
    /// The project id in the row, as it was written.
    pub project: Option<String>,
    /// The row's fields.
    pub candidate: Candidate,
}

/// The reason why reading stopped before the end of the text.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The source failed.
    #[error("{0}")]
    Source(#[from] io::Error),
    /// The text does not conform to its format.
    #[error("{0}")]
    Malformed(String),
    /// The text exceeds the limit of bytes.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
}

/// The bytes of the current record, cut to [`RECORD_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct RecordBytes {
    pub bytes: Vec<u8>,
    pub is_too_long: bool,
}

impl RecordBytes {
    pub fn push(&mut self, bytes: &[u8]) {
        let room = RECORD_BYTES_MAX.saturating_sub(self.bytes.len());
        self.is_too_long |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.is_too_long = false;
    }
}

/// The result of feeding a chunk of text to a [`Framing`].
pub enum FeedResult {
    /// The whole chunk was consumed, and the record continues.
    Incomplete,
    /// This many bytes were consumed, and the record is complete.
    Complete(usize),
}

/// Finds the boundaries of records in text that arrives in chunks, and parses complete records.
pub trait Framing: Send {
    /// Consumes a chunk of text, up to the end of a record.
    fn feed(&mut self, chunk: &[u8], record: &mut RecordBytes) -> Result<FeedResult, ReadError>;

    /// Handles the end of the text. Returns whether it completes a record.
    fn end(&mut self, record: &mut RecordBytes) -> Result<bool, ReadError>;

    /// Parses the complete record.
    fn parse(&mut self, record: &RecordBytes) -> Result<ParsedRow, FieldError>;

    /// The header that precedes all records, once it was read.
    fn header(&self) -> Option<&[u8]> {
        None
    }
}
