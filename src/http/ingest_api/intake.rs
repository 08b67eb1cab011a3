//! The rows of a body on their way into the write path: the project of each, the one in the address or one that it names by id
//! or by slugs, and the days of rows from before the usual time window.

use std::collections::HashMap;

use crate::{
    db::Database,
    error::{Error, Result},
    graphql::node::NodeId,
    ingest::{
        FieldError, Ingest,
        bulk::{Bulk, Options, Summary},
        formats::ParsedRow,
    },
    jobs::partitions::PartitionDays,
    model::{Key, ProjectId, ProjectSlug, Scope, Timestamp, slug::NoProjectSlug},
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
/// [`Error::Input`] for a text that is neither an id nor slugs.
pub fn name(text: &str) -> Result<ProjectName> {
    if text.contains('/') {
        let slug = text.parse().map_err(|error: NoProjectSlug| Error::input("project", error.to_string()))?;
        return Ok(ProjectName::Slug(slug));
    }
    let advice = |error| Error::input("project", format!("{error}. Or name it by its slugs, such as acme/web-shop"));
    NodeId::project(&text.into()).map(ProjectName::Id).map_err(advice)
}

/// The write path for one body.
pub struct Intake<'a> {
    ingest: &'a Ingest,
    scope: &'a Scope,
    database: &'a Database,
    bulk: Bulk<'a>,
    /// The project in the address.
    project: Option<Key<ProjectId>>,
    /// The source that the ledger records.
    source: &'static str,
    /// The slugs in rows so far, each with its project, or with the reason if there is none.
    found: HashMap<String, Result<Key<ProjectId>, String>>,
    /// The days of rows, if they may be older than usual.
    days: Option<PartitionDays>,
}

impl<'a> Intake<'a> {
    /// For a body for this project, which must accept metrics. `since` is the oldest time of its rows, if it is earlier than
    /// usual.
    ///
    /// # Errors
    /// There is no such project that the caller may write to, it is archived, or the database fails.
    pub async fn new(
        (ingest, database): (&'a Ingest, &'a Database),
        scope: &'a Scope,
        named: Option<&ProjectName>,
        since: Option<Timestamp>,
        options: Options,
    ) -> Result<Self> {
        let project = match named {
            None => None,
            Some(ProjectName::Id(key)) => Some(*key),
            Some(ProjectName::Slug(slug)) => Some(ingest.find(scope, slug, None).await?),
        };
        if let Some(key) = project
            && let Err(fault) = ingest.admit(scope, key).await
        {
            ingest.count_refused_body(key, options.source, &fault);
            return Err(fault);
        }
        let days = since.map(|since| PartitionDays::within(since, ingest.latest().1));
        let source = options.source;
        let bulk = Bulk::new(scope, ingest, Options { project, ..options });
        Ok(Self { ingest, scope, database, bulk, project, source, found: HashMap::new(), days })
    }

    /// The result so far.
    pub const fn summary(&self) -> &Summary {
        self.bulk.summary()
    }

    /// True if a part is complete, so that [`Self::store`] must be called before the next row.
    pub const fn is_full(&self) -> bool {
        self.bulk.is_full()
    }

    /// Rejects a row that cannot be read.
    pub fn reject(&mut self, index: u64, error: FieldError) {
        self.bulk.reject(index, error);
    }

    /// Counts a body that was not read to its end, if its project is known.
    pub fn count_refused_body(&self, fault: &Error) {
        if let (Some(project), Error::Input { field, .. }) = (self.project, fault)
            && field == "body"
        {
            self.ingest.count_refused_body(project, self.source, fault);
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// As [`Bulk::row`].
    pub async fn row(&mut self, index: u64, ParsedRow { project: named, candidate }: ParsedRow) -> Result<()> {
        let project = match (named, self.project) {
            (Some(slug), _) if slug.contains('/') => match self.by_slug(slug).await? {
                Ok(project) => project,
                Err(reason) => {
                    self.bulk.reject(index, FieldError::new("projectId", reason));
                    return Ok(());
                }
            },
            (Some(id), _) => match NodeId::project(&id.into()) {
                Ok(project) => project,
                Err(error) => {
                    let message = format!("{error}. Or name it by its slugs, such as acme/web-shop");
                    self.bulk.reject(index, FieldError::new("projectId", message));
                    return Ok(());
                }
            },
            (None, Some(project)) => project,
            (None, None) => {
                let message = "is missing; set it in each row, or for all rows with ?project=ID or \
                               ?project=ORGANIZATION/PROJECT";
                self.bulk.reject(index, FieldError::new("projectId", message));
                return Ok(());
            }
        };
        if let Some(days) = &mut self.days {
            days.note(candidate.timestamp);
        }
        self.bulk.row(index, project, candidate).await
    }

    /// Stores the pending rows.
    ///
    /// # Errors
    /// As [`Bulk::store`], and if a partition cannot be created.
    pub async fn store(&mut self, key: Option<&str>) -> Result<()> {
        self.make_days().await?;
        self.bulk.store(key).await
    }

    /// Stores the pending rows of a complete body.
    ///
    /// # Errors
    /// As [`Bulk::finish`], and if a partition cannot be created.
    pub async fn finish(&mut self, key: Option<&str>) -> Result<()> {
        self.make_days().await?;
        self.bulk.finish(key).await
    }

    async fn make_days(&mut self) -> Result<()> {
        match &mut self.days {
            Some(days) => days.make(self.database, self.ingest.latest().0).await,
            None => Ok(()),
        }
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
