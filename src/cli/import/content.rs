//! The format of a file, seen from its first bytes. The name of a file decides only where the content does not.

use std::{borrow::Cow, collections::HashMap, path::Path};

use serde_json::value::RawValue;

use crate::{cli::arguments::ImportFormat, ingest::formats::is_log};

/// Compressions that are not read: the first bytes, the name, and the command that unpacks to standard output.
const PACKED: &[(&[u8], &str, &str)] = &[
    (b"\xFD7zXZ\0", "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
    (b"7z\xBC\xAF\x27\x1C", "7z", "7z x -so"),
    (b"\x04\x22\x4D\x18", "lz4", "lz4 -dc"),
    (b"\x1F\x9D", "compress", "zcat"),
];

/// The name of a compression that is not read, and the command that unpacks it.
pub fn packed(head: &[u8]) -> Option<(&'static str, &'static str)> {
    PACKED.iter().find(|(magic, ..)| head.starts_with(magic)).map(|(_, name, command)| (*name, *command))
}

/// The first bytes in UTF-8 and without a byte order mark, which tells whether they are UTF-16.
pub fn utf8(head: &[u8]) -> Cow<'_, [u8]> {
    let decode = |unit: fn([u8; 2]) -> u16| {
        let (pairs, _) = head.as_chunks::<2>();
        let units: Vec<_> = pairs.iter().map(|pair| unit(*pair)).collect();
        Cow::Owned(String::from_utf16_lossy(&units).trim_start_matches('\u{feff}').as_bytes().to_vec())
    };
    match head {
        [0xFF, 0xFE, ..] => decode(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => decode(u16::from_be_bytes),
        _ => Cow::Borrowed(head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head)),
    }
}

/// The format by the content, else by the name of the file.
pub fn format(head: &[u8], file: &Path) -> ImportFormat {
    by_content(head).or_else(|| by_name(file)).unwrap_or(ImportFormat::AccessLog)
}

/// The format by the first bytes, where they leave no doubt.
fn by_content(head: &[u8]) -> Option<ImportFormat> {
    let head = head.trim_ascii_start();
    let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    let is_header = first_line.split(|byte| b",;\t|\" ".contains(byte)).any(|name| name == b"endpoint")
        || first_line.starts_with(b"sep=");
    match head.first()? {
        b'{' if is_other_object(first_line) => Some(ImportFormat::AccessLog),
        b'{' => Some(ImportFormat::Ndjson),
        // A line of a log may begin with a bracket: `[pod/web-1/nginx]`, or the time.
        b'[' if matches!(head[1..].trim_ascii_start().first(), None | Some(b'{' | b']')) => Some(ImportFormat::Json),
        _ if is_header => Some(ImportFormat::Csv),
        _ if is_log(head) => Some(ImportFormat::AccessLog),
        _ => None,
    }
}

/// True for a JSON object that is no metric.
fn is_other_object(line: &[u8]) -> bool {
    let members: Result<HashMap<String, &RawValue>, _> = serde_json::from_slice(line);
    members.is_ok_and(|members| {
        let has = |key: &str| members.contains_key(key);
        let is_metric = has("endpoint") || has("type") && has("value");
        !members.is_empty() && !is_metric
    })
}

/// The format by the name of a file.
fn by_name(file: &Path) -> Option<ImportFormat> {
    let name = file.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "ndjson" | "jsonl" => Some(ImportFormat::Ndjson),
        "json" => Some(ImportFormat::Json),
        "csv" | "tsv" => Some(ImportFormat::Csv),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_detected_by_content_then_by_name() {
        let log = "::1 - - [31/Jan/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" 0.001\n";
        let prefixed = format!("[pod/web-1/nginx] {log}");
        for (head, file, expected) in [
            (" {\"type\":1,\"value\":2}", "access.log", ImportFormat::Ndjson),
            ("{\"endpoint\":1}\n", "a.csv", ImportFormat::Ndjson),
            ("{\"broken", "a.log", ImportFormat::Ndjson),
            ("{\"request_time\":0.25}\n{}", "a.ndjson", ImportFormat::AccessLog),
            ("[\n{", "a.log", ImportFormat::Json),
            ("type, endpoint,value\r\n", "a.log", ImportFormat::Csv),
            ("\"type\";\"endpoint\";\"value\"\n", "-", ImportFormat::Csv),
            ("sep=;\r\ntype;endpoint;value\n", "-", ImportFormat::Csv),
            (log, "a.csv", ImportFormat::AccessLog),
            (&log.replace("0.001", "1 2"), "a.csv", ImportFormat::AccessLog),
            (prefixed.as_str(), "a.json", ImportFormat::AccessLog),
            ("hello", "a.csv", ImportFormat::Csv),
            ("", "a.csv.gz", ImportFormat::Csv),
            ("", "a.JSONL", ImportFormat::Ndjson),
            ("hello", "-", ImportFormat::AccessLog),
        ] {
            assert_eq!(format(head.as_bytes(), Path::new(file)), expected, "{head} {file}");
        }
        assert_eq!(packed(b"\xFD7zXZ\0\0").unwrap().0, "xz");
        assert_eq!(packed(b"BZh91AY").unwrap().1, "bzip2 -dc");
        assert_eq!(packed(b"hello"), None);
        assert_eq!(&*utf8(b"\xFF\xFEa\0\n\0"), b"a\n");
        assert_eq!(&*utf8(b"\xFE\xFF\0a\0"), b"a");
        assert_eq!(&*utf8(b"\xEF\xBB\xBFa"), b"a");
    }
}
