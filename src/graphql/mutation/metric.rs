//! Recording measurements.

use async_graphql::{Context, Object};

use crate::{
    error::{Error, Result},
    graphql::{
        context::request,
        node::NodeId,
        types::{
            ingest::{IngestMetricsInput, IngestMetricsPayload},
            user_error::UserError,
        },
    },
    ingest::{Candidate, Receipt, Submission},
};

/// The source that the ledger records for measurements from GraphQL.
const SOURCE: &str = "graphql";

/// Mutations of metrics.
#[derive(Default)]
pub struct MetricMutation;

#[Object]
impl MetricMutation {
    /// Records measurements and returns once they are durable. Rejected rows are listed by index; with an idempotency
    /// key a retry stores nothing twice. `NOT_FOUND` for an unknown project, and for the role `VIEWER`.
    async fn ingest_metrics(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project, its measurements and their treatment.")] input: IngestMetricsInput,
    ) -> Result<IngestMetricsPayload> {
        match ingest(context, input).await {
            Ok(receipt) => Ok(IngestMetricsPayload::of(receipt, &request(context)?.services.cursors)),
            Err(fault) => {
                let about = field(&fault);
                let mut user_errors = UserError::expected(fault)?;
                for failure in &mut user_errors {
                    failure.field = failure.field.take().or_else(|| about.clone());
                }
                Ok(IngestMetricsPayload { user_errors, ..IngestMetricsPayload::default() })
            }
        }
    }
}

/// The input field that a fault of the write path concerns, where the fault does not name one.
fn field(fault: &Error) -> Option<Vec<String>> {
    let name = match fault {
        Error::NotFound { .. } => "projectId",
        Error::Limit { .. } => "metrics",
        _ => return None,
    };
    Some(vec![name.to_owned()])
}

async fn ingest(context: &Context<'_>, input: IngestMetricsInput) -> Result<Receipt> {
    let request = request(context)?;
    let project = NodeId::project(&input.project_id).ok_or_else(|| Error::not_found("project"))?;
    let candidates = input
        .metrics
        .into_iter()
        .map(|metric| Candidate {
            kind: metric.kind.into(),
            value: metric.value,
            endpoint: metric.endpoint,
            status: metric.status_code,
            timestamp: metric.timestamp.map(|timestamp| timestamp.0),
            name: metric.name,
            release: metric.release,
        })
        .collect();
    let submission = Submission {
        project,
        candidates,
        idempotency_key: input.idempotency_key,
        source: SOURCE.to_owned(),
        mode: input.mode.into(),
    };
    request.services.ingest.submit(request.scope(), submission, &request.log).await
}
