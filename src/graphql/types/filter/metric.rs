//! Filters of measurements, and their conversion to the question of a report or the filter of a stream.

use async_graphql::{ID, InputObject, OneofObject};

use super::{IntFilter, StringFilter};
use crate::{
    directory::ReleaseFields,
    engine::{directives, spelling},
    error::{Error, Result},
    graphql::{
        context::RequestContext,
        loaders::AskedRow,
        named::{self, NamedObjects},
        node::NodeId,
        scalars::{DateTime, Duration},
        types::metric_type::MetricType,
    },
    ingest, live,
    model::{self, TimeRange},
    reports::{self, Projects, Question},
};

/// A window of time with explicit bounds.
#[derive(Clone, Copy, Debug, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct TimeInterval {
    /// Start of the window, inclusive. Required, unless the deprecated `from` is given.
    pub start: Option<DateTime>,
    /// End of the window, exclusive. Required, unless the deprecated `to` is given.
    pub end: Option<DateTime>,
    /// The former name of `start`.
    #[graphql(deprecation = "Use `start`.")]
    pub from: Option<DateTime>,
    /// The former name of `end`.
    #[graphql(deprecation = "Use `end`.")]
    pub to: Option<DateTime>,
}

/// A window of time, given in exactly one of these ways.
#[derive(Clone, Debug, OneofObject)]
#[graphql(name = "TimeRange", directive = directives::conditions::apply())]
pub enum TimeRangeInput {
    /// A window that ends now, for example `PT24H`. A window of one hour or more consists of whole minutes: its length
    /// is rounded up, and the current minute is included.
    Last(Duration),
    /// A window with explicit bounds. Bounds on whole minutes are cheaper to answer. If raw measurements of that time
    /// are no longer kept (7 days by default), other bounds are rounded outward: see `Accuracy.start`.
    Between(TimeInterval),
    /// The id of a release: the window from its deployment to that of the next release of its project, or to now. An
    /// error if there is no such release, or if it never ran: it is not deployed yet, or was replaced at once.
    ReleaseId(ID),
    /// The former name of `releaseId`.
    #[graphql(deprecation = "Use `releaseId`.")]
    Release(ID),
}

/// Conditions on measurements. All given conditions must hold; one that is null is an error.
///
/// With one of the columns `statusCode`, `names` and release (`releaseVersions`, `releaseId`), hours that are over are answered
/// from counts by that column where there are far fewer of these than measurements. When raw measurements are deleted (after 7
/// days by default), every hour keeps these counts as long as rollups per hour, and every day forever; of a day, they tell its 100
/// most frequent names and versions of releases apart, and all others are `__other__`.
///
/// With several of these columns, such counts end with the raw measurements. With one of them together with `endpoint`, with groups
/// by endpoint, in rankings of endpoints and in `performanceSummary`, every measurement is read, and each hour of the window adds to
/// the cost of the operation, instead of each day. Older parts of the window are then left out (see `Accuracy.start`); an error
/// if the whole window is older.
#[derive(Clone, Debug, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct MetricFilter {
    /// Time window of the measurements. Defaults to the last 24 hours.
    pub time: Option<TimeRangeInput>,
    /// Ids of projects that the measurements were recorded for, at most 500. Defaults to all projects, except for those of
    /// the server itself (`Project.isInternal`). An empty list matches nothing; an unknown id is `NOT_FOUND`. An error if one
    /// is not a project of the named organization.
    pub project_ids: Option<Vec<ID>>,
    /// Slugs of projects that the measurements were recorded for, such as `acme/web-shop`, instead of `projectIds`. At most
    /// 500. An empty list matches nothing; unknown slugs are `NOT_FOUND`.
    pub project_slugs: Option<Vec<String>>,
    /// The id of the organization that the measurements were recorded in. Defaults to all organizations, except for that
    /// of the server itself (`Organization.isInternal`). `NOT_FOUND` if there is none.
    pub organization_id: Option<ID>,
    /// The slug of the organization that the measurements were recorded in, such as `acme`, instead of `organizationId`.
    /// `NOT_FOUND` if there is none.
    pub organization_slug: Option<String>,
    /// Types of the measurements. Defaults to all types. An empty list matches nothing.
    pub types: Option<Vec<MetricType>>,
    /// Conditions on the path of the endpoint. `eq`, `ne` and `in` take a path as it was sent: `/orders/17` and
    /// `/orders/{id}` stand for `/orders/:id`, and `/caf%C3%A9` for `/café`.
    pub endpoint: Option<StringFilter>,
    /// Conditions on the HTTP status; 0 stands for no status.
    pub status_code: Option<IntFilter>,
    /// Names of the measurements, at most 500. Defaults to all. `""` matches measurements without a name; an empty list
    /// matches nothing.
    pub names: Option<Vec<String>>,
    /// Release versions of the measurements, at most 500. Defaults to all. `""` matches measurements without a version;
    /// an empty list matches nothing.
    pub release_versions: Option<Vec<String>>,
    /// True for exact percentiles, standard deviations, histograms and Apdex scores, computed from raw measurements.
    /// Defaults to false. An error for more than 200,000 measurements, and for a window that begins before raw
    /// measurements are kept (7 days by default).
    pub is_exact: Option<bool>,
    /// The id of a release: matches measurements of its project with its version. `NOT_FOUND` if there is none.
    pub release_id: Option<ID>,
    /// The former name of `releaseVersions`.
    #[graphql(deprecation = "Use `releaseVersions`.")]
    pub releases: Option<Vec<String>>,
    /// The former name of `isExact`.
    #[graphql(deprecation = "Use `isExact`.")]
    pub exact: Option<bool>,
}

