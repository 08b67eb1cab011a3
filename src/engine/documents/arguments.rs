//! Checks arguments against the schema, including those that contain variables.
//!
//! The library checks an argument once its variables are known, and never calls its rule for the positions of variables.
//! Documents are validated without variables, so both are checked here: every literal, also beside a variable, and every
//! variable by the type that its operation declares.

use std::collections::HashSet;

use async_graphql::{
    Name, Pos, Positioned, ServerError, Value as ConstValue,
    parser::types::{
        BaseType, Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet, Type,
    },
};
use async_graphql_value::Value;

use super::{
    super::{
        error,
        schema::{InputField, InputObject, InputType, SchemaTypes},
    },
    conditions::{ConditionVariable, NULL_CONDITION, Place},
};
use crate::error::Code;

/// Checks the arguments of every operation and of the fragments that it reaches. Returns for each operation, in their
/// order, the variables that stand for conditions, whose values each request checks.
///
/// # Errors
/// The arguments that do not fit, each with its position: the first [`ERRORS_MAX`].
pub fn check(
    types: &SchemaTypes,
    document: &ExecutableDocument,
) -> Result<Vec<Vec<ConditionVariable>>, Vec<ServerError>> {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let (visited, conditions) = (HashSet::new(), Vec::new());
        let mut check = ArgumentCheck { types, document, operation, visited, conditions, errors };
        for definition in &operation.variable_definitions {
            if let Some(default) = &definition.node.default_value {
                let value = default.node.clone().into_value();
                let path = format!("${}", definition.node.name.node);
                check.value(&definition.node.var_type.node, false, &value, (&path, default.pos), Place::Elsewhere);
            }
        }
        check.directives(&operation.directives);
        check.selection_set(types.root(operation.ty), &operation.selection_set.node);
        found.push(check.conditions);
        errors = check.errors;
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Errors of a document; a client that mends these sends it again.
const ERRORS_MAX: usize = 20;

struct ArgumentCheck<'a> {
    types: &'a SchemaTypes,
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    visited: HashSet<&'a str>,
    conditions: Vec<ConditionVariable>,
    errors: Vec<ServerError>,
}

