//! `metricStream`: measurements as they are committed.

use std::sync::Arc;

use async_graphql::{Context, Enum, SimpleObject, Subscription};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{
    engine::watch::{Overflow, Segment, StreamKind},
    error::Result,
    graphql::{
        RequestContext,
        context::request,
        scalars::{Duration, Long, StreamCursor},
        sizes,
        types::{
            filter::{self, StreamFilter},
            metric::Metric,
        },
    },
    live::{self, CursorPurpose, StreamEvent, StreamPacing, StreamSource},
    model::CommitPositions,
};

/// The name that ties cursors to this stream.
const STREAM: &str = "metricStream";

/// The measurements committed between two cursors of a metric stream.
#[derive(SimpleObject)]
pub struct MetricStreamEvent {
    /// Position after this event. Pass it as `after` to resume here, on any server.
    pub cursor: StreamCursor,
    /// Matching measurements in commit order. Empty in a heartbeat event, which only advances `cursor`.
    #[graphql(directive = sizes::Assumed::apply(1))]
    pub metrics: Vec<Metric>,
    /// Measurements since the previous event that could not be delivered. Null if none are missing.
    pub gap: Option<StreamGap>,
    /// True if every measurement committed so far has been delivered; false while earlier ones are still being sent.
    pub is_caught_up: bool,
    /// The former name of `isCaughtUp`.
    #[graphql(deprecation = "Use `isCaughtUp`.")]
    pub caught_up: bool,
}

/// A range of a metric stream that could not be delivered.
#[derive(SimpleObject)]
pub struct StreamGap {
    /// Position before the first missing measurement.
    pub start: StreamCursor,
    /// Position after the last missing measurement. Resume here to skip the gap.
    pub end: StreamCursor,
    /// Number of missing measurements. With the reason `RETENTION`, an upper bound: it counts all removed measurements
    /// of the selected projects, including those that the filter would not match. Null if unknown (after 14 days by
    /// default).
    pub missed: Option<Long>,
    /// Reason for the gap.
    pub reason: GapReason,
    /// True if a stream that resumes after `start` delivers the measurements.
    pub is_recoverable: bool,
    /// The former name of `start`.
    #[graphql(deprecation = "Use `start`.")]
    pub from: StreamCursor,
    /// The former name of `end`.
    #[graphql(deprecation = "Use `end`.")]
    pub to: StreamCursor,
    /// The former name of `isRecoverable`.
    #[graphql(deprecation = "Use `isRecoverable`.")]
    pub recoverable: bool,
}

impl StreamGap {
    fn new(start: Arc<str>, end: Arc<str>, missed: Option<u64>, reason: live::GapReason) -> Self {
        let (start, end) = (StreamCursor(start), StreamCursor(end));
        let is_recoverable = reason.is_recoverable();
        Self {
            start: start.clone(),
            end: end.clone(),
            missed: missed.map(Long::from),
            reason: reason.into(),
            is_recoverable,
            from: start,
            to: end,
            recoverable: is_recoverable,
        }
    }
}

/// The reason for a gap in a metric stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "live::GapReason")]
pub enum GapReason {
    /// Raw measurements of that time are no longer kept (7 days by default). Aggregates still contain them.
    Retention,
    /// The client received events too slowly, and its `overflow` is `COALESCE`: the events were skipped.
    SlowConsumer,
}

/// Treatment of events that a client receives too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Overflow")]
pub enum OverflowPolicy {
    /// Reads the events again from the database: late, but complete.
    Replay,
    /// Skips the events. `gap` reports the number of measurements skipped.
    #[graphql(name = "COALESCE")]
    Skip,
    /// Ends the stream. A WebSocket is closed with code 4429; the reason contains the last cursor.
    Close,
}

/// Subscription to measurements as they are committed.
#[derive(Default)]
pub struct MetricStreamSubscription;

