//! Comma-separated values (RFC 4180: quotes, doubled quotes, line breaks in quotes; CRLF, LF or CR), also separated by
//! semicolons, tabs or `|`. The first record names the columns, in any order; `labels.region` is the label `region`. A column without a name, which pandas writes for
//! its index, is skipped.

mod dialect;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use self::dialect::Dialect;
use super::{
    fields::{self, TextFields},
    record::{FeedResult, Framing, ParsedRow, RECORD_BYTES_MAX, ReadError, RecordBytes},
};
use crate::ingest::submission::FieldError;

/// The known columns; each may occur once.
const COLUMNS: [&str; 11] = [
    "type",
    "value",
    "endpoint",
    "statusCode",
    "timestamp",
    "name",
    "releaseVersion",
    "release",
    "projectId",
    "project",
    "projectSlug",
];
/// Begins the name of a column of labels; the key follows.
const LABEL: &str = "labels.";
/// Values of a record, of which some are labels.
const VALUES_MAX: usize = 128;
/// The required columns.
const REQUIRED: [&str; 3] = ["type", "value", "endpoint"];

/// The names of columns that pandas writes for an index without a name, the second when such a file was read before.
const INDEXES: [&str; 2] = ["", "Unnamed: 0"];

/// A column of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    /// An index into [`COLUMNS`].
    Known(usize),
    /// The label with this key.
    Label(String),
    /// Skipped.
    Index,
}

/// The framing of CSV.
pub struct Csv {
    /// The beginning of the text up to the end of the header, from which the dialect is seen; `None` behind it.
    first_line: Option<Vec<u8>>,
    dialect: Option<Dialect>,
    reader: Reader,
    /// The values of a record without separators, and the end of each.
    values: Vec<u8>,
    ends: [usize; VALUES_MAX],
    value_bytes: usize,
    end_count: usize,
    /// The record has more values than there can be columns.
    is_too_wide: bool,
    header: Vec<Column>,
    header_line: Vec<u8>,
    is_handed_out: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            first_line: Some(Vec::new()),
            dialect: None,
            reader: Reader::new(),
            values: vec![0; RECORD_BYTES_MAX],
            ends: [0; VALUES_MAX],
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
    /// Collects the first line of the text, sees the dialect in it and begins to read records with it. Returns the number of
    /// bytes consumed.
    fn begin(&mut self, chunk: &[u8], record: &mut RecordBytes) -> Result<usize, ReadError> {
        let mut taken = 0;
        while let Some(line) = &mut self.first_line {
            let rest = &chunk[taken..];
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            line.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
            taken += end.map_or(rest.len(), |end| end + 1);
            let is_whole = end.is_some() || chunk.is_empty() || line.len() > RECORD_BYTES_MAX;
            if !is_whole {
                break;
            }
            let line = std::mem::take(line);
            if line.trim_ascii().is_empty() && !chunk.is_empty() {
                continue;
            }
            if line.contains(&0) {
                return Err(ReadError::Malformed(
                    "has NUL bytes in its first line, as UTF-16 without a byte order mark has; save it as UTF-8"
                        .to_owned(),
                ));
            }
            if let (None, Some(declared)) = (self.dialect, Dialect::declared(&line)?) {
                self.dialect = Some(declared);
                continue;
            }
            let dialect = *self.dialect.get_or_insert_with(|| Dialect::of_header(&line));
            self.reader = ReaderBuilder::new().delimiter(dialect.separator).build();
            self.first_line = None;
            // A line break in quotes belongs to the header; it is the one that ended the line.
            let line_break = end.and_then(|end| rest.get(end..=end)).unwrap_or_default();
            for piece in [&line, line_break].into_iter().filter(|piece| !piece.is_empty()) {
                self.read_records(piece, record)?;
            }
        }
        Ok(taken)
    }

    /// Reads up to the end of a record. An empty chunk means the end of the text.
    fn read(&mut self, chunk: &[u8], record: &mut RecordBytes) -> Result<FeedResult, ReadError> {
        let begun = if self.first_line.is_some() { self.begin(chunk, record)? } else { 0 };
        if self.first_line.is_some() || (begun > 0 && begun == chunk.len()) {
            return Ok(FeedResult::Incomplete);
        }
        Ok(match self.read_records(&chunk[begun..], record)? {
            FeedResult::Complete(taken) => FeedResult::Complete(begun + taken),
            FeedResult::Incomplete => FeedResult::Incomplete,
        })
    }

    fn read_records(&mut self, chunk: &[u8], record: &mut RecordBytes) -> Result<FeedResult, ReadError> {
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
            ReadError::Malformed(format!(
                "{words}; the first line of CSV names its columns, which can be {columns}, and {LABEL}KEY for labels"
            ))
        };
        if record.is_too_long || self.is_too_wide {
            return Err(refuse("has a header with too many columns".to_owned()));
        }
        let mut header = Vec::new();
        for value in self.values() {
            let name = String::from_utf8_lossy(value);
            let name = name.trim();
            let known = COLUMNS.iter().position(|column| *column == name).map(Column::Known);
            let label = || Some(Column::Label(name.strip_prefix(LABEL)?.to_owned()));
            match known.or_else(label) {
                Some(column) if !header.contains(&column) => header.push(column),
                Some(_) => return Err(refuse(format!("has the column `{}` twice", shown(name)))),
                None if INDEXES.contains(&name) => header.push(Column::Index),
                None => return Err(refuse(format!("has the column `{}`, which is not known", shown(name)))),
            }
        }
        let is_named =
            |name: &&str| header.iter().any(|column| matches!(column, Column::Known(at) if COLUMNS[*at] == *name));
        if is_named(&"release") && is_named(&"releaseVersion") {
            return Err(refuse(
                "has the version of the release twice, as `release` and as `releaseVersion`".to_owned(),
            ));
        }
        if let Some(missing) = REQUIRED.iter().find(|name| !is_named(name)) {
            return Err(refuse(format!("has no column `{missing}`")));
        }
        self.header = header;
        self.header_line.clone_from(&record.bytes);
        Ok(())
    }
}

/// The beginning of the name of a column.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
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
        let mut labels = Vec::new();
        for (column, value) in self.header.iter().zip(self.values()) {
            let read = |field: &'static str| -> Result<Option<&str>, FieldError> {
                let text = std::str::from_utf8(value);
                let text = text.map_err(|_| FieldError::new(field, "is not UTF-8; send the text in UTF-8"))?;
                Ok(Some(text).filter(|text| !text.is_empty()))
            };
            match column {
                Column::Known(at) => texts[*at] = read(COLUMNS[*at])?,
                Column::Label(key) => labels.extend(read("labels")?.map(|text| (key.as_str(), text))),
                Column::Index => {}
            }
        }
        let [kind, value, endpoint, status, timestamp, name, version, release, project_id, project, project_slug] =
            texts;
        let (release, project) = (version.or(release), project_id.or(project).or(project_slug));
        let decimal_sign = self.dialect.map(Dialect::decimal_sign).unwrap_or_default();
        fields::from_texts(TextFields {
            kind,
            value,
            endpoint,
            status,
            timestamp,
            name,
            release,
            project,
            labels: &labels,
            decimal_sign,
        })
    }

    fn header(&self) -> Option<&[u8]> {
        (!self.header_line.is_empty()).then_some(&*self.header_line)
    }
}
