//! Batches: several operations in one request, as a JSON array. Queries run concurrently and share loaders.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::join_all};

use crate::{
    auth::Viewer,
    engine::{Engine, Method, Outcome, PreparedOperation, Request, contexts::ResolverContext, error::refuse},
    error::Error,
    http::fault,
};

/// Runs the members of a batch and returns an answer for each, in their order. An error of one member does not affect the
/// others.
///
/// Adjacent queries share one set of loaders. A mutation waits for all members before it and runs alone; members after it
/// load again and see its changes. The first answer carries the statements of the whole batch.
pub async fn run(engine: &Engine, viewer: Viewer, members: Vec<Result<Request, Error>>) -> Vec<Outcome> {
    let mut run = BatchRun { engine, viewer, contexts: Vec::new(), pending: Vec::new(), answers: Vec::new() };
    for member in members {
        let prepared = match member {
            Ok(request) => engine.prepare(Method::Post, request),
            Err(fault) => Err(Box::new(Outcome::refused(None, refuse(&fault)))),
        };
        match prepared {
            Ok(mutation) if mutation.is_mutation() => {
                run.flush().await;
                run.pending.push(Ok(mutation));
                run.flush().await;
            }
            other => run.pending.push(other),
        }
    }
    run.flush().await;
    let BatchRun { contexts, mut answers, .. } = run;
    for answer in &mut answers {
        answer.statements.clear();
    }
    if let Some(first) = answers.first_mut() {
        first.statements = contexts.iter().flat_map(|context| context.statements()).collect();
    }
    answers
}

struct BatchRun<'a> {
    engine: &'a Engine,
    viewer: Viewer,
    contexts: Vec<Arc<dyn ResolverContext>>,
    /// Members that run next, concurrently.
    pending: Vec<Result<PreparedOperation, Box<Outcome>>>,
    answers: Vec<Outcome>,
}

impl BatchRun<'_> {
    async fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let context = self.engine.context(self.viewer);
        let (engine, shared) = (self.engine, &context);
        let members = self.pending.drain(..).map(async |member| match member {
            // A panic of one member must not lose the answers of mutations before it.
            Ok(admitted) => {
                let answered = AssertUnwindSafe(engine.run(shared, admitted)).catch_unwind().await;
                answered.unwrap_or_else(|panic| Outcome::refused(None, refuse(&fault::panicked(panic.as_ref()))))
            }
            Err(refused) => *refused,
        });
        self.answers.extend(join_all(members).await);
        self.contexts.push(context);
    }
}