#[Subscription]
impl MetricStreamSubscription {
    /// Streams measurements in commit order as they are recorded. By default, measurements that a slow client missed
    /// are read again from the database; see `overflow`. Measurements that cannot be delivered are reported as a gap.
    #[graphql(directive = sizes::Replayed::apply())]
    async fn metric_stream<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "The measurements to deliver. An error if they span more than 100 organizations.")]
        filter: StreamFilter,
        #[graphql(
            name = "after",
            desc = "Resumes after this cursor: measurements committed since then are delivered first. With a cursor \
                    from `ingestMetrics`, the filter must select one organization by its id or slug, or by \
                    its projects."
        )]
        _after: Option<StreamCursor>,
        #[graphql(
            desc = "Maximum number of measurements in one event (1 to 1,000; default 100).",
            default_with = "StreamPacing::BATCH_DEFAULT"
        )]
        max_batch: i32,
        #[graphql(
            desc = "Maximum time that a measurement waits for others to share its event (up to `PT60S`; default \
                    `PT0.25S`). The first measurement after a pause is sent at once.",
            default_with = "Duration(StreamPacing::DELAY_DEFAULT_MICROS)"
        )]
        max_delay: Duration,
        #[graphql(
            desc = "Treatment of events that this client receives too slowly. Defaults to `REPLAY`.",
            default_with = "OverflowPolicy::Replay"
        )]
        overflow: OverflowPolicy,
    ) -> Result<BoxStream<'a, Result<MetricStreamEvent>>> {
        let request = Arc::clone(request(context)?);
        let (filter, named) = filter::stream(&request, filter).await?;
        let pacing = StreamPacing::requested(&request.services.live, max_batch, max_delay.0)?;
        let purpose = filter.purpose(request.scope(), STREAM);
        let seal = Seal { request, purpose };
        let (request, services) = (&seal.request, &seal.request.services);
        let source = StreamSource { database: services.database.clone(), publisher: services.publisher.clone() };
        // The segment contains the position at which a client resumes: identical subscriptions share an execution, so the
        // engine removed the position from its arguments.
        match request.execution()?.segment.clone() {
            Segment::Live => {
                let (start, events) = match live::stream::tail(request.scope(), source, filter, pacing).await {
                    Ok(opened) => opened,
                    Err(error) => return Err(named.explain(request, error).await),
                };
                let cursor = seal.text(&start);
                request.execution()?.open(StreamKind::Resumable { start, cursor, overflow: overflow.into() });
                let request = Arc::clone(request);
                Ok(named.while_unchanged(request, events.map(move |event| seal.event(event?))))
            }
            Segment::Replay { after, until } => {
                let after = services.cursors.unseal(purpose, &after.text)?;
                let events =
                    live::stream::replay(request.scope(), source, filter, after, &until, pacing.batch_max).await?;
                Ok(events.map(move |event| seal.event(event?)).boxed())
            }
            Segment::Skipped { from, to, missed } => {
                let gap = StreamGap::new(from, Arc::clone(&to), Some(missed), live::GapReason::SlowConsumer);
                let note = MetricStreamEvent {
                    cursor: StreamCursor(to),
                    metrics: Vec::new(),
                    gap: Some(gap),
                    is_caught_up: false,
                    caught_up: false,
                };
                Ok(stream::iter([Ok(note)]).boxed())
            }
        }
    }
}

/// Converts stream events to their GraphQL type and seals their cursors.
struct Seal {
    request: Arc<RequestContext>,
    purpose: CursorPurpose,
}

impl Seal {
    fn text(&self, positions: &CommitPositions) -> Arc<str> {
        self.request.services.cursors.seal(self.purpose, positions).into()
    }

    fn event(&self, event: StreamEvent) -> Result<MetricStreamEvent> {
        let StreamEvent { from, to, metrics, gap, caught_up } = event;
        self.request.renew_loaders();
        let cursor = self.text(&to);
        self.request.execution()?.mark(&from, &to, &cursor, metrics.len() as u64);
        let gap = gap.map(|gap| StreamGap::new(self.text(&gap.from), self.text(&gap.to), gap.missed, gap.reason));
        let metrics = metrics.into_iter().map(Metric::from).collect();
        Ok(MetricStreamEvent { cursor: StreamCursor(cursor), metrics, gap, is_caught_up: caught_up, caught_up })
    }
}
