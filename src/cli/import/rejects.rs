//! The file of refused rows, unchanged, so that they can be corrected and imported.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{cli::failure::Failure, ingest::formats::Format};

/// Bytes of rows after which a part ends early. A part of common rows has a tenth of them.
const PART_BYTES: usize = 16 * 1_024 * 1_024;

/// Collects refused rows.
pub struct Rejects {
    file: Option<(PathBuf, BufWriter<File>)>,
    /// True if rows are elements of an array, which may contain line breaks; lines of NDJSON may not.
    is_json_array: bool,
    /// The rows of the current part, until it is known which of them are refused.
    held: Vec<Vec<u8>>,
    first: u64,
    rows: usize,
    /// The bytes of these rows.
    bytes: usize,
    has_header: bool,
}

impl Rejects {
    /// Creates the file, if one is requested.
    pub fn create(file: Option<&Path>, format: &Format) -> Result<Self, Failure> {
        let file = file.map(|file| {
            Ok::<_, Failure>((
                file.to_path_buf(),
                BufWriter::new(File::create(file).map_err(|error| fault(file, &error))?),
            ))
        });
        let is_json_array = *format == Format::JsonArray;
        Ok(Self {
            file: file.transpose()?,
            is_json_array,
            held: Vec::new(),
            first: 0,
            rows: 0,
            bytes: 0,
            has_header: false,
        })
    }

    /// Adds the next row.
    pub fn hold(&mut self, raw: &[u8]) {
        self.rows += 1;
        self.bytes += raw.len();
        if self.file.is_some() {
            self.held.push(raw.to_vec());
        }
    }

    /// True if a whole part was read, including refused rows. The bytes end a part too, whether or not refused rows are
    /// kept: a second run must find the parts of the first.
    pub const fn is_full(&self, part_rows: usize) -> bool {
        self.rows >= part_rows || self.bytes >= PART_BYTES
    }

    /// Writes the refused rows of the current part and starts the next one.
    pub fn write(&mut self, header: Option<&[u8]>, mut refused: Vec<u64>) -> Result<(), Failure> {
        refused.sort_unstable();
        if let Some((path, file)) = &mut self.file {
            for index in refused {
                let at = usize::try_from(index - self.first).unwrap_or(usize::MAX);
                let Some(raw) = self.held.get(at) else { continue };
                if !std::mem::replace(&mut self.has_header, true)
                    && let Some(header) = header
                {
                    line(file, header, false).map_err(|error| fault(path, &error))?;
                }
                line(file, raw, self.is_json_array).map_err(|error| fault(path, &error))?;
            }
        }
        self.forget();
        Ok(())
    }

    /// Starts the next part.
    pub fn forget(&mut self) {
        self.first += u64::try_from(self.rows).unwrap_or(0);
        (self.rows, self.bytes) = (0, 0);
        self.held.clear();
    }

    /// Flushes the file.
    pub fn finish(&mut self) -> Result<(), Failure> {
        match &mut self.file {
            Some((path, file)) => file.flush().map_err(|error| fault(path, &error)),
            None => Ok(()),
        }
    }

    /// The location of the refused rows, for the final message.
    pub fn words(&self) -> String {
        match &self.file {
            Some((path, _)) => format!("; they are in {}", path.display()),
            None => "; --rejects FILE keeps them".to_owned(),
        }
    }
}

fn line(file: &mut impl Write, raw: &[u8], is_json_array: bool) -> io::Result<()> {
    let raw = raw.trim_ascii_end();
    if is_json_array {
        let flat: Vec<u8> = raw.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
        file.write_all(&flat)?;
    } else {
        file.write_all(raw)?;
    }
    file.write_all(b"\n")
}

fn fault(file: &Path, error: &io::Error) -> Failure {
    Failure::Data(format!("{} cannot be written: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_by_its_rows_or_by_its_bytes() {
        let mut rejects = Rejects::create(None, &Format::Ndjson).unwrap();
        let is_full_after = |rejects: &mut Rejects, row: &[u8]| {
            let count = (1..=10_000).find(|_| {
                rejects.hold(row);
                rejects.is_full(5_000)
            });
            rejects.forget();
            count
        };
        assert_eq!(is_full_after(&mut rejects, b"{}"), Some(5_000));
        assert_eq!(is_full_after(&mut rejects, &vec![b'x'; 65_536]), Some(256));
        assert_eq!(is_full_after(&mut rejects, b"{}"), Some(5_000), "the next part counts from zero");
        assert!(rejects.held.is_empty(), "rows are kept only for a file");
    }
}
