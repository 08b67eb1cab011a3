//! Runs operations: the document is found or admitted, variables are checked, fields are resolved with fresh loaders, and
//! every error gets its code.

use std::sync::{Arc, OnceLock};

use async_graphql::{Response, ServerError, ValidationMode, Value, Variables, parser::types::OperationType};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    documents::{Document, Documents, Trusted},
    error::{self, Phase},
    guard,
    request::Request,
    rows::MayWriteText,
    variables::{self, SchemaTypes},
    watch::{self, Boundary, Course, Event, Frame, Hub, Identity, Joined, Part, Stretch, Subscription, Watcher},
};
use crate::{
    auth::Viewer,
    db::Statement,
    error::{Code, Error},
    graphql::{
        RequestContext, Services,
        schema::{PerfgraphSchema, schema_builder},
    },
};

/// The executable schema with what its resolvers need.
#[derive(Clone)]
pub struct Engine {
    /// Runs documents that were validated before.
    schema: PerfgraphSchema,
    /// Runs those that ask about the schema; made when the first one comes.
    described: Arc<OnceLock<PerfgraphSchema>>,
    documents: Arc<Documents>,
    types: Arc<SchemaTypes>,
    services: Arc<Services>,
    hub: Arc<Hub>,
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
    /// What the operation was reckoned to cost before it ran, where it was reckoned.
    pub cost: Option<Cost>,
}

/// What an operation was reckoned to cost, and what it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Fields times the sizes of the lists they stand in.
    pub requested: u64,
    /// The most that is allowed.
    pub limit: u64,
}

impl Answer {
    /// The answer to a request that must not run.
    pub const fn refused(status: Option<u16>, response: Response) -> Self {
        Self { operation: None, status, response, phase: Phase::Request, statements: Vec::new(), cost: None }
    }
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
        let refusal = async move { Event::answer(&response, Phase::Request) };
        Self { name: None, is_subscription: false, events: stream::once(refusal).boxed() }
    }
}

impl Engine {
    /// Puts the schema and its services together.
    pub fn new(services: Services, trusted: Trusted) -> Self {
        let types = Arc::new(SchemaTypes::of_schema());
        let cache_bytes_max = services.limits.document_cache_bytes_max;
        let documents = Documents::new(cache_bytes_max, trusted, Arc::clone(&types), services.introspection);
        Self {
            // Says yes to a question that the library would otherwise ask all types of the schema, for every field at the
            // top. Nobody can see it: documents are validated against the schema without.
            schema: schema_builder().enable_federation().validation_mode(ValidationMode::Fast).finish(),
            described: Arc::default(),
            documents: Arc::new(documents),
            types,
            hub: Arc::new(Hub::new(services.sharing, services.tasks.clone())),
            services: Arc::new(services),
        }
    }

    /// How often a subscription was executed, and how many answers that made: both however many watch.
    pub fn subscriptions_executed(&self) -> (u64, u64) {
        self.hub.executed()
    }

    /// How many different subscriptions are watched now.
    pub fn subscriptions_running(&self) -> usize {
        self.hub.running()
    }

    /// Runs a query or mutation that came alone.
    pub async fn execute(&self, viewer: Viewer, method: Method, request: Request) -> Answer {
        match self.prepare(method, request) {
            Ok(admitted) => self.run_alone(viewer, admitted).await,
            Err(refused) => *refused,
        }
    }

    /// What operations share that are run together: one session, one set of loaders.
    pub fn context(&self, viewer: Viewer) -> Arc<RequestContext> {
        Arc::new(RequestContext::new(viewer, Arc::clone(&self.services), false))
    }

    fn context_alone(&self, viewer: Viewer, admitted: &Admitted) -> Arc<RequestContext> {
        Arc::new(RequestContext::new(viewer, Arc::clone(&self.services), admitted.is_lone))
    }

    /// Checks a request as far as that goes without running it.
    ///
    /// # Errors
    /// The answer to a request that must not run.
    pub fn prepare(&self, method: Method, request: Request) -> Result<Admitted, Box<Answer>> {
        let admitted = self.admit(request).map_err(|response| Box::new(Answer::refused(None, *response)))?;
        if method == Method::Get && admitted.is_mutation() {
            let fault = Error::input("method", "a GET changes nothing; send this operation by POST");
            return Err(Box::new(Answer::refused(Some(405), error::refuse(&fault))));
        }
        Ok(admitted)
    }

    /// Runs a query or mutation that came alone.
    pub async fn run_alone(&self, viewer: Viewer, admitted: Admitted) -> Answer {
        self.run(&self.context_alone(viewer, &admitted), admitted).await
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
        let (name, cost) = (admitted.name.clone(), admitted.cost);
        let schema = self.schema_of(&admitted);
        let response = schema.execute(admitted.into_request(Arc::clone(context))).await;
        let (response, phase) = error::finish(response);
        let statements = context.log.statements();
        Answer { operation: name, status: None, response, phase, statements, cost: Some(cost) }
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
        if admitted.is_subscription() {
            return self.watch(viewer, admitted);
        }
        let name = admitted.name.clone();
        let context = self.context_alone(viewer, &admitted);
        let answers = self.schema_of(&admitted).execute_stream(admitted.into_request(context));
        let events = answers.map(|response| {
            let (response, phase) = error::finish(response);
            Event::answer(&response, phase)
        });
        Operation { name, is_subscription: false, events: events.boxed() }
    }

