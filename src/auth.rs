//! Authentication: from a credential to a viewer and a scope. Only this room makes scopes.
//!
//! Without any authentication configured every caller is the administrator of everything, and the configuration accepts
//! no listen address but loopback. Keys and tokens will be checked here.

use crate::model::{Role, Scope};

/// The caller of a request or socket.
#[derive(Clone, Copy, Debug)]
pub struct Viewer {
    scope: Scope,
}

impl Viewer {
    /// The organizations that the caller reaches, and the role there.
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

/// The scope of the server's own work: seeding, own metrics, background jobs.
pub const fn server_scope() -> Scope {
    Scope::everything()
}
