//! The cost of an operation: its fields, each multiplied by the sizes of the lists that contain it, and the measurements
//! that are read for it, as the schema declares them. Each fragment is computed once per window of time, so the work is
//! linear in the document.

mod given;

use std::collections::HashMap;

use async_graphql::{
    Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};

use self::given::{Arguments, Given};

use crate::{
    config::Limits,
    engine::schema::{
        ArgumentPath, FieldDefinition, ListSize, ObjectFields, Reading, SchemaTypes, SlicingArgument, TimeBuckets,
        TimeWindow,
    },
    model::{
        Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, duration_micros},
    },
};

/// Reports round a window of this length or more to whole minutes.
const WHOLE_MINUTES_FROM_MICROS: i64 = 60 * MINUTE_MICROS;

/// The groups that cost one.
const GROUPS_PER_COST: u64 = 100;
/// The measurements of an exact answer that cost one.
const EXACT_ROWS_PER_COST: u64 = 1_000;

/// The cost of a selection set.
#[derive(Clone, Copy, Default)]
struct Selected {
    /// The fields, multiplied by the sizes of lists inside of it.
    cost: u64,
    /// The reading of measurements, which one statement does for all objects around it.
    reading: u64,
    /// It selects the items of a page.
    has_items: bool,
}

/// Computes the cost of one operation.
pub struct CostCalculator<'a> {
    types: &'a SchemaTypes,
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    arguments: Arguments<'a>,
    page_size_default: u64,
    page_size_max: u64,
    buckets_max: u64,
    groups_max: u64,
    exact_rows_max: u64,
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
            arguments: Arguments::new(operation, variables),
            page_size_default: u64::from(limits.page_size_default),
            page_size_max: u64::from(limits.page_size_max),
            buckets_max: u64::try_from(limits.buckets_max).unwrap_or(u64::MAX),
            groups_max: u64::try_from(limits.groups_max).unwrap_or(u64::MAX),
            exact_rows_max: u64::from(limits.exact_rows_max),
            window: None,
            fragments: HashMap::new(),
        }
    }

    /// The cost of the operation.
    pub fn cost(&mut self) -> u64 {
        let root = self.types.object(self.types.root(self.operation.ty));
        let Selected { cost, reading, .. } = self.selection_set(root, &self.operation.selection_set.node);
        cost.saturating_add(reading)
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
                reading: total.reading.saturating_add(selected.reading),
                has_items: total.has_items || selected.has_items,
            }
        })
    }

    fn field(&mut self, parent: Option<&'a ObjectFields>, field: &'a Field) -> Selected {
        let set = &field.selection_set.node;
        // A field without selections costs one, and so does introspection, which reads no data.
        if set.items.is_empty() {
            return Selected { cost: 1, ..Selected::default() };
        }
        let Some(known) = parent.and_then(|fields| fields.get(field.name.node.as_str())) else {
            return Selected { cost: 1, ..Selected::default() };
        };
        let outer = self.window;
        if let Some(window) = &known.declarations.time_window {
            self.window = self.window_length(window, field).or(outer);
        }
        let inner = self.selection_set(self.types.object(&known.output_name), set);
        let size = self.list_size(known, field, inner.has_items);
        let reading = known
            .declarations
            .reading
            .as_ref()
            .map_or(0, |reading| self.reading(reading, known.declarations.time_buckets.as_ref(), field));
        self.window = outer;
        Selected {
            cost: inner.cost.saturating_mul(size).saturating_add(1),
            reading: inner.reading.saturating_add(reading),
            has_items: known.is_sized_by_parent,
        }
    }

    /// The cost of the measurements that a field reads.
    fn reading(&self, declared: &'a Reading, buckets: Option<&'a TimeBuckets>, field: &'a Field) -> u64 {
        let given = |path: &'a ArgumentPath| self.arguments.given(field, path, &path.fields);
        let is_on = |path: &'a ArgumentPath| given(path).is_some_and(Given::is_true);
        let is_exact = declared.exact.iter().any(is_on);
        let keys = declared.groups.as_ref().map(|path| self.arguments.names(given(path))).unwrap_or_default();
        let is_given = |paths: &'a [ArgumentPath], dimensions: &[String]| {
            paths.iter().any(|path| given(path).is_some())
                || dimensions.iter().any(|dimension| keys.contains(&dimension.as_str()))
        };
        let is_single = is_given(&declared.single, &declared.single_keys);
        let has_counts = !declared.apart.is_empty()
            && !is_given(&declared.apart, &declared.apart_keys)
            && buckets.is_none_or(|buckets| {
                let bucket = self.arguments.argument(field, &buckets.argument).and_then(Given::text);
                bucket.and_then(|text| duration_micros(text).ok()).is_none_or(|micros| micros % HOUR_MICROS == 0)
            });
        let in_window = |length: i64| self.window.map_or(1, |window| u64::try_from(window / length + 1).unwrap_or(0));
        let length = if has_counts && !is_exact { DAY_MICROS } else { HOUR_MICROS };
        [
            (true, declared.weight),
            (!keys.is_empty(), self.groups_max / GROUPS_PER_COST),
            (is_single || is_exact, in_window(length)),
            (is_exact, self.exact_rows_max / EXACT_ROWS_PER_COST),
        ]
        .into_iter()
        .filter(|(counts, _)| *counts)
        .fold(0, |sum: u64, (_, cost)| sum.saturating_add(cost))
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
    fn list_size(&self, known: &'a FieldDefinition, field: &'a Field, has_items: bool) -> u64 {
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

    fn items(&self, list: &'a ListSize, field: &'a Field, has_items: bool) -> u64 {
        if list.grouping_argument.as_ref().is_some_and(|name| self.arguments.argument(field, name).is_none()) {
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
    fn sliced(&self, field: &'a Field, argument: &SlicingArgument) -> Option<u64> {
        let given = self.arguments.argument(field, &argument.name)?;
        if argument.is_list {
            return Some(given.length());
        }
        // The resolver refuses a negative number; until then it counts as the largest page.
        Some(given.number().unwrap_or(self.page_size_max))
    }

    /// The number of buckets that the current window touches. One that makes no sense counts as one: its resolver refuses.
    fn buckets(&self, declared: Option<&'a TimeBuckets>, field: &'a Field) -> u64 {
        let count = || {
            let bucket = self.arguments.argument(field, &declared?.argument)?.text()?;
            let buckets = self.window? / duration_micros(bucket).ok()?;
            // The ends of a window may lie inside a bucket.
            u64::try_from(buckets.saturating_add(1)).ok()
        };
        count().unwrap_or(1).min(self.buckets_max)
    }

    /// The length of the window that the arguments of a field select. `None` for values that its resolver refuses.
    fn window_length(&self, window: &'a TimeWindow, field: &'a Field) -> Option<i64> {
        let (starts, ends) = &window.bounds;
        // The holder of the length is the argument itself, or the innermost input object on the path to it.
        let holder = |path: &'a ArgumentPath| {
            let fields = path.fields.split_last().map_or(&[][..], |(_, outer)| outer);
            self.arguments.given(field, path, fields)
        };
        if window.lengths.iter().all(|path| holder(path).is_none()) {
            return window.default_micros;
        }
        let text = |path: &'a ArgumentPath| self.arguments.given(field, path, &path.fields)?.text();
        if let Some(length) = window.lengths.iter().find_map(text) {
            return duration_micros(length).ok().map(whole_minutes);
        }
        let moment = |paths: &'a [ArgumentPath]| {
            let text = paths.iter().find_map(text)?;
            text.parse::<Timestamp>().ok().map(Timestamp::as_micros)
        };
        Some(moment(ends)?.saturating_sub(moment(starts)?))
    }
}

/// The length of a window that ends now, as reports round it.
pub fn whole_minutes(micros: i64) -> i64 {
    if micros < WHOLE_MINUTES_FROM_MICROS {
        return micros;
    }
    micros.saturating_add(MINUTE_MICROS - 1) / MINUTE_MICROS * MINUTE_MICROS
}
