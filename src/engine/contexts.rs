//! The data that resolvers of a request share, as the schema's room makes it.

use std::sync::Arc;

use super::watch::Execution;
use crate::{auth::Viewer, db::Statement};

/// The data that resolvers of a request share: a session, loaders, services.
pub trait ResolverContext: Send + Sync {
    /// The caller.
    fn viewer(&self) -> Viewer;

    /// The statements that resolvers have run.
    fn statements(&self) -> Vec<Statement>;

    /// Adds the data to a request, for resolvers to find.
    fn attach(self: Arc<Self>, request: async_graphql::Request) -> async_graphql::Request;
}

/// Makes a context for each request.
pub trait ContextFactory: Send + Sync {
    /// A context for a query or a mutation. `has_one_root` says that the operation has one root field and shares the
    /// context with no other operation, so that nothing can be loaded together with that field.
    fn for_request(self: Arc<Self>, viewer: Viewer, has_one_root: bool) -> Arc<dyn ResolverContext>;

    /// A context for one execution of a subscription.
    fn for_subscription(self: Arc<Self>, viewer: Viewer, execution: Arc<Execution>) -> Arc<dyn ResolverContext>;
}
