//! The objects that a filter names by slugs.

use std::collections::VecDeque;

use futures_util::future::try_join_all;

use crate::{
    error::{Error, Result},
    graphql::{
        context::RequestContext,
        named::{self, NameFields, ObjectKey},
    },
};

/// The slugs of a filter, in the order in which it is read.
pub enum Slugs {
    /// Those found so far. Their conditions are left out.
    Wanted(Vec<NamedSlug>),
    /// The objects that they name.
    Known(VecDeque<ObjectKey>),
}

/// Slugs in a field.
pub struct NamedSlug {
    pub noun: Noun,
    pub field: String,
    pub slug: String,
}

/// The kind of an object that slugs name.
#[derive(Clone, Copy)]
pub enum Noun {
    Organization,
    Project,
}

impl Default for Slugs {
    fn default() -> Self {
        Self::Wanted(Vec::new())
    }
}

impl Slugs {
    /// The object that slugs name, if they were looked up; otherwise they are noted.
    pub fn next(&mut self, slug: NamedSlug) -> Result<Option<ObjectKey>> {
        match self {
            Self::Known(keys) => keys.pop_front().map(Some).ok_or_else(|| Error::internal("a filter has other slugs")),
            Self::Wanted(wanted) => {
                wanted.push(slug);
                Ok(None)
            }
        }
    }

    /// The objects of the slugs that were noted, in one statement for each kind; `None` if there are none. `fault` turns the
    /// error for slugs in a field into that of the operation.
    pub async fn look_up(self, request: &RequestContext, fault: fn(Error, &str) -> Error) -> Result<Option<Self>> {
        let Self::Wanted(wanted) = self else { return Ok(None) };
        if wanted.is_empty() {
            return Ok(None);
        }
        let keys = wanted.iter().map(async |slug| slug.key(request).await.map_err(|error| fault(error, &slug.field)));
        Ok(Some(Self::Known(try_join_all(keys).await?.into())))
    }
}

impl NamedSlug {
    async fn key(&self, request: &RequestContext) -> Result<ObjectKey> {
        let Self { noun, field, slug } = self;
        match noun {
            Noun::Organization => named::organization_by_slug(request, slug, field).await.map(ObjectKey::from),
            Noun::Project => named::project_by_slug(request, slug, field).await.map(ObjectKey::from),
        }
    }
}

impl Noun {
    pub const fn fields(self) -> NameFields {
        match self {
            Self::Organization => NameFields::ORGANIZATION,
            Self::Project => NameFields::PROJECT,
        }
    }
}
