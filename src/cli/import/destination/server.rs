//! Rows sent to the ingest API of a running server: a request for each part, as NDJSON compressed with zstd. The key of a
//! part makes it safe to send it again after a lost connection, and to repeat the whole import.

use std::time::Duration;

use async_compression::tokio::write::ZstdEncoder;
use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use tokio::{io::AsyncWriteExt, time::sleep};

use super::{Destination, OTHER_FORMAT};
use crate::{
    cli::{
        client::{
            ClientError, Pauses, ServerAddress,
            http::{HttpClient, Reply},
            project::{self, Project},
            unreachable,
        },
        failure::Failure,
        output,
    },
    ingest::{
        Candidate, FieldError,
        bulk::{Options, Summary},
        formats,
    },
    model::Timestamp,
};

/// Attempts to send a part, over about a minute.
const ATTEMPTS: u32 = 10;

/// Bytes of rows after which a part ends. With one more row it is below the default of `limits.ingest_body_bytes_max`.
const PART_BYTES: usize = 4 * 1_024 * 1_024;

/// Rows of a part, which is the most of `maxErrors`: the server lists each row that it refuses.
const PART_ROWS_MAX: usize = 10_000;

/// A response of the ingest API.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    accepted: u64,
    #[serde(default)]
    rejected: u64,
    #[serde(default)]
    errors: Vec<RefusedRow>,
    #[serde(default)]
    duplicate: bool,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct RefusedRow {
    index: u64,
    #[serde(default)]
    field: String,
    message: String,
}

#[derive(Deserialize)]
struct Fault {
    message: String,
}

/// A server, and the project there.
pub struct ServerDestination {
    client: HttpClient,
    address: ServerAddress,
    project: Project,
    path: String,
    part_rows: usize,
    /// The rows of the current part.
    rows: Vec<u8>,
    /// The index of each of them in the file.
    indexes: Vec<u64>,
    /// The refused rows of the current part.
    refused: Vec<u64>,
    summary: Summary,
}

/// Finds the project on a server. Returns the time of the server as well, which may differ from that of this machine.
pub async fn find(address: &ServerAddress, named: &str) -> Result<(HttpClient, Project, Option<Timestamp>), Failure> {
    let mut client = HttpClient::new(address.clone());
    let found = async {
        let (data, reply) = client.graphql(project::QUERY, project::variables(named)?).await?;
        Ok((Project::read(&data, named)?, reply.date()))
    };
    match found.await {
        Ok((project, date)) => Ok((client, project, date)),
        Err(fault) => Err(failure(fault, address)),
    }
}

fn failure(fault: ClientError, address: &ServerAddress) -> Failure {
    match fault {
        ClientError::Refused(why) => Failure::Data(why),
        ClientError::Lost(why) => unreachable(&format!("import to {address}"), &why),
        ClientError::OutputClosed => Failure::internal("the output is closed"),
    }
}

impl ServerDestination {
    /// Without any row. Rows from `since` on are taken.
    pub fn new(
        client: HttpClient,
        address: ServerAddress,
        project: Project,
        part_rows: usize,
        since: Timestamp,
    ) -> Self {
        let part_rows = part_rows.min(PART_ROWS_MAX);
        let path = format!("/ingest/v1/metrics?project={}&since={since}&maxErrors={part_rows}", project.id);
        Self {
            client,
            address,
            project,
            path,
            part_rows,
            rows: Vec::new(),
            indexes: Vec::new(),
            refused: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Sends a part until the server has answered it.
    async fn send(&mut self, key: &str, body: &Bytes) -> Result<Answer, Failure> {
        let headers =
            [("content-type", "application/x-ndjson"), ("content-encoding", "zstd"), ("idempotency-key", key)];
        let mut pauses = Pauses::default();
        for attempt in 1.. {
            let why = match self.client.post(&self.path, &headers, body.clone()).await {
                Ok(reply) if is_temporary(reply.status) && attempt == ATTEMPTS => ClientError::lost(refusal(&reply)),
                Ok(reply) if is_temporary(reply.status) => {
                    sleep(retry_after(&reply)).await;
                    ClientError::lost(refusal(&reply))
                }
                Ok(reply) if reply.status == StatusCode::CONFLICT => {
                    let why = refusal(&reply);
                    let advice = if why.contains("was already used") { OTHER_FORMAT } else { "" };
                    return Err(Failure::Data(format!("{why}{advice}")));
                }
                Ok(reply) => return answer(&reply).map_err(|fault| failure(fault, &self.address)),
                Err(fault) => fault,
            };
            match why {
                ClientError::Lost(why) if attempt < ATTEMPTS => {
                    let seconds = pauses.seconds();
                    output::say(&format!("{}: {why}; sending the part again in {seconds:.1} s", self.address));
                    pauses.wait().await;
                }
                fault => return Err(failure(fault, &self.address)),
            }
        }
        Err(Failure::Unavailable(format!("cannot import to {}", self.address)))
    }
}

/// True for statuses after which the same request may succeed.
fn is_temporary(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
        || (status.is_server_error() && status != StatusCode::INTERNAL_SERVER_ERROR)
}

/// The pause that the server asks for, at most ten seconds.
fn retry_after(reply: &Reply) -> Duration {
    let seconds = reply.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0_u64).min(10))
}

