//! Changes of projects: created together with their team; archived instead of deleted once they have metrics.

use std::collections::HashSet;

use futures_util::FutureExt;
use sea_orm::{
    ConnectionTrait, EntityName,
    sea_query::{Alias, Condition, Expr, ExprTrait, IntoIden, LockType, OnConflict, Query, SelectStatement, UnionType},
};

use crate::{
    db::{Session, Transaction},
    directory::{
        change::{OptimisticLock, RowUpdate, conflict, retried},
        change_log, check,
        organization::OWN_SLUG,
        reach::{absent, authorise},
        slug,
        status::ProjectStatus,
        team,
    },
    entity::{endpoint, metric_late, organization, project as table},
    error::Result,
    model::{
        Assignment, Key, OrganizationId, Problems, ProjectId, Role, Scope, Timestamp,
        change::{Change, EntityKey},
    },
};

/// The values of a new project.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// The id, from the caller's generator.
    pub id: ProjectId,
    /// The name in URLs, unique in the organization; derived from the name if absent.
    pub slug: Option<String>,
    /// The display name.
    pub name: String,
    /// The status.
    pub status: ProjectStatus,
    /// The first members of the team.
    pub members: Vec<team::NewMember>,
}

/// The new values of a project.
#[derive(Clone, Debug, Default)]
pub struct ProjectChange {
    /// The display name.
    pub name: Assignment<String>,
    /// The status.
    pub status: Assignment<ProjectStatus>,
    /// The state that the caller expects.
    pub lock: OptimisticLock,
}

/// Creates a project with its team in one transaction.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden) below admin,
/// [`Error::Refused`](crate::error::Error::Refused) for invalid values, taken slugs, unknown organizations and members.
pub async fn create(
    scope: &Scope,
    db: &Session,
    organization: OrganizationId,
    new: NewProject,
    now: Timestamp,
) -> Result<Key<ProjectId>> {
    authorise(scope, organization, Role::Admin, "organizationId")?;
    let mut problems = Problems::default();
    let name = check::name(&mut problems, "name", &new.name);
    if let Some(chosen) = &new.slug {
        check::slug(&mut problems, "slug", chosen);
    }
    Result::from(problems)?;
    let key = Key::new(organization, new.id);
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            lock_organization(&transaction, organization).await?;
            let employees = new.members.iter().map(|member| member.employee);
            let members = team::lock_employees(scope, &transaction, organization, "memberIds", employees).await?;
            let row = ProjectInsert {
                transaction: &transaction,
                key,
                name: &name,
                status: new.status,
                team_size: i64::try_from(members.len()).unwrap_or(i64::MAX),
                now,
            };
            slug::insert(&row, new.slug.as_deref(), &name, "project").await?;
            team::insert(scope, &transaction, key, &new.members, &members, now).await?;
            change_log::append(&transaction, &[Change::created(EntityKey::Project(key))], now).await?;
            transaction.commit().await
        }
        .boxed()
    })
    .await?;
    Ok(key)
}

/// Locks the organization, so that it exists until the transaction ends.
async fn lock_organization(transaction: &Transaction, id: OrganizationId) -> Result<()> {
    let mut lock = Query::select();
    lock.column(organization::Column::Id)
        .from(organization::Entity)
        .and_where(Expr::col(organization::Column::Id).eq(id))
        .lock(LockType::KeyShare);
    transaction.query_one(&lock).await?.ok_or_else(|| absent("organizationId"))?;
    Ok(())
}

struct ProjectInsert<'a> {
    transaction: &'a Transaction,
    key: Key<ProjectId>,
    name: &'a str,
    status: ProjectStatus,
    team_size: i64,
    now: Timestamp,
}

impl slug::SlugTable for ProjectInsert<'_> {
    async fn insert(&self, slug: &str) -> Result<bool> {
        let mut insert = Query::insert();
        insert
            .into_table(table::Entity)
            .columns([
                table::Column::OrganizationId,
                table::Column::Id,
                table::Column::Slug,
                table::Column::Name,
                table::Column::Status,
                table::Column::TeamSize,
                table::Column::CreatedAt,
                table::Column::UpdatedAt,
            ])
            .values_panic([
                self.key.organization.into(),
                self.key.id.into(),
                slug.into(),
                self.name.into(),
                self.status.code().into(),
                self.team_size.into(),
                self.now.into(),
                self.now.into(),
            ])
            .on_conflict(
                OnConflict::columns([table::Column::OrganizationId, table::Column::Slug]).do_nothing().to_owned(),
            );
        Ok(self.transaction.execute(&insert).await?.rows_affected() > 0)
    }

    async fn taken(&self, slugs: &[String]) -> Result<HashSet<String>> {
        let mut select = Query::select();
        select
            .column(table::Column::Slug)
            .from(table::Entity)
            .and_where(Expr::col(table::Column::OrganizationId).eq(self.key.organization))
            .and_where(Expr::col(table::Column::Slug).is_in(slugs.iter().cloned()));
        let rows = self.transaction.query_all(&select).await?;
        Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
    }
}

fn key(key: Key<ProjectId>) -> Condition {
    Condition::all()
        .add(Expr::col(table::Column::OrganizationId).eq(key.organization))
        .add(Expr::col(table::Column::Id).eq(key.id))
}

