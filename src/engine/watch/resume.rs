//! The cursor after which a client resumes a subscription.

use std::sync::Arc;

use async_graphql::{
    Name, Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, Selection},
};
use async_graphql_value::{ConstValue, Value};

use crate::{
    engine::schema::{FieldDefinition, InputType, SchemaTypes, named},
    error::{Error, Result},
};

/// A cursor after which a client resumes, as the client gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResumeCursor {
    /// The text.
    pub text: Arc<str>,
    /// The header that held it; `None` for an argument of the subscription. Errors about the cursor name it.
    pub header: Option<&'static str>,
}

impl ResumeCursor {
    /// A cursor that is an argument.
    pub fn argument(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), header: None }
    }

    /// Checks that the cursor has the form that an argument of a field demands.
    ///
    /// # Errors
    /// [`Error::Input`] naming the header, or the argument.
    pub fn check(&self, types: &SchemaTypes, field: &FieldDefinition, argument: &str) -> Result<()> {
        let known = field.arguments.iter().find(|known| known.name == argument);
        let refused = match known.and_then(|known| types.get(named(&known.wanted))) {
            Some(InputType::Scalar(scalar)) => scalar.refuses(&ConstValue::from(&*self.text)),
            _ => None,
        };
        refused.map_or(Ok(()), |expected| {
            Err(Error::input(self.header.unwrap_or(argument), format!("must be {expected}")))
        })
    }

    /// Makes the cursor an argument of the root field.
    pub fn put(&self, document: &mut ExecutableDocument, operation: Option<&str>, argument: &str) {
        let operation = match &mut document.operations {
            DocumentOperations::Single(operation) => Some(operation),
            DocumentOperations::Multiple(operations) => match operation {
                Some(name) => operations.get_mut(name),
                None => operations.values_mut().next(),
            },
        };
        let root = operation.and_then(|operation| operation.node.selection_set.node.items.first_mut());
        if let Some(Positioned { node: Selection::Field(root), pos }) = root {
            root.node.arguments.retain(|(name, _)| name.node != argument);
            let value = Positioned::new(Value::String(self.text.to_string()), *pos);
            root.node.arguments.push((Positioned::new(Name::new(argument), *pos), value));
        }
    }
}
