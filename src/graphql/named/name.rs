//! The one object that an operation is about, named by its id or by its slugs.

use async_graphql::ID;

use super::{not_found, not_found_in_change, project_by_slug};
use crate::{
    directory::OrganizationFields,
    error::{Error, Result},
    graphql::{context::RequestContext, loaders::AskedRow, node::NodeId},
    model::{Key, OrganizationId, ProjectId},
};

/// The two fields that name an object, of which exactly one is given.
#[derive(Clone, Copy, Debug)]
pub struct NameFields {
    noun: &'static str,
    /// The field for an id.
    pub id: &'static str,
    /// The field for slugs.
    pub slug: &'static str,
    /// The slugs of an object, for errors.
    example: &'static str,
}

/// An object as an operation names it.
#[derive(Clone, Debug)]
pub enum Name {
    /// By its id.
    Id(ID),
    /// By its slugs.
    Slug(String),
}

impl NameFields {
    /// A project among the arguments of an operation.
    pub const PROJECT: Self = Self { noun: "project", id: "projectId", slug: "projectSlug", example: "acme/web-shop" };
    /// The project that a change is about.
    pub const CHANGED_PROJECT: Self = Self { id: "id", ..Self::PROJECT };
    /// The project that a query looks up.
    pub const WANTED_PROJECT: Self = Self { id: "id", slug: "slug", ..Self::PROJECT };
    /// An organization among the arguments of an operation.
    pub const ORGANIZATION: Self =
        Self { noun: "organization", id: "organizationId", slug: "organizationSlug", example: "acme" };
    /// The organization that a change is about.
    pub const CHANGED_ORGANIZATION: Self = Self { id: "id", ..Self::ORGANIZATION };
    /// The organization that a query looks up.
    pub const WANTED_ORGANIZATION: Self = Self { id: "id", slug: "slug", ..Self::ORGANIZATION };

    /// The field that names the object.
    pub const fn given_field(self, slug: Option<&str>) -> &'static str {
        if slug.is_some() { self.slug } else { self.id }
    }

    /// The name in one of the two fields.
    ///
    /// # Errors
    /// [`Error::Input`] if both are given, or neither.
    pub fn given(self, id: Option<ID>, slug: Option<String>) -> Result<Name> {
        match (id, slug) {
            (Some(id), None) => Ok(Name::Id(id)),
            (None, Some(slug)) => Ok(Name::Slug(slug)),
            (Some(_), Some(_)) => {
                Err(Error::input(self.slug, format!("is given together with `{}`; give one of them", self.id)))
            }
            (None, None) => {
                let Self { noun, id, slug, example } = self;
                let words = if example.contains('/') { "slugs" } else { "slug" };
                let message =
                    format!("is missing; name the {noun} by its id, or in `{slug}` by its {words}, such as {example}");
                Err(Error::input(id, message))
            }
        }
    }

    /// The project of a query. One statement for slugs, shared with other fields; an id is only decoded.
    ///
    /// # Errors
    /// As [`Self::given`], [`Error::Input`] naming a text that is no id or no slugs, [`Error::NotFound`] naming slugs without
    /// a project, or the error of the database.
    pub async fn project(
        self,
        request: &RequestContext,
        id: Option<ID>,
        slug: Option<String>,
    ) -> Result<Key<ProjectId>> {
        match self.given(id, slug)? {
            Name::Id(id) => NodeId::project(&id).map_err(|error| error.in_field(self.id)),
            Name::Slug(slug) => project_by_slug(request, &slug, self.slug).await,
        }
    }

    /// The organization of a query. One statement for a slug, shared with other fields; an id is only decoded.
    ///
    /// # Errors
    /// As [`Self::project`].
    pub async fn organization(
        self,
        request: &RequestContext,
        id: Option<ID>,
        slug: Option<String>,
    ) -> Result<OrganizationId> {
        match self.given(id, slug)? {
            Name::Id(id) => NodeId::organization(&id).map_err(|error| error.in_field(self.id)),
            Name::Slug(slug) => organization_by_slug(request, &slug, self.slug).await,
        }
    }

    /// As [`Self::project`], for a change, whose expected failures are data.
    ///
    /// # Errors
    /// As [`Self::project`], with [`Error::Refused`] naming the field of slugs without a project.
    pub async fn project_to_change(
        self,
        request: &RequestContext,
        id: Option<ID>,
        slug: Option<String>,
    ) -> Result<Key<ProjectId>> {
        self.project(request, id, slug).await.map_err(|fault| not_found_in_change(fault, self.slug))
    }

    /// As [`Self::organization`], for a change, whose expected failures are data.
    ///
    /// # Errors
    /// As [`Self::organization`], with [`Error::Refused`] naming the field of a slug without an organization.
    pub async fn organization_to_change(
        self,
        request: &RequestContext,
        id: Option<ID>,
        slug: Option<String>,
    ) -> Result<OrganizationId> {
        self.organization(request, id, slug).await.map_err(|fault| not_found_in_change(fault, self.slug))
    }
}

/// The organization with this slug. One statement, shared with other fields that name organizations by slugs.
///
/// # Errors
/// [`Error::NotFound`] naming the slug, or the error of the database.
pub async fn organization_by_slug(request: &RequestContext, slug: &str, field: &str) -> Result<OrganizationId> {
    let unknown = || not_found("organization", slug, field);
    // PostgreSQL cannot store NUL in text, so no slug contains it.
    if slug.contains('\0') {
        return Err(unknown());
    }
    let asked = AskedRow { id: slug.to_owned(), fields: OrganizationFields::default() };
    let row = request.loaders().organization_by_slug.load(asked).await?;
    row.map(|row| row.key).ok_or_else(unknown)
}
