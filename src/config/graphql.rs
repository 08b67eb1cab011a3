//! Section `graphql`: what the GraphQL address offers besides answers.

use super::section::section;
use super::setting::Setting;

section! {
    /// What the GraphQL address offers besides answers.
    "graphql" => Graphql {
        /// Whether clients may read the schema.
        introspection: bool = true,
        /// Whether a browser gets GraphiQL, a page to write and run queries. It needs introspection.
        graphiql: bool = true,
        /// Whether the status of an answer follows the GraphQL over HTTP specification of 2026 to the letter: 422 for a
        /// request that was read and cannot be run (invalid for the schema, unfit variables, above a limit), 294 for
        /// data with errors, and no 200 for a failed request to clients of application/json. Off, it is 400, 200 and
        /// 200: what clients of before 2026 expect.
        strict_status: bool = false,
        /// `off` runs every document; `only` runs those of `trusted_documents_file` and no others; `learn` runs every
        /// document and adds it to that file, so that a test run of the clients writes the list.
        trusted_documents: TrustedDocuments = TrustedDocuments::Off,
        /// The file of trusted documents: an object of id and text as graphql-codegen and the Relay compiler write it, an
        /// Apollo persisted query manifest, or lines as learning appends them. Clients may send the id as `documentId`.
        trusted_documents_file: String = String::new(),
    }
}

/// Which documents run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedDocuments {
    /// All.
    Off,
    /// All, and they are remembered.
    Learn,
    /// Those of the file.
    Only,
}

impl Setting for TrustedDocuments {
    const EXPECTED: &'static str = "\"off\", \"learn\" or \"only\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "learn" => Some(Self::Learn),
            "only" => Some(Self::Only),
            _ => None,
        }
    }

    fn to_toml(&self, name: &str) -> String {
        let value = match self {
            Self::Off => "off",
            Self::Learn => "learn",
            Self::Only => "only",
        };
        format!("{name} = \"{value}\"")
    }
}
