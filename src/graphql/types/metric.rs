//! A measurement and its id.

use async_graphql::{Context, Description, ID, Object, SimpleObject};

use super::{
    Project, Release,
    metric_type::{MetricDirection, MetricType},
};
use crate::{
    engine::rows::One,
    error::Result,
    graphql::{context::request, loaders::AskedRow, node::NodeId, scalars::DateTime, selection, sizes},
    model::{Key, Label, Labels, Measurement, MetricId, MetricKey, ProjectId, RecordedMetric},
};

/// A recorded measurement. Measurements never change; corrections are new measurements.
#[derive(Clone, Description)]
pub struct Metric {
    /// The id of the measurement.
    pub id: MetricId,
    /// The project that it was recorded for.
    pub project: Key<ProjectId>,
    /// The type of the measurement.
    pub measurement: Measurement,
}

impl From<RecordedMetric> for Metric {
    fn from(recorded: RecordedMetric) -> Self {
        Self { id: recorded.id, project: recorded.project, measurement: recorded.measurement }
    }
}

/// A label of a measurement.
#[derive(Clone, Debug, SimpleObject)]
pub struct MetricLabel {
    /// The key, unique within the measurement.
    pub key: String,
    /// The value of the label.
    pub value: String,
}

impl From<&Label> for MetricLabel {
    fn from(label: &Label) -> Self {
        Self { key: label.key.clone(), value: label.value.clone() }
    }
}

impl Metric {
    const fn key(&self) -> MetricKey {
        let Measurement { kind, timestamp, .. } = self.measurement;
        MetricKey { project: self.project, kind, timestamp, id: self.id }
    }
}

#[Object(use_type_description)]
impl Metric {
    /// Global id, opaque. Pass it to `node` to fetch the measurement again while it is kept (7 days by default).
    pub async fn id(&self) -> ID {
        NodeId::Metric(self.key()).encode()
    }

    /// The project that the measurement was recorded for. Null only if reading it failed.
    async fn project(&self, context: &Context<'_>) -> Option<Result<One<Project>>> {
        async {
            let asked = AskedRow { id: self.project, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project).map(One))
        }
        .await
        .transpose()
    }

    /// The type of the measurement.
    #[graphql(name = "type")]
    async fn kind(&self) -> MetricType {
        self.measurement.kind.into()
    }

    /// Measured value, in the unit given by `unit`.
    async fn value(&self) -> f64 {
        self.measurement.value
    }

    /// Unit of the value: `ms`, `%`, or empty for `CUSTOM`.
    async fn unit(&self) -> &'static str {
        self.measurement.kind.unit()
    }

    /// Direction in which values of this type get better. Null for `CUSTOM`.
    async fn direction(&self) -> Option<MetricDirection> {
        self.measurement.kind.good_direction().map(MetricDirection::from)
    }

    /// Path or name of the measured endpoint: a route, page, query or cache.
    async fn endpoint(&self) -> &str {
        &self.measurement.endpoint
    }

    /// Name of one of several measurements of the endpoint, such as `LCP` of a page. Null if the sender gave none.
    async fn name(&self) -> Option<&str> {
        Some(&*self.measurement.name).filter(|name| !name.is_empty())
    }

    /// Version of the measured software, as the sender gave it. Null if the sender gave none.
    async fn release_version(&self) -> Option<&str> {
        Some(&*self.measurement.release).filter(|release| !release.is_empty())
    }

    /// The release of the project with the version `releaseVersion`. Null if there is no such release, or if the sender
    /// gave no version.
    async fn release(&self, context: &Context<'_>) -> Option<Result<Release>> {
        if self.measurement.release.is_empty() {
            return None;
        }
        async {
            let id = (self.project, self.measurement.release.clone());
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().release_by_version.load(asked).await?.map(Release))
        }
        .await
        .transpose()
    }

    /// HTTP status. Null if the measurement has none.
    async fn status_code(&self) -> Option<i32> {
        (self.measurement.status != 0).then_some(i32::from(self.measurement.status))
    }

    /// Time of the measurement.
    async fn timestamp(&self) -> DateTime {
        DateTime(self.measurement.timestamp)
    }

    /// Time at which the server received the measurement, in whole milliseconds. Later than `timestamp` for late data and
    /// imports.
    async fn received_at(&self) -> DateTime {
        DateTime(self.id.received_at())
    }

    /// Labels that the sender gave to the measurement, ordered by key. Empty if it gave none. Read in one statement for all
    /// measurements of the answer. Labels are no dimension of statistics, and measurements cannot be filtered by them; for
    /// that, send `name` or `releaseVersion`.
    #[graphql(directive = sizes::Assumed::apply(2))]
    async fn labels(&self, context: &Context<'_>) -> Result<Vec<MetricLabel>> {
        let labels = match &self.measurement.labels {
            Labels::Unread => request(context)?.loaders().labels.load(self.key()).await?.unwrap_or_default(),
            known => known.clone(),
        };
        Ok(labels.as_slice().iter().map(MetricLabel::from).collect())
    }
}
