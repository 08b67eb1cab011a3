//! A GraphQL answer as it goes over the wire, by whatever transport.

use std::collections::BTreeMap;

use async_graphql::{Response, ServerError, Value};
use serde::Serialize;

use super::error::Phase;

/// An answer; `data` is absent when nothing was executed.
#[derive(Serialize)]
pub struct Payload<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: &'a BTreeMap<String, Value>,
}

impl<'a> Payload<'a> {
    /// The answer of a request that came so far.
    pub fn new(response: &'a Response, phase: Phase) -> Self {
        Self {
            errors: &response.errors,
            data: (phase == Phase::Execution).then_some(&response.data),
            extensions: &response.extensions,
        }
    }
}
