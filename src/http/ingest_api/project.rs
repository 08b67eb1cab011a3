//! The projects of a body of metrics: the one in the address, and those that rows name, by ids or by slugs.

use std::collections::HashMap;

use crate::{
    error::{Error, Result},
    graphql::node::NodeId,
    ingest::{FieldError, Ingest, bulk::Bulk, formats::ParsedRow},
    model::{Key, ProjectId, ProjectSlug, Scope, slug::NoProjectSlug},
};

/// Maximum number of slugs in rows of which the project is kept.
const SLUGS_MAX: usize = 1_000;

/// The name of a project: a decoded id, or slugs.
#[derive(Debug)]
pub enum ProjectName {
    /// The key in an id.
    Id(Key<ProjectId>),
    /// The slugs.
    Slug(ProjectSlug),
}

/// Decodes the name of a project. Ids contain no slash.
///
/// # Errors
/// [`Error::Input`] for slugs that are none, [`Error::NotFound`] for an id that is none.
pub fn name(text: &str) -> Result<ProjectName> {
    if text.contains('/') {
        let slug = text.parse().map_err(|error: NoProjectSlug| Error::input("project", error.to_string()))?;
        return Ok(ProjectName::Slug(slug));
    }
    let key = NodeId::project(&text.into());
    let shown: String = text.chars().take(80).collect();
    let absent = || Error::not_found(format!("the project `{shown}` (an id, or slugs such as acme/web-shop)"));
    key.map(ProjectName::Id).ok_or_else(absent)
}

/// Looks up the projects of one body.
pub struct Projects<'a> {
    ingest: &'a Ingest,
    scope: &'a Scope,
    /// The slugs in rows so far, each with its project, or with the reason if there is none.
    found: HashMap<String, Result<Key<ProjectId>, String>>,
}

impl<'a> Projects<'a> {
    /// Without any project so far.
    pub fn new(ingest: &'a Ingest, scope: &'a Scope) -> Self {
        Self { ingest, scope, found: HashMap::new() }
    }

    /// The project in the address, which must accept metrics.
    ///
    /// # Errors
    /// There is no such project that the caller may write to, it is archived, or the database fails.
    pub async fn admit(&self, named: Option<&ProjectName>) -> Result<Option<Key<ProjectId>>> {
        let key = match named {
            None => return Ok(None),
            Some(ProjectName::Id(key)) => *key,
            Some(ProjectName::Slug(slug)) => self.ingest.find(self.scope, slug, None).await?,
        };
        self.ingest.admit(self.scope, key).await?;
        Ok(Some(key))
    }

    /// Adds a row to its project: the one that it names, or else the one in the address.
    ///
    /// # Errors
    /// As [`Bulk::row`].
    pub async fn row(
        &mut self,
        bulk: &mut Bulk<'_>,
        index: u64,
        ParsedRow { project: named, candidate }: ParsedRow,
        default: Option<Key<ProjectId>>,
    ) -> Result<()> {
        let project = match (named, default) {
            (Some(slug), _) if slug.contains('/') => match self.by_slug(slug).await? {
                Ok(project) => Some(project),
                Err(reason) => {
                    bulk.reject(index, FieldError::new("projectId", reason));
                    return Ok(());
                }
            },
            (Some(id), _) => NodeId::project(&id.into()),
            (None, Some(project)) => Some(project),
            (None, None) => {
                let message = "is missing; set it in each row, or for all rows with ?project=ID or \
                               ?project=ORGANIZATION/PROJECT";
                bulk.reject(index, FieldError::new("projectId", message));
                return Ok(());
            }
        };
        bulk.row(index, project, candidate).await
    }

    /// The project with these slugs, or the reason if there is none.
    async fn by_slug(&mut self, text: String) -> Result<Result<Key<ProjectId>, String>> {
        if let Some(known) = self.found.get(&text) {
            return Ok(known.clone());
        }
        let found = match text.parse::<ProjectSlug>() {
            Err(error) => Err(error.to_string()),
            Ok(slug) => match self.ingest.find(self.scope, &slug, None).await {
                Ok(key) => Ok(key),
                Err(fault @ Error::NotFound { .. }) => Err(fault.to_string()),
                Err(fault) => return Err(fault),
            },
        };
        if self.found.len() >= SLUGS_MAX {
            self.found.clear();
        }
        self.found.insert(text, found.clone());
        Ok(found)
    }
}
