//! Creating releases.

use futures_util::FutureExt;
use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};

use super::{ReleaseFields, UNKNOWN_AUTHOR, by_versions};
use crate::{
    db::{Session, Transaction},
    directory::{
        change::retried,
        check,
        reach::{absent, authorise},
    },
    entity::{employee, project, release as table},
    error::{Error, Result},
    model::{
        EmployeeId, Key, ProblemKind, Problems, ProjectId, ReleaseId, Role, Scope, Timestamp, timestamp::DAY_MICROS,
    },
};

/// The values of a new release.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// The id, from the caller's generator.
    pub id: ReleaseId,
    /// The version that measurements are tagged with, unique in the project.
    pub version: String,
    /// Maximum bytes of the version: those of a measurement's tag, because a longer version would match none.
    pub version_bytes_max: usize,
    /// The time of the deployment, at most one day ahead; now if absent.
    pub deployed_at: Option<Timestamp>,
    /// The commit that the release was built from.
    pub commit: Option<String>,
    /// The author, an employee of the project's organization.
    pub author: Option<Key<EmployeeId>>,
}

/// Creates a release. If the project has the version already, with the same values, the existing release is returned, so
/// that a pipeline can run twice.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden) below member, [`Error::Refused`](crate::error::Error::Refused)
/// for invalid values, an unknown project or author, and a version that exists with other values.
pub async fn create(
    scope: &Scope,
    db: &Session,
    project: Key<ProjectId>,
    new: NewRelease,
    now: Timestamp,
) -> Result<Key<ReleaseId>> {
    authorise(scope, project.organization, Role::Member, "projectId")?;
    let mut problems = Problems::default();
    let version = check::line(&mut problems, "version", &new.version, new.version_bytes_max);
    let commit = new.commit.as_deref();
    let commit = commit.map(|commit| check::line(&mut problems, "commit", commit, check::COMMIT_BYTES_MAX));
    if new.deployed_at.is_some_and(|at| at > now.plus_micros(DAY_MICROS)) {
        problems.invalid("deployedAt", "is more than a day ahead; create the release when it is deployed");
    }
    Result::from(problems)?;
    let release =
        ValidRelease { project, id: new.id, version, deployed_at: new.deployed_at, commit, author: new.author };
    retried(|| release.store(scope, db, now).boxed()).await
}

struct ValidRelease {
    project: Key<ProjectId>,
    id: ReleaseId,
    version: String,
    deployed_at: Option<Timestamp>,
    commit: Option<String>,
    author: Option<Key<EmployeeId>>,
}

impl ValidRelease {
    async fn store(&self, scope: &Scope, db: &Session, now: Timestamp) -> Result<Key<ReleaseId>> {
        let transaction = db.begin_write().await?;
        self.lock_project(&transaction).await?;
        let author = self.author(&transaction).await?;
        let mut insert = Query::insert();
        insert
            .into_table(table::Entity)
            .columns([
                table::Column::OrganizationId,
                table::Column::Id,
                table::Column::ProjectId,
                table::Column::Version,
                table::Column::DeployedAt,
                table::Column::CommitHash,
                table::Column::AuthorId,
                table::Column::CreatedAt,
            ])
            .values_panic([
                self.project.organization.into(),
                self.id.into(),
                self.project.id.into(),
                self.version.as_str().into(),
                self.deployed_at.unwrap_or(now).into(),
                self.commit.as_deref().unwrap_or_default().into(),
                author.unwrap_or(UNKNOWN_AUTHOR).into(),
                now.into(),
            ])
            .on_conflict(
                OnConflict::columns([table::Column::OrganizationId, table::Column::ProjectId, table::Column::Version])
                    .do_nothing()
                    .to_owned(),
            );
        let is_new = transaction.execute(&insert).await?.rows_affected() > 0;
        transaction.commit().await?;
        if is_new { Ok(Key::new(self.project.organization, self.id)) } else { self.existing(scope, db, author).await }
    }

    /// Locks the project, so that it exists until the transaction ends.
    async fn lock_project(&self, transaction: &Transaction) -> Result<()> {
        let mut lock = Query::select();
        lock.column(project::Column::Id)
            .from(project::Entity)
            .and_where(Expr::col(project::Column::OrganizationId).eq(self.project.organization))
            .and_where(Expr::col(project::Column::Id).eq(self.project.id))
            .lock(LockType::KeyShare);
        transaction.query_one(&lock).await?.ok_or_else(|| absent("projectId"))?;
        Ok(())
    }

    async fn author(&self, transaction: &Transaction) -> Result<Option<EmployeeId>> {
        let Some(author) = self.author else { return Ok(None) };
        if author.organization != self.project.organization {
            return Err(absent("authorId"));
        }
        let mut find = Query::select();
        find.column(employee::Column::Id)
            .from(employee::Entity)
            .and_where(Expr::col(employee::Column::OrganizationId).eq(author.organization))
            .and_where(Expr::col(employee::Column::Id).eq(author.id));
        transaction.query_one(&find).await?.ok_or_else(|| absent("authorId"))?;
        Ok(Some(author.id))
    }

    /// The release that has the version, if its values are the same.
    async fn existing(&self, scope: &Scope, db: &Session, author: Option<EmployeeId>) -> Result<Key<ReleaseId>> {
        let version = (self.project, self.version.clone());
        let found = by_versions(scope, db, std::slice::from_ref(&version), ReleaseFields::all()).await?;
        let found = found.get(&version).ok_or_else(|| absent("projectId"))?;
        let is_same = self.deployed_at.is_none_or(|at| found.deployed_at().is_ok_and(|there| *there == at))
            && self.commit.as_ref().is_none_or(|commit| found.commit().is_ok_and(|there| there == commit))
            && author.is_none_or(|author| found.author_id().is_ok_and(|there| *there == author));
        if is_same {
            return Ok(found.key);
        }
        let message = "belongs to a release of the project with another time, commit or author; choose another version";
        Err(Error::refused(ProblemKind::Taken, "version", message))
    }
}