impl<'a> ArgumentCheck<'a> {
    fn selection_set(&mut self, parent: &str, set: &'a SelectionSet) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => self.field(parent, &field.node),
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.node.directives);
                    let condition = fragment.node.type_condition.as_ref();
                    let parent = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.selection_set(parent, &fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives);
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.document.fragments.get(name).filter(|_| self.visited.insert(name)) {
                        self.directives(&fragment.node.directives);
                        let parent = fragment.node.type_condition.node.on.node.as_str();
                        self.selection_set(parent, &fragment.node.selection_set.node);
                    }
                }
            }
        }
    }

    fn field(&mut self, parent: &str, field: &'a Field) {
        self.directives(&field.directives);
        // Introspection reads nothing from the database.
        if let Some(known) = self.types.field(parent, &field.name.node) {
            self.arguments(&known.arguments, &field.arguments);
            self.selection_set(&known.output_name, &field.selection_set.node);
        }
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>]) {
        for directive in directives {
            let (name, given) = (&directive.node.name.node, &directive.node.arguments);
            let known = self.types.directive(name);
            // The library does not look for missing arguments on `__typename`.
            let missing =
                known.iter().find(|known| known.is_required() && given.iter().all(|(one, _)| one.node != *known.name));
            if let Some(known) = missing {
                let advice = format!("is missing; @{name} needs a value of type {}", known.wanted);
                self.refuse(&known.name, directive.pos, &advice);
            }
            self.arguments(known, given);
        }
    }

    fn arguments(&mut self, known: &[InputField], given: &[(Positioned<Name>, Positioned<Value>)]) {
        for (name, value) in given {
            if let Some(argument) = known.iter().find(|one| one.name == name.node.as_str()) {
                let place = (argument.name.as_str(), value.pos);
                self.value(&argument.wanted, argument.default.is_some(), &value.node, place, Place::Elsewhere);
            }
        }
    }

    fn value(&mut self, wanted: &Type, has_default: bool, value: &Value, (path, pos): (&str, Pos), place: Place) {
        match (value, &wanted.base) {
            (Value::Variable(name), _) => {
                self.variable(wanted, has_default, name, path, pos);
                if place.refuses_null(self.operation.ty, self.types, wanted) {
                    self.condition(name, path);
                }
            }
            (Value::Null, _) if place.refuses_null(self.operation.ty, self.types, wanted) => {
                self.refuse(path, pos, NULL_CONDITION);
            }
            (Value::Null, _) if wanted.nullable => {}
            (Value::Null, _) => self.refuse(path, pos, &format!("must be a value of type {wanted}, not null")),
            (Value::List(items), BaseType::List(item)) => {
                for (index, value) in items.iter().enumerate() {
                    self.value(item, false, value, (&format!("{path}[{index}]"), pos), place);
                }
            }
            (value, BaseType::List(item)) => self.value(item, false, value, (path, pos), place),
            (value, BaseType::Named(name)) => self.named(name, value, path, pos),
        }
    }

    /// Notes a variable that stands for a condition, if it can be null.
    fn condition(&mut self, name: &Name, path: &str) {
        if self.declared(name).is_some_and(|(declared, _)| declared.nullable) {
            self.conditions.push(ConditionVariable { name: name.clone(), path: path.into() });
        }
    }

    fn named(&mut self, name: &str, value: &Value, path: &str, pos: Pos) {
        match self.types.get(name) {
            None => {}
            Some(InputType::Scalar(scalar)) => {
                let literal = match value {
                    Value::Enum(_) => Some(ConstValue::Null),
                    other => other.clone().into_const(),
                };
                let literal = literal.unwrap_or_default();
                if let Some(expected) = scalar.refuses(&literal) {
                    self.refuse(path, pos, &format!("must be {expected}{}", scalar.hint(&literal)));
                }
            }
            Some(InputType::Enum(values)) => self.enum_value(values, value, path, pos),
            Some(InputType::Object(object)) => self.object(name, object, value, path, pos),
        }
    }

    fn enum_value(&mut self, values: &[String], value: &Value, path: &str, pos: Pos) {
        let (given, quotes) = match value {
            Value::Enum(given) if values.iter().any(|one| one == given.as_str()) => return,
            Value::Enum(given) => (given.as_str(), ""),
            Value::String(given) => (given.as_str(), ", without quotes"),
            _ => ("", ""),
        };
        let advice = self.types.advise_value(values, given);
        self.refuse(path, pos, &format!("must be one of {}{quotes}{advice}", values.join(", ")));
    }

    fn object(&mut self, name: &str, object: &InputObject, value: &Value, path: &str, pos: Pos) {
        let Value::Object(given) = value else {
            return self.refuse(path, pos, &format!("must be an object of type {name}"));
        };
        let place = Place::inside(object);
        for (field, value) in given {
            let inner = format!("{path}.{field}");
            if let Some(known) = object.fields.iter().find(|known| known.name == field.as_str()) {
                self.value(&known.wanted, known.default.is_some(), value, (&inner, pos), place);
            } else {
                let advice = self.types.advise_key(object, field);
                self.refuse(&inner, pos, &format!("is no field of {name}{advice}"));
            }
        }
        for known in object.fields.iter().filter(|known| known.is_required() && !given.contains_key(&*known.name)) {
            let advice = format!("is missing; {name} needs a value of type {}", known.wanted);
            self.refuse(&format!("{path}.{}", known.name), pos, &advice);
        }
        if object.is_one_of && !self.is_one(given.values()) {
            let names: Vec<_> = object.fields.iter().map(|field| field.name.as_str()).collect();
            self.refuse(path, pos, &format!("must give exactly one of {}", names.join(", ")));
        }
    }

    /// The values are exactly one that cannot be null.
    fn is_one<'v>(&self, values: impl Iterator<Item = &'v Value>) -> bool {
        let values: Vec<_> = values.collect();
        match values[..] {
            [Value::Null] => false,
            [Value::Variable(name)] => self.declared(name).is_none_or(|(declared, _)| !declared.nullable),
            [_] => true,
            _ => false,
        }
    }

    fn declared(&self, name: &str) -> Option<(&'a Type, bool)> {
        let mut definitions = self.operation.variable_definitions.iter();
        let definition = &definitions.find(|one| one.node.name.node == name)?.node;
        let default = definition.default_value.as_ref().is_some_and(|default| default.node != ConstValue::Null);
        Some((&definition.var_type.node, default))
    }

    /// `IsVariableUsageAllowed` of the specification.
    fn variable(&mut self, wanted: &Type, has_default: bool, name: &str, path: &str, pos: Pos) {
        // The library refuses a variable that is not declared.
        let Some((declared, declares_default)) = self.declared(name) else { return };
        let is_filled = declares_default || has_default;
        let is_allowed =
            fits(declared, wanted) || declared.nullable && is_filled && fits_base(&declared.base, &wanted.base);
        if !is_allowed {
            let advice = format!("takes {wanted}, and the variable ${name} is declared as {declared}");
            self.refuse(path, pos, &advice);
        }
    }

    fn refuse(&mut self, path: &str, pos: Pos, what: &str) {
        if self.errors.len() < ERRORS_MAX {
            let mut refused = ServerError::new(format!("{path}: {what}"), Some(pos));
            error::name_field(&mut refused, path);
            error::tag(&mut refused, Code::BadUserInput);
            self.errors.push(refused);
        }
    }
}

fn fits(declared: &Type, wanted: &Type) -> bool {
    (wanted.nullable || !declared.nullable) && fits_base(&declared.base, &wanted.base)
}

