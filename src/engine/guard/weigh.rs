//! What an operation amounts to with every fragment spread out: each fragment is weighed once, so the work is linear in
//! the document however often fragments spread each other.

use std::{collections::HashMap, convert::Infallible};

use async_graphql::{
    Name, Value as ConstValue, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value;

use super::buckets;
use crate::config::Limits;

/// Lists that answer so many items when they are asked for without a size.
const DEFAULT_SIZES: [(&str, u64); 5] =
    [("slowestEndpoints", 10), ("metricGroups", 50), ("metricColumns", 20), ("owners", 10), ("byDepartment", 20)];

/// Lists that take no size and answer the largest page.
const PLAIN_LISTS: [&str; 3] = ["allOrganizations", "allEmployees", "employeesByOrganization"];

/// What a selection set amounts to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weight {
    /// Fields side by side at its top.
    pub breadth: usize,
    /// Fields at all levels.
    pub fields: usize,
    /// Fields under another name.
    pub aliases: usize,
    /// Directives on anything.
    pub directives: usize,
    /// Levels of fields inside each other.
    pub depth: usize,
    /// The same below `__schema` and `__type`.
    pub introspection_depth: usize,
    /// Fields times the sizes of the lists that they stand in.
    pub cost: u64,
    /// Whether the items of a connection are among its top fields.
    has_items: bool,
}

impl Weight {
    fn beside(self, other: Self) -> Self {
        Self {
            breadth: self.breadth.saturating_add(other.breadth),
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            introspection_depth: self.introspection_depth.max(other.introspection_depth),
            cost: self.cost.saturating_add(other.cost),
            has_items: self.has_items || other.has_items,
        }
    }

    /// The same below `__schema` or `__type`.
    pub fn of_introspection(self) -> Self {
        Self { depth: 0, introspection_depth: self.introspection_depth.max(self.depth), cost: 1, ..self }
    }
}

/// Weighs the selections of one operation: sizes may come from its variables.
pub struct Scales<'a> {
    document: &'a ExecutableDocument,
    operation: Option<&'a OperationDefinition>,
    variables: &'a Variables,
    page_size_default: u64,
    page_size_max: u64,
    buckets_max: u64,
    /// How long the window of the report is in which a selection stands.
    window: Option<i64>,
    measured: HashMap<(&'a str, Option<i64>), Option<Weight>>,
}

impl<'a> Scales<'a> {
    /// Scales for an operation, or for fragments by themselves.
    pub fn new(
        document: &'a ExecutableDocument,
        operation: Option<&'a OperationDefinition>,
        variables: &'a Variables,
        limits: &Limits,
    ) -> Self {
        Self {
            document,
            operation,
            variables,
            page_size_default: u64::from(limits.page_size_default),
            page_size_max: u64::from(limits.page_size_max),
            buckets_max: u64::try_from(limits.buckets_max).unwrap_or(u64::MAX),
            window: None,
            measured: HashMap::new(),
        }
    }

    /// Everything in a selection set.
    pub fn selection_set(&mut self, set: &'a SelectionSet) -> Weight {
        let mut total = Weight::default();
        for item in &set.items {
            let weight = match &item.node {
                Selection::Field(field) => self.field(&field.node),
                Selection::InlineFragment(fragment) => {
                    let mut weight = self.selection_set(&fragment.node.selection_set.node);
                    weight.directives = weight.directives.saturating_add(fragment.node.directives.len());
                    weight
                }
                Selection::FragmentSpread(spread) => {
                    let mut weight = self.fragment(spread.node.fragment_name.node.as_str());
                    weight.directives = weight.directives.saturating_add(spread.node.directives.len());
                    // A chain of spreads is as much work as a chain of fields, also when it selects nothing.
                    weight.fields = weight.fields.saturating_add(1);
                    weight
                }
            };
            total = total.beside(weight);
        }
        total
    }

