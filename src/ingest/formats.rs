//! Parsers for text that arrives in chunks: NDJSON, a JSON array, CSV with a header, access logs of web servers.
//!
//! Text is UTF-8, or UTF-16 with a byte order mark. At most one record is buffered. An invalid record is an error of its index, and the next record is read; an error of the
//! text as a whole ends reading.

mod access_log;
mod csv;
mod decimal;
mod fields;
mod json_array;
mod lines;
mod record;
mod time;
mod unicode;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use self::{
    csv::Csv,
    json_array::JsonArray,
    lines::Lines,
    record::{FeedResult, Framing, RecordBytes},
    unicode::Utf8Text,
};
use super::submission::FieldError;

pub use access_log::{
    FormatError, JsonMap, LogFormat, TimeUnit, UtcOffset,
    detect::{Unclear, detect, is_log},
};
pub use fields::write_json;
pub use record::{ParsedRow, RECORD_BYTES_MAX, ReadError};

/// The format of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Ndjson,
    /// One JSON array of objects.
    JsonArray,
    /// Values separated by commas, semicolons or tabs, whose first line names the columns.
    Csv,
    /// The access log of a web server.
    AccessLog(LogFormat),
}

/// Reads the records of a text one by one.
pub struct RecordReader<R> {
    source: Utf8Text<R>,
    framing: Box<dyn Framing>,
    record: RecordBytes,
    bytes: u64,
    bytes_max: u64,
    digest: Option<blake3::Hasher>,
    is_over: bool,
}

impl<R: AsyncBufRead + Unpin + Send> RecordReader<R> {
    /// Reads at most `bytes_max` bytes of `source`.
    pub fn new(source: R, format: Format, bytes_max: u64) -> Self {
        let framing: Box<dyn Framing> = match format {
            Format::Ndjson => Box::new(Lines::new(fields::from_json)),
            Format::JsonArray => Box::new(JsonArray::default()),
            Format::Csv => Box::new(Csv::default()),
            Format::AccessLog(log) => {
                let comment = log.comment();
                Box::new(Lines::new(move |line: &[u8]| log.parse(line)).without_comments(comment))
            }
        };
        let (source, record) = (Utf8Text::new(source), RecordBytes::default());
        Self { source, framing, record, bytes: 0, bytes_max, digest: None, is_over: false }
    }

    /// Computes a digest of the text while it is read.
    #[must_use]
    pub fn with_digest(self) -> Self {
        Self { digest: Some(blake3::Hasher::new()), ..self }
    }

    /// The next record, or `None` at the end of the text. Not cancel-safe within a record.
    ///
    /// # Errors
    /// Reading cannot go on.
    pub async fn next(&mut self) -> Result<Option<Result<ParsedRow, FieldError>>, ReadError> {
        Ok(self.advance().await?.then(|| self.complete()))
    }

    /// Reads to the end without parsing, and counts the records. Text that cannot be read ends the count.
    pub async fn count_rest(&mut self) -> u64 {
        let mut count = 0;
        while let Ok(true) = self.advance().await {
            count += 1;
        }
        count
    }

    /// Reads the bytes of the next record; false at the end of the text.
    async fn advance(&mut self) -> Result<bool, ReadError> {
        if self.is_over {
            return Ok(false);
        }
        loop {
            let chunk = self.source.fill_buf().await?;
            let (taken, is_complete) = if chunk.is_empty() {
                self.is_over = true;
                if !self.framing.end(&mut self.record)? {
                    return Ok(false);
                }
                (0, true)
            } else {
                match self.framing.feed(chunk, &mut self.record)? {
                    FeedResult::Incomplete => (chunk.len(), false),
                    FeedResult::Complete(taken) => (taken, true),
                }
            };
            if let Some(digest) = &mut self.digest {
                digest.update(&chunk[..taken]);
            }
            self.source.consume(taken);
            self.bytes += u64::try_from(taken).unwrap_or(u64::MAX);
            if self.bytes > self.bytes_max {
                self.is_over = true;
                return Err(ReadError::TooLarge(self.bytes_max));
            }
            if is_complete {
                return Ok(true);
            }
        }
    }

    fn complete(&mut self) -> Result<ParsedRow, FieldError> {
        let row = if self.record.is_too_long {
            Err(FieldError::row(format!("the record is longer than {RECORD_BYTES_MAX} bytes; send shorter records")))
        } else {
            self.framing.parse(&self.record)
        };
        self.record.is_too_long = false;
        row
    }

    /// The bytes of the last record, cut to [`RECORD_BYTES_MAX`].
    pub fn raw(&self) -> &[u8] {
        &self.record.bytes
    }

    /// The header that precedes all records, such as the column names of CSV.
    pub fn header(&self) -> Option<&[u8]> {
        self.framing.header()
    }

    /// The digest of the text up to the end of the last record; `None` without [`Self::with_digest`].
    pub fn digest(&self) -> Option<String> {
        self.digest.as_ref().map(|digest| digest.finalize().to_hex().to_string())
    }
}
