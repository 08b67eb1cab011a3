//! The types of the schema, one file each: they wrap the values of rooms and load related objects.

pub mod accuracy;
pub mod change;
pub mod columns;
pub mod comparison;
pub mod connection;
pub mod employee;
pub mod employee_page;
pub mod employee_stats;
pub mod endpoint;
pub mod entity_change;
pub mod filter;
pub mod groups;
pub mod ingest;
pub mod ingest_status;
pub mod input;
pub mod measurements;
pub mod metric;
pub mod metric_type;
pub mod order;
pub mod organization;
pub mod project;
pub mod project_status;
pub mod related;
pub mod release;
mod report_rows;
pub mod reports;
pub mod series;
pub mod stats;
pub mod team;
pub mod user_error;
pub mod viewer;
pub mod window;

use async_graphql::{ID, Interface};

pub use employee::{Employee, EmployeeConnection};
pub use metric::Metric;
pub use organization::{Organization, OrganizationConnection};
pub use project::{Project, ProjectConnection};
pub use release::{Release, ReleaseConnection};
pub use team::TeamConnection;

/// An object with a global id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Global id, opaque. Pass it to `node` to fetch the object again."))]
pub enum Node {
    /// An organization.
    Organization(Organization),
    /// An employee.
    Employee(Employee),
    /// A project.
    Project(Project),
    /// A release.
    Release(Release),
    /// A measurement.
    Metric(Metric),
}
