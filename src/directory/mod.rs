//! Who is who: organizations, their employees, projects and teams.
//!
//! The base case is a batch: `by_ids` takes many keys, pages are asked for many parents at once, and one is a batch of
//! one. Every function takes the scope first and answers rows outside of it exactly like rows that do not exist.

mod change;
mod check;
mod journal;
mod keyset;
mod noun;
mod page;
mod row;
mod slug;
mod status;

pub mod employee;
pub mod filter;
pub mod membership;
pub mod order;
pub mod organization;
pub mod project;
pub mod reach;
pub mod release;
pub mod team;

pub use employee::{Employee, EmployeeFields};
pub use filter::{EmployeeFilter, OrganizationFilter, ProjectFilter};
pub use membership::Member;
pub use noun::{ListOf, Noun, RowKey, by_ids, by_organizations, count, counts_by_organizations, list};
pub use organization::{Organization, OrganizationFields};
pub use project::{Project, ProjectFields};
pub use release::{Release, ReleaseFields};
pub use status::ProjectStatus;

use sea_orm::sea_query::{Expr, ExprTrait, IntoColumnRef, SelectStatement};

use crate::model::{Reach, Scope};

/// Narrows a statement to what the scope sees, by the column that holds the organization.
fn narrow(select: &mut SelectStatement, scope: &Scope, organization: impl IntoColumnRef) {
    if let Reach::Organization(own) = scope.reach() {
        select.and_where(Expr::col(organization).eq(own));
    }
}
