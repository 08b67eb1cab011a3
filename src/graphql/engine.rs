//! Runs operations: guard, execution with fresh loaders, codes for every error.

use std::sync::Arc;

use async_graphql::{
    Name, Request, Response, Schema, ServerError, Value,
    parser::types::{ExecutableDocument, OperationDefinition, OperationType},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    context::{RequestContext, Services},
    error::{self, Phase},
    guard::{self, Refusal},
    mutation::Mutation,
    query::Query,
    subscription::LiveSubscription,
    variables,
};
use crate::{
    auth::Viewer,
    db::Statement,
    error::{Code, Error},
};

type PerfgraphSchema = Schema<Query, Mutation, LiveSubscription>;

/// The executable schema with what its resolvers need.
#[derive(Clone)]
pub struct Engine {
    schema: PerfgraphSchema,
    services: Arc<Services>,
}

/// How an operation came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// May change nothing.
    Get,
    /// May be anything.
    Post,
}

impl Method {
    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What came of an operation.
pub struct Answer {
    /// What ran: `query Name`, where the document could be read and the operation has a name.
    pub operation: Option<String>,
    /// The HTTP status, where the transport itself was misused.
    pub status: Option<u16>,
    /// For the client.
    pub response: Response,
    /// How far it came.
    pub phase: Phase,
    /// What was asked of the database.
    pub statements: Vec<Statement>,
}

impl Answer {
    /// The answer to a request that must not run.
    pub const fn refused(status: Option<u16>, response: Response) -> Self {
        Self { operation: None, status, response, phase: Phase::Request, statements: Vec::new() }
    }
}

/// One answer of an operation that runs as a stream.
pub struct Event {
    /// For the client.
    pub response: Response,
    /// Whether the operation began at all.
    pub phase: Phase,
}

/// An operation under way.
pub struct Operation {
    /// `query Name`, where the operation has a name.
    pub name: Option<String>,
    /// Whether it goes on until somebody ends it.
    pub is_subscription: bool,
    /// Its answers.
    pub events: BoxStream<'static, Event>,
}

impl Operation {
    /// What must not run: a stream of that one answer.
    pub fn refused(response: Response) -> Self {
        let refusal = async { Event { response, phase: Phase::Request } };
        Self { name: None, is_subscription: false, events: stream::once(refusal).boxed() }
    }
}

/// The schema by itself, for printing.
pub fn schema() -> PerfgraphSchema {
    // The guard bounds documents before validation; the library's own limits would measure the same again.
    Schema::build(Query::default(), Mutation::default(), LiveSubscription).finish()
}

/// The schema in the definition language, as `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().include_specified_by();
    let mut text = schema().sdl_with_options(options);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

impl Engine {
    /// Puts the schema and its services together.
    pub fn new(services: Services) -> Self {
        Self { schema: schema(), services: Arc::new(services) }
    }

    /// Runs a query or mutation that came alone.
    pub async fn execute(&self, viewer: Viewer, method: Method, request: Request) -> Answer {
        match self.prepare(method, request) {
            Ok(admitted) => self.run(&self.context(viewer), admitted).await,
            Err(refused) => *refused,
        }
    }

    /// What operations share that are run together: one session, one set of loaders.
    pub fn context(&self, viewer: Viewer) -> Arc<RequestContext> {
        Arc::new(RequestContext::new(viewer, Arc::clone(&self.services)))
    }

    /// Checks a request as far as that goes without running it.
    ///
    /// # Errors
    /// The answer to a request that must not run.
    pub fn prepare(&self, method: Method, request: Request) -> Result<Admitted, Box<Answer>> {
        let admitted = self.admit(request).map_err(|response| Box::new(Answer::refused(None, *response)))?;
        if method == Method::Get && admitted.kind == Some(OperationType::Mutation) {
            let fault = Error::input("method", "a GET changes nothing; send this operation by POST");
            return Err(Box::new(Answer::refused(Some(405), error::refuse(&fault))));
        }
        Ok(admitted)
    }

