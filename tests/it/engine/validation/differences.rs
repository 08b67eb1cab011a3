//! Requests on which the two implementations differ on purpose.

use std::hash::{DefaultHasher, Hash, Hasher};

use apollo_compiler::{
    ExecutableDocument, Schema,
    ast::{Document, Value},
    validation::Valid,
};

use super::{mutations::literals, requests::name, verdicts::Verdicts};

/// A difference, the reason for it, and its mark in the verdicts.
pub struct Difference {
    pub name: &'static str,
    pub reason: &'static str,
    pub is_met: fn(schema: &Valid<Schema>, text: &str, verdicts: &Verdicts) -> bool,
}

/// All of them. In each, the specification of September 2025 demands the refusal of this server or permits it.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "values of custom scalars",
        reason: "each has a rule here; apollo-compiler takes any value",
        is_met: |_, _, verdicts| {
            let source = perfgraph::graphql::schema::source();
            source.scalars().iter().any(|rule| {
                we_refuse(verdicts, |ours| {
                    ours.contains(rule.expected) || ours.ends_with(&format!("expected type \"{}\"", rule.name))
                })
            })
        },
    },
    Difference {
        name: "null in the place of a condition",
        reason: "the schema forbids it by @conditions, which is no directive of the specification",
        is_met: |_, _, verdicts| we_refuse(verdicts, |ours| ours.contains("is a condition ")),
    },
    Difference {
        name: "@oneOf",
        reason: "apollo-compiler does not know it",
        is_met: |_, _, verdicts| {
            we_refuse(verdicts, |ours| ours.contains("must give exactly one of") || ours.contains("Oneof"))
        },
    },
    Difference {
        name: "fields of input objects that are given twice",
        reason: "apollo-compiler does not look for them",
        is_met: |_, _, verdicts| we_refuse(verdicts, |ours| ours.contains("is given twice; give it once")),
    },
    Difference {
        name: "variables inside of lists and objects",
        reason: "apollo-compiler compares only the names of their types",
        is_met: |_, _, verdicts| {
            we_refuse(verdicts, |ours| {
                let (path, advice) = ours.trim_start_matches("BAD_USER_INPUT: ").split_once(": ").unwrap_or_default();
                path.contains(['.', '[']) && advice.contains("is declared as")
            })
        },
    },
    Difference {
        name: "a variable with the default null",
        reason: "apollo-compiler lets it stand where null is not allowed, as if it had a value",
        is_met: |_, text, verdicts| {
            we_refuse(verdicts, |ours| ours.contains("is declared as")) && text.contains("= null")
        },
    },
    Difference {
        name: "lists in arguments of fields with one response key",
        reason: "apollo-compiler compares the items that both lists have, and not their number",
        is_met: |schema, text, verdicts| {
            we_refuse(verdicts, |ours| ours.contains("conflict: one key")) && conflicts_without_lists(schema, text)
        },
    },
];

fn we_refuse(verdicts: &Verdicts, because: impl Fn(&str) -> bool) -> bool {
    verdicts.theirs.is_ok() && verdicts.ours.as_ref().is_err_and(|ours| because(ours))
}

/// apollo-compiler finds a conflict once every list is replaced by a variable, the same for the same lists.
fn conflicts_without_lists(schema: &Valid<Schema>, text: &str) -> bool {
    let mut document = Document::parse(text, "request.graphql").unwrap();
    literals(&mut document, &mut |value| {
        if matches!(value, Value::List(_)) {
            let mut hasher = DefaultHasher::new();
            value.to_string().hash(&mut hasher);
            *value = Value::Variable(name(&format!("list_{}", hasher.finish())));
        }
    });
    let Err(invalid) = ExecutableDocument::parse_and_validate(schema, document.to_string(), "lists.graphql") else {
        return false;
    };
    invalid.errors.iter().any(|error| error.error.to_string().contains("conflicting field argument"))
}