    fn field(&mut self, field: &'a Field) -> Weight {
        let name = field.name.node.as_str();
        let outside = self.window;
        if buckets::has_window(name) {
            let constant = |argument| field.get_argument(argument).map(|value| self.constant(&value.node));
            self.window = buckets::window(constant("filter").as_ref(), constant("window").as_ref()).or(outside);
        }
        let inner = self.selection_set(&field.selection_set.node);
        let size = if inner.fields == 0 { 1 } else { self.list_size(field, inner.has_items) };
        self.window = outside;
        let weight = Weight {
            breadth: 1,
            fields: inner.fields.saturating_add(1),
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
            directives: inner.directives.saturating_add(field.directives.len()),
            depth: inner.depth.saturating_add(1),
            introspection_depth: inner.introspection_depth,
            cost: inner.cost.saturating_mul(size).saturating_add(1),
            has_items: matches!(name, "nodes" | "edges" | "items"),
        };
        if name.starts_with("__") { Weight { depth: 1, ..weight.of_introspection() } } else { weight }
    }

    /// Everything in a fragment. One that spreads itself counts as nothing here: validation names the cycle.
    pub fn fragment(&mut self, name: &str) -> Weight {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else { return Weight::default() };
        // The same fields are more where the window of a report is longer.
        let key = (name.as_str(), self.window);
        if let Some(known) = self.measured.get(&key) {
            return known.unwrap_or_default();
        }
        self.measured.insert(key, None);
        let mut weight = self.selection_set(&fragment.node.selection_set.node);
        weight.directives = weight.directives.saturating_add(fragment.node.directives.len());
        self.measured.insert(key, Some(weight));
        weight
    }

    /// How many items a field may answer with: as many as it asks for, or as it answers without being asked.
    fn list_size(&self, field: &Field, is_connection: bool) -> u64 {
        let argument = |name| field.get_argument(name).map(|value| &value.node);
        let explicit = ["first", "last", "limit", "pageSize"].into_iter().find_map(|name| self.number(argument(name)?));
        let listed = || self.length(argument("ids")?);
        let name = field.name.node.as_str();
        let constant = |name| field.get_argument(name).map(|value| self.constant(&value.node));
        let buckets = || buckets::count(self.window, constant("bucket").as_ref()).unwrap_or(1).min(self.buckets_max);
        if buckets::is_list(name) {
            return buckets().max(1);
        }
        let implied = || {
            let whole = PLAIN_LISTS.contains(&name).then_some(self.page_size_max);
            whole.or_else(|| DEFAULT_SIZES.iter().find(|(list, _)| *list == name).map(|(_, size)| *size))
        };
        let connection = is_connection.then_some(self.page_size_default);
        let size = explicit.or_else(listed).or_else(implied).or(connection).unwrap_or(1);
        // More than that is refused by the field itself, which can name the argument.
        let size = size.clamp(1, self.page_size_max);
        if name == "metricColumns" {
            let is_grouped = !matches!(constant("groupBy"), None | Some(ConstValue::Null));
            let series = if is_grouped { size } else { 1 };
            return series.saturating_mul(1 + buckets() / buckets::POINTS_PER_ROW);
        }
        size
    }

    /// A value with its variables filled in; null for those that are not known.
    fn constant(&self, value: &Value) -> ConstValue {
        let known = |name: Name| Ok::<_, Infallible>(self.variable(name.as_str()).cloned().unwrap_or_default());
        let Ok(constant) = value.clone().into_const_with(known);
        constant
    }

    fn number(&self, value: &Value) -> Option<u64> {
        match value {
            Value::Number(number) => number.as_u64(),
            // What is not a number here is refused later; until then it is taken for the largest page.
            Value::Variable(name) => match self.variable(name)? {
                ConstValue::Number(number) => number.as_u64().or(Some(self.page_size_max)),
                ConstValue::Null => None,
                _ => Some(self.page_size_max),
            },
            _ => None,
        }
    }

    fn length(&self, value: &Value) -> Option<u64> {
        let items = match value {
            Value::List(items) => items.len(),
            Value::Variable(name) => match self.variable(name)? {
                ConstValue::List(items) => items.len(),
                _ => 1,
            },
            _ => 1,
        };
        u64::try_from(items).ok()
    }

    /// The value of a variable, or its default in this operation.
    fn variable(&self, name: &str) -> Option<&ConstValue> {
        let given = self.variables.iter().find(|(given, _)| given.as_str() == name).map(|(_, value)| value);
        given.or_else(|| {
            let defined =
                self.operation?.variable_definitions.iter().find(|one| one.node.name.node.as_str() == name)?;
            defined.node.default_value.as_ref().map(|value| &value.node)
        })
    }
}
