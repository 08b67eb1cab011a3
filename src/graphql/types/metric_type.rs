//! The type of a measurement, which inputs, filters and results name, with its unit and direction.

use async_graphql::{Enum, Object, SimpleObject};

use crate::{graphql::sizes, model};

/// The direction in which values get better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::GoodDirection")]
pub enum MetricDirection {
    /// Lower values are better, as of durations.
    #[graphql(name = "LOWER_IS_BETTER")]
    Lower,
    /// Higher values are better, as of hit rates.
    #[graphql(name = "HIGHER_IS_BETTER")]
    Higher,
}

/// The type of a measurement, which determines its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::MetricType")]
pub enum MetricType {
    /// Time until a page was usable, in milliseconds.
    PageLoad,
    /// Time until an API responded, in milliseconds.
    ApiResponse,
    /// Duration of a database query, in milliseconds.
    Database,
    /// Share of cache lookups that were hits, in percent (0 to 100). Higher is better.
    CacheHit,
    /// Any other measurement, in a unit chosen by the sender.
    Custom,
}

/// A type of measurement with the properties of its values.
#[derive(SimpleObject)]
pub struct MetricTypeInfo {
    /// The type that the other fields describe.
    #[graphql(name = "type")]
    kind: MetricType,
    /// Unit of the values: `ms`, `%`, or empty for `CUSTOM`, whose unit the sender chooses.
    unit: &'static str,
    /// Direction in which the values get better. Null for `CUSTOM`, about which only the sender knows.
    direction: Option<MetricDirection>,
    /// Largest value that is accepted; the smallest is 0. Larger values are rejected.
    max_value: f64,
}

/// Queries of metric types.
#[derive(Default)]
pub struct MetricTypeQuery;

#[Object]
impl MetricTypeQuery {
    /// Lists every type of measurement with its unit and the direction in which its values get better.
    #[graphql(directive = sizes::Assumed::apply(5))]
    async fn metric_types(&self) -> Vec<MetricTypeInfo> {
        let info = |kind: model::MetricType| MetricTypeInfo {
            kind: kind.into(),
            unit: kind.unit(),
            direction: kind.good_direction().map(MetricDirection::from),
            max_value: kind.value_max(),
        };
        model::MetricType::ALL.into_iter().map(info).collect()
    }
}
