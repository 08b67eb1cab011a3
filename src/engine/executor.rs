//! Executes operations: finds or admits the document, checks variables and cost, and runs resolvers with a fresh context.

use std::sync::{Arc, OnceLock};

use async_graphql::{
    Positioned, Response, ServerError, Value,
    parser::types::{Field, Selection},
};
use futures_util::{StreamExt, stream::BoxStream};
use tokio_util::task::TaskTracker;

use super::{
    contexts::{ContextFactory, ResolverContext},
    documents::{Document, Documents, Trusted, conditions},
    error::{self, Phase},
    guard,
    operation::{Cost, Method, OperationStream, Outcome, PreparedOperation},
    request::Request,
    schema::{Executable, FieldDefinition, Purpose, SchemaError, SchemaSource, SchemaTypes, Suggestions},
    variables,
    watch::{
        self, EncodedResponse, Event, Execution, Hub, Replay, ResumeCursor, Segment, SharedReceiver, StreamPosition,
        Subscriber, Subscription, SubscriptionKey,
    },
};
use crate::{
    auth::Viewer,
    config::Limits,
    error::{Code, Error},
};

/// Settings of the engine.
pub struct Settings {
    /// Limits on documents and operations.
    pub limits: Limits,
    /// Clients may read the schema.
    pub introspection: bool,
    /// Documents that the operator trusts.
    pub trusted: Trusted,
    /// Limits on shared subscriptions.
    pub sharing: watch::Settings,
    /// Tracks the tasks of shared subscriptions; the starter of the server waits for them at the end.
    pub tasks: TaskTracker,
}

/// Executes operations of one schema. A clone shares everything with the original.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    schema: SchemaSource,
    types: Arc<SchemaTypes>,
    /// Executes validated documents.
    executing: Arc<dyn Executable>,
    /// Executes documents that read the schema. Built for the first of them.
    introspecting: OnceLock<Arc<dyn Executable>>,
    documents: Documents,
    contexts: Arc<dyn ContextFactory>,
    limits: Limits,
    introspection: bool,
    hub: Hub,
}

impl Engine {
    /// An engine for a schema whose resolvers get their contexts from `contexts`.
    ///
    /// # Errors
    /// [`SchemaError`] when the schema declares too little, such as a list without a size.
    pub fn new(
        schema: SchemaSource,
        contexts: Arc<dyn ContextFactory>,
        settings: Settings,
    ) -> Result<Self, SchemaError> {
        let Settings { limits, introspection, trusted, sharing, tasks } = settings;
        // A server that does not show its schema does not suggest names of it either.
        let suggestions = Suggestions { are_shown: introspection, synonyms: schema.synonyms() };
        let types = Arc::new(SchemaTypes::read(schema.sdl(), schema.scalars())?.suggesting(suggestions));
        let validating = schema.build(Purpose::Validation);
        Ok(Self(Arc::new(Parts {
            executing: schema.build(Purpose::Execution),
            introspecting: OnceLock::new(),
            documents: Documents::new(limits.document_cache_bytes_max, trusted, Arc::clone(&types), validating),
            schema,
            types,
            contexts,
            limits,
            introspection,
            hub: Hub::new(sharing, tasks),
        })))
    }

    /// The number of executions of subscriptions so far, and of their responses, each counted once for all subscribers.
    pub fn subscriptions_executed(&self) -> (u64, u64) {
        self.0.hub.executed()
    }

    /// The number of executions of subscriptions that deliver what happens from now on: those that still start are not counted.
    pub fn subscriptions_running(&self) -> usize {
        self.0.hub.running()
    }

    /// Executes a query or a mutation that is alone in its request.
    pub async fn execute(&self, viewer: Viewer, method: Method, request: Request) -> Outcome {
        match self.prepare(method, request) {
            Ok(operation) => self.run_alone(viewer, operation).await,
            Err(refused) => *refused,
        }
    }

    /// A context that several operations share.
    pub fn context(&self, viewer: Viewer) -> Arc<dyn ResolverContext> {
        Arc::clone(&self.0.contexts).for_request(viewer, false)
    }

    fn context_alone(&self, viewer: Viewer, operation: &PreparedOperation) -> Arc<dyn ResolverContext> {
        Arc::clone(&self.0.contexts).for_request(viewer, operation.has_one_root)
    }

