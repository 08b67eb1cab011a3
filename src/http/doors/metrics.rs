//! `POST /ingest/v1/metrics`: many measurements in one body, stored in parts while the rest of it still arrives.
//!
//! A part that is stored stays stored, whatever comes after it, and the answer counts it. `mode=atomic` holds everything
//! back until the body is whole, and so takes no more than one call may have.

use std::pin::pin;

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tokio::time::sleep;

use super::{content, summary};
use crate::{
    auth,
    config::Config,
    error::Error,
    graphql::node::NodeId,
    http::{
        graphql::{failure, failure_by_code},
        origin,
        router::HttpState,
    },
    ingest::{
        self, FieldError, Mode,
        bulk::{Bulk, Options, RejectedIndexes},
        formats::{ParsedRow, ReadError, RecordReader},
    },
    model::{Key, ProjectId},
};

/// Where it is.
pub const PATH: &str = "/ingest/v1/metrics";

/// The door that the ledger names.
const SOURCE: &str = "bulk";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, zstd");

/// What stands in the query string.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// The project of rows that name none.
    #[serde(alias = "projectId")]
    project: Option<String>,
    #[serde(default)]
    mode: ModeParameter,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModeParameter {
    #[default]
    Partial,
    Atomic,
}

/// Takes a body in.
pub async fn post(
    State(state): State<HttpState>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request = match Request::read(&state, parameters, &headers) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    request.run(&state, body).await
}

/// A request whose head makes sense.
struct Request {
    format: ingest::formats::Format,
    encoding: content::Encoding,
    project: Option<Key<ProjectId>>,
    mode: Mode,
    key: Option<String>,
}

/// Why a body was not read to its end, and the status that says so.
struct Ended {
    fault: Error,
    status: StatusCode,
}

impl From<Error> for Ended {
    fn from(fault: Error) -> Self {
        Self { status: summary::status(&fault), fault }
    }
}

