//! Declarations about the cost and the resumption of a field, read from the directives on its definition.

use async_graphql::{
    Positioned, Value,
    parser::types::{BaseType, ConstDirective},
};

use super::{InputField, SchemaError};
use crate::model::timestamp::duration_micros;

/// The directives of one field definition.
#[derive(Default)]
pub struct Declarations {
    /// `@listSize`.
    pub list_size: Option<ListSize>,
    /// `@timeBuckets`.
    pub time_buckets: Option<TimeBuckets>,
    /// `@timeWindow`.
    pub time_window: Option<TimeWindow>,
    /// `@reads`.
    pub reading: Option<Reading>,
    /// `@resumable`.
    pub resumption: Option<Resumption>,
}

/// The number of items that the cost counts for a list.
pub struct ListSize {
    /// Arguments that give the size.
    pub slicing_arguments: Vec<SlicingArgument>,
    /// The size without such an argument.
    pub assumed: Option<u64>,
    /// Fields of the returned object that hold the items; empty when the field itself is the list.
    pub sized_fields: Vec<String>,
    /// An argument without which the list has one item.
    pub grouping_argument: Option<String>,
}

/// An argument that gives the size of a list.
pub struct SlicingArgument {
    /// The name.
    pub name: String,
    /// The length of its list gives the size.
    pub is_list: bool,
}

/// The time buckets of a series.
pub struct TimeBuckets {
    /// The argument that holds the length of a bucket.
    pub argument: String,
    /// The number of buckets that cost as much as one item. Without it, each bucket is an item of the list.
    pub per_item: Option<u64>,
}

/// The time window that the arguments of a field select.
pub struct TimeWindow {
    /// Paths to a length.
    pub lengths: Vec<ArgumentPath>,
    /// Paths to the start and to the end.
    pub bounds: (Vec<ArgumentPath>, Vec<ArgumentPath>),
    /// The length in microseconds without any of these arguments.
    pub default_micros: Option<i64>,
}

/// The measurements that a field reads.
pub struct Reading {
    /// The cost of reading.
    pub weight: u64,
    /// The argument with the dimensions of groups.
    pub groups: Option<ArgumentPath>,
    /// Paths to conditions that only single measurements can answer.
    pub single: Vec<ArgumentPath>,
    /// Dimensions that only single measurements have.
    pub single_keys: Vec<String>,
    /// Paths to conditions with which the single ones are not answered from counts of hours and days; empty if they never are.
    pub apart: Vec<ArgumentPath>,
    /// Dimensions likewise.
    pub apart_keys: Vec<String>,
    /// Paths to the switch for exact answers.
    pub exact: Vec<ArgumentPath>,
}

/// A path from an argument to a value inside of it.
pub struct ArgumentPath {
    /// The argument.
    pub argument: String,
    /// Names of input fields, from the outermost on.
    pub fields: Vec<String>,
    /// The default value of the argument.
    pub default: Option<Value>,
}

/// The resumption of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The argument that holds the cursor.
    pub cursor: String,
    /// The engine replays what a client missed, so that clients share an execution wherever they resume.
    pub is_replayed: bool,
}

impl Declarations {
    /// Reads the directives of the field `label`.
    pub fn of(
        label: &str,
        directives: &[Positioned<ConstDirective>],
        arguments: &[InputField],
    ) -> Result<Self, SchemaError> {
        let mut declarations = Self::default();
        for directive in directives {
            let reader = |name| Reader { directive: name, values: &directive.node, label, arguments };
            match directive.node.name.node.as_str() {
                "listSize" => declarations.list_size = Some(reader("listSize").list_size()?),
                "timeBuckets" => declarations.time_buckets = Some(reader("timeBuckets").time_buckets()?),
                "timeWindow" => declarations.time_window = Some(reader("timeWindow").time_window()?),
                "reads" => declarations.reading = Some(reader("reads").reading()?),
                "resumable" => declarations.resumption = Some(reader("resumable").resumption()?),
                _ => {}
            }
        }
        Ok(declarations)
    }
}

/// Reads the arguments of one directive.
struct Reader<'a> {
    directive: &'static str,
    values: &'a ConstDirective,
    label: &'a str,
    /// The arguments of the field.
    arguments: &'a [InputField],
}

