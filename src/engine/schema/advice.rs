//! Advice about names that the schema does not have: the nearest ones, a level deeper where the name exists there, or a list of
//! those that do exist.

use super::{FieldDefinition, InputField, InputObject, InputType, SchemaTypes, named};
use crate::engine::nearest::{Synonym, fold, listed, nearest};

/// The suggestions of a schema.
#[derive(Clone, Copy, Debug, Default)]
pub struct Suggestions {
    /// Errors suggest names. A server that does not show its schema does not suggest names of it either.
    pub are_shown: bool,
    /// Other words for names of the schema.
    pub synonyms: &'static [Synonym],
}

impl Suggestions {
    fn nearest<'a>(self, given: &str, known: impl Iterator<Item = (&'a str, bool)> + Clone) -> Vec<String> {
        let found = nearest(given, known.clone().map(|(name, _)| name), self.synonyms);
        let is_current = |name: &&str| known.clone().any(|(one, is_deprecated)| one == *name && !is_deprecated);
        let current: Vec<_> = found.iter().copied().filter(is_current).collect();
        let best = if current.is_empty() { found } else { current };
        best.into_iter().map(str::to_owned).collect()
    }
}

fn current<'a>(known: impl Iterator<Item = (&'a str, bool)>) -> impl Iterator<Item = &'a str> {
    known.filter(|(_, is_deprecated)| !is_deprecated).map(|(name, _)| name)
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn inputs(fields: &[InputField]) -> impl Iterator<Item = (&str, bool)> + Clone {
    fields.iter().map(|field| (field.name.as_str(), field.is_deprecated))
}

impl SchemaTypes {
    /// A sentence about a field that `parent` does not have; `None` for types of introspection, or without suggestions.
    pub(in crate::engine) fn advise_field(&self, parent: &str, given: &str) -> Option<String> {
        let fields = self.object(parent).filter(|_| self.suggestions.are_shown)?;
        let known = fields.iter().map(|(name, field)| (name.as_str(), field.is_deprecated));
        let folded = fold(given);
        let holds = |field: &FieldDefinition| -> Option<&str> {
            let inner = self.object(&field.output_name).filter(|_| !field.is_deprecated)?;
            inner.keys().map(String::as_str).find(|name| fold(name) == folded)
        };
        let mut inside: Vec<_> =
            fields.iter().filter_map(|(name, field)| Some((name, holds(field)?, field.is_sized_by_parent))).collect();
        inside.sort_unstable();
        let near = self.suggestions.nearest(given, known.clone());
        let is_spelling = near.first().is_some_and(|name| fold(name) == folded);
        if let (Some((name, _, true)), false) = (inside.first(), is_spelling) {
            let (name, inner) = (name, inside[0].1);
            return Some(format!("Did you mean \"{name} {{ {inner} }}\"? The items of the list are in \"{name}\"."));
        }
        let mut names = near;
        if !is_spelling {
            names.extend(inside.iter().take(1).map(|(name, inner, _)| format!("{name} {{ {inner} }}")));
        }
        Some(if names.is_empty() {
            format!("\"{parent}\" has the fields {}.", listed(current(known)))
        } else {
            format!("Did you mean {}?", quoted(&names))
        })
    }

    /// A sentence about an argument that a field of `parent` does not have; `None` as with [`Self::advise_field`].
    pub(in crate::engine) fn advise_argument(&self, parent: &str, field: &str, given: &str) -> Option<String> {
        let arguments = &self.field(parent, field).filter(|_| self.suggestions.are_shown)?.arguments;
        let names = self.near_inputs(arguments, given, |_| true);
        Some(if !names.is_empty() {
            format!("Did you mean {}?", quoted(&names))
        } else if arguments.is_empty() {
            format!("\"{field}\" has no arguments.")
        } else {
            format!("\"{field}\" has the arguments {}.", listed(current(inputs(arguments))))
        })
    }

    /// A sentence about a type that does not exist; `None` without suggestions, or if no name is near.
    pub(in crate::engine) fn advise_type(&self, given: &str) -> Option<String> {
        let names: Vec<_> = self.type_names().map(|name| (name, false)).collect();
        let near = Some(self.suggestions.nearest(given, names.iter().copied())).filter(|_| self.suggestions.are_shown);
        near.filter(|near| !near.is_empty()).map(|near| format!("Did you mean {}?", quoted(&near)))
    }

    /// The end of a sentence about a key that an input object does not have; empty without suggestions.
    pub(in crate::engine) fn advise_key(&self, object: &InputObject, given: &str) -> String {
        if !self.suggestions.are_shown {
            return String::new();
        }
        // A filter nests filters of its own type, which have the same keys.
        let is_other = |inner: &InputObject| !std::ptr::eq(inner, object);
        let mut names = self.near_inputs(&object.fields, given, is_other);
        if names.is_empty() {
            let folded = fold(given);
            let value = object.fields.iter().find_map(|field| match self.get(named(&field.wanted)) {
                Some(InputType::Enum(values)) => {
                    values.iter().find(|value| fold(value) == folded).map(|value| format!("{}: {value}", field.name))
                }
                _ => None,
            });
            names.extend(value);
        }
        if names.is_empty() {
            format!("; its fields are {}", listed(current(inputs(&object.fields))))
        } else {
            format!("; did you mean {}?", names.join(", "))
        }
    }