    /// The schema that runs a request.
    fn schema_of(&self, admitted: &Admitted) -> &PerfgraphSchema {
        if admitted.document.introspects() {
            self.described.get_or_init(|| schema_builder().validation_mode(ValidationMode::Fast).finish())
        } else {
            &self.schema
        }
    }

    /// Watches, together with all who watch the same.
    fn watch(&self, viewer: Viewer, admitted: Admitted) -> Operation {
        let document = &admitted.document;
        let operation_name = admitted.operation_name.as_deref();
        let definition = document.operation(operation_name).map(|(_, definition)| definition);
        let roots = definition.map_or_else(Vec::new, |definition| watch::root_fields(document.parsed(), definition));
        let [root] = roots.as_slice() else {
            let error = ServerError::new("A subscription watches one thing: it must have exactly one field.", None);
            return Operation::refused(error::refuse_as(error, Code::GraphqlValidationFailed));
        };
        let (identity, after) =
            Identity::of(document.canonical(), operation_name, Some(root), &admitted.variables, viewer.scope());
        let name = admitted.name.clone();
        let subscription = Subscription { identity, viewer, admitted };
        Operation { name, is_subscription: true, events: Watcher::events(self.clone(), subscription, after) }
    }

    /// Listens to the execution that a subscription shares.
    pub(super) fn join(&self, subscription: Subscription) -> Joined {
        self.hub.join(subscription, &|subscription, course| self.carry(subscription, course))
    }

    /// Reads a stretch of a stream, or takes the one that somebody else has just read.
    pub(super) async fn stretch(
        &self,
        subscription: &Arc<Subscription>,
        after: &Arc<str>,
        until: &Boundary,
    ) -> Arc<Stretch> {
        self.hub.stretch(subscription, after, until, &|subscription, course| self.carry(subscription, course)).await
    }

    /// The note that a watcher let go of something.
    pub(super) async fn skip(&self, subscription: &Arc<Subscription>, part: Part) -> Arc<Stretch> {
        self.hub.skip(subscription, part, &|subscription, course| self.carry(subscription, course)).await
    }

    /// Executes a part of a subscription.
    fn carry(&self, subscription: &Arc<Subscription>, course: Arc<Course>) -> BoxStream<'static, Frame> {
        let context = RequestContext::watching(subscription.viewer, Arc::clone(&self.services), Arc::clone(&course));
        let request = subscription.admitted.clone().into_request(Arc::new(context));
        let answers = self.schema.execute_stream(request).enumerate();
        let frames = answers.map(move |(place, response)| {
            // What fails before its first event never began.
            let never_began = place == 0 && response.data == Value::Null && !course.is_open();
            let (response, phase) = error::finish(response);
            Frame::new(&response, if never_began { Phase::Request } else { phase }, course.place())
        });
        frames.boxed()
    }

    /// Finds the document of a request, and checks what depends on its variables.
    fn admit(&self, request: Request) -> Result<Admitted, Box<Response>> {
        let refuse = |fault: Error| Box::new(error::refuse(&fault));
        let limits = &self.services.limits;
        let document = self.documents.find(&request.source(), limits)?;
        if document.introspects() && !self.services.introspection {
            let advice = "the schema is not shown here (graphql.introspection = false)";
            return Err(refuse(Error::Forbidden(advice.to_owned())));
        }
        let Request { operation_name, mut variables, .. } = request;
        let Some((operation, definition)) = document.operation(operation_name.as_deref()) else {
            return Err(refuse(no_such_operation(operation_name.as_deref(), &document)));
        };
        variables::coerce(&self.types, definition, &mut variables).map_err(refuse)?;
        let requested = guard::cost(document.parsed(), definition, &variables, limits).map_err(refuse)?;
        let cost = Cost { requested, limit: limits.cost_max };
        let (kind, is_lone, name) = (operation.kind, operation.is_lone, operation.label.clone());
        Ok(Admitted { document, operation_name, variables, kind, is_lone, name, cost })
    }
}

fn no_such_operation(wanted: Option<&str>, document: &Document) -> Error {
    let names: Vec<_> = document.operations().iter().filter_map(|operation| operation.label.as_deref()).collect();
    let advice = match wanted {
        Some(_) => "names no operation of the document",
        None => "says which operation to run, and is missing",
    };
    let known = if names.is_empty() { "one without a name".to_owned() } else { names.join(", ") };
    Error::input("operationName", format!("{advice}; it has {known}"))
}

/// A request that may run.
#[derive(Clone)]
pub struct Admitted {
    document: Arc<Document>,
    operation_name: Option<String>,
    variables: Variables,
    kind: OperationType,
    is_lone: bool,
    /// `query Name`, where the operation has a name.
    name: Option<String>,
    cost: Cost,
}

impl Admitted {
    /// The request as the library takes it.
    fn into_request(self, context: Arc<RequestContext>) -> async_graphql::Request {
        let mut request = async_graphql::Request::new(String::new());
        let mut document = self.document.parsed().clone();
        variables::drop_absent(&mut document, self.operation_name.as_deref(), &self.variables);
        request.set_parsed_query(document);
        request.operation_name = self.operation_name;
        request.variables = self.variables;
        if !self.document.merges() {
            request = request.data(MayWriteText);
        }
        request.data(context)
    }

    /// Whether it goes on until somebody ends it.
    pub fn is_subscription(&self) -> bool {
        self.kind == OperationType::Subscription
    }

    /// Whether it may change something.
    pub fn is_mutation(&self) -> bool {
        self.kind == OperationType::Mutation
    }
}