    /// Runs a query or mutation beside others of the same context.
    pub async fn run(&self, context: &Arc<RequestContext>, admitted: Admitted) -> Answer {
        if admitted.is_subscription() {
            let fault = Error::input(
                "query",
                "a subscription needs a transport that streams: WebSocket (graphql-transport-ws), or a request with \
                 Accept: text/event-stream or Accept: multipart/mixed;subscriptionSpec=1.0",
            );
            return Answer::refused(None, error::refuse(&fault));
        }
        let response = self.schema.execute(admitted.request.data(Arc::clone(context))).await;
        let (response, phase) = error::finish(response);
        Answer { operation: admitted.name, status: None, response, phase, statements: context.log.statements() }
    }

    /// Checks any operation and runs it as a stream; what must not run is a stream of that one answer.
    pub fn subscribe(&self, viewer: Viewer, request: Request) -> Operation {
        match self.admit(request) {
            Ok(admitted) => self.stream(viewer, admitted),
            Err(response) => Operation::refused(*response),
        }
    }

    /// Runs any operation as a stream of answers: one for queries and mutations, one per event for subscriptions.
    pub fn stream(&self, viewer: Viewer, admitted: Admitted) -> Operation {
        let is_subscription = admitted.is_subscription();
        let answers = self.schema.execute_stream(admitted.request.data(self.context(viewer)));
        let events = answers.enumerate().map(move |(place, response)| {
            // A stream that fails before its first event never began.
            let never_began = is_subscription && place == 0 && response.data == Value::Null;
            let (response, phase) = error::finish(response);
            Event { response, phase: if never_began { Phase::Request } else { phase } }
        });
        Operation { name: admitted.name, is_subscription, events: events.boxed() }
    }

    /// Parses and measures the document of a request.
    fn admit(&self, mut request: Request) -> Result<Admitted, Box<Response>> {
        let document = match guard::parse(&request.query, &request.variables, &self.services.limits) {
            Ok(document) => document,
            Err(Refusal::Limit(fault)) => return Err(Box::new(error::refuse(&fault))),
            Err(Refusal::Syntax(fault)) => {
                let fault = ServerError::from(*fault);
                return Err(Box::new(error::refuse_as(fault, Code::GraphqlParseFailed)));
            }
        };
        if !self.services.introspection {
            request = request.disable_introspection();
        }
        let operation = select(&document, request.operation_name.as_deref());
        if let Some((_, operation)) = operation {
            variables::check(operation, &request.variables).map_err(|fault| Box::new(error::refuse(&fault)))?;
        }
        let kind = operation.map(|(_, operation)| operation.ty);
        let name = operation.and_then(|(name, operation)| Some(format!("{} {}", operation.ty, name?)));
        request.set_parsed_query(document);
        Ok(Admitted { request, kind, name })
    }
}

/// A request that passed the guard.
pub struct Admitted {
    request: Request,
    /// What it means to run; validation says why when that cannot be told.
    kind: Option<OperationType>,
    /// `query Name`, where the operation has a name.
    name: Option<String>,
}

impl Admitted {
    /// Whether it goes on until somebody ends it.
    pub fn is_subscription(&self) -> bool {
        self.kind == Some(OperationType::Subscription)
    }

    /// Whether it may change something.
    pub fn is_mutation(&self) -> bool {
        self.kind == Some(OperationType::Mutation)
    }
}

/// The operation that a request means; validation reports a name that fits none or is missing.
fn select<'a>(
    document: &'a ExecutableDocument,
    wanted: Option<&str>,
) -> Option<(Option<&'a Name>, &'a OperationDefinition)> {
    let mut operations = document.operations.iter().map(|(name, operation)| (name, &operation.node));
    match wanted {
        Some(wanted) => operations.find(|(name, _)| name.is_some_and(|name| name == wanted)),
        None => operations.next().filter(|_| operations.next().is_none()),
    }
}
