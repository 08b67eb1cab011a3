//! One measurement, its type, and how it is named as a node.

use async_graphql::{Context, Enum, ID, Object};

use super::{Project, Release};
use crate::{
    engine::rows::One,
    error::Result,
    graphql::{context::request, loaders::Asked, node::NodeId, scalars::DateTime, selection},
    model::{self, Key, Measurement, MetricId, ProjectId, RecordedMetric},
};

/// What a measurement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::MetricType")]
pub enum MetricType {
    /// Time until a page was usable, in milliseconds.
    PageLoad,
    /// Time until an API answered, in milliseconds.
    ApiResponse,
    /// Time that a database took, in milliseconds.
    Database,
    /// Share of cache lookups that hit, in percent (0 to 100); higher is better.
    CacheHit,
    /// Anything else; the unit is the sender's.
    Custom,
}

/// One recorded measurement.
#[derive(Clone)]
pub struct Metric {
    /// Its own id.
    pub id: MetricId,
    /// Where it was recorded.
    pub project: Key<ProjectId>,
    /// What was measured.
    pub measurement: Measurement,
}

impl From<RecordedMetric> for Metric {
    fn from(recorded: RecordedMetric) -> Self {
        Self { id: recorded.id, project: recorded.project, measurement: recorded.measurement }
    }
}

/// One recorded measurement. Never changed once recorded: corrections are new measurements.
#[Object]
impl Metric {
    /// Opaque, unique among everything; fetch it again with `node` while its raw row is kept.
    pub async fn id(&self) -> ID {
        NodeId::Metric(model::MetricKey {
            project: self.project,
            kind: self.measurement.kind,
            timestamp: self.measurement.timestamp,
            id: self.id,
        })
        .encode()
    }

    /// The project that the measurement was recorded for.
    async fn project(&self, context: &Context<'_>) -> Option<Result<One<Project>>> {
        async {
            let asked = Asked { id: self.project, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project).map(One))
        }
        .await
        .transpose()
    }

    /// What was measured.
    #[graphql(name = "type")]
    async fn kind(&self) -> MetricType {
        self.measurement.kind.into()
    }

    /// The measured value, in `unit`.
    async fn value(&self) -> f64 {
        self.measurement.value
    }

    /// The unit of the value: `ms`, `%`, or empty where the sender decides.
    async fn unit(&self) -> &'static str {
        self.measurement.kind.unit()
    }

    /// The route, page, query or cache that was measured.
    async fn endpoint(&self) -> &str {
        &self.measurement.endpoint
    }

    /// Which of several things of the endpoint was measured, such as `LCP` of a page; null where the sender named none.
    async fn name(&self) -> Option<&str> {
        Some(&*self.measurement.name).filter(|name| !name.is_empty())
    }

    /// The version of the software that was running, as the sender named it; null where the sender named none.
    async fn release_version(&self) -> Option<&str> {
        Some(&*self.measurement.release).filter(|release| !release.is_empty())
    }

    /// The release of that version; null where nobody created one (yet), or the sender named none.
    async fn release(&self, context: &Context<'_>) -> Option<Result<Release>> {
        if self.measurement.release.is_empty() {
            return None;
        }
        async {
            let id = (self.project, self.measurement.release.clone());
            let asked = Asked { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().release_by_version.load(asked).await?.map(Release))
        }
        .await
        .transpose()
    }

    /// The HTTP status; null where there was none.
    async fn status_code(&self) -> Option<i32> {
        (self.measurement.status != 0).then_some(i32::from(self.measurement.status))
    }

    /// When it happened.
    async fn timestamp(&self) -> DateTime {
        DateTime(self.measurement.timestamp)
    }
}
