//! The scope of a caller: the first argument of every room function.
//!
//! Only `auth` turns a credential into a scope. Rooms restrict every statement by it.

use super::OrganizationId;

/// The role of a caller, from the fewest to the most permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads everything except salaries.
    Viewer,
    /// Reads, and records metrics.
    Member,
    /// Also administers people, projects and keys.
    Admin,
    /// Also administers the organization itself.
    Owner,
}

/// The organizations that a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VisibleOrganizations {
    /// All organizations: the development administrator and the server itself.
    Everything,
    /// One organization.
    Organization(OrganizationId),
}

/// The visible organizations and the role of a caller. Rows of other organizations are treated like rows that do
/// not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    organizations: VisibleOrganizations,
    role: Role,
}

impl Scope {
    /// All organizations, as owner. Only for `auth` and tests.
    pub const fn everything() -> Self {
        Self { organizations: VisibleOrganizations::Everything, role: Role::Owner }
    }

    /// One organization in a role. Only for `auth` and tests.
    pub const fn organization(id: OrganizationId, role: Role) -> Self {
        Self { organizations: VisibleOrganizations::Organization(id), role }
    }

    /// The organizations that the caller sees.
    pub const fn organizations(&self) -> VisibleOrganizations {
        self.organizations
    }

    /// The role of the caller in them.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// True when the caller sees rows of this organization.
    pub fn sees(&self, organization: OrganizationId) -> bool {
        match self.organizations {
            VisibleOrganizations::Everything => true,
            VisibleOrganizations::Organization(own) => own == organization,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_of_one_organization_sees_only_that_organization() {
        let scope = Scope::organization(OrganizationId(1), Role::Owner);
        assert!(scope.sees(OrganizationId(1)));
        assert!(!scope.sees(OrganizationId(2)));
        assert!(Scope::everything().sees(OrganizationId(2)));
    }

    #[test]
    fn roles_are_ordered_from_least_to_most() {
        assert!(Role::Viewer < Role::Member && Role::Member < Role::Admin && Role::Admin < Role::Owner);
    }
}
