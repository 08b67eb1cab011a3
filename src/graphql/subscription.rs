//! The subscriptions, one file each.

mod entity_changed;
mod metric_stream;
mod metric_window;
mod slowest_endpoints;

use async_graphql::MergedSubscription;

use entity_changed::EntityChangedSubscription;
use metric_stream::MetricStreamSubscription;
use metric_window::MetricWindowSubscription;
use slowest_endpoints::SlowestEndpointsSubscription;

/// Entry points for live data, over WebSocket, server-sent events or multipart responses.
#[derive(Default, MergedSubscription)]
#[graphql(name = "Subscription")]
pub struct LiveSubscription(
    MetricStreamSubscription,
    MetricWindowSubscription,
    SlowestEndpointsSubscription,
    EntityChangedSubscription,
);
