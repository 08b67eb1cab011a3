//! Access logs of web servers: lines of text in a log format ([`syntax`]), or JSON objects ([`json`]).
//!
//! A format comes from the command line or is detected ([`detect`]), once for all lines: no number of a line is taken for the
//! time of the request because of its looks.

pub mod detect;
mod duration;
mod json;
mod layout;
mod moment;
mod request;
mod syntax;
mod text;

use std::{borrow::Cow, str::FromStr, sync::Arc};

pub use self::{duration::TimeUnit, json::JsonMap, moment::UtcOffset, syntax::FormatError};
use self::{
    syntax::{Part, known, parse},
    text::TextFormat,
};
use super::record::ParsedRow;
use crate::ingest::submission::FieldError;

/// The format of the lines of an access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    /// The format as it was written, or the name of a well-known one.
    written: String,
    lines: Arc<Lines>,
    offset: Option<UtcOffset>,
    /// The first character of lines that are no rows.
    comment: Option<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Lines {
    Text(TextFormat),
    Json(JsonMap),
}

impl FromStr for LogFormat {
    type Err = FormatError;

    fn from_str(written: &str) -> Result<Self, FormatError> {
        let written = written.trim();
        match known::json(written) {
            Some(map) => Ok(Self { written: written.to_owned(), ..Self::mapped(map.parse()?) }),
            None => Self::compiled(written, &parse(written)?),
        }
    }
}

impl LogFormat {
    /// The format of JSON objects with these keys.
    pub fn mapped(map: JsonMap) -> Self {
        Self { written: "--map".to_owned(), lines: Arc::new(Lines::Json(map)), offset: None, comment: None }
    }

    /// Compiles the parts of a format.
    fn compiled(written: &str, parts: &[Part]) -> Result<Self, FormatError> {
        let lines = Arc::new(Lines::Text(TextFormat::compile(parts)?));
        Ok(Self { written: written.to_owned(), lines, offset: None, comment: None })
    }

    /// Reads times that do not name their offset from UTC with this one, if there is one.
    #[must_use]
    pub fn with_offset(self, offset: Option<UtcOffset>) -> Self {
        Self { offset: offset.or(self.offset), ..self }
    }

    /// Skips lines that begin with this character.
    fn with_comments(self, mark: u8) -> Self {
        Self { comment: Some(mark), ..self }
    }

    /// The first character of lines that are no rows.
    pub const fn comment(&self) -> Option<u8> {
        self.comment
    }

    /// The format, the time of the request with its unit, and the moment, for people.
    pub fn description(&self) -> String {
        let (lines, duration, moment) = match &*self.lines {
            Lines::Text(format) => ("", format.duration(), format.moment()),
            Lines::Json(map) => (" in JSON", map.duration(), map.moment()),
        };
        format!("access log{lines} `{}`: the time of the request is {duration}, the moment {moment}", self.written)
    }

    /// Parses one line.
    ///
    /// # Errors
    /// The line does not have this format, or a value in it is invalid.
    pub fn parse(&self, line: &[u8]) -> Result<ParsedRow, FieldError> {
        let line = utf8(line);
        let line = without_container(&line);
        let candidate = match &*self.lines {
            Lines::Text(format) => format.parse(&line, self.offset)?,
            Lines::Json(map) => map.parse(&line, self.offset)?,
        };
        Ok(ParsedRow { project: None, candidate })
    }
}

/// A line as text. Bytes that are not UTF-8 become `\xHH`, which is what nginx and Apache write for them.
fn utf8(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(line.utf8_chunks().fold(String::new(), |mut text, chunk| {
            text.push_str(chunk.valid());
            chunk.invalid().iter().fold(text, |text, byte| text + &format!("\\x{byte:02X}"))
        })),
    }
}

/// The line that a container wrote, if the line is an object in which Docker keeps it: `{"log":"...\n","stream":"stdout"}`.
fn without_container(line: &str) -> Cow<'_, str> {
    if line.starts_with("{\"log\":\"")
        && let Some(members) = json::members(line)
        && members.contains_key("stream")
        && let Some(inner) = members.get("log").and_then(|log| json::text(log))
    {
        return Cow::Owned(inner.trim_end().to_owned());
    }
    Cow::Borrowed(line)
}

#[cfg(test)]
mod tests;
