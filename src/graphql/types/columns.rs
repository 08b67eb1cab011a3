//! Series as parallel lists, for charts.

use std::{borrow::Cow, sync::Arc};

use async_graphql::{
    ContextSelectionSet, Object, OutputType, Positioned, ScalarType, ServerResult, Value, parser::types::Field,
    registry::Registry,
};

use super::{
    accuracy::{About, Accuracy},
    groups::{GroupKeyValue, key_values},
    stats::Statistic,
};
use crate::{
    graphql::scalars::{DateTime, Long},
    model::Timestamp,
    reports::{self, Bucket, Filled, GroupKey},
};

/// A list of values that need no resolving: it becomes an answer in one go.
pub struct Column<T>(Vec<T>);

/// A value as it stands in an answer.
trait Cell: OutputType {
    fn value(&self) -> Value;
}

impl Cell for DateTime {
    fn value(&self) -> Value {
        self.to_value()
    }
}

impl Cell for Long {
    fn value(&self) -> Value {
        self.to_value()
    }
}

impl Cell for bool {
    fn value(&self) -> Value {
        Value::Boolean(*self)
    }
}

impl Cell for Option<f64> {
    fn value(&self) -> Value {
        self.map_or(Value::Null, |number| number.to_value())
    }
}

impl<T: Cell> OutputType for Column<T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::List(self.0.iter().map(Cell::value).collect()))
    }
}

/// A series as parallel lists.
pub struct SeriesColumns {
    /// What the measurements have in common.
    pub keys: Vec<GroupKey>,
    /// What was read.
    pub buckets: Arc<[Bucket]>,
    /// What stands for the figures of each bucket.
    pub filled: Vec<Filled>,
    /// About what.
    pub about: About,
    /// How true all of it is.
    pub accuracy: reports::Accuracy,
    /// When it was read.
    pub as_of: Timestamp,
}

impl SeriesColumns {
    fn column<T>(&self, cell: impl Fn(&Bucket) -> T) -> Column<T> {
        Column(self.buckets.iter().map(cell).collect())
    }
}

/// A series as parallel lists, one item per bucket in each. For charts: thousands of points cost as much as a few objects.
#[Object]
impl SeriesColumns {
    /// What the measurements of the series have in common, in the order of `groupBy`.
    async fn keys(&self) -> Vec<GroupKeyValue> {
        key_values(&self.keys)
    }

    /// The first moment of each bucket.
    async fn starts(&self) -> Column<DateTime> {
        self.column(|bucket| DateTime(bucket.range.from()))
    }

    /// Whether each bucket is over and the window has all of it.
    async fn complete(&self) -> Column<bool> {
        self.column(|bucket| bucket.is_whole && bucket.range.to() <= self.as_of)
    }

    /// How many measurements each bucket has.
    async fn counts(&self) -> Column<Long> {
        self.column(|bucket| bucket.stats.tally.count.into())
    }

    /// A figure of each bucket; null where nothing was measured, unless gaps are filled.
    async fn values(
        &self,
        #[graphql(desc = "Which figure.", default_with = "Statistic::P95")] statistic: Statistic,
    ) -> Column<Option<f64>> {
        let statistic = reports::Statistic::from(statistic);
        let figure = |(bucket, filled): (&Bucket, &Filled)| {
            filled.figure(&bucket.stats, |stats| (stats.tally.count > 0).then(|| statistic.of(stats)).flatten())
        };
        Column(self.buckets.iter().zip(&self.filled).map(figure).collect())
    }

    /// How true the figures are, of the whole series.
    async fn accuracy(&self) -> Accuracy {
        Accuracy::new(&self.accuracy, self.about.clone(), self.as_of)
    }
}
