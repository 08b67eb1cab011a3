//! `metricWindow`: statistics over a sliding window, pushed each time the window advances.

use std::sync::Arc;

use async_graphql::{Context, Subscription};
use futures_util::stream::BoxStream;
use tokio_stream::StreamExt;

use crate::{
    engine::watch::StreamKind,
    error::Result,
    graphql::{
        context::request,
        scalars::{Duration, StreamCursor},
        sizes,
        types::{
            filter::{self, StreamFilter},
            groups::MetricGroupKey,
            window::{self, LiveWindow},
        },
    },
    live::window::WindowRequest,
    reports::{Projects, Question},
};

/// The name that ties cursors to this stream.
const STREAM: &str = "metricWindow";

/// Subscription to statistics over a sliding window.
#[derive(Default)]
pub struct MetricWindowSubscription;

#[Subscription]
impl MetricWindowSubscription {
    /// Statistics over a sliding window: the current window at once, then a new one each time it advances. Windows end
    /// at multiples of `every` in UTC. A slow client receives the latest window and skips those before it. Measurements
    /// that arrive up to 5 seconds after the end of a window revise it; later ones count in every following window that
    /// covers them.
    #[graphql(directive = sizes::Resumed::apply())]
    async fn metric_window<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "The measurements to watch. Must select one organization by its id or slug, or by its \
                    projects, unless the caller can access only one.")]
        filter: StreamFilter,
        #[graphql(desc = "Length of the window, for example `PT5M` (up to `PT24H`).")] window: Duration,
        #[graphql(
            desc = "Interval between two windows, from `PT0.5S` up to the length of the window. Defaults to `PT1S`, or \
                    to the next longer round interval that fits the window: `PT10S` for one hour, `PT5M` for a day. An \
                    error if `window / gcd(window, every)` exceeds 600. An interval that divides `window` into at \
                    most 600 parts is always allowed, such as `PT6S` for one hour."
        )]
        every: Option<Duration>,
        #[graphql(
            desc = "Dimensions to group by: `PROJECT`, `TYPE`, `ENDPOINT` and `STATUS_CODE`. Defaults to one group of \
                    all measurements."
        )]
        group_by: Option<Vec<MetricGroupKey>>,
        #[graphql(
            desc = "Delays the first window until it counts every commit up to this cursor. With the cursor from \
                    `ingestMetrics` the first window contains the measurements just recorded."
        )]
        after: Option<StreamCursor>,
    ) -> Result<BoxStream<'a, Result<LiveWindow>>> {
        let request = Arc::clone(request(context)?);
        let (filter, named) = filter::stream(&request, filter).await?;
        let (projects, kinds) = (filter.projects.clone(), filter.kinds.clone());
        let purpose = filter.purpose(request.scope(), STREAM);
        let after = after.map(|after| request.services.cursors.unseal(purpose, &after.0)).transpose()?;
        let after = after.and_then(|after| after.positions.last());
        let group_by = window::group_by(group_by.unwrap_or_default())?;
        let want = window::wants(context.field());
        let pace = || WindowRequest::pace(window.0, WindowRequest::EVERY_DEFAULT, &request.services.live);
        let every = every.map_or_else(pace, |every| every.0);
        let asked = WindowRequest { filter, length: window.0, every, group_by, after };
        let windows = match request.services.windows.watch(request.scope(), asked).await {
            Ok(windows) => windows,
            Err(error) => return Err(named.explain(&request, error).await),
        };
        request.execution()?.open(StreamKind::Snapshots);
        let renewed = Arc::clone(&request);
        let windows = windows.map(move |window| {
            request.renew_loaders();
            let window = window?;
            let projects = match projects.as_slice() {
                [] => Projects::Organizations(vec![window.cursor.organization]),
                named => Projects::Keys(named.to_vec()),
            };
            let question = Question { projects, kinds: kinds.clone(), ..Question::over(window.range) };
            let cursor: Arc<str> = request.services.cursors.seal(purpose, &window.cursor.into()).into();
            request.execution()?.mark_cursor(Arc::clone(&cursor));
            Ok(LiveWindow { window, question: Arc::new(question), want, cursor: StreamCursor(cursor) })
        });
        Ok(named.while_unchanged(renewed, windows))
    }
}
