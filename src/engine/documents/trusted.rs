//! Trusted documents from a file: ignored, learned from the documents that run, or the only ones that run.
//!
//! The file has a format of client tools: an object of id and text (graphql-codegen's persisted documents, the Relay
//! compiler's persisted queries), an Apollo persisted query manifest, or one `{"id": .., "body": ..}` per line, the format
//! that learning appends.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use super::DocumentHash;
use crate::{
    config::{self, TrustedDocuments},
    error,
};

/// A file of trusted documents cannot be used.
#[derive(Debug, Error)]
pub enum TrustedDocumentsError {
    /// It cannot be read or written.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error(
        "{path} is no list of trusted documents: expected an object of id and text, a persisted query manifest, or \
         lines of {{\"id\": .., \"body\": ..}}"
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
}

/// Trusted documents by name and by hash.
pub struct Trusted {
    mode: TrustedDocuments,
    by_name: HashMap<String, Arc<str>>,
    by_hash: HashMap<DocumentHash, Arc<str>>,
    learned: Option<Mutex<Learned>>,
}

/// The file that learning appends to, and the documents in it.
struct Learned {
    file: File,
    known: std::collections::HashSet<DocumentHash>,
}

/// Documents at which learning stops: a client that generates its documents would fill the disk.
const LEARNED_MAX: usize = 10_000;

impl Trusted {
    /// Every document is trusted.
    pub fn everything() -> Self {
        Self { mode: TrustedDocuments::Off, by_name: HashMap::new(), by_hash: HashMap::new(), learned: None }
    }

    /// The trusted documents that the settings ask for.
    ///
    /// # Errors
    /// [`error::Error::Input`] when the file cannot be opened or read.
    pub fn configured(settings: &config::Graphql) -> error::Result<Self> {
        let mode = settings.trusted_documents;
        if mode == TrustedDocuments::Off {
            return Ok(Self::everything());
        }
        let trusted = Self::open(mode, Path::new(&settings.trusted_documents_file));
        trusted.map_err(|cause| error::Error::input("graphql.trusted_documents_file", cause.to_string()))
    }

    /// Reads the file. Learning creates a missing one.
    ///
    /// # Errors
    /// [`TrustedDocumentsError`] when it cannot be opened or read.
    pub fn open(mode: TrustedDocuments, path: &Path) -> Result<Self, TrustedDocumentsError> {
        let opened = |source| TrustedDocumentsError::Open { path: path.to_owned(), source };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if mode == TrustedDocuments::Learn && error.kind() == std::io::ErrorKind::NotFound => {
                String::new()
            }
            Err(error) => return Err(opened(error)),
        };
        let read = if mode == TrustedDocuments::Learn { lines(&text) } else { parse(&text) };
        let entries = read.ok_or_else(|| TrustedDocumentsError::Format { path: path.to_owned() })?;
        let mut trusted = Self { mode, ..Self::everything() };
        for (id, body) in entries {
            let body: Arc<str> = body.into();
            trusted.by_hash.insert(DocumentHash::of(&body), Arc::clone(&body));
            trusted.by_name.insert(id, body);
        }
        if mode == TrustedDocuments::Learn {
            let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(opened)?;
            if !text.is_empty() && !text.ends_with('\n') {
                writeln!(file).map_err(opened)?;
            }
            let known = trusted.by_hash.keys().copied().collect();
            trusted.learned = Some(Mutex::new(Learned { file, known }));
        }
        Ok(trusted)
    }

    /// The document may run.
    pub fn admits(&self, hash: DocumentHash) -> bool {
        self.mode != TrustedDocuments::Only || self.by_hash.contains_key(&hash)
    }

    /// The text with this hash.
    pub fn by_hash(&self, hash: DocumentHash) -> Option<Arc<str>> {
        self.by_hash.get(&hash).cloned()
    }

    /// The text with this id of the operator's tools.
    pub fn by_name(&self, name: &str) -> Option<Arc<str>> {
        self.by_name.get(name).cloned()
    }

    /// Adds an admitted document to the file when learning is on. That is one short line, once for each document in the
    /// life of the file, so it is written by the calling task.
    pub fn learn(&self, hash: DocumentHash, text: &str) {
        let Some(learned) = &self.learned else { return };
        let mut learned = learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.known.contains(&hash) {
            return;
        }
        if learned.known.len() >= LEARNED_MAX {
            tracing::warn!(documents = LEARNED_MAX, "the list of trusted documents is full: one more is not added");
            return;
        }
        learned.known.insert(hash);
        let line = json!({ "id": format!("sha256:{hash}"), "body": text });
        if let Err(error) = writeln!(learned.file, "{line}") {
            tracing::warn!(%error, "a trusted document could not be added to its file");
        }
    }
}

#[derive(Deserialize)]
struct TrustedDocument {
    id: String,
    body: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FileFormat {
    Manifest { operations: Vec<TrustedDocument> },
    Map(HashMap<String, String>),
}

fn parse(text: &str) -> Option<Vec<(String, String)>> {
    if let Some(entries) = lines(text) {
        return Some(entries);
    }
    match serde_json::from_str(text).ok()? {
        FileFormat::Manifest { operations } => {
            Some(operations.into_iter().map(|entry| (entry.id, entry.body)).collect())
        }
        FileFormat::Map(map) => Some(map.into_iter().collect()),
    }
}

/// Reads one document per line. Skips a last line that was cut short when a server ended.
fn lines(text: &str) -> Option<Vec<(String, String)>> {
    let mut entries = Vec::new();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_str::<TrustedDocument>(line) {
            Ok(entry) => entries.push((entry.id, entry.body)),
            Err(error) if error.is_eof() && lines.peek().is_none() && !entries.is_empty() => {
                tracing::warn!("the last of the trusted documents was cut short and is left out");
            }
            Err(_) => return None,
        }
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{ viewer { role } }";

    #[test]
    fn every_format_of_the_tools_is_read() {
        let formats = [
            json!({ "abc": TEXT }).to_string(),
            json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [
                { "id": "abc", "name": "Q", "type": "query", "body": TEXT },
            ] })
            .to_string(),
            format!("{}\n\n{}\n", json!({ "id": "abc", "body": TEXT }), json!({ "id": "def", "body": "{ a }" })),
        ];
        for format in formats {
            let entries: HashMap<_, _> = parse(&format).unwrap().into_iter().collect();
            assert_eq!(entries["abc"], TEXT, "{format}");
        }
        for wrong in ["[1]", "{\"a\": 1}", "a: b"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn learned_documents_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trusted.jsonl");
        assert!(Trusted::open(TrustedDocuments::Only, &path).is_err());
        let hash = DocumentHash::of(TEXT);
        for _ in 0..2 {
            let learning = Trusted::open(TrustedDocuments::Learn, &path).unwrap();
            assert!(learning.admits(DocumentHash::of("anything")));
            learning.learn(hash, TEXT);
            learning.learn(hash, TEXT);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
        let only = Trusted::open(TrustedDocuments::Only, &path).unwrap();
        assert!(only.admits(hash) && !only.admits(DocumentHash::of("anything")));
        assert_eq!(only.by_name(&format!("sha256:{hash}")).as_deref(), Some(TEXT));
        assert_eq!(only.by_hash(hash).as_deref(), Some(TEXT));
    }
}
