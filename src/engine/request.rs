//! A request of a client, the same for every transport.

use async_graphql::Variables;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value};

use super::documents::DocumentSource;

/// One operation to run. Unknown properties are ignored, as the specification of GraphQL over HTTP requires.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The text of the document, unless the request names a known one.
    #[serde(default)]
    pub query: Option<String>,
    /// `sha256:` and the hash of a known document, or a name of the operator's tools.
    #[serde(default)]
    pub document_id: Option<String>,
    /// The operation to run, if the document has several. An empty name is no name.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// Values of the operation's variables.
    #[serde(default)]
    pub variables: Variables,
    /// Extensions of the protocol.
    #[serde(default, deserialize_with = "object")]
    pub extensions: Option<Extensions>,
}

/// The extensions of a request that the engine reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
    /// Names a known document by its hash.
    #[serde(default, deserialize_with = "object")]
    pub persisted_query: Option<PersistedQuery>,
}

/// An automatic persisted query.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistedQuery {
    /// The SHA-256 of the document's text in hexadecimal digits.
    pub sha256_hash: String,
}

/// Reads an object or null. The JSON library would take a list for the values of an object in their order.
fn object<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let Some(members) = Option::<Map<String, Value>>::deserialize(from)? else { return Ok(None) };
    T::deserialize(Value::Object(members)).map(Some).map_err(D::Error::custom)
}

impl Request {
    /// The request has or names a document.
    pub fn names_a_document(&self) -> bool {
        let has_text = self.query.as_ref().is_some_and(|text| !text.is_empty());
        has_text || self.document_id.is_some() || self.persisted_hash().is_some()
    }

    fn persisted_hash(&self) -> Option<&str> {
        Some(self.extensions.as_ref()?.persisted_query.as_ref()?.sha256_hash.as_str())
    }

    /// The document of the request.
    pub(super) fn source(&self) -> DocumentSource<'_> {
        DocumentSource {
            text: self.query.as_deref().filter(|text| !text.is_empty()),
            id: self.document_id.as_deref(),
            persisted_hash: self.persisted_hash(),
        }
    }
}