/// The reason in a response that refuses the request: of the ingest API, or of what stands before it.
fn refusal(reply: &Reply) -> String {
    let body = reply.json().unwrap_or_default();
    let message = body["error"]["message"].as_str().or_else(|| body["errors"][0]["message"].as_str());
    message.map_or_else(|| format!("the server answered {}", reply.status), str::to_owned)
}

/// The answer to a part. All rows of a part may be refused, which is no fault of the request.
fn answer(reply: &Reply) -> Result<Answer, ClientError> {
    if !reply.status.is_success() && reply.status != StatusCode::BAD_REQUEST {
        return Err(ClientError::Refused(refusal(reply)));
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(&reply.body) else {
        return Err(ClientError::Refused(refusal(reply)));
    };
    match answer.error {
        Some(fault) => Err(ClientError::Refused(fault.message)),
        None => Ok(answer),
    }
}

async fn compressed(rows: &[u8]) -> Result<Bytes, Failure> {
    let mut encoder = ZstdEncoder::new(Vec::with_capacity(rows.len() / 8));
    encoder.write_all(rows).await.map_err(Failure::internal)?;
    encoder.shutdown().await.map_err(Failure::internal)?;
    Ok(encoder.into_inner().into())
}

impl Destination for ServerDestination {
    fn is_project(&self, named: &str) -> bool {
        named == self.project.id || named == self.project.slug
    }

    async fn row(&mut self, index: u64, candidate: Candidate) -> Result<(), Failure> {
        formats::write_json(&candidate, &mut self.rows).map_err(Failure::internal)?;
        self.indexes.push(index);
        Ok(())
    }

    fn reject(&mut self, index: u64, error: FieldError) {
        self.refused.push(index);
        self.summary.reject(index, error, Options::ERRORS_MAX);
    }

    fn is_full(&self) -> bool {
        self.indexes.len() >= self.part_rows || self.rows.len() >= PART_BYTES
    }

    async fn store(&mut self, digest: &str) -> Result<Vec<u64>, Failure> {
        if !self.indexes.is_empty() {
            let body = compressed(&self.rows).await?;
            let key = format!("import {} {digest}", self.project.id);
            let answer = self.send(&key, &body).await?;
            self.summary.accepted += answer.accepted;
            self.summary.repeated += if answer.duplicate { answer.accepted } else { 0 };
            let listed = u64::try_from(answer.errors.len()).unwrap_or(u64::MAX);
            if listed != answer.rejected {
                return Err(Failure::Data(format!("the server refused {} rows and names {listed}", answer.rejected)));
            }
            for RefusedRow { index, field, message } in answer.errors {
                let at = usize::try_from(index).ok().and_then(|at| self.indexes.get(at)).copied();
                self.reject(at.unwrap_or_default(), FieldError::new(field, message));
            }
        }
        self.rows.clear();
        self.indexes.clear();
        Ok(std::mem::take(&mut self.refused))
    }

    fn summary(&self) -> &Summary {
        &self.summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    #[test]
    fn a_part_with_its_last_row_fits_into_a_body() {
        let most = u64::try_from(PART_BYTES + formats::RECORD_BYTES_MAX).unwrap();
        assert!(most <= Limits::default().ingest_body_bytes_max);
    }
}
