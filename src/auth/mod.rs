//! From a credential to a viewer and a scope. Policy is pure functions; nothing else in the house makes a scope.
//!
//! Without any authentication configured, every caller is the administrator of everything, and the configuration
//! refuses to listen on anything but loopback. Keys and tokens will be checked here.

use crate::model::{Role, Scope};

/// Who is calling, for as long as the request or socket lasts.
#[derive(Clone, Copy, Debug)]
pub struct Viewer {
    scope: Scope,
}

impl Viewer {
    /// What the caller may reach.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The caller's role.
    pub const fn role(&self) -> Role {
        self.scope.role()
    }
}

/// The caller of a server without authentication: the person at the machine.
pub const fn development_viewer() -> Viewer {
    Viewer { scope: Scope::everything() }
}

/// The scope in which the server itself works: seeding, its own metrics, background jobs.
pub const fn server_scope() -> Scope {
    Scope::everything()
}
