//! Lists of single measurements.

use std::sync::Arc;

use async_graphql::{Enum, InputObject, Object, SimpleObject};

use super::{connection::PageInfo, metric::Metric, order::OrderDirection};
use crate::{
    graphql::cursor::metric::encode,
    model::order::Sort,
    reports::{self, RowOrder, RowPage},
};

/// What measurements can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::RowOrder")]
pub enum MetricOrderField {
    /// When they happened. Any page costs no more than its rows.
    Timestamp,
    /// The measured value. All measurements of the window are looked at.
    Value,
}

/// How measurements are ordered; equals by their ids, the same way.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct MetricOrder {
    /// By what.
    pub field: MetricOrderField,
    /// Which way.
    #[graphql(default_with = "OrderDirection::Descending")]
    pub direction: OrderDirection,
}

/// A page of measurements.
pub struct MetricConnection {
    /// What was read.
    pub page: Arc<RowPage>,
    /// By what they are ordered.
    pub order: RowOrder,
    /// Which way.
    pub sort: Sort,
    /// Whether the page begins behind a cursor.
    pub has_previous: bool,
}

/// A measurement in a list.
#[derive(SimpleObject)]
pub struct MetricEdge {
    /// Where the measurement stands, for `after`.
    cursor: String,
    /// The measurement.
    node: Metric,
}

impl MetricConnection {
    fn cursor(&self, place: usize) -> Option<String> {
        let (key, measurement) = self.page.rows.get(place)?;
        Some(encode(self.order, self.sort, self.order.place(key, measurement)))
    }

    fn metrics(&self) -> impl Iterator<Item = Metric> {
        self.page.rows.iter().map(|(key, measurement)| Metric {
            id: key.id,
            project: key.project,
            measurement: measurement.clone(),
        })
    }
}

/// A page of measurements. How many there are in all, `metricStats` says at no cost.
#[Object]
impl MetricConnection {
    /// The measurements with their cursors.
    async fn edges(&self) -> Vec<MetricEdge> {
        let edge = |(place, node)| Some(MetricEdge { cursor: self.cursor(place)?, node });
        self.metrics().enumerate().filter_map(edge).collect()
    }

    /// The measurements alone.
    async fn nodes(&self) -> Vec<Metric> {
        self.metrics().collect()
    }

    /// Where this page stands in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.page.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.cursor(0),
            end_cursor: self.page.rows.len().checked_sub(1).and_then(|last| self.cursor(last)),
        }
    }
}
