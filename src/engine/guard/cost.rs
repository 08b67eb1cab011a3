//! The cost of an operation: its fields, each multiplied by the sizes of the lists that contain it, as the schema declares
//! them. Each fragment is computed once per window of time, so the work is linear in the document.

use std::{collections::HashMap, convert::Infallible};

use async_graphql::{
    Name, Value as ConstValue, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value;

use crate::{
    config::Limits,
    engine::schema::{
        FieldDefinition, ListSize, ObjectFields, SchemaTypes, SlicingArgument, TimeBuckets, TimeWindow, WindowPath,
    },
    model::{
        Timestamp,
        timestamp::{MINUTE_MICROS, duration_micros},
    },
};

/// Reports round a window of this length or more to whole minutes.
const WHOLE_MINUTES_FROM_MICROS: i64 = 60 * MINUTE_MICROS;

/// The cost of a selection set.
#[derive(Clone, Copy, Default)]
struct Selected {
    cost: u64,
    /// It selects the items of a page.
    has_items: bool,
}

/// Computes the cost of one operation.
pub struct CostCalculator<'a> {
    types: &'a SchemaTypes,
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    page_size_default: u64,
    page_size_max: u64,
    buckets_max: u64,
    /// The length of the window of time that contains the current selection, in microseconds.
    window: Option<i64>,
    fragments: HashMap<(&'a str, Option<i64>), Selected>,
}

impl<'a> CostCalculator<'a> {
    /// A calculator for a validated operation with its variables.
    pub fn new(
        types: &'a SchemaTypes,
        document: &'a ExecutableDocument,
        operation: &'a OperationDefinition,
        variables: &'a Variables,
        limits: &Limits,
    ) -> Self {
        Self {
            types,
            document,
            operation,
            variables,
            page_size_default: u64::from(limits.page_size_default),
            page_size_max: u64::from(limits.page_size_max),
            buckets_max: u64::try_from(limits.buckets_max).unwrap_or(u64::MAX),
            window: None,
            fragments: HashMap::new(),
        }
    }

    /// The cost of the operation.
    pub fn cost(&mut self) -> u64 {
        let root = self.types.object(self.types.root(self.operation.ty));
        self.selection_set(root, &self.operation.selection_set.node).cost
    }

    fn selection_set(&mut self, parent: Option<&'a ObjectFields>, set: &'a SelectionSet) -> Selected {
        set.items.iter().fold(Selected::default(), |total, item| {
            let selected = match &item.node {
                Selection::Field(field) => self.field(parent, &field.node),
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let parent = condition.map_or(parent, |condition| self.types.object(&condition.node.on.node));
                    self.selection_set(parent, &fragment.node.selection_set.node)
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            };
            Selected {
                cost: total.cost.saturating_add(selected.cost),
                has_items: total.has_items || selected.has_items,
            }
        })
    }

    fn field(&mut self, parent: Option<&'a ObjectFields>, field: &'a Field) -> Selected {
        let set = &field.selection_set.node;
        // A field without selections costs one, and so does introspection, which reads no data.
        if set.items.is_empty() {
            return Selected { cost: 1, has_items: false };
        }
        let Some(known) = parent.and_then(|fields| fields.get(field.name.node.as_str())) else {
            return Selected { cost: 1, has_items: false };
        };
        let outer = self.window;
        if let Some(window) = &known.declarations.time_window {
            self.window = self.window_length(window, field).or(outer);
        }
        let inner = self.selection_set(self.types.object(&known.output_name), set);
        let size = self.list_size(known, field, inner.has_items);
        self.window = outer;
        Selected { cost: inner.cost.saturating_mul(size).saturating_add(1), has_items: known.is_sized_by_parent }
    }

    fn fragment(&mut self, name: &str) -> Selected {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else { return Selected::default() };
        // The same fields cost more in a longer window.
        let key = (name.as_str(), self.window);
        if let Some(known) = self.fragments.get(&key) {
            return *known;
        }
        let parent = self.types.object(&fragment.node.type_condition.node.on.node);
        let selected = self.selection_set(parent, &fragment.node.selection_set.node);
        self.fragments.insert(key, selected);
        selected
    }

    /// The number of items that the cost counts for a field.
    fn list_size(&self, known: &FieldDefinition, field: &Field, has_items: bool) -> u64 {
        let declared = &known.declarations;
        let items = declared.list_size.as_ref().map(|list| self.items(list, field, has_items));
        match (&declared.time_buckets, items) {
            (None, items) => items.unwrap_or(1),
            (Some(TimeBuckets { per_item: Some(per_item), .. }), items) => {
                let buckets = self.buckets(declared.time_buckets.as_ref(), field);
                items.unwrap_or(1).saturating_mul(1 + buckets / per_item)
            }
            (buckets, _) => self.buckets(buckets.as_ref(), field).max(1),
        }
    }

    fn items(&self, list: &ListSize, field: &Field, has_items: bool) -> u64 {
        let is_given = |name: &String| !matches!(self.argument(field, name), None | Some(ConstValue::Null));
        if list.grouping_argument.as_ref().is_some_and(|name| !is_given(name)) {
            return 1;
        }
        let given = list.slicing_arguments.iter().find_map(|argument| self.sliced(field, argument));
        let implied = || match list.assumed {
            Some(assumed) => Some(assumed),
            None if !list.sized_fields.is_empty() => has_items.then_some(self.page_size_default),
            None if list.slicing_arguments.is_empty() => Some(self.page_size_max),
            None => Some(self.page_size_default),
        };
        given.or_else(implied).unwrap_or(1).clamp(1, self.page_size_max)
    }

    /// The size that an argument gives, if it has a value.
    fn sliced(&self, field: &Field, argument: &SlicingArgument) -> Option<u64> {
        let value = match &field.get_argument(&argument.name)?.node {
            Value::Variable(name) => self.variable(name)?,
            Value::List(items) if argument.is_list => return u64::try_from(items.len()).ok(),
            Value::Number(number) => return if argument.is_list { Some(1) } else { number.as_u64() },
            _ => return argument.is_list.then_some(1),
        };
        match value {
            ConstValue::List(items) if argument.is_list => u64::try_from(items.len()).ok(),
            _ if argument.is_list => Some(1),
            ConstValue::Null => None,
            // The resolver refuses a negative number; until then it counts as the largest page.
            ConstValue::Number(number) => number.as_u64().or(Some(self.page_size_max)),
            _ => Some(self.page_size_max),
        }
    }

    /// The number of buckets that the current window touches. One that makes no sense counts as one: its resolver refuses.
    fn buckets(&self, declared: Option<&TimeBuckets>, field: &Field) -> u64 {
        let count = || {
            let Some(ConstValue::String(bucket)) = self.argument(field, &declared?.argument) else { return None };
            let buckets = self.window? / duration_micros(&bucket).ok()?;
            // The ends of a window may lie inside a bucket.
            u64::try_from(buckets.saturating_add(1)).ok()
        };
        count().unwrap_or(1).min(self.buckets_max)
    }

    /// The length of the window that the arguments of a field select. `None` for values that its resolver refuses.
    fn window_length(&self, window: &TimeWindow, field: &Field) -> Option<i64> {
        let (starts, ends) = &window.bounds;
        let arguments: HashMap<&str, ConstValue> = window
            .lengths
            .iter()
            .chain(starts)
            .chain(ends)
            .filter_map(|path| {
                let given = self.argument(field, &path.argument).filter(|value| *value != ConstValue::Null);
                Some((path.argument.as_str(), given.or_else(|| path.default.clone())?))
            })
            .collect();
        let value = |argument: &str, fields: &[String]| {
            fields.iter().try_fold(arguments.get(argument)?, |value, name| match value {
                ConstValue::Object(fields) => fields.get(name.as_str()),
                _ => None,
            })
        };
        // What holds the length: the argument itself, or the innermost input object on the path to it.
        let holder = |path: &WindowPath| {
            let fields = path.fields.split_last().map_or(&[][..], |(_, outer)| outer);
            value(&path.argument, fields).filter(|value| **value != ConstValue::Null)
        };
        if window.lengths.iter().all(|path| holder(path).is_none()) {
            return window.default_micros;
        }
        let text = |path: &WindowPath| match value(&path.argument, &path.fields) {
            Some(ConstValue::String(text)) => Some(text),
            _ => None,
        };
        if let Some(length) = window.lengths.iter().find_map(text) {
            return duration_micros(length).ok().map(whole_minutes);
        }
        let moment = |paths: &[WindowPath]| {
            let text = paths.iter().find_map(text)?;
            text.parse::<Timestamp>().ok().map(Timestamp::as_micros)
        };
        Some(moment(ends)?.saturating_sub(moment(starts)?))
    }

    /// The value of an argument with variables filled in; a variable without value is null.
    fn argument(&self, field: &Field, name: &str) -> Option<ConstValue> {
        let value = &field.get_argument(name)?.node;
        let known = |name: Name| Ok::<_, Infallible>(self.variable(&name).cloned().unwrap_or_default());
        let Ok(value) = value.clone().into_const_with(known);
        Some(value)
    }

    /// The value of a variable, or its default in this operation.
    fn variable(&self, name: &str) -> Option<&ConstValue> {
        let given = self.variables.iter().find(|(given, _)| given.as_str() == name).map(|(_, value)| value);
        given.or_else(|| {
            let mut definitions = self.operation.variable_definitions.iter();
            let defined = definitions.find(|one| one.node.name.node.as_str() == name)?;
            defined.node.default_value.as_ref().map(|value| &value.node)
        })
    }
}

/// The length of a window that ends now, as reports round it.
pub fn whole_minutes(micros: i64) -> i64 {
    if micros < WHOLE_MINUTES_FROM_MICROS {
        return micros;
    }
    micros.saturating_add(MINUTE_MICROS - 1) / MINUTE_MICROS * MINUTE_MICROS
}
