//! Groups of measurements with equal dimension values.

use std::sync::Arc;

use async_graphql::{Context, Description, Enum, InputObject, Object, SimpleObject};

use super::{
    Project,
    filter::FloatFilter,
    metric_type::MetricType,
    order::OrderDirection,
    series::{self, GapFill, MetricBucket},
    stats::{self, MetricAggregate, Statistic},
};
use crate::{
    engine::{
        directives,
        rows::{One, Rows},
    },
    error::{Error, Result},
    graphql::{context::request, loaders::AskedRow, node::NodeId, selection, sizes},
    model::{Timestamp, filter::NumberFilter},
    reports::{self, Buckets, GroupKey, Question},
};

/// A dimension that measurements can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::GroupBy")]
pub enum MetricGroupKey {
    /// The project that the measurement was recorded for.
    Project,
    /// The type of the measurement.
    Type,
    /// The name of the measurement, such as `LCP`. For how long it is known: see `MetricFilter`.
    Name,
    /// The path of the endpoint. Endpoints with the same path in several projects form one group, unless `PROJECT` is a
    /// dimension as well.
    Endpoint,
    /// The HTTP status. For how long it is known: see `MetricFilter`.
    StatusCode,
    /// The release version. For how long it is known: see `MetricFilter`.
    Release,
}

/// The value of a dimension in a group.
#[derive(SimpleObject)]
pub struct GroupKeyValue {
    /// The dimension.
    pub key: MetricGroupKey,
    /// The value: a project id, the name of a type, a path, a status code, a name or a release version. Empty for
    /// measurements without one.
    pub value: String,
}

/// Keeps groups whose statistic matches. A null statistic, such as the average of no measurements, never matches.
#[derive(Clone, Copy, Debug, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct HavingInput {
    /// The statistic to compare.
    pub statistic: Statistic,
    /// Conditions on the statistic, in its unit.
    pub value: FloatFilter,
}

/// Sort key of a list of groups. Ties are broken by the values of the dimensions.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct GroupOrder {
    /// The statistic to sort by.
    pub statistic: Statistic,
    /// Sort direction. Defaults to `DESC`.
    #[graphql(default_with = "Some(OrderDirection::Descending)")]
    pub direction: Option<OrderDirection>,
}

/// The dimension values of a group, in their GraphQL type.
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

/// The conditions on groups, from their input.
///
/// # Errors
/// [`Error::Input`] for a number that is not finite.
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

/// A group of measurements with equal dimension values, and its statistics.
#[derive(Description)]
pub struct MetricGroup {
    /// The group and its statistics.
    pub group: reports::MetricGroup,
    /// The question behind the group.
    pub question: Arc<Question>,
    /// The buckets, if the report was asked for any.
    pub buckets: Option<Buckets>,
    /// The time of the request.
    pub as_of: Timestamp,
}

#[Object(use_type_description)]
impl MetricGroup {
    /// Dimension values of this group, in the order of the argument `groupBy`.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn keys(&self) -> Vec<GroupKeyValue> {
        key_values(&self.group.keys)
    }

    /// The project of the group. Null unless `PROJECT` is a dimension.
    async fn project(&self, context: &Context<'_>) -> Option<Result<Project>> {
        let id = self.group.keys.iter().find_map(|key| match key {
            GroupKey::Project(project) => Some(*project),
            _ => None,
        })?;
        async {
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project))
        }
        .await
        .transpose()
    }

    /// The type of the group. Null unless `TYPE` is a dimension.
    #[graphql(name = "type")]
    async fn kind(&self) -> Option<MetricType> {
        self.group.keys.iter().find_map(|key| match key {
            GroupKey::Type(kind) => Some((*kind).into()),
            _ => None,
        })
    }

    /// The endpoint path of the group. Null unless `ENDPOINT` is a dimension.
    async fn endpoint(&self) -> Option<&str> {
        self.group.keys.iter().find_map(|key| match key {
            GroupKey::Endpoint(path) => Some(path.as_ref()),
            _ => None,
        })
    }

    /// Statistics of the group over the whole window.
    async fn stats(&self) -> One<MetricAggregate> {
        One(self.aggregate())
    }

    /// Statistics of the group over time, in buckets of the length given by the argument `bucket` of `metricGroups`. An
    /// error without that argument.
    #[graphql(directive = sizes::Assumed::apply(1), directive = sizes::Reads::apply(5))]
    async fn buckets(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Treatment of buckets without measurements. Defaults to `NULL`.",
            default_with = "GapFill::Null"
        )]
        fill: GapFill,
    ) -> Result<Rows<MetricBucket>> {
        let Some(buckets) = self.buckets.clone() else {
            return Err(Error::input("bucket", "say how long a bucket is, on metricGroups, to be answered buckets"));
        };
        let want = stats::wants_in_stats(context.field());
        let (parent, question) = (self.group.parent.clone(), Arc::clone(&self.question));
        series::load(request(context)?, parent, question, buckets, fill, want).await
    }
}