/// Changes a project. An update that changes nothing leaves the row unmodified.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden) below admin,
/// [`Error::Refused`](crate::error::Error::Refused) for invalid values, unknown projects and lost optimistic locks.
pub async fn update(
    scope: &Scope,
    db: &Session,
    id: Key<ProjectId>,
    change: ProjectChange,
    now: Timestamp,
) -> Result<()> {
    authorise(scope, id.organization, Role::Admin, "id")?;
    let mut problems = Problems::default();
    let name = check::required(&mut problems, "name", change.name);
    let name = name.map(|name| check::name(&mut problems, "name", &name));
    let status = check::required(&mut problems, "status", change.status);
    Result::from(problems)?;
    let mut values = Vec::new();
    values.extend(name.map(|name| (table::Column::Name.into_iden(), name.into())));
    values.extend(status.map(|status| (table::Column::Status.into_iden(), status.code().into())));
    let entity = EntityKey::Project(id);
    let (table, lock) = (table::Entity.into(), change.lock);
    let update = RowUpdate { table, entity, key: key(id), values, lock };
    update.run(scope, db, now).await
}

/// Makes a project read-only; it accepts no metrics from then on.
///
/// # Errors
/// As [`update`].
pub async fn archive(scope: &Scope, db: &Session, id: Key<ProjectId>, now: Timestamp) -> Result<()> {
    let change = ProjectChange { status: Assignment::Set(ProjectStatus::Archived), ..ProjectChange::default() };
    update(scope, db, id, change, now).await
}

/// Deletes a project without metrics (it never had any, or all have expired), with its team and endpoints.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden) below admin,
/// [`Error::Refused`](crate::error::Error::Refused) when it is unknown, has metrics, or is the server's own.
pub async fn delete(scope: &Scope, db: &Session, id: Key<ProjectId>, now: Timestamp) -> Result<()> {
    authorise(scope, id.organization, Role::Admin, "id")?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            // From here on no endpoint can be added, and without an endpoint no metric of a project that ingest does not
            // know yet.
            let mut lock = Query::select();
            lock.columns([table::Column::Slug, table::Column::Status])
                .from(table::Entity)
                .cond_where(key(id))
                .lock(LockType::Update);
            let row = transaction.query_one(&lock).await?.ok_or_else(|| absent("id"))?;
            let (slug, status): (String, i16) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            if slug == OWN_SLUG && is_own(&transaction, id.organization).await? {
                return Err(conflict("id", "is the project for the server's own metrics, which cannot be deleted"));
            }
            if has_rows(&transaction, id, &METRICS).await? {
                return Err(conflict("id", "is a project with metrics; archive it instead (archiveProject)"));
            }
            // Instances cache endpoints, so metrics that are about to be stored must find an archived project.
            let is_archived = status == ProjectStatus::Archived.code();
            if !is_archived && has_rows(&transaction, id, &[endpoint::Entity.table_name()]).await? {
                return Err(conflict("id", "is a project that accepted metrics; archive it first (archiveProject)"));
            }
            // Late measurements left no metric, so their counts are deleted with the project. A concurrent call may leave a
            // count behind, which is deleted with its day.
            let mut late = Query::delete();
            late.from_table(metric_late::Entity)
                .and_where(Expr::col(metric_late::Column::OrganizationId).eq(id.organization))
                .and_where(Expr::col(metric_late::Column::ProjectId).eq(id.id));
            transaction.execute(&late).await?;
            let mut delete = Query::delete();
            // The team and the endpoints are deleted with the row.
            transaction.execute(delete.from_table(table::Entity).cond_where(key(id))).await?;
            change_log::append(&transaction, &[Change::deleted(EntityKey::Project(id))], now).await?;
            transaction.commit().await
        }
        .boxed()
    })
    .await
}

/// Tables with measurements of a project: merged ones are in the days for ever, the others still in raw rows.
const METRICS: [&str; 2] = ["metric_rollup_1d", "metric_event"];

/// True if any of these tables has a row of the project: one statement that stops at the first.
async fn has_rows(transaction: &Transaction, id: Key<ProjectId>, tables: &[&'static str]) -> Result<bool> {
    let of_table = |table: &&'static str| -> SelectStatement {
        let mut select = Query::select();
        select
            .expr(Expr::cust("1"))
            .from(Alias::new(*table))
            .and_where(Expr::col("organization_id").eq(id.organization))
            .and_where(Expr::col("project_id").eq(id.id));
        select
    };
    let mut tables = tables.iter().map(of_table);
    let Some(mut any) = tables.next() else { return Ok(false) };
    for more in tables {
        any.union(UnionType::All, more);
    }
    Ok(transaction.query_one(any.limit(1)).await?.is_some())
}

async fn is_own(transaction: &Transaction, id: OrganizationId) -> Result<bool> {
    let mut select = Query::select();
    select
        .column(organization::Column::Slug)
        .from(organization::Entity)
        .and_where(Expr::col(organization::Column::Id).eq(id));
    let row = transaction.query_one(&select).await?;
    let slug: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(slug.as_deref() == Some(OWN_SLUG))
}
