//! Changes of organizations: created with their commit stream, deleted when they are empty.

use std::collections::HashSet;

use futures_util::FutureExt;
use sea_orm::{
    ConnectionTrait,
    sea_query::{Condition, Expr, ExprTrait, IntoIden, LockType, OnConflict, Query},
};

use super::own::OWN_SLUG;
use crate::{
    db::{Session, Transaction},
    directory::{
        change::{self, OptimisticLock, RowUpdate, retried},
        change_log, check,
        reach::{absent, authorise},
        slug,
    },
    entity::{ingest_batch, organization as table, organization_stream, project},
    error::{Error, Result},
    model::{
        Assignment, OrganizationId, Problems, Role, Scope, Timestamp, VisibleOrganizations,
        change::{Change, EntityKey},
    },
};

/// The values of a new organization.
#[derive(Clone, Debug)]
pub struct NewOrganization {
    /// The id, from the caller's generator.
    pub id: OrganizationId,
    /// The name in URLs, unique; derived from the name if absent.
    pub slug: Option<String>,
    /// The display name.
    pub name: String,
}

/// The new values of an organization.
#[derive(Clone, Debug, Default)]
pub struct OrganizationChange {
    /// The display name.
    pub name: Assignment<String>,
    /// True while the organization is in use.
    pub is_active: Assignment<bool>,
    /// The state that the caller expects.
    pub lock: OptimisticLock,
}

/// Creates an organization together with its commit stream.
///
/// # Errors
/// [`Error::Forbidden`] below owner of the whole installation, [`Error::Refused`] for invalid values and taken slugs.
pub async fn create(scope: &Scope, db: &Session, new: NewOrganization, now: Timestamp) -> Result<OrganizationId> {
    // A tenant could not even see what it created.
    if scope.role() < Role::Owner || scope.organizations() != VisibleOrganizations::Everything {
        return Err(Error::Forbidden("only an owner of the whole installation may create organizations".to_owned()));
    }
    let mut problems = Problems::default();
    let name = check::name(&mut problems, "name", &new.name);
    if let Some(chosen) = &new.slug {
        check::slug(&mut problems, "slug", chosen);
    }
    Result::from(problems)?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            let row = OrganizationInsert { transaction: &transaction, id: new.id, name: &name, now };
            slug::insert(&row, new.slug.as_deref(), &name, "organization").await?;
            let mut stream = Query::insert();
            stream
                .into_table(organization_stream::Entity)
                .columns([organization_stream::Column::OrganizationId, organization_stream::Column::LastSeq])
                .values_panic([new.id.into(), 0_i64.into()]);
            transaction.execute(&stream).await?;
            change_log::append(&transaction, &[Change::created(EntityKey::Organization(new.id))], now).await?;
            transaction.commit().await
        }
        .boxed()
    })
    .await?;
    Ok(new.id)
}

struct OrganizationInsert<'a> {
    transaction: &'a Transaction,
    id: OrganizationId,
    name: &'a str,
    now: Timestamp,
}

impl slug::SlugTable for OrganizationInsert<'_> {
    async fn insert(&self, slug: &str) -> Result<bool> {
        // Generated ids are never the one that this slug is reserved for.
        if slug == OWN_SLUG && self.id != OrganizationId::OWN {
            return Ok(false);
        }
        // Of two servers that create the server's own organization at once, one finds both its slug and its id taken.
        let mut taken = match self.id {
            OrganizationId::OWN => OnConflict::new(),
            _ => OnConflict::column(table::Column::Slug),
        };
        let mut insert = Query::insert();
        insert
            .into_table(table::Entity)
            .columns([
                table::Column::Id,
                table::Column::Slug,
                table::Column::Name,
                table::Column::IsActive,
                table::Column::EmployeeCount,
                table::Column::CreatedAt,
                table::Column::UpdatedAt,
            ])
            .values_panic([
                self.id.into(),
                slug.into(),
                self.name.into(),
                true.into(),
                0_i64.into(),
                self.now.into(),
                self.now.into(),
            ])
            .on_conflict(taken.do_nothing().to_owned());
        Ok(self.transaction.execute(&insert).await?.rows_affected() > 0)
    }

    async fn taken(&self, slugs: &[String]) -> Result<HashSet<String>> {
        let mut select = Query::select();
        select
            .column(table::Column::Slug)
            .from(table::Entity)
            .and_where(Expr::col(table::Column::Slug).is_in(slugs.iter().cloned()));
        let rows = self.transaction.query_all(&select).await?;
        Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
    }
}

