//! Series in columnar form, for charts.

use std::{borrow::Cow, sync::Arc};

use async_graphql::{
    ContextSelectionSet, Description, Object, OutputType, Positioned, ScalarType, ServerResult, Value,
    parser::types::Field, registry::Registry,
};

use super::{
    accuracy::{Accuracy, StatisticsSubject},
    groups::{GroupKeyValue, key_values},
    stats::Statistic,
};
use crate::{
    graphql::{
        scalars::{DateTime, Long},
        sizes,
    },
    model::Timestamp,
    reports::{self, Bucket, FilledBucket, GroupKey},
};

/// A list of scalars, written without resolving its items one by one.
pub struct Column<T>(Vec<T>);

/// A scalar that converts to a response value.
trait ColumnValue: OutputType {
    fn value(&self) -> Value;
}

impl ColumnValue for DateTime {
    fn value(&self) -> Value {
        self.to_value()
    }
}

impl ColumnValue for Long {
    fn value(&self) -> Value {
        self.to_value()
    }
}

impl ColumnValue for bool {
    fn value(&self) -> Value {
        Value::Boolean(*self)
    }
}

impl ColumnValue for Option<f64> {
    fn value(&self) -> Value {
        self.map_or(Value::Null, |number| number.to_value())
    }
}

impl<T: ColumnValue> OutputType for Column<T> {
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
        Ok(Value::List(self.0.iter().map(ColumnValue::value).collect()))
    }
}

/// One series in columnar form, for charts: `starts[i]`, `ends[i]`, `isComplete[i]`, `counts[i]` and `values[i]` belong to
/// bucket i.
#[derive(Description)]
pub struct SeriesColumns {
    /// The values of the group's dimensions.
    pub keys: Vec<GroupKey>,
    /// The buckets as they were read.
    pub buckets: Arc<[Bucket]>,
    /// The source of each bucket's statistics.
    pub filled: Vec<FilledBucket>,
    /// The subject of the statistics.
    pub about: StatisticsSubject,
    /// The accuracy of the whole series.
    pub accuracy: reports::Accuracy,
    /// The time of the request.
    pub as_of: Timestamp,
}

impl SeriesColumns {
    fn column<T>(&self, cell: impl Fn(&Bucket) -> T) -> Column<T> {
        Column(self.buckets.iter().map(cell).collect())
    }

    fn is_complete_column(&self) -> Column<bool> {
        self.column(|bucket| bucket.is_whole && bucket.range.to() <= self.as_of)
    }
}

#[Object(use_type_description)]
impl SeriesColumns {
    /// Dimension values of the series, in the order of the argument `groupBy`. Empty without it.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn keys(&self) -> Vec<GroupKeyValue> {
        key_values(&self.keys)
    }

    /// Unit of the measurements, and of `values` of all statistics but `COUNT` and `ERROR_RATE`: `ms`, `%`, or empty for
    /// `CUSTOM`. Null if types of different units are mixed.
    async fn unit(&self) -> Option<&'static str> {
        self.about.unit()
    }

    /// Start of each bucket, inclusive.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn starts(&self) -> Column<DateTime> {
        self.column(|bucket| DateTime(bucket.range.from()))
    }

    /// End of each bucket, exclusive. In a time zone, a day on which clocks change has 23 or 25 hours.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn ends(&self) -> Column<DateTime> {
        self.column(|bucket| DateTime(bucket.range.to()))
    }

    /// For each bucket, true if it has ended and lies entirely within the window.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn is_complete(&self) -> Column<bool> {
        self.is_complete_column()
    }

    /// The former name of `isComplete`.
    #[graphql(deprecation = "Use `isComplete`.", directive = sizes::Assumed::apply(1))]
    async fn complete(&self) -> Column<bool> {
        self.is_complete_column()
    }

    /// Number of measurements in each bucket.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn counts(&self) -> Column<Long> {
        self.column(|bucket| bucket.stats.tally.count.into())
    }

    /// One statistic of each bucket. Null for buckets without measurements, unless the argument `fill` of
    /// `metricColumns` fills them.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn values(
        &self,
        #[graphql(desc = "The statistic to return. Defaults to `P95`.", default_with = "Statistic::P95")]
        statistic: Statistic,
    ) -> Column<Option<f64>> {
        let statistic = reports::Statistic::from(statistic);
        let figure = |(bucket, filled): (&Bucket, &FilledBucket)| {
            filled.figure(&bucket.stats, |stats| (stats.tally.count > 0).then(|| statistic.of(stats)).flatten())
        };
        Column(self.buckets.iter().zip(&self.filled).map(figure).collect())
    }

    /// Precision and source of the whole series.
    async fn accuracy(&self) -> Accuracy {
        Accuracy::new(&self.accuracy, self.about.clone(), self.as_of)
    }
}
