//! `POST /ingest/v1/metrics`: measurements in one body, stored in parts while the rest of the body arrives.
//!
//! A stored part remains stored if a later part fails, and the response counts it. With `mode=atomic` nothing is stored
//! before the body is complete; such a body may have at most as many rows as one mutation.

use std::pin::pin;

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tokio::time::sleep;

use super::{
    body,
    intake::{self, Intake, ProjectName},
    summary,
};
use crate::{
    config::Config,
    error::Error,
    http::{
        caller::Caller,
        content_encoding::{self, Bounds, Encoding},
        fault,
        in_flight::{Held, no_room},
        state::HttpState,
    },
    ingest::{
        self, Mode,
        bulk::{Options, RejectedIndexes},
        formats::{ParsedRow, ReadError, RecordReader},
        status::WayIn,
    },
    model::{Timestamp, timestamp::TimeError},
};

/// The path of the endpoint.
pub const PATH: &str = "/ingest/v1/metrics";

/// The source recorded in the ledger.
const SOURCE: &str = WayIn::IngestApi.source();
/// Room for parsed rows is taken in steps of this many bytes.
const COUNTED_BYTES: usize = 64 * 1_024;
/// The most refused rows that a response lists.
const ERRORS_MAX: usize = 10_000;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The query string.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// The project of rows that do not name one.
    #[serde(alias = "projectId", alias = "projectSlug")]
    project: Option<String>,
    #[serde(default)]
    mode: ModeParameter,
    /// The time from which rows are stored although they are older than the time window of the server.
    since: Option<String>,
    /// Maximum number of refused rows that the response lists.
    max_errors: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModeParameter {
    #[default]
    Partial,
    Atomic,
}

/// Stores the measurements of a body.
pub async fn post(
    State(state): State<HttpState>,
    caller: Caller,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request = match MetricsRequest::read(&state, parameters, &headers) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    request.run(&state, caller, body).await
}

/// A request with valid parameters and headers.
struct MetricsRequest {
    format: ingest::formats::Format,
    encoding: Encoding,
    project: Option<ProjectName>,
    mode: Mode,
    key: Option<String>,
    since: Option<Timestamp>,
    errors_max: usize,
}

/// The fault that ended the reading of a body, and the status of the response.
struct Interruption {
    fault: Error,
    status: StatusCode,
}

impl From<Error> for Interruption {
    fn from(fault: Error) -> Self {
        Self { status: summary::status(&fault), fault }
    }
}