/// Conditions on the measurements of a stream or of a live window. All given conditions must hold; one that is null is
/// an error. An empty list, which nothing matches, is an error, too, and so is an unknown id or slug (`NOT_FOUND`).
#[derive(Clone, Debug, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct StreamFilter {
    /// Ids of projects that the measurements were recorded for. Defaults to all projects, except for those of the server
    /// itself (`Project.isInternal`). An error if one is not a project of the named organization.
    pub project_ids: Option<Vec<ID>>,
    /// Slugs of projects that the measurements were recorded for, such as `acme/web-shop`, instead of `projectIds`. They are
    /// looked up when the stream opens, and at every heartbeat: once the project of one is deleted, the stream ends with
    /// `NOT_FOUND`.
    pub project_slugs: Option<Vec<String>>,
    /// The id of the organization that the measurements were recorded in. Defaults to all organizations that the caller
    /// can access, except for that of the server itself (`Organization.isInternal`).
    pub organization_id: Option<ID>,
    /// The slug of the organization that the measurements were recorded in, such as `acme`, instead of `organizationId`. It
    /// is looked up when the stream opens, and at every heartbeat, as `projectSlugs` are.
    pub organization_slug: Option<String>,
    /// Types of the measurements. Defaults to all types.
    pub types: Option<Vec<MetricType>>,
    /// Exact paths of the endpoints. Defaults to all endpoints. Paths as they were sent are understood: `/orders/17` and
    /// `/orders/{id}` stand for `/orders/:id`.
    pub endpoints: Option<Vec<String>>,
    /// Smallest value to match, inclusive, in the unit of the measurement.
    pub min_value: Option<f64>,
}

impl TimeInterval {
    fn window(self) -> Result<TimeRange> {
        const PATH: &str = "filter.time.between.";
        let start = spelling::required(PATH, ("start", self.start), ("from", self.from))?;
        let end = spelling::required(PATH, ("end", self.end), ("to", self.to))?;
        TimeRange::new(start.0, end.0).map_err(|error| Error::input("filter.time.between", error.to_string()))
    }
}

impl TimeRangeInput {
    async fn window(self, request: &RequestContext) -> Result<TimeRange> {
        match self {
            Self::Last(duration) => Ok(reports::until_now(duration.0, request.as_of())),
            Self::Between(interval) => interval.window(),
            Self::ReleaseId(id) | Self::Release(id) => while_it_ran(request, &id).await,
        }
    }
}

async fn while_it_ran(request: &RequestContext, id: &ID) -> Result<TimeRange> {
    let field = "filter.time.releaseId";
    let key = NodeId::release(id).map_err(|error| error.in_field(field))?;
    let run = request.loaders().release_run.load(key).await?;
    let run = run.ok_or_else(|| named::not_found("release", id, field))?;
    let never = "did not run: it is yet to be deployed, or the next one was deployed in the same moment";
    run.window.ok_or_else(|| Error::input(field, never))
}

/// The question of a filter; without a filter, all measurements of the last 24 hours.
///
/// Windows that end now end at the time of the request or with its minute. Named releases are loaded in one batch with
/// those of sibling fields.
///
/// # Errors
/// [`Error::Input`] naming the invalid condition, [`Error::NotFound`] for the window of an unknown release, or the
/// error of the database.
pub async fn question(request: &RequestContext, filter: Option<MetricFilter>) -> Result<Question> {
    match filter {
        None => Ok(Question::recent(request.as_of())),
        // Boxed: this future is a part of those of all reports, which are moved as they begin.
        Some(filter) => Box::pin(of_filter(request, filter)).await,
    }
}

