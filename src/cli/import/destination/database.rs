//! Rows written to the database by this process.

use crate::{
    app::Core,
    auth,
    cli::failure::Failure,
    error::Error,
    graphql::node::NodeId,
    ingest::{
        Candidate, FieldError, Mode,
        bulk::{Bulk, Options, RejectedIndexes, Summary},
        status::WayIn,
    },
    jobs::partitions::PartitionDays,
    model::{Key, ProjectId, Scope, slug::NoProjectSlug},
};

use super::{Destination, OTHER_FORMAT};

/// Finds a project by its node id or its slugs (`organization/project`), and checks that it accepts metrics.
pub async fn find(core: &Core, scope: &Scope, name: &str) -> Result<Key<ProjectId>, Failure> {
    let key = if let Ok(known) = NodeId::project(&name.into()) {
        known
    } else {
        let slug = name.parse().map_err(|error: NoProjectSlug| Failure::Data(format!("--project: {error}")))?;
        core.ingest.find(scope, &slug, None).await.map_err(as_data)?
    };
    core.ingest.admit(scope, key).await.map_err(as_data)?;
    Ok(key)
}

/// The database.
pub struct DatabaseDestination<'a> {
    core: &'a Core,
    bulk: Bulk<'a>,
    project: Key<ProjectId>,
    /// The project as the command line names it.
    name: &'a str,
    days: PartitionDays,
}

impl<'a> DatabaseDestination<'a> {
    /// Without any row.
    pub fn new(
        core: &'a Core,
        scope: &'a Scope,
        (name, project): (&'a str, Key<ProjectId>),
        part_rows: usize,
        days: PartitionDays,
    ) -> Self {
        let options = Options {
            source: WayIn::Import.source(),
            mode: Mode::Partial,
            part_rows,
            rejected: RejectedIndexes::Kept,
            errors_max: Options::ERRORS_MAX,
            project: Some(project),
        };
        Self { core, bulk: Bulk::new(scope, &core.ingest, options), project, name, days }
    }
}

impl Destination for DatabaseDestination<'_> {
    fn is_project(&self, named: &str) -> bool {
        named == self.name || NodeId::project(&named.into()) == Ok(self.project)
    }

    async fn row(&mut self, index: u64, candidate: Candidate) -> Result<(), Failure> {
        self.days.note(candidate.timestamp);
        Ok(self.bulk.row(index, self.project, candidate).await?)
    }

    fn reject(&mut self, index: u64, error: FieldError) {
        self.bulk.reject(index, error);
    }

    fn is_full(&self) -> bool {
        self.bulk.is_full()
    }

    async fn store(&mut self, digest: &str) -> Result<Vec<u64>, Failure> {
        self.days.make(&self.core.database, self.core.clock.now()).await?;
        let stored = self.bulk.store(Some(&format!("{} {digest}", self.project.id.0))).await;
        stored.map_err(|fault| match as_data(fault) {
            Failure::Data(why) if why.contains("was already used") => Failure::Data(format!("{why}{OTHER_FORMAT}")),
            other => other,
        })?;
        Ok(self.bulk.take_rejected())
    }

    fn summary(&self) -> &Summary {
        self.bulk.summary()
    }
}

/// Converts a fault of the write path. Conflicts and missing objects are errors of the data.
fn as_data(fault: Error) -> Failure {
    match fault {
        Error::Conflict(_) | Error::NotFound { .. } => Failure::Data(fault.to_string()),
        other => other.into(),
    }
}

/// The scope of an import.
pub const fn scope() -> Scope {
    auth::server_scope()
}
