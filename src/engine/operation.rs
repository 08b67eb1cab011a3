//! Operations on their way through the engine: prepared, executed once, or executed as a stream.

use std::sync::Arc;

use async_graphql::{Response, Variables, parser::types::OperationType};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    contexts::ResolverContext,
    documents::Document,
    error::Phase,
    rows::TextRows,
    variables,
    watch::{Event, ResumeCursor},
};
use crate::db::Statement;

/// The HTTP method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Runs queries only.
    Get,
    /// Runs any operation.
    Post,
}

/// The outcome of a query or a mutation.
pub struct Outcome {
    /// The operation that ran: `query Name`, if its document is valid and it has a name.
    pub operation: Option<String>,
    /// The HTTP status, if the request misused the transport.
    pub status: Option<u16>,
    /// The response.
    pub response: Response,
    /// The phase that the request reached.
    pub phase: Phase,
    /// The statements that the resolvers ran.
    pub statements: Vec<Statement>,
    /// The cost of the operation, if it was computed.
    pub cost: Option<Cost>,
}

/// The cost of an operation, computed before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Fields, each multiplied by the sizes of the lists that contain it, and the measurements that are read.
    pub requested: u64,
    /// The maximum.
    pub limit: u64,
}

impl Outcome {
    /// The outcome of a request that must not run.
    pub const fn refused(status: Option<u16>, response: Response) -> Self {
        Self { operation: None, status, response, phase: Phase::Request, statements: Vec::new(), cost: None }
    }
}

/// An operation that is executed as a stream of responses.
pub struct OperationStream {
    /// `query Name`, if the operation has a name.
    pub name: Option<String>,
    /// The stream continues until the client or the server ends it.
    pub is_subscription: bool,
    /// The responses.
    pub events: BoxStream<'static, Event>,
}

impl OperationStream {
    /// A stream of one refusal.
    pub fn refused(response: Response) -> Self {
        let refusal = async move { Event::response(&response, Phase::Request) };
        Self { name: None, is_subscription: false, events: stream::once(refusal).boxed() }
    }
}

/// An operation that may run: its document is valid, its variables fit and its cost is within the limit.
#[derive(Clone)]
pub struct PreparedOperation {
    pub(super) document: Arc<Document>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Variables,
    pub(super) kind: OperationType,
    pub(super) has_one_root: bool,
    /// `query Name`, if the operation has a name.
    pub(super) name: Option<String>,
    pub(super) cost: Cost,
    /// The argument that holds the cursor after which it resumes, and the cursor that replaces its value.
    pub(super) resumed: Option<(String, ResumeCursor)>,
}

impl PreparedOperation {
    /// The request for the library.
    pub(super) fn into_request(self, context: Arc<dyn ResolverContext>) -> async_graphql::Request {
        let mut request = async_graphql::Request::new(String::new());
        let mut document = self.document.parsed().clone();
        let name = self.operation_name.as_deref();
        variables::drop_absent(&mut document, name, &self.variables);
        if let Some((argument, cursor)) = &self.resumed {
            cursor.put(&mut document, name, argument);
        }
        request.set_parsed_query(document);
        request.operation_name = self.operation_name;
        request.variables = self.variables;
        if !self.document.merges() {
            request = request.data(TextRows { viewer: context.viewer() });
        }
        context.attach(request)
    }

    /// The operation is a subscription.
    pub fn is_subscription(&self) -> bool {
        self.kind == OperationType::Subscription
    }

    /// The cost of the operation.
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    /// The operation is a mutation.
    pub fn is_mutation(&self) -> bool {
        self.kind == OperationType::Mutation
    }
}