    /// Checks a request as far as possible without running it.
    ///
    /// # Errors
    /// The outcome of a request that must not run.
    pub fn prepare(&self, method: Method, request: Request) -> Result<PreparedOperation, Box<Outcome>> {
        let operation = self.admit(request).map_err(|response| Box::new(Outcome::refused(None, *response)))?;
        if method == Method::Get && operation.is_mutation() {
            let fault = Error::input("method", "a GET changes nothing; send this operation by POST");
            return Err(Box::new(Outcome::refused(Some(405), error::refuse(&fault))));
        }
        Ok(operation)
    }

    /// Executes a prepared query or mutation that is alone in its request.
    pub async fn run_alone(&self, viewer: Viewer, operation: PreparedOperation) -> Outcome {
        self.run(&self.context_alone(viewer, &operation), operation).await
    }

    /// Executes a prepared query or mutation in a context that it may share.
    pub async fn run(&self, context: &Arc<dyn ResolverContext>, operation: PreparedOperation) -> Outcome {
        if operation.is_subscription() {
            let fault = Error::input(
                "query",
                "a subscription needs a transport that streams: WebSocket (graphql-transport-ws), or a request with \
                 Accept: text/event-stream or Accept: multipart/mixed;subscriptionSpec=1.0",
            );
            return Outcome::refused(None, error::refuse(&fault));
        }
        let (name, cost) = (operation.name.clone(), operation.cost);
        let schema = self.executable(&operation.document);
        let response = schema.execute(operation.into_request(Arc::clone(context))).await;
        let (response, phase) = error::finish(response);
        let statements = context.statements();
        Outcome { operation: name, status: None, response, phase, statements, cost: Some(cost) }
    }

    /// Checks an operation of any kind and executes it as a stream; a refusal is a stream of one response.
    pub fn subscribe(&self, viewer: Viewer, request: Request) -> OperationStream {
        match self.admit(request) {
            Ok(operation) => self.stream(viewer, operation, None),
            Err(response) => OperationStream::refused(*response),
        }
    }

    /// Executes a prepared operation as a stream: one response for a query or a mutation, one per event for a
    /// subscription. One that can resume does so after `resume` if it is given, else after the cursor in its arguments.
    pub fn stream(
        &self,
        viewer: Viewer,
        operation: PreparedOperation,
        resume: Option<ResumeCursor>,
    ) -> OperationStream {
        if operation.is_subscription() {
            return self.watch(viewer, operation, resume);
        }
        let name = operation.name.clone();
        let context = self.context_alone(viewer, &operation);
        let schema = self.executable(&operation.document);
        let responses = schema.execute_stream(operation.into_request(context));
        let events = responses.map(|response| {
            let (response, phase) = error::finish(response);
            Event::response(&response, phase)
        });
        OperationStream { name, is_subscription: false, events: events.boxed() }
    }

    /// The copy of the schema that executes a document.
    fn executable(&self, document: &Document) -> &dyn Executable {
        if document.introspects() {
            &**self.0.introspecting.get_or_init(|| self.0.schema.build(Purpose::Introspection))
        } else {
            &*self.0.executing
        }
    }

    /// Subscribes, and shares the execution with all subscribers of the same.
    fn watch(&self, viewer: Viewer, mut operation: PreparedOperation, resume: Option<ResumeCursor>) -> OperationStream {
        let Some((root, field)) = self.root(&operation) else {
            let error = ServerError::new("A subscription must have exactly one root field.", None);
            return OperationStream::refused(error::refuse_as(error, Code::GraphqlValidationFailed));
        };
        let resumption = field.and_then(|field| field.declarations.resumption.as_ref());
        let resumed = resumption.map(|resumption| resumption.cursor.clone()).zip(resume);
        if let (Some(field), Some((argument, cursor))) = (field, &resumed)
            && let Err(fault) = cursor.check(&self.0.types, field, argument)
        {
            return OperationStream::refused(error::refuse(&fault));
        }
        let (key, after) = SubscriptionKey::of(
            operation.document.canonical(),
            operation.operation_name.as_deref(),
            (root, resumption),
            &operation.variables,
            viewer.scope(),
            resumed.as_ref().map(|(_, cursor)| cursor.clone()),
        );
        operation.resumed = resumed;
        let name = operation.name.clone();
        let subscription = Subscription { key, viewer, operation };
        let events = Subscriber::events(self.clone(), subscription, after);
        OperationStream { name, is_subscription: true, events }
    }

