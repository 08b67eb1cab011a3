//! The streams, one file for each thing that can be watched.

mod metric_stream;

use async_graphql::MergedSubscription;

use metric_stream::MetricStreamSubscription;

/// Everything that can be watched.
#[derive(Default, MergedSubscription)]
#[graphql(name = "Subscription")]
pub struct LiveSubscription(MetricStreamSubscription);