    /// The end of a sentence about a value that an enum does not have; empty without suggestions, or if no value is near.
    pub(in crate::engine) fn advise_value(&self, values: &[String], given: &str) -> String {
        let known = values.iter().map(|value| (value.as_str(), false));
        let near = self.suggestions.nearest(given, known);
        if near.is_empty() || !self.suggestions.are_shown {
            return String::new();
        }
        format!("; did you mean {}?", near.join(", "))
    }

    /// The near names among inputs, and the first name inside of them, such as `filter: { isActive }`.
    fn near_inputs(&self, known: &[InputField], given: &str, looks_into: impl Fn(&InputObject) -> bool) -> Vec<String> {
        let folded = fold(given);
        let mut names = self.suggestions.nearest(given, inputs(known));
        if names.first().is_some_and(|name| fold(name) == folded) {
            return names;
        }
        let inside = known.iter().filter(|field| !field.is_deprecated).find_map(|field| {
            let Some(InputType::Object(inner)) = self.get(named(&field.wanted)) else { return None };
            let mut found = inner.fields.iter().filter(|_| looks_into(inner));
            let found = found.find(|one| fold(&one.name) == folded)?;
            Some(format!("{}: {{ {} }}", field.name, found.name))
        });
        names.extend(inside);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_near_and_a_level_deeper() {
        let types = SchemaTypes::of_this_server();
        for (parent, given, expected) in [
            ("Employee", "is_active", "Did you mean \"isActive\"?"),
            ("EmployeeConnection", "id", "Did you mean \"nodes { id }\"? The items of the list are in \"nodes\"."),
            ("EmployeeConnection", "items", "Did you mean \"nodes\"?"),
            ("PerformanceSummary", "percentiles", "Did you mean \"stats { percentiles }\"?"),
            ("Query", "employes", "Did you mean \"employee\", \"employees\"?"),
            ("PageInfo", "zzz", "\"PageInfo\" has the fields endCursor, hasNextPage, hasPreviousPage, startCursor."),
        ] {
            assert_eq!(types.advise_field(parent, given).as_deref(), Some(expected), "{parent}.{given}");
        }
        let listed = types.advise_field("Query", "zzz").unwrap();
        assert!(listed.ends_with(" more."), "{listed}");
        assert_eq!(types.advise_field("__Type", "zzz"), None);
    }

    #[test]
    fn arguments_and_keys_are_found_near_and_a_level_deeper() {
        let types = SchemaTypes::of_this_server();
        for (given, expected) in [
            ("limit", "Did you mean \"first\"?"),
            ("skip", "Did you mean \"after\"?"),
            ("sort_by", "Did you mean \"orderBy\"?"),
            ("is_active", "Did you mean \"filter: { isActive }\"?"),
            ("field", "Did you mean \"orderBy: { field }\"?"),
            ("zzz", "\"employees\" has the arguments after, before, filter, first, last, orderBy."),
        ] {
            assert_eq!(types.advise_argument("Query", "employees", given).as_deref(), Some(expected), "{given}");
        }
        assert_eq!(types.advise_argument("Query", "viewer", "id").unwrap(), "\"viewer\" has no arguments.");
        for (object, given, expected) in [
            ("EmployeeFilter", "is_active", "; did you mean isActive?"),
            ("EmployeeOrder", "name", "; did you mean field: NAME?"),
            ("MetricFilter", "metricType", "; did you mean types?"),
            ("MetricFilter", "last", "; did you mean time: { last }?"),
            ("EmployeeOrder", "zzz", "; its fields are direction, field"),
        ] {
            let Some(InputType::Object(object)) = types.get(object) else { panic!("{object}") };
            assert_eq!(types.advise_key(object, given), expected, "{given}");
        }
    }

    #[test]
    fn every_synonym_means_a_name_of_the_schema() {
        let types = SchemaTypes::of_this_server();
        let sdl = crate::graphql::schema::sdl();
        for (other, meant) in types.suggestions.synonyms {
            assert_eq!(fold(other), *other, "{other} is not folded");
            assert!(sdl.contains(&format!("\t{meant}:")) || sdl.contains(&format!("\t{meant}(")), "{meant} is no name");
        }
    }

    #[test]
    fn a_schema_that_is_not_shown_suggests_nothing() {
        let mut types = SchemaTypes::of_this_server();
        types.suggestions.are_shown = false;
        assert_eq!(types.advise_field("Employee", "is_active"), None);
        assert_eq!(types.advise_argument("Query", "employees", "limit"), None);
        assert_eq!(types.advise_type("Employe"), None);
        let Some(InputType::Object(object)) = types.get("EmployeeFilter") else { panic!() };
        assert_eq!(types.advise_key(object, "is_active"), "");
        assert_eq!(types.advise_value(&["NAME".to_owned()], "name"), "");
    }
}
