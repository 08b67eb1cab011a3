//! What clients may ask of measurements, and how it becomes a question.

use async_graphql::{ID, InputObject, OneofObject};

use super::{IntFilter, StringFilter};
use crate::{
    error::{Error, Result},
    graphql::{
        context::Limits,
        node::NodeId,
        scalars::{DateTime, Duration},
        types::metric::MetricType,
    },
    live,
    model::{self, Key, OrganizationId, ProjectId, TimeRange, Timestamp, timestamp::DAY_MICROS},
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
#[derive(Clone, Copy, Debug, OneofObject)]
#[graphql(name = "TimeRange")]
pub enum TimeRangeInput {
    /// So long until now: `PT24H`.
    Last(Duration),
    /// From one moment to another.
    Between(TimeInterval),
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
    fn window(self, now: Timestamp) -> Result<TimeRange> {
        match self {
            Self::Last(duration) => Ok(TimeRange::last(duration.0, now)),
            Self::Between(TimeInterval { from, to }) => {
                TimeRange::new(from.0, to.0).map_err(|error| Error::input("filter.time.between", error.to_string()))
            }
        }
    }
}

/// The question behind a filter; without one, everything of the last 24 hours.
///
/// # Errors
/// [`Error::Input`] naming the condition that makes no sense.
pub fn question(filter: Option<MetricFilter>, now: Timestamp, limits: &Limits) -> Result<Question> {
    let Some(filter) = filter else {
        return Ok(Question::over(TimeRange::last(DAY_MICROS, now)));
    };
    let window = filter.time.window(now)?;
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
    Ok(Question {
        window,
        projects,
        kinds: kinds(filter.types),
        endpoint: filter.endpoint.map(Into::into),
        exact: filter.exact.then_some(limits.exact_rows_max),
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
