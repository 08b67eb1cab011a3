//! The two destinations of an import: the database, and the ingest API of a running server.

pub mod database;
pub mod server;

use crate::{
    cli::failure::Failure,
    ingest::{Candidate, FieldError, bulk::Summary},
};

/// Follows the refusal of a part whose key was used for other rows.
const OTHER_FORMAT: &str =
    ": was the same file imported before with another format or time unit? Its rows are stored already";

/// A destination of rows, which takes them in parts. A part has a key, so that it is stored once however often it is sent.
pub trait Destination {
    /// True if this is the project that the rows go to.
    fn is_project(&self, named: &str) -> bool;

    /// Adds a row to the current part.
    async fn row(&mut self, index: u64, candidate: Candidate) -> Result<(), Failure>;

    /// Counts a row that cannot be read.
    fn reject(&mut self, index: u64, error: FieldError);

    /// True if the current part has as many rows as a part may have.
    fn is_full(&self) -> bool;

    /// Stores the current part; `digest` is that of the file up to its end. Returns the indexes of the rows that were refused
    /// since the last call.
    async fn store(&mut self, digest: &str) -> Result<Vec<u64>, Failure>;

    /// The result so far.
    fn summary(&self) -> &Summary;
}
