//! Several operations in one request, as a JSON array: queries side by side, so that what they share is loaded once.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::join_all};

use crate::{
    auth::Viewer,
    engine::{Admitted, Answer, Engine, Method, Request, error::refuse},
    error::Error,
    graphql::RequestContext,
    http::middleware,
};

/// Runs the members of a batch and answers each in its place; what is wrong with one concerns that one alone.
///
/// Neighbouring queries share one set of loaders. A mutation waits for everything before it and runs alone; what comes
/// after it loads anew, and sees what it did. The statements of the whole batch stand in the first answer.
pub async fn run(engine: &Engine, viewer: Viewer, members: Vec<Result<Request, Error>>) -> Vec<Answer> {
    let mut run = Run { engine, viewer, contexts: Vec::new(), waiting: Vec::new(), answers: Vec::new() };
    for member in members {
        let prepared = match member {
            Ok(request) => engine.prepare(Method::Post, request),
            Err(fault) => Err(Box::new(Answer::refused(None, refuse(&fault)))),
        };
        match prepared {
            Ok(mutation) if mutation.is_mutation() => {
                run.flush().await;
                run.waiting.push(Ok(mutation));
                run.flush().await;
            }
            other => run.waiting.push(other),
        }
    }
    run.flush().await;
    let Run { contexts, mut answers, .. } = run;
    for answer in &mut answers {
        answer.statements.clear();
    }
    if let Some(first) = answers.first_mut() {
        first.statements = contexts.iter().flat_map(|context| context.log.statements()).collect();
    }
    answers
}

struct Run<'a> {
    engine: &'a Engine,
    viewer: Viewer,
    contexts: Vec<Arc<RequestContext>>,
    /// What runs next, side by side.
    waiting: Vec<Result<Admitted, Box<Answer>>>,
    answers: Vec<Answer>,
}

impl Run<'_> {
    async fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let context = self.engine.context(self.viewer);
        let (engine, shared) = (self.engine, &context);
        let members = self.waiting.drain(..).map(async |member| match member {
            // The answers of changes before it must not be lost with a member that panics.
            Ok(admitted) => {
                let answered = AssertUnwindSafe(engine.run(shared, admitted)).catch_unwind().await;
                answered.unwrap_or_else(|panic| Answer::refused(None, refuse(&middleware::panicked(panic.as_ref()))))
            }
            Err(refused) => *refused,
        });
        self.answers.extend(join_all(members).await);
        self.contexts.push(context);
    }
}