async fn of_filter(request: &RequestContext, filter: MetricFilter) -> Result<Question> {
    let window = match filter.time {
        Some(time) => time.window(request).await?,
        None => Question::recent(request.as_of()).window,
    };
    let is_exact = spelling::either("filter.", ("isExact", filter.is_exact), ("exact", filter.exact))?;
    let versions = ("releaseVersions", filter.release_versions);
    let versions = spelling::either("filter.", versions, ("releases", filter.releases))?;
    let projects = (filter.project_ids, filter.project_slugs);
    let organization = (filter.organization_id, filter.organization_slug);
    let named = named_projects(request, projects, organization).await?;
    let projects = match named {
        // The question has no other word for no type at all.
        _ if filter.types.as_ref().is_some_and(Vec::is_empty) => Projects::Keys(Vec::new()),
        projects => projects,
    };
    let kinds = kinds(filter.types);
    let endpoint = filter.endpoint.map(|endpoint| stored_endpoint(endpoint, &kinds).into());
    let question = Question {
        window,
        projects,
        kinds,
        endpoint,
        exact: is_exact.unwrap_or(false).then_some(request.services.limits.exact_rows_max),
        status: filter.status_code.map(|number| reports::StatusFilter {
            eq: number.eq,
            one_of: number.one_of,
            gt: number.gt,
            gte: number.gte,
            lt: number.lt,
            lte: number.lte,
        }),
        names: filter.names,
        releases: versions,
        release: None,
    };
    match filter.release_id {
        Some(id) => of_release(request, question, &id).await,
        None => Ok(question),
    }
}

/// The projects of a filter, which exist.
async fn named_projects(
    request: &RequestContext,
    (project_ids, project_slugs): (Option<Vec<ID>>, Option<Vec<String>>),
    (organization_id, organization_slug): (Option<ID>, Option<String>),
) -> Result<Projects> {
    // Before each of them is decoded and looked up.
    reports::check_alternatives("projectIds", project_ids.as_ref().map_or(0, Vec::len))?;
    reports::check_alternatives("projectSlugs", project_slugs.as_ref().map_or(0, Vec::len))?;
    let field = if project_slugs.is_some() { "filter.projectSlugs" } else { "filter.projectIds" };
    let mut named = NamedObjects::default();
    let organization =
        named::organization_of_filter(request, &mut named, organization_id.as_ref(), organization_slug).await?;
    let keys = named::projects_of_filter(request, &mut named, project_ids.as_deref(), project_slugs.as_deref()).await?;
    named.require(request).await?;
    match (keys, organization) {
        (None, None) => Ok(Projects::All),
        (None, Some(id)) => Ok(Projects::Organizations(vec![id])),
        (Some(keys), Some(id)) if keys.iter().any(|key| key.organization != id) => {
            Err(Error::input(field, live::ELSEWHERE))
        }
        (Some(keys), _) => Ok(Projects::Keys(keys)),
    }
}

/// Narrows a question to the version and the project of a release.
async fn of_release(request: &RequestContext, question: Question, id: &ID) -> Result<Question> {
    let key = NodeId::release(id).map_err(|error| error.in_field("filter.releaseId"))?;
    let fields = ReleaseFields::PROJECT | ReleaseFields::VERSION;
    let release = request.loaders().release.load(AskedRow { id: key, fields }).await?;
    let release = release.ok_or_else(|| named::not_found("release", id, "filter.releaseId"))?;
    Ok(Question { release: Some((release.project()?, release.version()?.clone())), ..question })
}

/// The filter of a stream, and the objects that it names by ids, which the stream requires to exist. A stream that can never
/// push anything is a mistake of the caller.
///
/// # Errors
/// [`Error::Input`] naming a list that is empty, or a text that is no id of its type or no slugs, [`Error::NotFound`] naming
/// slugs without a project, or the error of the database.
pub async fn stream(request: &RequestContext, filter: StreamFilter) -> Result<(live::Filter, NamedObjects)> {
    let lists = [
        ("filter.projectIds", filter.project_ids.as_ref().map(Vec::len)),
        ("filter.projectSlugs", filter.project_slugs.as_ref().map(Vec::len)),
        ("filter.types", filter.types.as_ref().map(Vec::len)),
        ("filter.endpoints", filter.endpoints.as_ref().map(Vec::len)),
    ];
    if let Some((field, _)) = lists.into_iter().find(|(_, length)| *length == Some(0)) {
        return Err(matches_nothing(field));
    }
    reports::check_alternatives("filter.projectSlugs", filter.project_slugs.as_ref().map_or(0, Vec::len))?;
    let mut named = NamedObjects::default();
    let (ids, slugs) = (filter.project_ids.as_deref(), filter.project_slugs.as_deref());
    let projects = named::projects_of_filter(request, &mut named, ids, slugs).await?.unwrap_or_default();
    let (id, slug) = (filter.organization_id.as_ref(), filter.organization_slug);
    let organization = named::organization_of_filter(request, &mut named, id, slug).await?;
    // Projects by ids are compared by the stream itself.
    if slugs.is_some() && organization.is_some_and(|id| projects.iter().any(|key| key.organization != id)) {
        return Err(Error::input("filter.projectSlugs", live::ELSEWHERE));
    }
    let kinds = kinds(filter.types);
    let filter = live::Filter {
        projects,
        organization,
        endpoints: stored_endpoints(filter.endpoints.unwrap_or_default(), &kinds),
        kinds,
        min_value: filter.min_value,
    };
    Ok((filter, named))
}

