//! The separator of a table, seen in its first line: Excel writes semicolons where commas separate decimals, and may begin
//! with a line such as `sep=;`.

use super::COLUMNS;
use crate::ingest::formats::{decimal::DecimalSign, record::ReadError};

/// The separators, most common first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The way a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The character between values.
    pub separator: u8,
}

impl Dialect {
    /// The dialect of a header: its separator is the one that gives the most known columns.
    pub fn of_header(line: &[u8]) -> Self {
        let columns = |separator: u8| {
            let names = line.split(|byte| *byte == separator).map(name);
            (
                names.clone().filter(|name| COLUMNS.iter().any(|column| column.as_bytes() == *name)).count(),
                names.count(),
            )
        };
        // The last of several equals wins, which is to be the most common one.
        let separator = SEPARATORS.into_iter().rev().max_by_key(|separator| columns(*separator));
        Self { separator: separator.unwrap_or(b',') }
    }

    /// The dialect that a line `sep=;` declares; `None` if it is another line.
    ///
    /// # Errors
    /// The line declares something else than a known separator.
    pub fn declared(line: &[u8]) -> Result<Option<Self>, ReadError> {
        let line = name(line.strip_suffix(b"\t").unwrap_or(line));
        let Some(declared) = line.strip_prefix(b"sep=") else { return Ok(None) };
        match declared {
            // The tab of `sep=` and a tab is white space at the end of the line.
            [] => Ok(Some(Self { separator: b'\t' })),
            [separator] if SEPARATORS.contains(separator) => Ok(Some(Self { separator: *separator })),
            _ => Err(ReadError::Malformed(
                "begins with sep= and an unknown separator; separate the columns by commas, semicolons, tabs or |"
                    .to_owned(),
            )),
        }
    }

    /// The sign that numbers usually have beside this separator.
    pub const fn decimal_sign(self) -> DecimalSign {
        if self.separator == b';' { DecimalSign::Comma } else { DecimalSign::Point }
    }
}

/// A name without white space and quotes around it.
fn name(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text).trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_seen_in_the_header_or_declared() {
        for (line, separator) in [
            ("type,value,endpoint", b','),
            ("type;value;endpoint", b';'),
            ("\"type\"\t\"value\"\t\"endpoint\"", b'\t'),
            (" type | value | endpoint ", b'|'),
            (";value;type,x;endpoint", b';'),
            ("a;b;c", b';'),
            ("type", b','),
            ("", b','),
        ] {
            assert_eq!(Dialect::of_header(line.as_bytes()).separator, separator, "{line}");
        }
        for (line, separator) in [("sep=;", b';'), ("\"sep=,\"", b','), ("sep=\t", b'\t'), (" sep=| ", b'|')] {
            assert_eq!(Dialect::declared(line.as_bytes()).unwrap().map(|one| one.separator), Some(separator), "{line}");
        }
        assert!(Dialect::declared(b"sep=ab").is_err() && Dialect::declared(b"type,value").unwrap().is_none());
    }
}
