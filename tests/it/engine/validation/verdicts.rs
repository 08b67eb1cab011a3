//! The verdicts of two implementations on a request: the engine of this server, and apollo-compiler.

use apollo_compiler::{
    ExecutableDocument, Schema,
    request::coerce_variable_values,
    response::JsonMap,
    validation::{DiagnosticList, Valid},
};
use async_graphql::Variables;
use perfgraph::engine::{Engine, Method, Request};
use serde_json::{Map, Value};

/// A request may run, or the reason that it may not.
pub type Verdict = Result<(), String>;

/// Two verdicts on one request.
#[derive(Debug)]
pub struct Verdicts {
    pub ours: Verdict,
    pub theirs: Verdict,
}

impl Verdicts {
    pub fn agree(&self) -> bool {
        self.ours.is_ok() == self.theirs.is_ok()
    }
}

/// `None` when a limit of the engine decides, which the other implementation does not have.
pub fn verdicts(
    engine: &Engine,
    schema: &Valid<Schema>,
    text: &str,
    variables: &Map<String, Value>,
) -> Option<Verdicts> {
    Some(Verdicts { ours: ours(engine, text, variables)?, theirs: theirs(schema, text, variables) })
}

fn ours(engine: &Engine, text: &str, variables: &Map<String, Value>) -> Option<Verdict> {
    let request = Request {
        query: Some(text.to_owned()),
        variables: Variables::from_json(Value::Object(variables.clone())),
        ..Request::default()
    };
    let Err(refused) = engine.prepare(Method::Post, request) else { return Some(Ok(())) };
    let response = serde_json::to_value(&refused.response).unwrap();
    let error = &response["errors"][0];
    let code = error["extensions"]["code"].as_str().unwrap().to_owned();
    (code != "COMPLEXITY_LIMIT").then(|| Err(format!("{code}: {}", error["message"].as_str().unwrap())))
}

fn theirs(schema: &Valid<Schema>, text: &str, variables: &Map<String, Value>) -> Verdict {
    let document = ExecutableDocument::parse_and_validate(schema, text, "request.graphql");
    let document = document.map_err(|invalid| summary(&invalid.errors))?;
    let operation = document.operations.get(None).map_err(|error| format!("{error:?}"))?;
    let variables: JsonMap = serde_json::from_value(Value::Object(variables.clone())).unwrap();
    coerce_variable_values(schema, operation, &variables).map_err(|error| error.message().to_string())?;
    Ok(())
}

/// The first line of each error, without the excerpts of the document.
fn summary(errors: &DiagnosticList) -> String {
    errors.iter().map(|error| error.error.to_string()).collect::<Vec<_>>().join("; ")
}
