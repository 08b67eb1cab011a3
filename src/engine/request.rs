//! What a client asks, by whatever transport it came.

use async_graphql::Variables;
use serde::Deserialize;

use super::documents::DocumentSource;

/// One operation to run. Properties that are not known here are ignored, as the specification of the transport wants.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The document, unless a known one is named.
    #[serde(default)]
    pub query: Option<String>,
    /// `sha256:` and the hash of a known document, or the name that the operator's tools gave it.
    #[serde(default)]
    pub document_id: Option<String>,
    /// Which operation of the document, where it has several.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// Values of the operation's variables.
    #[serde(default)]
    pub variables: Variables,
    /// Whatever else the client says.
    #[serde(default)]
    pub extensions: Option<Extensions>,
}

/// What is read of the extensions of a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
    /// Names the document by its hash.
    #[serde(default)]
    pub persisted_query: Option<PersistedQuery>,
}

/// An automatic persisted query.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistedQuery {
    /// The SHA-256 of the document's text in hexadecimal digits.
    pub sha256_hash: String,
}

impl Request {
    /// Whether it says which document to run.
    pub fn names_a_document(&self) -> bool {
        let has_text = self.query.as_ref().is_some_and(|text| !text.is_empty());
        has_text || self.document_id.is_some() || self.persisted_hash().is_some()
    }

    fn persisted_hash(&self) -> Option<&str> {
        Some(self.extensions.as_ref()?.persisted_query.as_ref()?.sha256_hash.as_str())
    }

    /// Where its document is to be found.
    pub(super) fn source(&self) -> DocumentSource<'_> {
        DocumentSource {
            text: self.query.as_deref().filter(|text| !text.is_empty()),
            id: self.document_id.as_deref(),
            persisted_hash: self.persisted_hash(),
        }
    }
}
