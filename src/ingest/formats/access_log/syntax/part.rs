//! The parts of a log format, whichever server's configuration it comes from.

use thiserror::Error;

use crate::ingest::formats::access_log::{duration, layout::Extent, moment};

/// The meaning of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The field is read over.
    Ignored,
    /// The moment of the request, or a part of it.
    Moment(moment::Form),
    /// The request line.
    Request,
    /// The method of the request.
    Method,
    /// The target of the request. Of several, the one with the lowest rank is used.
    Target(u8),
    /// The status of the response, with its rank.
    Status(u8),
    /// The time of the request, with its rank.
    Duration(duration::Form, u8),
}

/// A field of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedField {
    /// The name as the format writes it.
    pub name: String,
    pub extent: Extent,
    pub meaning: Meaning,
}

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// This text.
    Literal(String),
    /// A field.
    Field(NamedField),
}

/// A log format that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct FormatError(pub String);

/// A field that is read over.
pub fn ignored(name: &str, extent: Extent) -> Part {
    field(name, extent, Meaning::Ignored)
}

/// A field with a meaning.
pub fn field(name: &str, extent: Extent, meaning: Meaning) -> Part {
    Part::Field(NamedField { name: name.to_owned(), extent, meaning })
}