impl Request {
    fn read(
        state: &HttpState,
        parameters: Result<Query<Parameters>, QueryRejection>,
        headers: &HeaderMap,
    ) -> Result<Self, Box<Response>> {
        let refuse = |fault: &Error, status| Box::new(failure(fault, status));
        if !origin::is_welcome(headers, &state.config.server) {
            let fault =
                Error::Forbidden("pages of this origin may not write here; list it in server.cors_origins".to_owned());
            return Err(refuse(&fault, StatusCode::FORBIDDEN));
        }
        // Also what keeps foreign pages out: browsers send none of these types across sites without asking.
        let format = content::format(headers).ok_or_else(|| {
            let advice = "send application/x-ndjson, application/json (an array) or text/csv, in UTF-8";
            refuse(&Error::input("Content-Type", advice), StatusCode::UNSUPPORTED_MEDIA_TYPE)
        })?;
        let encoding = content::encoding(headers).ok_or_else(|| {
            let fault = Error::input("Content-Encoding", "send the body as it is, or as gzip or zstd");
            let mut refusal = refuse(&fault, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            refusal.headers_mut().insert(header::ACCEPT_ENCODING, ENCODINGS);
            refusal
        })?;
        let bad = |fault: &Error| refuse(fault, StatusCode::BAD_REQUEST);
        let Query(parameters) = parameters.map_err(|rejection| {
            let advice = format!("takes project=… and mode=partial|atomic: {}", rejection.body_text());
            bad(&Error::input("query string", advice))
        })?;
        let project = match parameters.project {
            None => None,
            Some(id) => {
                let known = NodeId::project(&id.into());
                Some(known.ok_or_else(|| refuse(&Error::not_found("project"), StatusCode::NOT_FOUND))?)
            }
        };
        let key = match headers.get(IDEMPOTENCY_KEY).map(HeaderValue::to_str) {
            None => None,
            Some(Ok(key)) => Some(key.to_owned()),
            Some(Err(_)) => return Err(bad(&Error::input("Idempotency-Key", "must be printable ASCII"))),
        };
        if let Some(key) = &key {
            ingest::check_key(key).map_err(|fault| bad(&fault))?;
        }
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let bytes_max = state.config.limits.ingest_body_bytes_max;
        if declared.is_some_and(|length| length > bytes_max) {
            return Err(refuse(&too_large(bytes_max), StatusCode::PAYLOAD_TOO_LARGE));
        }
        let mode = match parameters.mode {
            ModeParameter::Partial => Mode::Partial,
            ModeParameter::Atomic => Mode::Atomic,
        };
        Ok(Self { format, encoding, project, mode, key })
    }

    async fn run(&self, state: &HttpState, body: Body) -> Response {
        let viewer = auth::development_viewer();
        let bytes_max = state.config.limits.ingest_body_bytes_max;
        if let Some(project) = self.project
            && let Err(fault) = state.ingest.admit(viewer.scope(), project).await
        {
            fault.log();
            return failure_by_code(&fault);
        }
        let source = content::source(body, self.encoding, bytes_max);
        let records = RecordReader::new(source, self.format, bytes_max);
        let rejected = RejectedIndexes::Discarded;
        let options = Options { source: SOURCE, mode: self.mode, part_rows: state.config.ingest.part_rows, rejected };
        let mut bulk = Bulk::new(viewer.scope(), &state.ingest, options);
        let cursors = &state.cursors;
        match self.take(records, &mut bulk, &state.config).await {
            Ok(()) => summary::complete(bulk.summary(), cursors),
            Err(Ended { fault, status }) => {
                fault.log();
                tracing::debug!(%fault, accepted = bulk.summary().accepted, "a body was not read to its end");
                summary::broken_off(bulk.summary(), cursors, &fault, status)
            }
        }
    }

    async fn take<R: tokio::io::AsyncBufRead + Unpin + Send>(
        &self,
        mut records: RecordReader<R>,
        bulk: &mut Bulk<'_>,
        config: &Config,
    ) -> Result<(), Ended> {
        let mut patience = pin!(sleep(config.server.ingest_body_timeout));
        let key = self.key.as_deref();
        let mut index = 0;
        loop {
            // Only waiting for the client is bounded here: what a part takes to be stored is told as it is.
            let record = tokio::select! {
                biased;
                record = records.next() => record,
                () = &mut patience => return Err(late()),
            };
            match record {
                Ok(Some(Ok(row))) => self.row(bulk, index, row).await?,
                Ok(Some(Err(unreadable))) => bulk.reject(index, unreadable),
                Ok(None) => break,
                Err(broken) => return Err(self.broken(&broken, config.limits.ingest_body_bytes_max)),
            }
            index += 1;
            if bulk.is_full() {
                bulk.store(key).await?;
            }
        }
        if index == 0 {
            return Err(Error::input("body", "is empty; send at least one metric").into());
        }
        Ok(bulk.finish(key).await?)
    }

    async fn row(&self, bulk: &mut Bulk<'_>, index: u64, row: ParsedRow) -> Result<(), Ended> {
        let ParsedRow { project, candidate } = row;
        let project = match (project, self.project) {
            (Some(id), _) => NodeId::project(&id.into()),
            (None, Some(project)) => Some(project),
            (None, None) => {
                let message = "is missing; name the project here, or of all rows with ?project=…".to_owned();
                bulk.reject(index, FieldError::new("projectId", message));
                return Ok(());
            }
        };
        Ok(bulk.row(index, project, candidate).await?)
    }

    /// Rows that were read before a body broke are not stored unless their part was: a retry finds the parts where it
    /// left them.
    fn broken(&self, broken: &ReadError, bytes_max: u64) -> Ended {
        if content::is_too_large(broken) {
            return Ended { fault: too_large(bytes_max), status: StatusCode::PAYLOAD_TOO_LARGE };
        }
        let fault = Error::input("body", content::words(broken, self.encoding));
        Ended { fault, status: StatusCode::BAD_REQUEST }
    }
}

fn late() -> Ended {
    let fault = Error::input("body", "did not arrive in time; send less at once");
    Ended { fault, status: StatusCode::REQUEST_TIMEOUT }
}

fn too_large(limit: u64) -> Error {
    Error::input(
        "body",
        format!("is larger than {limit} bytes (limits.ingest_body_bytes_max, also once it is decoded); send several"),
    )
}

/// Any other method.
pub async fn method_not_allowed() -> Response {
    let allow = [(header::ALLOW, HeaderValue::from_static("POST"))];
    (allow, failure(&Error::input("method", "metrics are sent by POST"), StatusCode::METHOD_NOT_ALLOWED))
        .into_response()
}