fn key(id: OrganizationId) -> Condition {
    Condition::all().add(Expr::col(table::Column::Id).eq(id))
}

/// Changes an organization. An update that changes nothing leaves the row unmodified.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] for invalid values, unknown organizations and lost optimistic locks.
pub async fn update(
    scope: &Scope,
    db: &Session,
    id: OrganizationId,
    change: OrganizationChange,
    now: Timestamp,
) -> Result<()> {
    authorise(scope, id, Role::Admin, "id")?;
    let mut problems = Problems::default();
    let name = check::required(&mut problems, "name", change.name);
    let name = name.map(|name| check::name(&mut problems, "name", &name));
    let is_active = check::required(&mut problems, "isActive", change.is_active);
    Result::from(problems)?;
    let mut values = Vec::new();
    values.extend(name.map(|name| (table::Column::Name.into_iden(), name.into())));
    values.extend(is_active.map(|is_active| (table::Column::IsActive.into_iden(), is_active.into())));
    let entity = EntityKey::Organization(id);
    let (table, lock) = (table::Entity.into(), change.lock);
    let update = RowUpdate { table, entity, key: key(id), values, lock };
    update.run(scope, db, now).await
}

/// Deletes an empty organization.
///
/// # Errors
/// [`Error::Forbidden`] below owner, [`Error::Refused`] when it is unknown, has employees or projects, or is the
/// server's own.
pub async fn delete(scope: &Scope, db: &Session, id: OrganizationId, now: Timestamp) -> Result<()> {
    authorise(scope, id, Role::Owner, "id")?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            // From here on no employee or project can be added.
            let mut lock = Query::select();
            lock.columns([table::Column::Slug, table::Column::EmployeeCount])
                .from(table::Entity)
                .cond_where(key(id))
                .lock(LockType::Update);
            let row = transaction.query_one(&lock).await?.ok_or_else(|| absent("id"))?;
            let (slug, employees): (String, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let mut count = Query::select();
            count
                .expr(Expr::cust("COUNT(*)"))
                .from(project::Entity)
                .and_where(Expr::col(project::Column::OrganizationId).eq(id));
            let row = transaction.query_one(&count).await?;
            let projects: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
            refuse_deletion(&slug, employees, projects)?;
            let mut ledger = Query::delete();
            ledger.from_table(ingest_batch::Entity).and_where(Expr::col(ingest_batch::Column::OrganizationId).eq(id));
            transaction.execute(&ledger).await?;
            // Before the row, because the count of changes is deleted with it; the log itself stays.
            change_log::append(&transaction, &[Change::deleted(EntityKey::Organization(id))], now).await?;
            let mut delete = Query::delete();
            transaction.execute(delete.from_table(table::Entity).cond_where(key(id))).await?;
            transaction.commit().await
        }
        .boxed()
    })
    .await
}

fn refuse_deletion(slug: &str, employees: i64, projects: i64) -> Result<()> {
    let message = if slug == OWN_SLUG {
        "is the organization for the server's own metrics, which cannot be deleted".to_owned()
    } else if employees > 0 || projects > 0 {
        format!(
            "is not empty (employees: {employees}, projects: {projects}); delete those first, or set isActive to false"
        )
    } else {
        return Ok(());
    };
    Err(change::conflict("id", message))
}
