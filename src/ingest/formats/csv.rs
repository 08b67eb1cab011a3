//! Comma-separated values (RFC 4180: quotes, doubled quotes, line breaks in quotes, CRLF or LF). The first record names the
//! columns, in any order.

use csv_core::{ReadRecordResult, Reader};

use super::{
    fields::{self, TextFields},
    record::{FeedResult, Framing, ParsedRow, RECORD_BYTES_MAX, ReadError, RecordBytes},
};
use crate::ingest::submission::FieldError;

/// The known columns; each may occur once.
const COLUMNS: [&str; 9] =
    ["type", "value", "endpoint", "statusCode", "timestamp", "name", "release", "projectId", "project"];
/// The required columns.
const REQUIRED: [&str; 3] = ["type", "value", "endpoint"];

/// The framing of CSV.
pub struct Csv {
    reader: Reader,
    /// The values of a record without separators, and the end of each.
    values: Vec<u8>,
    ends: [usize; 2 * COLUMNS.len()],
    value_bytes: usize,
    end_count: usize,
    /// The record has more values than there are known columns.
    is_too_wide: bool,
    /// The columns of the header, as indexes into [`COLUMNS`].
    header: Vec<usize>,
    header_line: Vec<u8>,
    is_handed_out: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            reader: Reader::new(),
            values: vec![0; RECORD_BYTES_MAX],
            ends: [0; 2 * COLUMNS.len()],
            value_bytes: 0,
            end_count: 0,
            is_too_wide: false,
            header: Vec::new(),
            header_line: Vec::new(),
            is_handed_out: false,
        }
    }
}

impl Csv {
    /// Reads up to the end of a record. An empty chunk means the end of the text.
    fn read(&mut self, chunk: &[u8], record: &mut RecordBytes) -> Result<FeedResult, ReadError> {
        if std::mem::take(&mut self.is_handed_out) {
            record.clear();
            self.start_over();
        }
        let mut taken = 0;
        loop {
            let (result, read, written, ended) = self.reader.read_record(
                &chunk[taken..],
                &mut self.values[self.value_bytes..],
                &mut self.ends[self.end_count..],
            );
            record.push(&chunk[taken..taken + read]);
            taken += read;
            self.value_bytes += written;
            self.end_count += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(FeedResult::Incomplete),
                // The rest of the record overwrites the buffer: the record is rejected at its end.
                ReadRecordResult::OutputFull => {
                    record.is_too_long = true;
                    self.value_bytes = 0;
                }
                ReadRecordResult::OutputEndsFull => {
                    self.is_too_wide = true;
                    self.end_count = 0;
                }
                ReadRecordResult::Record if self.header.is_empty() => {
                    self.read_header(record)?;
                    record.clear();
                    self.start_over();
                }
                ReadRecordResult::Record => {
                    self.is_handed_out = true;
                    return Ok(FeedResult::Complete(taken));
                }
            }
        }
    }

    fn start_over(&mut self) {
        (self.value_bytes, self.end_count, self.is_too_wide) = (0, 0, false);
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.end_count];
        let starts = std::iter::once(&0).chain(ends);
        starts.zip(ends).map(|(start, end)| self.values.get(*start..*end).unwrap_or_default())
    }

    fn read_header(&mut self, record: &RecordBytes) -> Result<(), ReadError> {
        let refuse = |words: String| {
            let columns = COLUMNS.join(", ");
            ReadError::Malformed(format!("{words}; the first line of CSV names its columns, which can be {columns}"))
        };
        if record.is_too_long || self.is_too_wide {
            return Err(refuse("has a header with too many columns".to_owned()));
        }
        let mut header = Vec::new();
        for value in self.values() {
            let name = String::from_utf8_lossy(value);
            let name = name.trim();
            match COLUMNS.iter().position(|column| *column == name) {
                Some(column) if !header.contains(&column) => header.push(column),
                Some(_) => return Err(refuse(format!("has the column `{name}` twice"))),
                None => {
                    let name: String = name.chars().take(64).collect();
                    return Err(refuse(format!("has the column `{name}`, which is not known")));
                }
            }
        }
        let is_named = |name: &&str| header.iter().any(|column| COLUMNS[*column] == *name);
        if let Some(missing) = REQUIRED.iter().find(|name| !is_named(name)) {
            return Err(refuse(format!("has no column `{missing}`")));
        }
        self.header = header;
        self.header_line.clone_from(&record.bytes);
        Ok(())
    }
}

impl Framing for Csv {
    fn feed(&mut self, chunk: &[u8], record: &mut RecordBytes) -> Result<FeedResult, ReadError> {
        self.read(chunk, record)
    }

    fn end(&mut self, record: &mut RecordBytes) -> Result<bool, ReadError> {
        let is_complete = matches!(self.read(&[], record)?, FeedResult::Complete(_));
        if self.header.is_empty() {
            return Err(ReadError::Malformed("is empty; the first line of CSV names its columns".to_owned()));
        }
        Ok(is_complete)
    }

    fn parse(&mut self, _: &RecordBytes) -> Result<ParsedRow, FieldError> {
        if self.is_too_wide || self.end_count != self.header.len() {
            let (columns, values) = (self.header.len(), self.end_count);
            let values = if self.is_too_wide { "many more".to_owned() } else { values.to_string() };
            let message = format!("the header names {columns} columns and this row has {values}; is a quote missing?");
            return Err(FieldError::row(message));
        }
        let mut texts: [Option<&str>; COLUMNS.len()] = [None; COLUMNS.len()];
        for (column, value) in self.header.iter().zip(self.values()) {
            let text = std::str::from_utf8(value)
                .map_err(|_| FieldError::new(COLUMNS[*column], "is not UTF-8; send the text in UTF-8"))?;
            texts[*column] = Some(text).filter(|text| !text.is_empty());
        }
        let [kind, value, endpoint, status, timestamp, name, release, project_id, project] = texts;
        let project = project_id.or(project);
        fields::from_texts(TextFields { kind, value, endpoint, status, timestamp, name, release, project })
    }

    fn header(&self) -> Option<&[u8]> {
        (!self.header_line.is_empty()).then_some(&*self.header_line)
    }
}
