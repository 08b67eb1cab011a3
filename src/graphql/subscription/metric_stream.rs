//! `metricStream`: measurements as they are committed.

use std::sync::Arc;

use async_graphql::{Context, Enum, SimpleObject, Subscription};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{
    engine::watch::{Opening, Overflow, Part},
    error::Result,
    graphql::{
        RequestContext,
        context::request,
        scalars::{Duration, Long, StreamCursor},
        types::{
            filter::{self, StreamFilter},
            metric::Metric,
        },
    },
    live::{self, CursorPurpose, StreamEvent, StreamPacing, StreamSource},
    model::Positions,
};

/// What binds cursors to this stream.
const STREAM: &str = "metricStream";

/// What was committed between two cursors.
#[derive(SimpleObject)]
pub struct MetricStreamEvent {
    /// Where the stream stands after this event: open it again with `after` to go on from here, on any instance.
    pub cursor: StreamCursor,
    /// The measurements that passed the filter, in the order of commits. None in a sign of life, which says how far the
    /// stream is although nothing passed.
    pub metrics: Vec<Metric>,
    /// What could not be delivered since the event before; null when nothing is missing.
    pub gap: Option<StreamGap>,
    /// Whether everything that was committed by now has been delivered; false while older measurements are still coming.
    pub caught_up: bool,
}

/// Measurements that a stream could not deliver.
#[derive(SimpleObject)]
pub struct StreamGap {
    /// Where it begins.
    pub from: StreamCursor,
    /// Where it ends.
    pub to: StreamCursor,
    /// How many measurements are missing. For those that are no longer kept nobody knows whether they would have passed
    /// the filter's types, endpoints and values, so all of its projects count; null where not even that is known any
    /// more.
    pub missed: Option<Long>,
    /// Why they are missing.
    pub reason: GapReason,
    /// Whether they can still be had, by opening the stream again after `from`.
    pub recoverable: bool,
}

/// Why a stream could not deliver something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "live::GapReason")]
pub enum GapReason {
    /// It is no longer kept one by one; aggregates still hold it.
    Retention,
    /// The client was slower than the stream and had asked for `COALESCE`.
    SlowConsumer,
}

/// What becomes of events that a client is too slow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Overflow")]
pub enum OverflowPolicy {
    /// They are read again from the database: late, but complete.
    Replay,
    /// They are left out, and `gap` says how many measurements that were.
    #[graphql(name = "COALESCE")]
    Skip,
    /// The stream ends: a WebSocket with 4429 and the last cursor in the reason.
    Close,
}

/// Measurements as they are committed.
#[derive(Default)]
pub struct MetricStreamSubscription;

#[Subscription]
impl MetricStreamSubscription {
    /// Measurements as they are committed, in the order of commits. Nothing is lost silently: what a slow client missed
    /// is read again from the database, and what cannot be had any more is told as a gap.
    async fn metric_stream<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "Which measurements.")] filter: StreamFilter,
        #[graphql(
            name = "after",
            desc = "Go on after this cursor: what was committed since then comes first. One that answered a submission needs a filter within one organization."
        )]
        _after: Option<StreamCursor>,
        #[graphql(desc = "Measurements of one event at most.", default_with = "StreamPacing::BATCH_DEFAULT")] max_batch: i32,
        #[graphql(
            desc = "How long a measurement may wait for others to share an event; after a pause it waits for none.",
            default_with = "Duration(StreamPacing::DELAY_DEFAULT_MICROS)"
        )]
        max_delay: Duration,
        #[graphql(
            desc = "What becomes of events that this client is too slow for.",
            default_with = "OverflowPolicy::Replay"
        )]
        overflow: OverflowPolicy,
    ) -> Result<BoxStream<'a, Result<MetricStreamEvent>>> {
        let request = Arc::clone(request(context)?);
        let filter = filter::stream(filter)?;
        let pacing = StreamPacing::requested(&request.services.live, max_batch, max_delay.0)?;
        let purpose = filter.purpose(request.scope(), STREAM);
        let seal = Seal { request, purpose };
        let (request, services) = (&seal.request, &seal.request.services);
        let source = StreamSource { database: services.database.clone(), publisher: services.publisher.clone() };
        // Where a client resumes is in the part: the engine has taken it out of what identical subscriptions share.
        match request.course()?.part.clone() {
            Part::Tail => {
                let (start, events) = live::stream::tail(request.scope(), source, filter, pacing).await?;
                let cursor = seal.text(&start);
                request.course()?.open(Opening::Places { start, cursor, overflow: overflow.into() });
                Ok(events.map(move |event| seal.event(event?)).boxed())
            }
            Part::Stretch { after, until } => {
                let after = services.cursors.unseal(purpose, &after)?;
                let events =
                    live::stream::replay(request.scope(), source, filter, after, &until, pacing.batch_max).await?;
                Ok(events.map(move |event| seal.event(event?)).boxed())
            }
            Part::Skip { from, to, missed } => {
                let gap = StreamGap {
                    from: StreamCursor(from),
                    to: StreamCursor(Arc::clone(&to)),
                    missed: Some(missed.into()),
                    reason: GapReason::SlowConsumer,
                    recoverable: live::GapReason::SlowConsumer.is_recoverable(),
                };
                let note = MetricStreamEvent {
                    cursor: StreamCursor(to),
                    metrics: Vec::new(),
                    gap: Some(gap),
                    caught_up: false,
                };
                Ok(stream::iter([Ok(note)]).boxed())
            }
        }
    }
}

/// Turns events into what clients see.
struct Seal {
    request: Arc<RequestContext>,
    purpose: CursorPurpose,
}

impl Seal {
    fn text(&self, positions: &Positions) -> Arc<str> {
        self.request.services.cursors.seal(self.purpose, positions).into()
    }

    fn event(&self, event: StreamEvent) -> Result<MetricStreamEvent> {
        let StreamEvent { from, to, metrics, gap, caught_up } = event;
        self.request.renew_loaders();
        let cursor = self.text(&to);
        self.request.course()?.mark(&from, &to, &cursor, metrics.len() as u64);
        let gap = gap.map(|gap| StreamGap {
            from: StreamCursor(self.text(&gap.from)),
            to: StreamCursor(self.text(&gap.to)),
            missed: gap.missed.map(Long::from),
            reason: gap.reason.into(),
            recoverable: gap.reason.is_recoverable(),
        });
        let metrics = metrics.into_iter().map(Metric::from).collect();
        Ok(MetricStreamEvent { cursor: StreamCursor(cursor), metrics, gap, caught_up })
    }
}
