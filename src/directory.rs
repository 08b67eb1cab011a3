//! The directory: organizations, their employees, projects, teams and releases.
//!
//! A batch is the base case: `by_ids` takes many keys, and one page is read for many parents at once. Every function
//! takes the scope first; rows outside of it are reported exactly like rows that do not exist.

mod change;
mod change_log;
mod check;
mod keyset;
mod lookup;
mod page;
mod record;
mod row;
mod slug;
mod status;

pub mod cursor;
pub mod employee;
pub mod filter;
pub mod membership;
pub mod order;
pub mod organization;
pub mod project;
pub mod reach;
pub mod release;
pub mod team;

pub use change::OptimisticLock;
pub use employee::{Employee, EmployeeFields, EmployeeOrderField};
pub use filter::{EmployeeFilter, OrganizationFilter, ProjectFilter};
pub use membership::Member;
pub use organization::{Organization, OrganizationFields, OrganizationOrderField};
pub use project::{Project, ProjectFields, ProjectOrderField};
pub use record::{ListOf, Record, RecordKey, by_ids, by_organizations, count, counts_by_organizations, list};
pub use release::{Release, ReleaseFields, ReleaseOrderField};
pub use status::ProjectStatus;
