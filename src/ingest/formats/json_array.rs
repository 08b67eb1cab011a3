//! Records that are the elements of one JSON array. This file only finds the boundaries of elements; the JSON library
//! parses them.

use super::{
    fields,
    record::{FeedResult, Framing, ParsedRow, ReadError, RecordBytes},
};
use crate::ingest::submission::FieldError;

/// The position of the text in the array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ArrayPosition {
    #[default]
    Before,
    /// After `[` or `,`.
    Between {
        is_first: bool,
    },
    /// In an element.
    Inside,
    After,
}

/// The framing of a JSON array.
#[derive(Debug, Default)]
pub struct JsonArray {
    position: ArrayPosition,
    /// The number of open braces and brackets in the element.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl JsonArray {
    /// Consumes a byte of an element. Returns the position after the element if the byte ends it.
    fn inside(&mut self, byte: u8, record: &mut RecordBytes) -> Option<ArrayPosition> {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b',' if self.depth == 0 => return Some(ArrayPosition::Between { is_first: false }),
                b']' if self.depth == 0 => return Some(ArrayPosition::After),
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        record.push(&[byte]);
        None
    }
}

impl Framing for JsonArray {
    fn feed(&mut self, chunk: &[u8], record: &mut RecordBytes) -> Result<FeedResult, ReadError> {
        for (at, byte) in chunk.iter().enumerate() {
            match self.position {
                ArrayPosition::Inside => {
                    if let Some(position) = self.inside(*byte, record) {
                        self.position = position;
                        return Ok(FeedResult::Complete(at + 1));
                    }
                }
                _ if byte.is_ascii_whitespace() => {}
                ArrayPosition::Before if *byte == b'[' => self.position = ArrayPosition::Between { is_first: true },
                ArrayPosition::Before => {
                    return Err(ReadError::Malformed("is not a JSON array; it must begin with [".to_owned()));
                }
                ArrayPosition::Between { is_first: true } if *byte == b']' => self.position = ArrayPosition::After,
                ArrayPosition::Between { .. } if matches!(byte, b',' | b']') => {
                    return Err(ReadError::Malformed("is not JSON: an element is missing behind a comma".to_owned()));
                }
                ArrayPosition::Between { .. } => {
                    record.clear();
                    (self.position, self.depth, self.in_string, self.is_escaped) =
                        (ArrayPosition::Inside, 0, false, false);
                    // Neither a comma nor the end, so this byte cannot end the element.
                    let _ = self.inside(*byte, record);
                }
                ArrayPosition::After => {
                    return Err(ReadError::Malformed(
                        "is not JSON: there is more behind the end of the array".to_owned(),
                    ));
                }
            }
        }
        Ok(FeedResult::Incomplete)
    }

    fn end(&mut self, _: &mut RecordBytes) -> Result<bool, ReadError> {
        match self.position {
            ArrayPosition::After => Ok(false),
            ArrayPosition::Before => Err(ReadError::Malformed("is empty; send a JSON array of metrics".to_owned())),
            _ => Err(ReadError::Malformed("ended before the end of the array".to_owned())),
        }
    }

    fn parse(&mut self, record: &RecordBytes) -> Result<ParsedRow, FieldError> {
        fields::from_json(&record.bytes)
    }
}
