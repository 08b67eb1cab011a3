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
/// load again and see its changes. The first answer carries the statements of the whole batch. The members together may
/// cost `cost_max`; those beyond it are refused.
pub async fn run(engine: &Engine, viewer: Viewer, members: Vec<Result<Request, Error>>, cost_max: u64) -> Vec<Outcome> {
    let mut run = BatchRun { engine, viewer, contexts: Vec::new(), pending: Vec::new(), answers: Vec::new() };
    let mut cost = 0;
    for member in members {
        let prepared = match member {
            Ok(request) => engine.prepare(Method::Post, request),
            Err(fault) => Err(Box::new(Outcome::refused(None, refuse(&fault)))),
        };
        let prepared = prepared.and_then(|operation| within(&mut cost, cost_max, operation));
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

/// Adds the cost of an operation to that of the operations before it.
fn within(cost: &mut u64, cost_max: u64, operation: PreparedOperation) -> Result<PreparedOperation, Box<Outcome>> {
    let sum = cost.saturating_add(operation.cost().requested);
    if sum > cost_max {
        let fault = Error::Limit {
            what: "the cost of the operations of the batch up to this one",
            actual: sum,
            limit: cost_max,
            advice: "send it in another batch (limits.batch_cost_max)",
        };
        return Err(Box::new(Outcome::refused(None, refuse(&fault))));
    }
    *cost = sum;
    Ok(operation)
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
