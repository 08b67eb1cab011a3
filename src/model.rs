//! The domain types, without I/O: ids, metric types, measurements, tallies, time, pages, sketches and scopes.
//!
//! Every other room may import this one; it imports no other room.

pub mod assignment;
pub mod breakdown;
pub mod change;
pub mod cursor;
pub mod filter;
pub mod grain;
pub mod id;
pub mod labels;
pub mod metric;
pub mod order;
pub mod page;
pub mod page_cursor;
pub mod problem;
pub mod rank;
pub mod retained_since;
pub mod scope;
pub mod sketch;
pub mod slug;
pub mod sum;
pub mod tally;
pub mod time_zone;
pub mod timestamp;

pub use assignment::Assignment;
pub use breakdown::{DayParts, Detail};
pub use cursor::{CommitPosition, CommitPositions, StreamCursor};
pub use grain::{Grain, GrainColumns, SeriesDay, SeriesGrain};
pub use id::{EmployeeId, EndpointId, Key, MetricId, OrganizationId, ProjectId, ReleaseId};
pub use labels::{Label, Labels};
pub use metric::{GoodDirection, Measurement, MetricKey, MetricType, RecordedMetric};
pub use problem::{Problem, ProblemKind, Problems};
pub use retained_since::RetainedSince;
pub use scope::{Role, Scope, VisibleOrganizations};
pub use sketch::Sketch;
pub use slug::ProjectSlug;
pub use sum::Sum;
pub use tally::{StoredTally, Tally};
pub use time_zone::TimeZone;
pub use timestamp::{TimeRange, Timestamp};
