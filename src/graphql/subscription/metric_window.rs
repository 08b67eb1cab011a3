//! `metricWindow`: figures about the last so long, moved on every so often.

use std::sync::Arc;

use async_graphql::{Context, Subscription};
use tokio_stream::{Stream, StreamExt};

use crate::{
    engine::watch::Opening,
    error::Result,
    graphql::{
        context::request,
        scalars::{Duration, StreamCursor},
        types::{
            filter::{self, StreamFilter},
            groups::MetricGroupKey,
            window::{self, LiveWindow},
        },
    },
    live::window::WindowRequest,
    reports::{Projects, Question},
};

/// What binds cursors to this stream.
const STREAM: &str = "metricWindow";

/// Figures about the last so long.
#[derive(Default)]
pub struct MetricWindowSubscription;

#[Subscription]
impl MetricWindowSubscription {
    /// Figures about the last so long, moved on every so often: the current state at once, then each new one. A slow
    /// client gets the latest and none of those before it. Windows end at multiples of `every` in UTC; late measurements
    /// revise a window for some seconds, and count in every later one that they belong to in any case.
    async fn metric_window<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "Which measurements. It must stay within one organization.")] filter: StreamFilter,
        #[graphql(desc = "How long the window is, at most a day unless the server is set otherwise.")] window: Duration,
        #[graphql(
            desc = "How often it moves on. The steps that both lengths have in common must not be too many: a window of an hour moves every 6 seconds at the quickest.",
            default_with = "Duration(WindowRequest::EVERY_DEFAULT)"
        )]
        every: Duration,
        #[graphql(desc = "What the measurements are told apart by; not at all when left out.")] group_by: Option<
            Vec<MetricGroupKey>,
        >,
        #[graphql(
            desc = "Push no window before everything up to this cursor is counted: whoever recorded metrics sees them in the first one."
        )]
        after: Option<StreamCursor>,
    ) -> Result<impl Stream<Item = Result<LiveWindow>> + 'a> {
        let request = Arc::clone(request(context)?);
        let filter = filter::stream(filter)?;
        let (projects, kinds) = (filter.projects.clone(), filter.kinds.clone());
        let purpose = filter.purpose(request.scope(), STREAM);
        let after = after.map(|after| request.services.cursors.unseal(purpose, &after.0)).transpose()?;
        let after = after.and_then(|after| after.positions.last());
        let group_by = window::group_by(group_by.unwrap_or_default())?;
        let want = window::wants(context.field());
        let asked = WindowRequest { filter, length: window.0, every: every.0, group_by, after };
        let windows = request.services.windows.watch(request.scope(), asked).await?;
        request.course()?.open(Opening::State);
        Ok(windows.map(move |window| {
            request.renew_loaders();
            let window = window?;
            let projects = match projects.as_slice() {
                [] => Projects::Organizations(vec![window.cursor.organization]),
                named => Projects::Keys(named.to_vec()),
            };
            let question = Question { projects, kinds: kinds.clone(), ..Question::over(window.range) };
            let cursor = request.services.cursors.seal(purpose, &window.cursor.into());
            Ok(LiveWindow { window, question: Arc::new(question), want, cursor: StreamCursor(cursor.into()) })
        }))
    }
}