fn fits_base(declared: &BaseType, wanted: &BaseType) -> bool {
    match (declared, wanted) {
        (BaseType::Named(declared), BaseType::Named(wanted)) => declared == wanted,
        (BaseType::List(declared), BaseType::List(wanted)) => fits(declared, wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn checked(text: &str) -> String {
        let document = parse_query(text).unwrap();
        let checked = check(&SchemaTypes::of_this_server(), &document);
        let messages = |errors: Vec<ServerError>| errors.into_iter().map(|error| error.message).collect::<Vec<_>>();
        checked.map_or_else(|errors| messages(errors).join("\n"), |_| "fits".to_owned())
    }

    #[test]
    fn arguments_of_the_declared_types_are_accepted() {
        for text in [
            "query($n: Int, $s: String!) { employees(first: $n, filter: { name: { eq: $s }, and: [{ isActive: true }] }) { totalCount } }",
            "query($n: Int! = 3) { employees(first: $n) { totalCount } }",
            "query($n: Int = 3) { slowestEndpoints(limit: $n) { endpoint } }",
            "query($n: Int) { slowestEndpoints(limit: $n) { endpoint } }",
            "query($i: [ID!]!) { nodes(ids: $i) { id } }",
            "query($i: ID!) { nodes(ids: [$i, \"x\", 3]) { id } }",
            "query($v: Boolean! = true) { viewer @include(if: $v) { role } }",
            "query($l: Duration!) { metricStats(filter: { time: { last: $l } }) { count percentile(p: 95) } }",
            "{ __type(name: \"Query\") { fields(includeDeprecated: true) { name } } }",
            "query($f: EmployeeFilter) { employees(filter: $f, orderBy: [{ field: NAME }]) { totalCount } }",
        ] {
            assert_eq!(checked(text), "fits", "{text}");
        }
    }

    #[test]
    fn literals_beside_variables_are_checked() {
        for (text, expected) in [
            (
                "query($o: ID!) { employees(filter: { organizationId: $o, naem: { eq: \"x\" } }) { totalCount } }",
                "filter.naem: is no field of EmployeeFilter; did you mean name?",
            ),
            (
                "query($n: String) { employees(filter: { name: { eq: $n }, isActive: 3 }) { totalCount } }",
                "filter.isActive: must be true or false",
            ),
            (
                "query($n: Int) { employees(first: $n, orderBy: [{ field: BOGUS }]) { totalCount } }",
                "orderBy[0].field: must be one of NAME",
            ),
            ("{ employees(orderBy: [{ field: \"NAME\" }]) { totalCount } }", "orderBy[0].field: must be one of NAME"),
            (
                "{ performanceSummary(metricType: \"api_response\") { count } }",
                "metricType: must be one of PAGE_LOAD, API_RESPONSE, DATABASE, CACHE_HIT, CUSTOM, without quotes; did you \
                 mean API_RESPONSE?",
            ),
            (
                "{ performanceSummary(type: pageLoad) { count } }",
                "type: must be one of PAGE_LOAD, API_RESPONSE, DATABASE, CACHE_HIT, CUSTOM; did you mean PAGE_LOAD?",
            ),
            (
                "{ employees(filter: { and: [{ is_active: true }] }) { totalCount } }",
                "filter.and[0].is_active: is no field of EmployeeFilter; did you mean isActive?",
            ),
            (
                "query($d: Float!) { metricGroups(groupBy: [], having: [{ value: { gt: $d } }]) { endpoint } }",
                "having[0].statistic: is missing",
            ),
            (
                "query($l: Duration) { metricStats(filter: { time: { last: $l } }) { count } }",
                "filter.time: must give exactly one of last, between",
            ),
            ("query($d: Int = \"x\") { employees(first: $d) { totalCount } }", "$d: must be a whole number"),
            ("{ viewer { __typename @skip } }", "if: is missing; @skip needs a value of type Boolean!"),
        ] {
            let message = checked(text);
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_variable_stands_only_where_its_type_does() {
        for (text, expected) in [
            ("query($f: ProjectFilter) { employees(filter: $f) { totalCount } }", "filter: takes EmployeeFilter,"),
            ("query($s: String!) { viewer @skip(if: $s) { role } }", "if: takes Boolean!,"),
            ("query($n: String) { employees(first: $n) { totalCount } }", "first: takes Int,"),
            ("query($i: ID) { node(id: $i) { id } }", "id: takes ID!,"),
            ("query($i: [ID]) { nodes(ids: $i) { id } }", "ids: takes [ID!]!,"),
            ("query($i: ID!) { nodes(ids: $i) { id } }", "ids: takes [ID!]!,"),
            (
                "query($n: FloatFilter) { ...F } fragment F on Query { employees(filter: { name: $n }) { totalCount } }",
                "filter.name: takes StringFilter,",
            ),
        ] {
            let message = checked(text);
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }

    #[test]
    fn every_wrong_value_is_named_up_to_a_limit() {
        let text = "{ employees(first: \"x\", orderBy: [{ field: BOGUS }, {}]) { totalCount } }";
        let found = checked(text);
        let paths: Vec<_> = found.lines().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(paths, ["first", "orderBy[0].field", "orderBy[1].field"], "{found}");
        let many = format!("{{ employees(orderBy: [{}]) {{ totalCount }} }}", "{ field: BOGUS } ".repeat(1_000));
        assert_eq!(checked(&many).lines().count(), ERRORS_MAX);
    }
}
