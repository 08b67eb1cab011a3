//! Converts a nested filter to a tree of conditions. Depth and number are limited before the tree is built.

mod slugs;

use async_graphql::ID;

use self::slugs::{NamedSlug, Noun, Slugs};
use super::{FloatFilter, StringFilter};
use crate::{
    config::Limits,
    error::{Error, Result},
    graphql::{
        context::RequestContext,
        named::{self, NameFields, NamedObjects, ObjectKey},
        node::{IdError, NodeId},
    },
    model::{
        Key, OrganizationId, ProjectId,
        filter::{Filter, NumberFilter, TextFilter},
    },
};

/// The filter of an input.
///
/// # Errors
/// [`Error::Input`] naming the condition that is nested too deep, exceeds the number of conditions, cannot be compared or
/// holds no id of its type, [`Error::NotFound`] naming an id or slugs without an object, or the error of the database.
pub async fn filter<I: Conditions>(request: &RequestContext, input: I) -> Result<Filter<I::Condition>> {
    let (filter, named) = read(request, input, |fault, _| fault).await?;
    named.require(request).await?;
    Ok(filter)
}

/// As [`filter`], for the filter of a change, whose expected failures are data.
///
/// # Errors
/// As [`filter`], with [`Error::Refused`] naming the field of an id or of slugs without an object.
pub async fn filter_of_change<I: Conditions>(request: &RequestContext, input: I) -> Result<Filter<I::Condition>> {
    let (filter, named) = read(request, input, named::not_found_in_change).await?;
    named.require_for_change(request).await?;
    Ok(filter)
}

/// The filter of an input, and the objects that it names by ids. One that names objects by slugs is read twice: to find the
/// slugs, which are looked up in one statement for each kind of object, and with the keys of these objects. `fault` turns the
/// error for slugs in a field into that of the operation.
///
/// # Errors
/// As [`filter`], without ids that name no object.
async fn read<I: Conditions>(
    request: &RequestContext,
    input: I,
    fault: fn(Error, &str) -> Error,
) -> Result<(Filter<I::Condition>, NamedObjects)> {
    let limits = &request.services.limits;
    let mut reader = Reader::new(limits, Slugs::default());
    let filter = reader.filter(input.clone())?;
    let Some(slugs) = reader.slugs.look_up(request, fault).await? else { return Ok((filter, reader.named)) };
    let mut reader = Reader::new(limits, slugs);
    Ok((reader.filter(input)?, reader.named))
}

/// An input that nests filters of its own type.
pub trait Conditions: Clone {
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
    slugs: Slugs,
}

impl<'a> Reader<'a> {
    fn new(limits: &'a Limits, slugs: Slugs) -> Self {
        Self {
            path: "filter".to_owned(),
            levels_left: limits.filter_depth_max,
            conditions_left: limits.filter_conditions_max,
            limits,
            named: NamedObjects::default(),
            slugs,
        }
    }

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

    /// A condition on an organization, named by its id or by its slug.
    pub fn organization<C>(
        &mut self,
        id: Option<&ID>,
        slug: Option<String>,
        condition: impl Fn(OrganizationId) -> C,
    ) -> Result<Option<Filter<C>>> {
        let Some(slug) = slug else {
            return self.id(("organization", "organizationId"), id, NodeId::organization, condition);
        };
        let key = self.slug(Noun::Organization, id, slug)?;
        Ok(key.and_then(ObjectKey::organization).map(condition).map(Filter::Is))
    }

    /// A condition on a project, named by its id or by its slugs.
    pub fn project<C>(
        &mut self,
        id: Option<&ID>,
        slug: Option<String>,
        condition: impl Fn(Key<ProjectId>) -> C,
    ) -> Result<Option<Filter<C>>> {
        let Some(slug) = slug else {
            return self.id(("project", "projectId"), id, NodeId::project, condition);
        };
        let key = self.slug(Noun::Project, id, slug)?;
        Ok(key.and_then(ObjectKey::project).map(condition).map(Filter::Is))
    }

    /// The object with these slugs, if it was looked up. An id beside them is an error.
    fn slug(&mut self, noun: Noun, id: Option<&ID>, slug: String) -> Result<Option<ObjectKey>> {
        let NameFields { id: id_field, slug: slug_field, .. } = noun.fields();
        let field = format!("{}.{slug_field}", self.path);
        if id.is_some() {
            return Err(Error::input(field, format!("is given together with `{id_field}`; give one of them")));
        }
        self.count(1)?;
        self.slugs.next(NamedSlug { noun, field, slug })
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
