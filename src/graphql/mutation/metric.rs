//! The mutation that records measurements.

use async_graphql::{Context, Object};

use crate::{
    engine::spelling,
    error::{Error, Result},
    graphql::{
        context::request,
        moved::Moved,
        named::{self, Name, NameFields},
        node::NodeId,
        types::{
            ingest::{IngestMetricsInput, IngestMetricsPayload, IngestMode, MetricInput},
            user_error::UserError,
        },
    },
    ingest::{Candidate, Receipt, Submission, status::WayIn},
    model::Label,
};

/// The source that the ledger records for measurements from GraphQL.
const SOURCE: &str = WayIn::Mutation.source();

/// Mutations of metrics.
#[derive(Default)]
pub struct MetricMutation;

#[Object]
impl MetricMutation {
    /// Records measurements and returns once they are durable. Rejected measurements are listed by index. With an
    /// idempotency key, a retry stores nothing twice. `CONFLICT` if the project is archived. Requires the role
    /// `MEMBER`; a `VIEWER` gets `NOT_FOUND`, as for an unknown project.
    async fn ingest_metrics(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project, its measurements and their treatment.")] input: Moved<IngestMetricsInput>,
    ) -> Result<IngestMetricsPayload> {
        let Moved(input) = input;
        let candidates = candidates(input.metrics)?;
        let fields = NameFields::PROJECT;
        let project = fields.given(input.project_id, input.project_slug);
        let about = if matches!(project, Ok(Name::Slug(_))) { fields.slug } else { fields.id };
        let mode = input.mode.unwrap_or(IngestMode::Partial);
        match ingest(context, project, candidates, input.idempotency_key, mode).await {
            Ok(receipt) => Ok(IngestMetricsPayload::of(receipt, &request(context)?.services.cursors)),
            Err(fault) => {
                let about = field(&fault, about);
                let mut user_errors = UserError::expected(fault)?;
                for failure in &mut user_errors {
                    failure.field = failure.field.take().or_else(|| about.clone());
                }
                Ok(IngestMetricsPayload { user_errors, ..IngestMetricsPayload::default() })
            }
        }
    }
}

/// The input field that a fault of the write path concerns, if the fault does not name one. `project` is the field that names
/// the project.
fn field(fault: &Error, project: &str) -> Option<Vec<String>> {
    let name = match fault {
        Error::NotFound { .. } => project,
        Error::Limit { .. } => "metrics",
        _ => return None,
    };
    Some(vec![name.to_owned()])
}

/// The rows as the write path takes them.
fn candidates(metrics: Vec<Moved<MetricInput>>) -> Result<Vec<Candidate>> {
    let candidate = |(index, Moved(metric)): (usize, Moved<MetricInput>)| {
        let (new, old) = (("releaseVersion", metric.release_version), ("release", metric.release));
        Ok(Candidate {
            kind: metric.kind.into(),
            value: metric.value,
            endpoint: metric.endpoint,
            status: metric.status_code,
            timestamp: metric.timestamp.map(|timestamp| timestamp.0),
            name: metric.name,
            release: spelling::either(format_args!("metrics.{index}."), new, old)?,
            labels: metric.labels.unwrap_or_default().into_iter().map(Label::from).collect(),
        })
    };
    metrics.into_iter().enumerate().map(candidate).collect()
}

async fn ingest(
    context: &Context<'_>,
    project: Result<Name>,
    candidates: Vec<Candidate>,
    idempotency_key: Option<String>,
    mode: IngestMode,
) -> Result<Receipt> {
    let request = request(context)?;
    let project = match project? {
        Name::Id(id) => NodeId::project(&id).map_err(|error| error.in_change(NameFields::PROJECT.id))?,
        Name::Slug(slug) => {
            let slug = named::slug(&slug, NameFields::PROJECT.slug)?;
            request.services.ingest.find(request.scope(), &slug, Some(&request.log)).await?
        }
    };
    let source = SOURCE.to_owned();
    let submission = Submission { project, candidates, idempotency_key, source, mode: mode.into() };
    request.services.ingest.submit(request.scope(), submission, &request.log).await
}
