//! `metricStream`: measurements as they are committed.

use std::sync::Arc;

use async_graphql::{Context, SimpleObject, Subscription};
use tokio_stream::{Stream, StreamExt};

use crate::{
    error::Result,
    graphql::{
        context::request,
        scalars::StreamCursor,
        types::{
            filter::{self, StreamFilter},
            metric::Metric,
        },
    },
    live,
};

/// What was committed together.
#[derive(SimpleObject)]
pub struct MetricStreamEvent {
    /// Where the stream stands after this event: open it again with `after` to go on from here.
    pub cursor: StreamCursor,
    /// The measurements that passed the filter, in the order of the commit.
    pub metrics: Vec<Metric>,
}

/// Measurements as they are committed.
#[derive(Default)]
pub struct MetricStreamSubscription;

#[Subscription]
impl MetricStreamSubscription {
    /// Measurements as they are committed. Nothing is lost silently: what a slow client missed is read again from the
    /// database.
    async fn metric_stream<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "Which measurements.")] filter: StreamFilter,
        #[graphql(
            desc = "Go on after this cursor: what was committed since then comes first. The filter must stay within one organization."
        )]
        after: Option<StreamCursor>,
    ) -> Result<impl Stream<Item = Result<MetricStreamEvent>> + 'a> {
        let request = Arc::clone(request(context)?);
        let services = &request.services;
        let filter = filter::stream(filter)?;
        let after = after.map(|cursor| cursor.0);
        let events =
            live::stream::open(request.scope(), services.database.clone(), &services.publisher, filter, after).await?;
        Ok(events.map(move |event| {
            let event = event?;
            request.renew_loaders();
            Ok(MetricStreamEvent {
                cursor: StreamCursor(event.cursor),
                metrics: event.metrics.into_iter().map(Metric::from).collect(),
            })
        }))
    }
}
