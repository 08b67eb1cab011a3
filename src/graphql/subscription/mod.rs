//! The streams, one file for each thing that can be watched.

mod entity_changed;
mod metric_stream;
mod metric_window;
mod slowest_endpoints;

use async_graphql::MergedSubscription;

use entity_changed::EntityChangedSubscription;
use metric_stream::MetricStreamSubscription;
use metric_window::MetricWindowSubscription;
use slowest_endpoints::SlowestEndpointsSubscription;

/// Everything that can be watched.
#[derive(Default, MergedSubscription)]
#[graphql(name = "Subscription")]
pub struct LiveSubscription(
    MetricStreamSubscription,
    MetricWindowSubscription,
    SlowestEndpointsSubscription,
    EntityChangedSubscription,
);
