//! The project that a command names: by its slugs or by its node id.

use serde_json::{Value, json};

use super::ClientError;
use crate::graphql::node::NodeId;

/// Finds a project by its id or its slugs.
pub const QUERY: &str =
    "query ($id: ID, $slug: String) { project(id: $id, slug: $slug) { id name slug organization { name slug } } }";

/// The variables of [`QUERY`]. Ids contain no slash.
///
/// # Errors
/// The text is neither an id nor slugs.
pub fn variables(named: &str) -> Result<Value, ClientError> {
    if named.contains('/') {
        return Ok(json!({ "slug": named }));
    }
    match NodeId::project(&named.into()) {
        Ok(_) => Ok(json!({ "id": named })),
        Err(_) => Err(absent(named)),
    }
}

fn absent(named: &str) -> ClientError {
    ClientError::Refused(format!(
        "there is no project `{named}`; write ORGANIZATION/PROJECT with their slugs, which `perfgraph projects` lists"
    ))
}

/// A project on a server.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its node id.
    pub id: String,
    /// Its name with that of its organization, because organizations have projects of the same name.
    pub name: String,
    /// Its slugs: `organization/project`.
    pub slug: String,
}

impl Project {
    /// The project in the data of [`QUERY`].
    ///
    /// # Errors
    /// There is none.
    pub fn read(data: &Value, named: &str) -> Result<Self, ClientError> {
        let node = &data["project"];
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let read = || {
            let slug = format!("{}/{}", node["organization"]["slug"].as_str()?, node["slug"].as_str()?);
            let name = format!("{} of {}", node["name"].as_str()?, node["organization"]["name"].as_str()?);
            Some(Self { id: text(&node["id"])?, name, slug })
        };
        read().ok_or_else(|| absent(named))
    }
}
