//! Converts a nested filter to a tree of conditions. Depth and number are limited before the tree is built.

use async_graphql::ID;

use super::{FloatFilter, StringFilter};
use crate::{
    config::Limits,
    error::{Error, Result},
    graphql::{
        context::RequestContext,
        named::{NamedObjects, ObjectKey},
        node::IdError,
    },
    model::filter::{Filter, NumberFilter, TextFilter},
};

/// The filter of an input.
///
/// # Errors
/// As [`read`], and [`Error::NotFound`] naming an id without an object.
pub async fn filter<I: Conditions>(request: &RequestContext, input: I) -> Result<Filter<I::Condition>> {
    let (filter, named) = read(input, &request.services.limits)?;
    named.require(request).await?;
    Ok(filter)
}

/// The filter of an input, and the objects that it names.
///
/// # Errors
/// [`Error::Input`] naming the condition that is nested too deep, exceeds the number of conditions, cannot be compared or
/// holds no id of its type.
pub fn read<I: Conditions>(input: I, limits: &Limits) -> Result<(Filter<I::Condition>, NamedObjects)> {
    let mut reader = Reader {
        path: "filter".to_owned(),
        levels_left: limits.filter_depth_max,
        conditions_left: limits.filter_conditions_max,
        limits,
        named: NamedObjects::default(),
    };
    let filter = reader.filter(input)?;
    Ok((filter, reader.named))
}

/// An input that nests filters of its own type.
pub trait Conditions: Sized {
    /// The type of a single condition.
    type Condition;

    /// Takes out `and`, `or` and `not`.
    fn branches(&mut self) -> Branches<Self>;

    /// The conditions other than `and`, `or` and `not`.
    ///
    /// # Errors
    /// As [`filter`].
    fn conditions(self, reader: &mut Reader) -> Result<Vec<Filter<Self::Condition>>>;
}

/// The nested filters of a filter.
pub struct Branches<I> {
    /// Filters that must all match.
    pub and: Option<Vec<I>>,
    /// Filters of which one must match.
    pub or: Option<Vec<I>>,
    /// A filter that must not match.
    pub not: Option<Box<I>>,
}

/// The filters of a branch.
enum Inner<I> {
    One(Box<I>),
    /// A list, whose positions are part of the path.
    List(Vec<I>),
}

/// Reads a filter within its bounds and tracks the path for errors.
pub struct Reader<'a> {
    path: String,
    levels_left: usize,
    conditions_left: usize,
    limits: &'a Limits,
    /// The objects that conditions name by id.
    named: NamedObjects,
}

impl Reader<'_> {
    fn filter<I: Conditions>(&mut self, mut input: I) -> Result<Filter<I::Condition>> {
        let branches = input.branches();
        let mut all = input.conditions(self)?;
        if let Some(and) = branches.and {
            all.push(Filter::All(self.inside("and", Inner::List(and))?));
        }
        if let Some(or) = branches.or {
            all.push(Filter::Any(self.inside("or", Inner::List(or))?));
        }
        if let Some(not) = branches.not {
            all.extend(self.inside("not", Inner::One(not))?.into_iter().map(|not| Filter::Not(Box::new(not))));
        }
        Ok(Filter::All(all))
    }

    /// Reads the filters one level deeper.
    fn inside<I: Conditions>(&mut self, name: &'static str, inputs: Inner<I>) -> Result<Vec<Filter<I::Condition>>> {
        let Some(levels_left) = self.levels_left.checked_sub(1) else {
            let message = format!("nests filters more than {} deep; ask with fewer", self.limits.filter_depth_max);
            return Err(Error::input("filter", message));
        };
        self.levels_left = levels_left;
        let read = self.at(name, |reader| {
            let (inputs, is_list) = match inputs {
                Inner::One(input) => (vec![*input], false),
                Inner::List(inputs) => (inputs, true),
            };
            let read = |(place, input): (usize, I)| {
                reader.count(1)?;
                if is_list {
                    reader.at(&place.to_string(), |reader| reader.filter(input))
                } else {
                    reader.filter(input)
                }
            };
            inputs.into_iter().enumerate().map(read).collect()
        });
        self.levels_left += 1;
        read
    }

    /// Reads with this field or position appended to the path.
    fn at<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outside = self.path.len();
        self.path.push('.');
        self.path.push_str(name);
        let read = read(self);
        self.path.truncate(outside);
        read
    }

    fn count(&mut self, conditions: usize) -> Result<()> {
        self.conditions_left = self.conditions_left.checked_sub(conditions).ok_or_else(|| {
            let max = self.limits.filter_conditions_max;
            Error::input(
                self.path.clone(),
                format!("the filter compares with more than {max} values; ask for fewer at once"),
            )
        })?;
        Ok(())
    }

    /// A condition that compares with one value.
    pub fn one<C>(&mut self, condition: Option<C>) -> Result<Option<Filter<C>>> {
        condition.map(|condition| self.count(1).map(|()| Filter::Is(condition))).transpose()
    }

    /// A condition on the id of an object, whose kind and field are given.
    pub fn id<K: Copy + Into<ObjectKey>, C>(
        &mut self,
        (noun, field): (&'static str, &str),
        id: Option<&ID>,
        decode: impl Fn(&ID) -> Result<K, IdError>,
        condition: impl Fn(K) -> C,
    ) -> Result<Option<Filter<C>>> {
        let Some(id) = id else { return Ok(None) };
        self.count(1)?;
        let field = format!("{}.{field}", self.path);
        let key = decode(id).map_err(|error| error.in_field(field.clone()))?;
        self.named.add(noun, field, id, key);
        Ok(Some(Filter::Is(condition(key))))
    }

    /// Conditions on a text.
    pub fn text<C>(
        &mut self,
        name: &'static str,
        input: Option<StringFilter>,
        condition: impl Fn(TextFilter) -> C,
    ) -> Result<Option<Filter<C>>> {
        let Some(input) = input else { return Ok(None) };
        let text = TextFilter::from(input);
        self.at(name, |reader| {
            reader.count(text.texts().count())?;
            // PostgreSQL cannot store NUL in text, so no row contains it.
            if text.texts().any(|text| text.contains('\0')) {
                return Err(Error::input(reader.path.clone(), "holds a zero byte, which no text here does; remove it"));
            }
            Ok(())
        })?;
        Ok(Some(Filter::Is(condition(text))))
    }

    /// Conditions on a number.
    pub fn number<C>(
        &mut self,
        input: Option<FloatFilter>,
        condition: impl Fn(NumberFilter) -> C,
    ) -> Result<Option<Filter<C>>> {
        let Some(input) = input else { return Ok(None) };
        let number = NumberFilter::from(input);
        self.count(number.numbers().count())?;
        Ok(Some(Filter::Is(condition(number))))
    }
}