impl MetricsRequest {
    fn read(
        state: &HttpState,
        parameters: Result<Query<Parameters>, QueryRejection>,
        headers: &HeaderMap,
    ) -> Result<Self, Box<Response>> {
        let refuse = |fault: &Error, status| Box::new(fault::response(fault, status));
        if let Err(fault) = state.admit_origin(headers, "send metrics") {
            return Err(refuse(&fault, StatusCode::FORBIDDEN));
        }
        // This also keeps other origins out: a browser sends these types to another origin only after a preflight request.
        let format = body::format(headers).ok_or_else(|| {
            let advice = "must be application/x-ndjson, application/json (an array) or text/csv, in UTF-8";
            refuse(&Error::input("Content-Type", advice), StatusCode::UNSUPPORTED_MEDIA_TYPE)
        })?;
        let encoding = content_encoding::of_body(headers).ok_or_else(|| {
            let mut refusal = refuse(&content_encoding::unsupported(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
            refusal.headers_mut().insert(header::ACCEPT_ENCODING, content_encoding::SUPPORTED);
            refusal
        })?;
        let bad = |fault: &Error| refuse(fault, StatusCode::BAD_REQUEST);
        let Query(parameters) = parameters.map_err(|rejection| {
            let advice = format!(
                "may contain project=ID or project=ORGANIZATION/PROJECT, mode=partial|atomic, since=TIME and \
                 maxErrors=N: {}",
                rejection.body_text()
            );
            bad(&Error::input("query string", advice))
        })?;
        let since = parameters
            .since
            .as_deref()
            .map(|text| text.parse().map_err(|error: TimeError| bad(&Error::input("since", error.to_string()))));
        let since = since.transpose()?;
        let errors_max = parameters.max_errors.unwrap_or(Options::ERRORS_MAX);
        if errors_max > ERRORS_MAX {
            let message = format!("is {errors_max}; the maximum is {ERRORS_MAX}");
            return Err(bad(&Error::input("maxErrors", message)));
        }
        let project = parameters.project.as_deref().map(intake::name).transpose();
        let project = project.map_err(|fault| refuse(&fault, fault::status(&fault)))?;
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
        Ok(Self { format, encoding, project, mode, key, since, errors_max })
    }

    async fn run(&self, state: &HttpState, caller: Caller, body: Body) -> Response {
        let bytes_max = state.config.limits.ingest_body_bytes_max;
        let ingest = match self.since.map(|since| state.ingest.reaching_back(since)).transpose() {
            Ok(reaching_back) => reaching_back.unwrap_or_else(|| state.ingest.clone()),
            Err(fault) => return fault::response_by_code(&fault),
        };
        let options = Options {
            source: SOURCE,
            mode: self.mode,
            part_rows: state.config.ingest.part_rows,
            rejected: RejectedIndexes::Discarded,
            errors_max: self.errors_max,
            project: None,
        };
        let write_path = (&ingest, &state.database);
        let scope = caller.viewer.scope();
        let mut intake = match Intake::new(write_path, scope, self.project.as_ref(), self.since, options).await {
            Ok(intake) => intake,
            Err(fault) => {
                fault.log();
                return fault::response_by_code(&fault);
            }
        };
        let body = state.in_flight.stream(body);
        let held = body.held();
        let bounds = Bounds { bytes_max, members_max: state.config.limits.ingest_body_members_max };
        let source = content_encoding::decoded(body, self.encoding, bounds);
        let records = RecordReader::new(source, self.format.clone(), bytes_max);
        let cursors = &state.cursors;
        match self.take(records, &mut intake, &held, &state.config).await {
            Ok(()) => summary::complete(intake.summary(), cursors),
            Err(Interruption { fault, status }) => {
                fault.log();
                intake.count_refused_body(&fault);
                tracing::debug!(%fault, accepted = intake.summary().accepted, "a body of metrics was not read to its end");
                summary::interrupted(intake.summary(), cursors, &fault, status)
            }
        }
    }

    async fn take<R: tokio::io::AsyncBufRead + Unpin + Send>(
        &self,
        mut records: RecordReader<R>,
        intake: &mut Intake<'_>,
        held: &Held,
        config: &Config,
    ) -> Result<(), Interruption> {
        let mut deadline = pin!(sleep(config.server.ingest_body_timeout));
        let key = self.key.as_deref();
        let mut index = 0;
        // Bytes of rows for which no room is taken yet.
        let mut uncounted = 0;
        loop {
            // The timeout applies to receiving the body, not to storing its parts.
            let record = tokio::select! {
                biased;
                record = records.next() => record,
                () = &mut deadline => return Err(too_slow()),
            };
            match record {
                Ok(Some(Ok(row))) => intake.row(index, row).await?,
                Ok(Some(Err(unreadable))) => intake.reject(index, unreadable),
                Ok(None) => break,
                Err(broken) => return Err(self.broken(&broken, config.limits.ingest_body_bytes_max)),
            }
            index += 1;
            uncounted += size_of::<ParsedRow>() + records.raw().len();
            if uncounted >= COUNTED_BYTES {
                held.grow(uncounted).await.map_err(|_| no_room())?;
                uncounted = 0;
            }
            let refused_max = config.limits.ingest_refused_rows_max;
            if intake.summary().rejected > refused_max {
                // Counted by their boundaries alone, in the time that is left for the body.
                let rest = tokio::select! {
                    biased;
                    rest = records.count_rest() => rest,
                    () = &mut deadline => return Err(too_slow()),
                };
                return Err(too_many_refused(refused_max, rest));
            }
            if intake.is_full() {
                intake.store(key).await?;
                held.release();
                uncounted = 0;
            }
        }
        if index == 0 {
            return Err(Error::input("body", "is empty; send at least one metric").into());
        }
        Ok(intake.finish(key).await?)
    }

    /// The fault of a body that could not be read to its end. Rows of an incomplete part are not stored, so that a retry has
    /// the same parts.
    fn broken(&self, broken: &ReadError, bytes_max: u64) -> Interruption {
        if body::is_too_large(broken) {
            return Interruption { fault: too_large(bytes_max), status: StatusCode::PAYLOAD_TOO_LARGE };
        }
        if body::is_without_room(broken) {
            return no_room().into();
        }
        let fault = Error::input("body", body::message(broken, self.encoding));
        Interruption { fault, status: StatusCode::BAD_REQUEST }
    }
}

fn too_many_refused(limit: u64, rest: u64) -> Interruption {
    let message = format!(
        "has more than {limit} refused rows (limits.ingest_refused_rows_max); the {rest} rows after them were not read. \
         Correct the rows and send the body again"
    );
    Interruption { fault: Error::input("body", message), status: StatusCode::BAD_REQUEST }
}

fn too_slow() -> Interruption {
    let fault = Error::input("body", "did not arrive in time (server.ingest_body_timeout_ms); send less per request");
    Interruption { fault, status: StatusCode::REQUEST_TIMEOUT }
}

fn too_large(limit: u64) -> Error {
    Error::input(
        "body",
        format!("exceeds {limit} bytes, encoded or decoded (limits.ingest_body_bytes_max); send several bodies"),
    )
}

/// Any other method.
pub async fn method_not_allowed() -> Response {
    let allow = [(header::ALLOW, HeaderValue::from_static("POST"))];
    let fault = Error::input("method", "must be POST");
    (allow, fault::response(&fault, StatusCode::METHOD_NOT_ALLOWED)).into_response()
}