impl Reader<'_> {
    fn list_size(&self) -> Result<ListSize, SchemaError> {
        let names = self.texts("slicingArguments")?;
        let known = names.iter().map(|name| self.argument(name)).collect::<Result<Vec<_>, _>>()?;
        let default = || known.iter().find_map(|argument| count(argument.default.as_ref()?));
        let slicing_arguments = known.iter().map(|argument| SlicingArgument {
            name: argument.name.clone(),
            is_list: matches!(argument.wanted.base, BaseType::List(_)),
        });
        let grouping_argument = self.text("groupingArgument")?;
        if let Some(name) = &grouping_argument {
            self.argument(name)?;
        }
        Ok(ListSize {
            slicing_arguments: slicing_arguments.collect(),
            assumed: self.count("assumedSize")?.or_else(default),
            sized_fields: self.texts("sizedFields")?,
            grouping_argument,
        })
    }

    fn time_buckets(&self) -> Result<TimeBuckets, SchemaError> {
        let argument = self.required("argument")?;
        self.argument(&argument)?;
        let per_item = self.count("bucketsPerItem")?;
        if per_item == Some(0) {
            return Err(self.wrong("bucketsPerItem", "a positive number"));
        }
        Ok(TimeBuckets { argument, per_item })
    }

    fn time_window(&self) -> Result<TimeWindow, SchemaError> {
        let (start, end) = (self.paths("start")?, self.paths("end")?);
        if start.is_empty() != end.is_empty() {
            return Err(self.wrong("start", "given together with `end`"));
        }
        let default_micros = match self.text("default")? {
            Some(text) => Some(duration_micros(&text).map_err(|_| self.wrong("default", "an ISO 8601 duration"))?),
            None => None,
        };
        Ok(TimeWindow { lengths: self.paths("lengths")?, bounds: (start, end), default_micros })
    }

    fn reading(&self) -> Result<Reading, SchemaError> {
        Ok(Reading {
            weight: self.count("weight")?.ok_or_else(|| self.wrong("weight", "given"))?,
            groups: self.text("groups")?.map(|name| self.path(&name)).transpose()?,
            single: self.paths("single")?,
            single_keys: self.texts("singleKeys")?,
            apart: self.paths("apart")?,
            apart_keys: self.texts("apartKeys")?,
            exact: self.paths("exact")?,
        })
    }

    fn resumption(&self) -> Result<Resumption, SchemaError> {
        let cursor = self.required("cursor")?;
        self.argument(&cursor)?;
        let is_replayed = matches!(self.value("replayed"), Some(Value::Boolean(true)));
        Ok(Resumption { cursor, is_replayed })
    }

    fn paths(&self, argument: &'static str) -> Result<Vec<ArgumentPath>, SchemaError> {
        self.texts(argument)?.iter().map(|path| self.path(path)).collect()
    }

    fn path(&self, text: &str) -> Result<ArgumentPath, SchemaError> {
        let mut names = text.split('.').map(str::to_owned);
        let argument = self.argument(&names.next().unwrap_or_default())?;
        Ok(ArgumentPath { argument: argument.name.clone(), fields: names.collect(), default: argument.default.clone() })
    }

    /// The argument of the field with this name.
    fn argument(&self, name: &str) -> Result<&InputField, SchemaError> {
        self.arguments.iter().find(|argument| argument.name == name).ok_or_else(|| SchemaError::UnknownName {
            directive: self.directive,
            field: self.label.to_owned(),
            name: name.to_owned(),
        })
    }

    fn value(&self, argument: &str) -> Option<&Value> {
        let given = self.values.arguments.iter().find(|(name, _)| name.node == argument);
        given.map(|(_, value)| &value.node).filter(|value| **value != Value::Null)
    }

    fn required(&self, argument: &'static str) -> Result<String, SchemaError> {
        self.text(argument)?.ok_or_else(|| self.wrong(argument, "given"))
    }

    fn text(&self, argument: &'static str) -> Result<Option<String>, SchemaError> {
        match self.value(argument) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(argument, "a string")),
        }
    }

    fn texts(&self, argument: &'static str) -> Result<Vec<String>, SchemaError> {
        let wrong = || self.wrong(argument, "a list of strings");
        match self.value(argument) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => {
                let texts = items.iter().map(|item| match item {
                    Value::String(text) => Ok(text.clone()),
                    _ => Err(wrong()),
                });
                texts.collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    fn count(&self, argument: &'static str) -> Result<Option<u64>, SchemaError> {
        match self.value(argument) {
            None => Ok(None),
            Some(value) => count(value).map(Some).ok_or_else(|| self.wrong(argument, "a number, 0 or more")),
        }
    }

    fn wrong(&self, argument: &'static str, expected: &'static str) -> SchemaError {
        SchemaError::WrongValue { directive: self.directive, field: self.label.to_owned(), argument, expected }
    }
}

fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}
