//! The bytes of a file or of standard input, decompressed if they are gzip or zstd, and their format.

use std::{
    io::{self, Cursor},
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
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
};
use tokio_util::io::InspectReader;

use super::{content, log};
use crate::{
    cli::{
        arguments::{Import, ImportFormat},
        failure::Failure,
    },
    ingest::formats::{Format, RECORD_BYTES_MAX},
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
        if let Some((name, command)) = content::packed(head) {
            let (shown, from) =
                (file.display(), if size.is_some() { format!("{} ", file.display()) } else { String::new() });
            return Err(Failure::Data(format!(
                "{shown} is packed with {name}, which perfgraph does not read; unpack it on the way, and add the options of \
                 this command: {command} {from}| perfgraph import -"
            )));
        }
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

    /// The format by the arguments, else by the content, else by the name of the file.
    pub async fn format(&mut self, command: &Import) -> Result<Format, Failure> {
        let head = self.head().await;
        let head = head.map_err(|error| Failure::Data(format!("{} cannot be read: {error}", self.file.display())))?;
        let head = content::utf8(&head);
        let is_log = command.log_format.is_some() || command.map.is_some();
        let format = match command.format {
            ImportFormat::Auto if is_log => ImportFormat::AccessLog,
            ImportFormat::Auto => content::format(&head, &self.file),
            said => said,
        };
        Ok(match format {
            ImportFormat::AccessLog | ImportFormat::Auto => Format::AccessLog(log::format(command, &head)?),
            _ if is_log => {
                let message =
                    "--log-format and --map describe an access log; leave out --format, or say --format access-log";
                return Err(Failure::Data(message.to_owned()));
            }
            ImportFormat::Ndjson => Format::Ndjson,
            ImportFormat::Json => Format::JsonArray,
            ImportFormat::Csv => Format::Csv,
        })
    }

    /// The beginning of the text: what has arrived, but one line at least. The bytes stay to be read.
    async fn head(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        while head.len() < RECORD_BYTES_MAX && !head.contains(&b'\n') {
            let chunk = self.bytes.fill_buf().await?;
            if chunk.is_empty() {
                break;
            }
            let taken = chunk.len();
            head.extend_from_slice(chunk);
            self.bytes.consume(taken);
        }
        let rest = std::mem::replace(&mut self.bytes, Box::pin(tokio::io::empty()));
        self.bytes = Box::pin(Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    /// The decompressed bytes.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}
