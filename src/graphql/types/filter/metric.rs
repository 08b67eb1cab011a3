//! What clients may ask of measurements, and how it becomes a question.

use async_graphql::{ID, InputObject, OneofObject};

use super::{IntFilter, StringFilter};
use crate::{
    directory::ReleaseFields,
    error::{Error, Result},
    graphql::{
        context::RequestContext,
        loaders::Asked,
        node::NodeId,
        scalars::{DateTime, Duration},
        types::metric::MetricType,
    },
    live,
    model::{self, Key, OrganizationId, ProjectId, TimeRange, timestamp::DAY_MICROS},
    reports::{self, Projects, Question},
};

/// A stretch of time with both ends: from the first moment on, up to but without the last.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct TimeInterval {
    /// The first moment inside.
    pub from: DateTime,
    /// The first moment after.
    pub to: DateTime,
}

/// A stretch of time, given in exactly one way.
#[derive(Clone, Debug, OneofObject)]
#[graphql(name = "TimeRange")]
pub enum TimeRangeInput {
    /// So long until now: `PT24H`. Of an hour or more it is whole minutes, rounded up, of which the running one is the last:
    /// it begins less than a minute before or after the moment so long ago. So no single measurements are read for what
    /// rollups know, and the answer hardly costs more where more was measured.
    Last(Duration),
    /// From one moment to another, to the microsecond as long as single measurements are kept. From them it is read what
    /// happened in a part of a minute: between whole minutes an answer costs less.
    Between(TimeInterval),
    /// While this release ran: from its deployment to that of the next one of its project, or until now.
    Release(ID),
}

/// Which measurements to look at. Every condition that is given must hold.
#[derive(Clone, Debug, InputObject)]
pub struct MetricFilter {
    /// When they happened.
    pub time: TimeRangeInput,
    /// Recorded for one of these projects.
    pub project_ids: Option<Vec<ID>>,
    /// Recorded in this organization.
    pub organization_id: Option<ID>,
    /// Of one of these types.
    pub types: Option<Vec<MetricType>>,
    /// Of endpoints whose path is like this.
    pub endpoint: Option<StringFilter>,
    /// With an HTTP status like this. Answered from raw measurements, which are kept for days only.
    pub status_code: Option<IntFilter>,
    /// With one of these names; `""` stands for those without one. Nothing has one of an empty list. Answered from raw
    /// measurements, as `statusCode`.
    pub names: Option<Vec<String>>,
    /// Tagged with one of these versions; `""` stands for those without one. Nothing has one of an empty list. Answered
    /// from raw measurements, as `statusCode`.
    pub releases: Option<Vec<String>>,
    /// Whether percentiles and all else that hangs on the distribution are to be exact: read from single measurements, which
    /// are kept for days only, and refused where they are too many. Counts, sums, means and extremes are exact in any case.
    #[graphql(default)]
    pub exact: bool,
    /// Tagged with the version of this release, in its project. Answered from raw measurements, as `statusCode`.
    pub release_id: Option<ID>,
}

/// Which measurements a stream pushes. There is no time range: a stream has a cursor.
#[derive(Clone, Debug, InputObject)]
pub struct StreamFilter {
    /// Recorded for one of these projects.
    pub project_ids: Option<Vec<ID>>,
    /// Recorded in this organization.
    pub organization_id: Option<ID>,
    /// Of one of these types.
    pub types: Option<Vec<MetricType>>,
    /// Of exactly these endpoints.
    pub endpoints: Option<Vec<String>>,
    /// With at least this value.
    pub min_value: Option<f64>,
}

impl TimeRangeInput {
    async fn window(self, request: &RequestContext) -> Result<TimeRange> {
        match self {
            Self::Last(duration) => Ok(reports::until_now(duration.0, request.as_of())),
            Self::Between(TimeInterval { from, to }) => {
                TimeRange::new(from.0, to.0).map_err(|error| Error::input("filter.time.between", error.to_string()))
            }
            Self::Release(id) => while_it_ran(request, &id).await,
        }
    }
}

