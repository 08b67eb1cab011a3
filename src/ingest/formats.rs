//! Rows from text that arrives piece by piece: NDJSON, a JSON array, CSV with a header, access logs of web servers.
//!
//! Nothing larger than one record is ever held. What is wrong with a record is said about its index and the next one is
//! read; what is wrong with the text as a whole ends it.

mod access_log;
mod csv;
mod fields;
mod json_array;
mod lines;

use std::io;

use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use self::{csv::Csv, json_array::JsonArray, lines::Lines};
use super::Candidate;

pub use access_log::TimeUnit;

/// Bytes of one record; a longer one is refused as a row and skipped without being held.
pub const RECORD_BYTES_MAX: usize = 64 * 1_024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Ndjson,
    /// One JSON array of objects.
    JsonArray,
    /// Comma-separated values, the first line names the columns.
    Csv,
    /// The combined log of nginx and Apache with the request's time behind it.
    AccessLog(TimeUnit),
}

/// A row as it was read; whether it may be stored is decided by validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The project that it names itself, as it spells it.
    pub project: Option<String>,
    /// What it wants stored.
    pub candidate: Candidate,
}

/// Why a record is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The field that it is about; empty when it is the record as a whole.
    pub field: String,
    /// What is wrong and how to put it right.
    pub message: String,
}

impl Unreadable {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Why reading ended before the text did.
#[derive(Debug, Error)]
pub enum Broken {
    /// The source failed.
    #[error("{0}")]
    Source(#[from] io::Error),
    /// The text is not in its format.
    #[error("{0}")]
    Malformed(String),
    /// More bytes than were allowed.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
}

/// The bytes of the record that is being put together.
#[derive(Debug, Default)]
struct Raw {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Raw {
    fn push(&mut self, bytes: &[u8]) {
        let room = RECORD_BYTES_MAX.saturating_sub(self.bytes.len());
        self.is_too_long |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.is_too_long = false;
    }
}

/// What became of a piece of text.
enum Step {
    /// All of it was taken, and the record goes on.
    More,
    /// So many bytes of it were taken, and with them a record is complete.
    Complete(usize),
}

/// Finds where records end, whatever the pieces that the text arrives in.
trait Framing: Send {
    /// Takes a piece of text, up to the end of a record.
    fn feed(&mut self, piece: &[u8], raw: &mut Raw) -> Result<Step, Broken>;

    /// Says that the text is over: whether a record was complete with it.
    fn end(&mut self, raw: &mut Raw) -> Result<bool, Broken>;

    /// The row in the complete record.
    fn row(&mut self, raw: &Raw) -> Result<Row, Unreadable>;

    /// What stands above all records and belongs to each, once it was read.
    fn header(&self) -> Option<&[u8]> {
        None
    }
}

/// Reads records one after the other.
pub struct Records<R> {
    source: R,
    framing: Box<dyn Framing>,
    raw: Raw,
    bytes: u64,
    bytes_max: u64,
    digest: Option<blake3::Hasher>,
    is_begun: bool,
    is_over: bool,
}

impl<R: AsyncBufRead + Unpin + Send> Records<R> {
    /// Reads `source` up to so many bytes.
    pub fn new(source: R, format: Format, bytes_max: u64) -> Self {
        let framing: Box<dyn Framing> = match format {
            Format::Ndjson => Box::new(Lines::new(fields::from_json)),
            Format::JsonArray => Box::new(JsonArray::default()),
            Format::Csv => Box::new(Csv::default()),
            Format::AccessLog(unit) => Box::new(Lines::new(move |line: &[u8]| access_log::row(line, unit))),
        };
        let raw = Raw::default();
        Self { source, framing, raw, bytes: 0, bytes_max, digest: None, is_begun: false, is_over: false }
    }

    /// Keeps a digest of the text as it is read.
    #[must_use]
    pub fn with_digest(self) -> Self {
        Self { digest: Some(blake3::Hasher::new()), ..self }
    }

    /// The next record, or nothing at the end. May be dropped and called again only between records.
    ///
    /// # Errors
    /// What ends the text before its end.
    pub async fn next(&mut self) -> Result<Option<Result<Row, Unreadable>>, Broken> {
        if self.is_over {
            return Ok(None);
        }
        if !self.is_begun {
            self.is_begun = true;
            self.skip_byte_order_mark().await?;
        }
        loop {
            let piece = self.source.fill_buf().await?;
            let (taken, is_complete) = if piece.is_empty() {
                self.is_over = true;
                if !self.framing.end(&mut self.raw)? {
                    return Ok(None);
                }
                (0, true)
            } else {
                match self.framing.feed(piece, &mut self.raw)? {
                    Step::More => (piece.len(), false),
                    Step::Complete(taken) => (taken, true),
                }
            };
            if let Some(digest) = &mut self.digest {
                digest.update(&piece[..taken]);
            }
            self.source.consume(taken);
            self.bytes += u64::try_from(taken).unwrap_or(u64::MAX);
            if self.bytes > self.bytes_max {
                self.is_over = true;
                return Err(Broken::TooLarge(self.bytes_max));
            }
            if is_complete {
                return Ok(Some(self.complete()));
            }
        }
    }

    fn complete(&mut self) -> Result<Row, Unreadable> {
        let row = if self.raw.is_too_long {
            Err(Unreadable::new("", format!("the record is longer than {RECORD_BYTES_MAX} bytes; send shorter ones")))
        } else {
            self.framing.row(&self.raw)
        };
        self.raw.is_too_long = false;
        row
    }

    /// Windows likes to begin a text with one. It may arrive in pieces, and what only looks like one is text.
    async fn skip_byte_order_mark(&mut self) -> Result<(), Broken> {
        let mut seen = 0;
        while seen < BYTE_ORDER_MARK.len() {
            let piece = self.source.fill_buf().await?;
            let same = piece.iter().zip(&BYTE_ORDER_MARK[seen..]).take_while(|(a, b)| a == b).count();
            let is_different = same < piece.len().min(BYTE_ORDER_MARK.len() - seen) || piece.is_empty();
            if let Some(digest) = &mut self.digest {
                digest.update(&piece[..same]);
            }
            self.source.consume(same);
            seen += same;
            if is_different && seen == 0 {
                break;
            }
            if is_different {
                // No format ends a record with these bytes.
                self.framing.feed(&BYTE_ORDER_MARK[..seen], &mut self.raw)?;
                break;
            }
        }
        self.bytes += u64::try_from(seen).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The last record as it stood in the text, cut to [`RECORD_BYTES_MAX`].
    pub fn raw(&self) -> &[u8] {
        &self.raw.bytes
    }

    /// What stood above all records and belongs to each.
    pub fn header(&self) -> Option<&[u8]> {
        self.framing.header()
    }

    /// What the text was up to the end of the last record, in so few bytes that no two texts share them; nothing unless
    /// [`Self::with_digest`] asked for it.
    pub fn digest(&self) -> Option<String> {
        self.digest.as_ref().map(|digest| digest.finalize().to_hex().to_string())
    }
}