    /// The root field of a subscription with its definition. `None` if it has several.
    fn root<'a>(&'a self, operation: &'a PreparedOperation) -> Option<(&'a Field, Option<&'a FieldDefinition>)> {
        let (_, definition) = operation.document.operation(operation.operation_name.as_deref())?;
        let [Positioned { node: Selection::Field(root), .. }] = &*definition.selection_set.node.items else {
            return None;
        };
        Some((&root.node, self.0.types.field(self.0.types.root(operation.kind), &root.node.name.node)))
    }

    /// Joins the execution that a subscription shares, or starts it.
    pub(super) fn join(&self, subscription: Subscription) -> SharedReceiver {
        self.0.hub.join(subscription, &|subscription, execution| self.carry(subscription, execution))
    }

    /// Replays a part of a stream, or takes the replay that another subscriber has just read.
    pub(super) async fn replay(
        &self,
        subscription: &Arc<Subscription>,
        after: &ResumeCursor,
        until: &StreamPosition,
    ) -> Arc<Replay> {
        let execute = |subscription: &Arc<Subscription>, execution| self.carry(subscription, execution);
        self.0.hub.replay(subscription, after, until, &execute).await
    }

    /// Executes the event that tells a subscriber what it skipped.
    pub(super) async fn skip(&self, subscription: &Arc<Subscription>, segment: Segment) -> Arc<Replay> {
        let execute = |subscription: &Arc<Subscription>, execution| self.carry(subscription, execution);
        self.0.hub.skip(subscription, segment, &execute).await
    }

    /// Executes a segment of a subscription.
    fn carry(
        &self,
        subscription: &Arc<Subscription>,
        execution: Arc<Execution>,
    ) -> BoxStream<'static, EncodedResponse> {
        let contexts = Arc::clone(&self.0.contexts);
        let context = contexts.for_subscription(subscription.viewer, Arc::clone(&execution));
        let request = subscription.operation.clone().into_request(context);
        let given = self.header_of_cursor(subscription, &execution);
        let responses = self.0.executing.execute_stream(request).enumerate();
        let encoded = responses.map(move |(index, mut response)| {
            // A failure before the first event is a refusal of the request.
            let is_refusal = index == 0 && response.data == Value::Null && !execution.is_open();
            if let (true, Some((argument, header))) = (is_refusal, &given) {
                error::rename_field(&mut response, argument, header);
            }
            let (response, phase) = error::finish(response);
            EncodedResponse::new(&response, if is_refusal { Phase::Request } else { phase }, execution.take_mark())
        });
        encoded.boxed()
    }

    /// The argument under which resolvers know the cursor, and the header in which the client gave it.
    fn header_of_cursor(&self, subscription: &Subscription, execution: &Execution) -> Option<(String, &'static str)> {
        let header = match &execution.segment {
            Segment::Replay { after, .. } => after.header,
            Segment::Live => subscription.operation.resumed.as_ref().and_then(|(_, cursor)| cursor.header),
            Segment::Skipped { .. } => None,
        }?;
        let (_, field) = self.root(&subscription.operation)?;
        Some((field?.declarations.resumption.as_ref()?.cursor.clone(), header))
    }

    /// Finds the document of a request, and checks everything that depends on variables.
    fn admit(&self, request: Request) -> Result<PreparedOperation, Box<Response>> {
        let refuse = |fault: Error| Box::new(error::refuse(&fault));
        let Parts { types, limits, .. } = &*self.0;
        let document = self.0.documents.find(&request.source(), limits)?;
        if document.introspects() && !self.0.introspection {
            let advice = "the schema is not shown here (graphql.introspection = false)";
            return Err(refuse(Error::Forbidden(advice.to_owned())));
        }
        let Request { operation_name, mut variables, .. } = request;
        let operation_name = operation_name.filter(|name| !name.is_empty());
        let Some((operation, definition)) = document.operation(operation_name.as_deref()) else {
            return Err(refuse(no_such_operation(operation_name.as_deref(), &document)));
        };
        variables::coerce(types, definition, limits.filter_conditions_max, &mut variables).map_err(refuse)?;
        conditions::check(operation.kind, &operation.conditions, &variables).map_err(refuse)?;
        let requested = guard::cost(types, document.parsed(), definition, &variables, limits).map_err(refuse)?;
        let cost = Cost { requested, limit: limits.cost_max };
        let (kind, has_one_root, name) = (operation.kind, operation.has_one_root, operation.label.clone());
        Ok(PreparedOperation { document, operation_name, variables, kind, has_one_root, name, cost, resumed: None })
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
