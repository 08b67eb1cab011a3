//! Lists of raw measurements.

use std::sync::Arc;

use async_graphql::{Description, Enum, InputObject, Object, SimpleObject};

use super::{connection::PageInfo, metric::Metric, order::OrderDirection};
use crate::{
    model::order::Sort,
    reports::{self, MeasurementOrder, MeasurementPage, measurements::cursor},
};

/// A field that measurements can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::MeasurementOrder")]
pub enum MetricOrderField {
    /// Sorts by the time of the measurement. Fast for windows of any length.
    Timestamp,
    /// Sorts by the measured value. Slow for long windows: every measurement is read.
    Value,
}

/// Sort key of a list of measurements. Ties are broken by id, in the same direction.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct MetricOrder {
    /// Field to sort by.
    pub field: MetricOrderField,
    /// Sort direction. Defaults to `DESC`.
    #[graphql(default_with = "Some(OrderDirection::Descending)")]
    pub direction: Option<OrderDirection>,
}

/// A page of measurements. It has no `totalCount`: `metricStats` counts measurements cheaply.
#[derive(Description)]
pub struct MetricConnection {
    /// The rows of the page.
    pub page: Arc<MeasurementPage>,
    /// The field that the list is sorted by.
    pub order: MeasurementOrder,
    /// Sort direction. Defaults to `DESC`.
    pub sort: Sort,
    /// True if the page begins after a cursor.
    pub has_previous: bool,
}

/// A measurement in a list, with its cursor.
#[derive(SimpleObject)]
pub struct MetricEdge {
    /// Position of the measurement, to be used as `after`.
    cursor: String,
    /// The measurement itself.
    node: Metric,
}

impl MetricConnection {
    fn cursor(&self, place: usize) -> Option<String> {
        let (key, measurement) = self.page.rows.get(place)?;
        Some(cursor::encode(self.order, self.sort, self.order.position(key, measurement)))
    }

    fn metrics(&self) -> impl Iterator<Item = Metric> {
        self.page.rows.iter().map(|(key, measurement)| Metric {
            id: key.id,
            project: key.project,
            measurement: measurement.clone(),
        })
    }
}

#[Object(use_type_description)]
impl MetricConnection {
    /// The measurements of this page with their cursors.
    async fn edges(&self) -> Vec<MetricEdge> {
        let edge = |(place, node)| Some(MetricEdge { cursor: self.cursor(place)?, node });
        self.metrics().enumerate().filter_map(edge).collect()
    }

    /// The measurements of this page.
    async fn nodes(&self) -> Vec<Metric> {
        self.metrics().collect()
    }

    /// Position of this page in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.page.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.cursor(0),
            end_cursor: self.page.rows.len().checked_sub(1).and_then(|last| self.cursor(last)),
        }
    }
}
