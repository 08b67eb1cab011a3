//! The bytes of a file or of standard input, decompressed if they are gzip or zstd, and their format.

use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use tokio::{
    fs::File,
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader},
};
use tokio_util::io::InspectReader;

use super::by_name;
use crate::{
    cli::{
        arguments::{ImportFormat, ImportTimeUnit},
        failure::Failure,
    },
    ingest::formats::{Format, TimeUnit},
};

/// Size of the read buffer; larger than the default of 8 KiB for fewer system calls.
const BUFFER_BYTES: usize = 256 * 1_024;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Decompressed bytes.
pub type Bytes = Pin<Box<dyn AsyncBufRead + Send>>;

/// An open file or standard input.
pub struct Text {
    file: PathBuf,
    bytes: Bytes,
    /// The size of the file, if it is known.
    pub size: Option<u64>,
    /// The number of bytes that were read.
    pub read: Arc<AtomicU64>,
}

impl Text {
    /// Opens a file, or standard input for `-`.
    pub async fn open(file: &Path) -> Result<Self, Failure> {
        let refuse = |error| Failure::Data(format!("{} cannot be read: {error}", file.display()));
        let (raw, size): (Box<dyn AsyncRead + Send + Unpin>, _) = if file.as_os_str() == "-" {
            (Box::new(tokio::io::stdin()), None)
        } else {
            let opened = File::open(file).await.map_err(refuse)?;
            let size = opened.metadata().await.map_err(refuse)?;
            (Box::new(opened), size.is_file().then_some(size.len()))
        };
        let read = Arc::new(AtomicU64::new(0));
        let total = Arc::clone(&read);
        let counted = InspectReader::new(raw, move |bytes| {
            total.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::Relaxed);
        });
        let mut encoded = BufReader::with_capacity(BUFFER_BYTES, counted);
        let head = encoded.fill_buf().await.map_err(refuse)?;
        let bytes: Bytes = if head.starts_with(GZIP) {
            let mut decoder = GzipDecoder::new(encoded);
            decoder.multiple_members(true);
            Box::pin(BufReader::with_capacity(BUFFER_BYTES, decoder))
        } else if head.starts_with(ZSTD) {
            let mut decoder = ZstdDecoder::new(encoded);
            decoder.multiple_members(true);
            Box::pin(BufReader::with_capacity(BUFFER_BYTES, decoder))
        } else {
            Box::pin(encoded)
        };
        Ok(Self { file: file.to_path_buf(), bytes, size, read })
    }

    /// The format by the argument, else by the file name, else by the first bytes.
    pub async fn format(&mut self, said: ImportFormat, unit: ImportTimeUnit) -> Result<Format, Failure> {
        let head = self.bytes.fill_buf().await;
        let head = head.map_err(|error| Failure::Data(format!("{} cannot be read: {error}", self.file.display())))?;
        let format = match said {
            ImportFormat::Auto => by_name(&self.file).unwrap_or_else(|| by_content(head)),
            said => said,
        };
        Ok(match format {
            ImportFormat::Ndjson => Format::Ndjson,
            ImportFormat::Json => Format::JsonArray,
            ImportFormat::Csv => Format::Csv,
            ImportFormat::AccessLog | ImportFormat::Auto => Format::AccessLog(match unit {
                ImportTimeUnit::Auto => TimeUnit::Detect,
                ImportTimeUnit::S => TimeUnit::Seconds,
                ImportTimeUnit::Ms => TimeUnit::Milliseconds,
                ImportTimeUnit::Us => TimeUnit::Microseconds,
            }),
        })
    }

    /// The decompressed bytes.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

fn by_content(head: &[u8]) -> ImportFormat {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_mark = |byte: u8| b",;\t|\" \r\0".contains(&byte);
    let is_header = first_line.split(|byte| is_mark(*byte)).any(|name| name == b"endpoint")
        || first_line.trim_ascii_start().starts_with(b"sep=");
    match head.first() {
        Some(b'{') => ImportFormat::Ndjson,
        // An IPv6 address at the beginning of a log line has no bracket.
        Some(b'[') => ImportFormat::Json,
        _ if is_header => ImportFormat::Csv,
        _ => ImportFormat::AccessLog,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_detected_by_name_and_content() {
        assert_eq!(by_name(Path::new("a/access.log.gz")), Some(ImportFormat::AccessLog));
        assert_eq!(by_name(Path::new("a.JSONL")), Some(ImportFormat::Ndjson));
        assert_eq!(by_name(Path::new("-")), None);
        assert_eq!(by_content(b"\xEF\xBB\xBF {\"type\":"), ImportFormat::Ndjson);
        assert_eq!(by_content(b"[\n{"), ImportFormat::Json);
        assert_eq!(by_content(b"type, endpoint,value\r\n"), ImportFormat::Csv);
        assert_eq!(by_content(b"\"type\";\"endpoint\";\"value\"\n"), ImportFormat::Csv);
        assert_eq!(by_content(b"sep=;\r\ntype;endpoint;value\n"), ImportFormat::Csv);
        assert_eq!(by_content(b"::1 - - [31/Jan"), ImportFormat::AccessLog);
    }
}
