//! `seed/sample.json`: names, distributions, and the release that makes an endpoint slower.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    error::{Error, Result},
    model::MetricType,
};

/// The description of the sample data.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The departments, which take turns.
    pub departments: Vec<String>,
    /// The roles in a project, which take turns.
    pub team_roles: Vec<String>,
    /// The first names of employees.
    pub first_names: Vec<String>,
    /// The last names of employees.
    pub last_names: Vec<String>,
    /// The names of the measurements of a type, which take turns, with the factor on the value of each. Types that are absent
    /// have measurements without a name.
    pub names: BTreeMap<Kind, Vec<(String, f64)>>,
    /// The organizations.
    pub organizations: Vec<Organization>,
    /// The projects by slug. Several organizations may have a project of the same slug.
    pub projects: BTreeMap<String, Project>,
    /// The release that makes an endpoint slower.
    pub regression: Regression,
}

/// An organization.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// The name in URLs.
    pub slug: String,
    /// The display name.
    pub name: String,
    /// The factor on the number of its measurements.
    pub weight: f64,
    /// The factor on its durations.
    pub pace: f64,
    /// The slugs of its projects.
    pub projects: Vec<String>,
}

/// A project.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// The display name.
    pub name: String,
    /// The status.
    #[serde(default)]
    pub status: Status,
    /// The releases, oldest first.
    pub releases: Vec<Release>,
    /// The measured endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// The status of a project.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// `ACTIVE`.
    #[default]
    Active,
    /// `PAUSED`.
    Paused,
    /// `ARCHIVED`.
    Archived,
}

/// A release of a project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The version.
    pub version: String,
    /// The time of the deployment, as a share of the span of the data.
    pub at: f64,
}

/// A measured endpoint and the distribution of its values.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The route, page, query or cache.
    pub path: String,
    /// The type of its measurements.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The median in the unit of the type.
    pub median: f64,
    /// The standard deviation: of the logarithm for durations, as a share of the median for hit rates.
    pub sigma: f64,
    /// The number of its measurements relative to other endpoints.
    pub weight: f64,
    /// The share of calls that fail.
    pub error_share: f64,
}

/// The type of a measurement, as it is written in the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// `PAGE_LOAD`.
    PageLoad,
    /// `API_RESPONSE`.
    ApiResponse,
    /// `DATABASE`.
    Database,
    /// `CACHE_HIT`.
    CacheHit,
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::PageLoad => Self::PageLoad,
            Kind::ApiResponse => Self::ApiResponse,
            Kind::Database => Self::Database,
            Kind::CacheHit => Self::CacheHit,
        }
    }
}

/// The release that makes an endpoint slower.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// The slug of the organization.
    pub organization: String,
    /// The slug of the project.
    pub project: String,
    /// The path of the endpoint.
    pub endpoint: String,
    /// The version from which it is slower.
    pub version: String,
    /// The factor on its values.
    pub factor: f64,
}

impl Sample {
    /// The description that is part of the binary.
    ///
    /// # Errors
    /// It is not valid, which the tests rule out.
    pub fn bundled() -> Result<Self> {
        serde_json::from_str(include_str!("../../seed/sample.json")).map_err(Error::internal)
    }

    /// The project with this slug.
    ///
    /// # Errors
    /// There is none, which the tests rule out.
    pub fn project(&self, slug: &str) -> Result<&Project> {
        self.projects.get(slug).ok_or_else(|| Error::internal(format!("sample.json describes no project {slug}")))
    }
}
