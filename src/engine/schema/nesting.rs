//! The input types whose values nest without end, such as a filter with filters in its `or`.

use std::collections::{HashMap, HashSet};

use super::inputs::{InputObject, InputType, named};

/// The nesting of values of an input type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) enum Nesting {
    /// As deep as the schema says.
    #[default]
    Bounded,
    /// Without end in one of the fields.
    Inside,
    /// Without end: a field has the type of the object itself.
    Endless,
}

/// Finds the input objects that nest themselves, and those that contain them.
pub(super) fn find(inputs: &mut HashMap<String, InputType>) {
    let objects = || {
        inputs.iter().filter_map(|(name, input)| match input {
            InputType::Object(object) => Some((name, object)),
            InputType::Scalar(_) | InputType::Enum(_) => None,
        })
    };
    let contains = |object: &InputObject, name: &str| object.fields.iter().any(|field| named(&field.wanted) == name);
    let endless: HashSet<String> =
        objects().filter(|(name, object)| contains(object, name)).map(|(name, _)| name.clone()).collect();
    let mut found = endless.clone();
    loop {
        let contains_found = |object| found.iter().any(|inner| contains(object, inner));
        let outer = objects().filter(|(name, object)| !found.contains(*name) && contains_found(object));
        let outer: Vec<_> = outer.map(|(name, _)| name.clone()).collect();
        if outer.is_empty() {
            break;
        }
        found.extend(outer);
    }
    for (name, input) in inputs {
        if let InputType::Object(object) = input {
            object.nesting = match (endless.contains(name), found.contains(name)) {
                (true, _) => Nesting::Endless,
                (false, true) => Nesting::Inside,
                (false, false) => Nesting::Bounded,
            };
        }
    }
}
