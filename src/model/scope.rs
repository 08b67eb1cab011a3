//! What a caller may reach: the first argument of every room function.
//!
//! Only `auth` turns a credential into a scope; rooms narrow every statement by it.

use super::OrganizationId;

/// What a caller may do inside their reach, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads everything but salaries.
    Viewer,
    /// Reads, and records metrics.
    Member,
    /// Also administers people, projects and keys.
    Admin,
    /// Also administers the organization itself.
    Owner,
}

/// Which organizations a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// All of them: the development administrator and the server itself.
    Everything,
    /// One tenant.
    Organization(OrganizationId),
}

/// A caller's reach and role. Rows outside of it answer exactly like rows that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    reach: Reach,
    role: Role,
}

impl Scope {
    /// Everything, as owner. Only for `auth` and tests.
    pub const fn everything() -> Self {
        Self { reach: Reach::Everything, role: Role::Owner }
    }

    /// One organization in a role. Only for `auth` and tests.
    pub const fn organization(id: OrganizationId, role: Role) -> Self {
        Self { reach: Reach::Organization(id), role }
    }

    /// Which organizations are seen.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// What may be done there.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether rows of this organization are seen at all.
    pub fn sees(&self, organization: OrganizationId) -> bool {
        match self.reach {
            Reach::Everything => true,
            Reach::Organization(own) => own == organization,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_sees_only_itself() {
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
