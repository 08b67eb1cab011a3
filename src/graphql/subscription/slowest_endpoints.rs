//! The subscription `slowestEndpoints`: a ranking over a sliding window.

use std::sync::Arc;

use async_graphql::{Context, Subscription};
use futures_util::stream::BoxStream;
use tokio_stream::StreamExt;

use crate::{
    db::StatementLog,
    engine::{rows::Rows, spelling, watch::StreamKind},
    error::Result,
    graphql::{
        context::{RequestContext, request},
        scalars::Duration,
        selection, sizes,
        types::{
            endpoint::EndpointStats,
            filter::{self, StreamFilter},
            stats::{self, Statistic},
        },
    },
    live::window::{LiveWindow, WindowRequest},
    model::{EndpointId, Key, MetricType},
    reports::{self, Projects, Question, Slowest, StatisticsNeeded, Stats, slowest},
};

/// Subscription to the ranking of the slowest endpoints.
#[derive(Default)]
pub struct SlowestEndpointsSubscription;

#[Subscription]
impl SlowestEndpointsSubscription {
    /// Ranks the slowest endpoints over a sliding window, by the rules of `Query.slowestEndpoints`: sends the current
    /// ranking at once, then a new one each time the window advances. A slow client receives the latest ranking and
    /// skips those before it.
    #[graphql(directive = sizes::Ranking::apply(), directive = sizes::LiveWindow::apply())]
    async fn slowest_endpoints<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "The measurements to watch. Must select one organization by its id or slug, or by its \
                    projects, unless the caller can access only one.")]
        filter: StreamFilter,
        #[graphql(
            desc = "Length of the window (up to `PT24H`; default `PT5M`).",
            default_with = "Duration(WindowRequest::RANKING_LENGTH_DEFAULT)"
        )]
        window: Duration,
        #[graphql(
            desc = "Interval between two rankings, from `PT0.5S` up to the length of the window. Defaults to `PT2S`, or \
                    to the next longer round interval that fits the window: `PT10S` for one hour, `PT5M` for a day. An \
                    error if `window / gcd(window, every)` exceeds 600. An interval that divides `window` into at \
                    most 600 parts is always allowed, such as `PT6S` for one hour."
        )]
        every: Option<Duration>,
        #[graphql(desc = "Returns at most this many endpoints (1 to 100; default 10).")] first: Option<i32>,
        #[graphql(desc = "The former name of `first`.", deprecation = "Use `first`.")] limit: Option<i32>,
        #[graphql(
            desc = "Statistic to rank by. Every statistic is allowed. Defaults to `P95`.",
            default_with = "Statistic::P95"
        )]
        rank_by: Statistic,
    ) -> Result<BoxStream<'a, Result<Rows<EndpointStats>>>> {
        let request = Arc::clone(request(context)?);
        let first = spelling::either("", ("first", first), ("limit", limit))?.unwrap_or(Slowest::LIMIT_DEFAULT);
        let Slowest { rank_by, limit, .. } = Slowest::new(rank_by.into(), first, StatisticsNeeded::Scalars)?;
        let pace = || WindowRequest::pace(window.0, WindowRequest::RANKING_EVERY_DEFAULT, &request.services.live);
        let every = every.map_or_else(pace, |every| every.0);
        let (filter, named) = filter::stream(&request, filter).await?;
        let asked = WindowRequest::ranking(filter, window.0, every);
        let field = context.field();
        let has_id = ["worstSample", "statusCode", "timestamp", "trend"].iter().any(|name| selection::has(field, name));
        let want =
            if rank_by.percentile().is_some() { StatisticsNeeded::Percentiles } else { stats::wants_in_stats(field) };
        let ranking = Ranking { rank_by, limit, kinds: asked.filter.kinds.clone(), want, has_id };
        let windows = match request.services.windows.watch(request.scope(), asked).await {
            Ok(windows) => windows,
            Err(error) => return Err(named.explain(&request, error).await),
        };
        request.execution()?.open(StreamKind::Snapshots);
        let renewed = Arc::clone(&request);
        let rankings = windows.then(move |window| {
            let (request, ranking) = (Arc::clone(&request), ranking.clone());
            async move {
                request.renew_loaders();
                ranking.of(&request, &*window?).await
            }
        });
        Ok(named.while_unchanged(renewed, rankings))
    }
}

/// The parameters of a ranking.
#[derive(Clone)]
struct Ranking {
    rank_by: reports::Statistic,
    limit: u32,
    kinds: Vec<MetricType>,
    want: StatisticsNeeded,
    /// True if the worst measurement or the trend is selected: only they need the id of an endpoint.
    has_id: bool,
}

impl Ranking {
    async fn of(&self, request: &RequestContext, window: &LiveWindow) -> Result<Rows<EndpointStats>> {
        let rows = window.groups.iter().filter_map(|group| {
            Some(reports::EndpointStats {
                project: Key::new(window.cursor.organization, group.labels.project?),
                endpoint_id: EndpointId::ALL,
                endpoint: group.endpoint.clone()?,
                stats: Arc::new(Stats::of_tally(&group.tally, self.want, window.range)),
                value: 0.0,
            })
        });
        let mut rows = slowest::rank(rows.collect(), self.rank_by, &self.kinds, self.limit);
        if self.has_id {
            let session = request.services.database.reader(StatementLog::default());
            slowest::identify(request.scope(), &session, &mut rows).await?;
        }
        let projects = Projects::Organizations(vec![window.cursor.organization]);
        let question = Arc::new(Question { projects, kinds: self.kinds.clone(), ..Question::over(window.range) });
        let found =
            rows.into_iter().map(|row| EndpointStats { row, question: Arc::clone(&question), as_of: window.as_of });
        Ok(found.collect())
    }
}