/// Conditions on endpoints as ingest stores them.
fn stored_endpoint(filter: StringFilter, kinds: &[model::MetricType]) -> StringFilter {
    let mut one_of = filter.one_of.map(|endpoints| stored_endpoints(endpoints, kinds));
    let mut eq = filter.eq;
    let spellings = eq.clone().map(|eq| stored_endpoints(vec![eq], kinds));
    match spellings {
        Some(mut spellings) if spellings.len() == 1 => eq = spellings.pop(),
        Some(spellings) => {
            eq = None;
            one_of = Some(match one_of {
                Some(listed) => listed.into_iter().filter(|one| spellings.contains(one)).collect(),
                None => spellings,
            });
        }
        None => {}
    }
    let ne = filter.ne.map(|ne| stored_endpoints(vec![ne.clone()], kinds).pop().unwrap_or(ne));
    StringFilter { eq, ne, one_of, ..filter }
}

/// Endpoints as ingest stores them. Where the types of the measurements are not known to be paths, an endpoint may also be
/// stored as it came.
fn stored_endpoints(endpoints: Vec<String>, kinds: &[model::MetricType]) -> Vec<String> {
    let are_paths = !kinds.is_empty() && kinds.iter().all(|kind| ingest::is_path(*kind));
    let may_be_paths = kinds.is_empty() || kinds.iter().any(|kind| ingest::is_path(*kind));
    let mut stored = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let template = ingest::template(&endpoint).into_owned();
        let is_other = template != endpoint;
        if !(are_paths && is_other) {
            stored.push(endpoint);
        }
        if may_be_paths && is_other {
            stored.push(template);
        }
    }
    stored
}

fn kinds(types: Option<Vec<MetricType>>) -> Vec<model::MetricType> {
    types.unwrap_or_default().into_iter().map(Into::into).collect()
}

/// The refusal of an empty list in a stream.
pub fn matches_nothing(field: &str) -> Error {
    Error::input(field, "is empty, and nothing matches an empty list; leave it out for all")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(filter: StringFilter, kinds: &[model::MetricType]) -> String {
        let StringFilter { eq, ne, one_of, .. } = stored_endpoint(filter, kinds);
        format!("{} {} {}", eq.unwrap_or_default(), ne.unwrap_or_default(), one_of.unwrap_or_default().join(","))
    }

    #[test]
    fn endpoints_are_compared_as_they_are_stored() {
        use model::MetricType::{ApiResponse, Database, PageLoad};
        let text = |text: &str| Some(text.to_owned());
        let eq = || StringFilter { eq: text("/a/7"), ..StringFilter::default() };
        let ne = || StringFilter { ne: text("/a/7"), ..StringFilter::default() };
        let list = || Some(vec!["/b".to_owned(), "/a/7".to_owned()]);
        let one_of = || StringFilter { one_of: list(), ..StringFilter::default() };
        let both = || StringFilter { eq: text("/a/7"), one_of: list(), ..StringFilter::default() };
        for (filter, kinds, expected) in [
            (eq(), &[ApiResponse, PageLoad][..], "/a/:id  "),
            (eq(), &[Database], "/a/7  "),
            (eq(), &[], "  /a/7,/a/:id"),
            (eq(), &[Database, ApiResponse], "  /a/7,/a/:id"),
            (ne(), &[], " /a/:id "),
            (ne(), &[Database], " /a/7 "),
            (one_of(), &[ApiResponse], "  /b,/a/:id"),
            (one_of(), &[], "  /b,/a/7,/a/:id"),
            (both(), &[], "  /a/7,/a/:id"),
            (both(), &[ApiResponse], "/a/:id  /b,/a/:id"),
        ] {
            assert_eq!(conditions(filter, kinds), expected, "{kinds:?}");
        }
        assert_eq!(stored_endpoints(vec!["select 1 / 2".to_owned()], &[]), ["select 1 / 2"]);
    }
}
