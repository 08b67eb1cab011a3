//! Groups of measurements that have something in common.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, SimpleObject};

use super::{
    Project,
    accuracy::About,
    filter::FloatFilter,
    metric::MetricType,
    order::OrderDirection,
    reports::buckets,
    series::{GapFill, MetricBucket},
    stats::{self, MetricAggregate, Statistic},
};
use crate::{
    error::{Error, Result},
    graphql::{context::request, loaders::Asked, node::NodeId, scalars::Duration, selection},
    model::{Timestamp, filter::NumberFilter},
    reports::{self, GroupKey, Question},
};

/// What measurements can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::GroupBy")]
pub enum MetricGroupKey {
    /// The project.
    Project,
    /// The type.
    Type,
    /// The name. Answered from single measurements, which are kept for days only.
    Name,
    /// The path of the endpoint; endpoints of one path in several projects are one group, unless there is PROJECT, too.
    Endpoint,
    /// The HTTP status. Answered from single measurements, which are kept for days only.
    StatusCode,
    /// The release. Answered from single measurements, which are kept for days only.
    Release,
}

/// Something that all measurements of a group have in common.
#[derive(SimpleObject)]
pub struct GroupKeyValue {
    /// What it is.
    pub key: MetricGroupKey,
    /// Which it is: a project's id, the name of a type, a path, a status code, a name or a release; empty where
    /// measurements have none.
    pub value: String,
}

/// A condition on a figure of a group. One that is not known, such as a mean of nothing, meets none.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct HavingInput {
    /// Which figure.
    pub statistic: Statistic,
    /// What it has to be, in its unit.
    pub value: FloatFilter,
}

/// How groups are ordered.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct GroupOrder {
    /// By which figure; equals stand by what they have in common.
    pub statistic: Statistic,
    /// Which way.
    #[graphql(default_with = "OrderDirection::Descending")]
    pub direction: OrderDirection,
}

/// The values that a group has in common.
pub fn key_values(keys: &[GroupKey]) -> Vec<GroupKeyValue> {
    let value = |key: &GroupKey| {
        let (key, value) = match key {
            GroupKey::Project(project) => (MetricGroupKey::Project, NodeId::Project(*project).encode().0),
            GroupKey::Type(kind) => (MetricGroupKey::Type, kind.name().to_owned()),
            GroupKey::Name(name) => (MetricGroupKey::Name, name.to_string()),
            GroupKey::Endpoint(path) => (MetricGroupKey::Endpoint, path.to_string()),
            GroupKey::StatusCode(0) => (MetricGroupKey::StatusCode, String::new()),
            GroupKey::StatusCode(code) => (MetricGroupKey::StatusCode, code.to_string()),
            GroupKey::Release(version) => (MetricGroupKey::Release, version.to_string()),
        };
        GroupKeyValue { key, value }
    };
    keys.iter().map(value).collect()
}

/// The conditions on groups.
///
/// # Errors
/// [`Error::Input`] for a number that no figure can be compared with.
pub fn having(conditions: Option<Vec<HavingInput>>) -> Result<Vec<reports::Having>> {
    let condition = |condition: HavingInput| {
        let value = NumberFilter::from(condition.value);
        if value.numbers().any(|number| !number.0.is_finite()) {
            return Err(Error::input("having", "compares with a number that is not finite"));
        }
        Ok(reports::Having { statistic: condition.statistic.into(), value })
    };
    conditions.unwrap_or_default().into_iter().map(condition).collect()
}

/// Measurements that have something in common.
pub struct MetricGroup {
    /// What was read.
    pub group: reports::MetricGroup,
    /// What was asked.
    pub question: Arc<Question>,
    /// How long the buckets are that may be asked for.
    pub bucket: Option<Duration>,
    /// When it was read.
    pub as_of: Timestamp,
}

/// Measurements that have something in common, and their figures.
#[Object]
impl MetricGroup {
    /// What they have in common, in the order of `groupBy`.
    async fn keys(&self) -> Vec<GroupKeyValue> {
        key_values(&self.group.keys)
    }

    /// The project that they were recorded for; null unless they are grouped by it.
    async fn project(&self, context: &Context<'_>) -> Option<Result<Project>> {
        let id = self.group.keys.iter().find_map(|key| match key {
            GroupKey::Project(project) => Some(*project),
            _ => None,
        })?;
        async {
            let asked = Asked { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project))
        }
        .await
        .transpose()
    }

    /// The type that was measured; null unless they are grouped by it.
    #[graphql(name = "type")]
    async fn kind(&self) -> Option<MetricType> {
        self.group.keys.iter().find_map(|key| match key {
            GroupKey::Type(kind) => Some((*kind).into()),
            _ => None,
        })
    }

    /// The path of their endpoint; null unless they are grouped by it.
    async fn endpoint(&self) -> Option<&str> {
        self.group.keys.iter().find_map(|key| match key {
            GroupKey::Endpoint(path) => Some(path.as_ref()),
            _ => None,
        })
    }

    /// Their figures over the whole window.
    async fn stats(&self) -> MetricAggregate {
        let about = About { parent: self.group.parent.clone(), question: Arc::clone(&self.question) };
        MetricAggregate::own(Arc::clone(&self.group.stats), about, self.as_of)
    }

    /// Their figures over time, in the buckets that `bucket` of the report says. One statement for all groups.
    async fn buckets(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "What stands for the figures of a bucket in which nothing was measured.",
            default_with = "GapFill::Null"
        )]
        fill: GapFill,
    ) -> Result<Vec<MetricBucket>> {
        let Some(bucket) = self.bucket else {
            return Err(Error::input("bucket", "say how long a bucket is, on metricGroups, to be answered buckets"));
        };
        let want = stats::wants_in_stats(context.field());
        let (parent, question) = (self.group.parent.clone(), Arc::clone(&self.question));
        buckets(request(context)?, parent, question, bucket, fill, want).await
    }
}
