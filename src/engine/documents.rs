//! A cache of documents: parsed, checked and validated once, then found by their hash.
//!
//! The cache also answers automatic persisted queries and `documentId`: a client that knows the hash of a document does
//! not send the text. A document is not secret and grants no rights; the caller's scope decides what it reads.

mod arguments;
pub mod conditions;
mod document;
mod hash;
mod merging;
mod omissions;
mod roots;
mod trusted;
mod validation;

use std::sync::Arc;

use async_graphql::Response;
use quick_cache::{Weighter, sync::Cache};

pub use document::{Document, DocumentOperation, canonical};
pub use hash::{DocumentHash, HashError};
pub use trusted::{Trusted, TrustedDocumentsError};

use super::{
    error, guard,
    schema::{Executable, SchemaTypes},
};
use crate::{
    config::Limits,
    error::{Code, Error},
};
use validation::Validator;

/// The document of a request: its text, the hash of a known document, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DocumentSource<'a> {
    /// The text.
    pub text: Option<&'a str>,
    /// The id of a known document, as the client wrote it.
    pub id: Option<&'a str>,
    /// The SHA-256 of an automatic persisted query, in hexadecimal digits.
    pub persisted_hash: Option<&'a str>,
}

/// Memory of a typical document. The cache is divided into parts of at least 32 such documents.
const TYPICAL_BYTES: u64 = 8_192;

#[derive(Clone)]
struct DocumentBytes;

impl Weighter<DocumentHash, Arc<Document>> for DocumentBytes {
    fn weight(&self, _: &DocumentHash, document: &Arc<Document>) -> u64 {
        document.bytes().into()
    }
}

/// The known documents.
pub struct Documents {
    known: Cache<DocumentHash, Arc<Document>, DocumentBytes>,
    trusted: Trusted,
    validator: Validator,
    types: Arc<SchemaTypes>,
}

impl Documents {
    /// A cache of about `cache_bytes_max` bytes over the documents that the operator trusts. `validating` is the copy of
    /// the schema that stops before execution.
    pub fn new(
        cache_bytes_max: u64,
        trusted: Trusted,
        types: Arc<SchemaTypes>,
        validating: Arc<dyn Executable>,
    ) -> Self {
        let estimated = usize::try_from(cache_bytes_max / TYPICAL_BYTES).unwrap_or(usize::MAX);
        let known = Cache::with_weighter(estimated, cache_bytes_max, DocumentBytes);
        Self { known, trusted, validator: Validator::new(validating, Arc::clone(&types)), types }
    }

    /// The document of a request, ready to run.
    ///
    /// # Errors
    /// The response to an unknown hash, or to a document that exceeds a limit, cannot be parsed, is invalid or is not
    /// trusted.
    pub fn find(&self, source: &DocumentSource<'_>, limits: &Limits) -> Result<Arc<Document>, Box<Response>> {
        let refuse = |fault: &Error| Box::new(error::refuse(fault));
        let wanted = wanted(source).map_err(|fault| refuse(&fault))?;
        let Some(text) = source.text else {
            let wanted = wanted.ok_or_else(|| refuse(&no_document()))?;
            return self.by_id(&wanted, limits);
        };
        let hash = DocumentHash::of(text);
        if let Some(DocumentId::Hash(wanted)) = wanted
            && wanted != hash
        {
            let field = if source.id.is_some() { "documentId" } else { "extensions.persistedQuery.sha256Hash" };
            return Err(refuse(&Error::input(field, "is not the SHA-256 of the query that came with it")));
        }
        self.by_text(hash, text, limits)
    }

    fn by_id(&self, wanted: &DocumentId, limits: &Limits) -> Result<Arc<Document>, Box<Response>> {
        let text = match wanted {
            DocumentId::Hash(hash) => {
                if let Some(document) = self.known.get(hash) {
                    return Ok(document);
                }
                self.trusted.by_hash(*hash)
            }
            DocumentId::Name(name) => self.trusted.by_name(name),
        };
        match text {
            Some(text) => self.by_text(DocumentHash::of(&text), &text, limits),
            None => Err(Box::new(error::refuse(&Error::PersistedQueryNotFound))),
        }
    }

    fn by_text(&self, hash: DocumentHash, text: &str, limits: &Limits) -> Result<Arc<Document>, Box<Response>> {
        if let Some(document) = self.known.get(&hash) {
            return Ok(document);
        }
        if !self.trusted.admits(hash) {
            let advice = "this server runs only the documents that its operator trusts (graphql.trusted_documents = \
                          'only'); ask for this one to be added";
            return Err(Box::new(error::refuse(&Error::Forbidden(advice.to_owned()))));
        }
        let mut parsed = guard::parse(text, limits).map_err(|refusal| Box::new(refuse_document(refusal)))?;
        let conditions = self.validator.check(&parsed)?;
        let refuse_at = |error, code| Box::new(error::refuse_as(error, code));
        omissions::check(&parsed).map_err(|error| refuse_at(error, Code::GraphqlValidationFailed))?;
        let merges = merging::merges(&self.types, &parsed);
        let merges = merges.map_err(|error| refuse_at(error, Code::GraphqlValidationFailed))?;
        roots::unfold(&mut parsed);
        let document = Arc::new(Document::new(parsed, text, conditions, merges));
        self.trusted.learn(hash, text);
        self.known.insert(hash, Arc::clone(&document));
        Ok(document)
    }
}

/// The id of a known document.
enum DocumentId {
    Hash(DocumentHash),
    /// A name that the operator's tools gave it.
    Name(String),
}

fn wanted(source: &DocumentSource<'_>) -> Result<Option<DocumentId>, Error> {
    if let Some(id) = source.id {
        if let Some(hex) = id.strip_prefix("sha256:") {
            let hash = hex.parse().map_err(|error: HashError| Error::input("documentId", error.to_string()))?;
            return Ok(Some(DocumentId::Hash(hash)));
        }
        return Ok(Some(DocumentId::Name(id.to_owned())));
    }
    let hash = source.persisted_hash.map(|hex| {
        hex.parse().map_err(|error: HashError| Error::input("extensions.persistedQuery.sha256Hash", error.to_string()))
    });
    Ok(hash.transpose()?.map(DocumentId::Hash))
}

fn no_document() -> Error {
    Error::input("query", "must be the text of a GraphQL document, or documentId the hash of a known one")
}

fn refuse_document(refusal: guard::Refusal) -> Response {
    match refusal {
        guard::Refusal::Limit(fault) => error::refuse(&fault),
        guard::Refusal::Syntax(fault) => error::refuse_syntax(*fault),
        guard::Refusal::Invalid(fault) => error::refuse_as(*fault, Code::GraphqlValidationFailed),
    }
}