async fn while_it_ran(request: &RequestContext, id: &ID) -> Result<TimeRange> {
    let run = match NodeId::release(id) {
        Some(key) => request.loaders().release_run.load(key).await?,
        None => None,
    };
    let run = run.ok_or_else(|| Error::not_found("the release in filter.time.release"))?;
    let never = "did not run: it is yet to be deployed, or the next one was deployed in the same moment";
    run.window.ok_or_else(|| Error::input("filter.time.release", never))
}

/// The question behind a filter; without one, everything of the last 24 hours.
///
/// Windows until now end with the request's moment or its minute. Releases that are named are loaded with those of all
/// siblings.
///
/// # Errors
/// [`Error::Input`] naming the condition that makes no sense, [`Error::NotFound`] for a window of a release that is not
/// there, or when the database cannot answer.
pub async fn question(request: &RequestContext, filter: Option<MetricFilter>) -> Result<Question> {
    let Some(filter) = filter else {
        return Ok(Question::over(reports::until_now(DAY_MICROS, request.as_of())));
    };
    let window = filter.time.window(request).await?;
    let projects = match (filter.project_ids, filter.organization_id) {
        (None, None) => Projects::All,
        (None, Some(id)) => Projects::Organizations(vec![organization(&id)]),
        (Some(ids), organization_id) => {
            let mut keys = projects(&ids);
            if let Some(id) = organization_id {
                let organization = organization(&id);
                keys.retain(|key| key.organization == organization);
            }
            Projects::Keys(keys)
        }
    };
    let question = Question {
        window,
        projects,
        kinds: kinds(filter.types),
        endpoint: filter.endpoint.map(Into::into),
        exact: filter.exact.then_some(request.services.limits.exact_rows_max),
        status: filter.status_code.map(|number| reports::StatusFilter {
            eq: number.eq,
            one_of: number.one_of,
            gt: number.gt,
            gte: number.gte,
            lt: number.lt,
            lte: number.lte,
        }),
        names: filter.names,
        releases: filter.releases,
        release: None,
    };
    match filter.release_id {
        Some(id) => of_release(request, question, &id).await,
        None => Ok(question),
    }
}

/// Narrows a question to the version and the project of a release. One that is not there has no measurements.
async fn of_release(request: &RequestContext, question: Question, id: &ID) -> Result<Question> {
    let release = match NodeId::release(id) {
        Some(id) => {
            let fields = ReleaseFields::PROJECT | ReleaseFields::VERSION;
            request.loaders().release.load(Asked { id, fields }).await?
        }
        None => None,
    };
    Ok(match release {
        Some(release) => Question { release: Some((release.project()?, release.version()?.clone())), ..question },
        None => Question { releases: Some(Vec::new()), ..question },
    })
}

/// What a stream lets through. An id that names nothing is refused: a stream that can never push anything helps nobody.
///
/// # Errors
/// [`Error::NotFound`] naming the argument.
pub fn stream(filter: StreamFilter) -> Result<live::Filter> {
    let mut projects = Vec::new();
    for id in filter.project_ids.unwrap_or_default() {
        projects.push(NodeId::project(&id).ok_or_else(|| Error::not_found("a project in filter.projectIds"))?);
    }
    let organization = filter
        .organization_id
        .map(|id| {
            NodeId::organization(&id).ok_or_else(|| Error::not_found("the organization in filter.organizationId"))
        })
        .transpose()?;
    Ok(live::Filter {
        projects,
        organization,
        kinds: kinds(filter.types),
        endpoints: filter.endpoints.unwrap_or_default(),
        min_value: filter.min_value,
    })
}

fn kinds(types: Option<Vec<MetricType>>) -> Vec<model::MetricType> {
    types.unwrap_or_default().into_iter().map(Into::into).collect()
}

/// What an id names; one that names nothing matches nothing, like the id of something that is gone.
fn organization(id: &ID) -> OrganizationId {
    NodeId::organization(id).unwrap_or(OrganizationId(-1))
}

fn projects(ids: &[ID]) -> Vec<Key<ProjectId>> {
    ids.iter().filter_map(NodeId::project).collect()
}
