//! Changes of teams, the employees who work on a project; `membership` reads them. The owners of an endpoint are the team
//! of its project.
//!
//! The size of a team is a counter of its project. It changes by the number of rows that were inserted or deleted.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use sea_orm::{
    ConnectionTrait, Order,
    sea_query::{Condition, Expr, ExprTrait, LockType, OnConflict, Query},
};

use crate::{
    db::{Session, Transaction},
    directory::{
        change::retried,
        change_log,
        reach::{absent, authorise},
    },
    entity::{employee, project, project_member as table},
    error::Result,
    model::{
        EmployeeId, Key, OrganizationId, Problem, ProblemKind, Problems, ProjectId, Role, Scope, Timestamp,
        change::{Change, EntityKey},
    },
};

/// The default role of a team member.
pub const ROLE: &str = "Member";

/// An employee who joins a team.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// The employee.
    pub employee: Key<EmployeeId>,
    /// The role in the project, free text.
    pub role: String,
}

/// Adds employees to a project's team in one transaction; existing members stay unmodified. Returns the number of new
/// members.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden) below admin,
/// [`Error::Refused`](crate::error::Error::Refused) when the project or an employee is unknown.
pub async fn add(
    scope: &Scope,
    db: &Session,
    project: Key<ProjectId>,
    members: &[NewMember],
    now: Timestamp,
) -> Result<u64> {
    authorise(scope, project.organization, Role::Admin, "projectId")?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            let employees = members.iter().map(|member| member.employee);
            let employees = lock_employees(scope, &transaction, project.organization, "employeeIds", employees).await?;
            lock_project(&transaction, project).await?;
            let added = insert(scope, &transaction, project, members, &employees, now).await?;
            resize(&transaction, project, i64::try_from(added).unwrap_or(i64::MAX), now).await?;
            transaction.commit().await?;
            Ok(added)
        }
        .boxed()
    })
    .await
}

/// Removes employees from a project's team in one transaction; others are ignored. Returns the number of members that were
/// removed.
///
/// # Errors
/// As [`add`].
pub async fn remove(
    scope: &Scope,
    db: &Session,
    project: Key<ProjectId>,
    members: &[Key<EmployeeId>],
    now: Timestamp,
) -> Result<u64> {
    authorise(scope, project.organization, Role::Admin, "projectId")?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            let employees =
                lock_employees(scope, &transaction, project.organization, "employeeIds", members.iter().copied())
                    .await?;
            lock_project(&transaction, project).await?;
            let mut delete = Query::delete();
            delete
                .from_table(table::Entity)
                .and_where(Expr::col(table::Column::OrganizationId).eq(project.organization))
                .and_where(Expr::col(table::Column::ProjectId).eq(project.id))
                .and_where(Expr::col(table::Column::EmployeeId).is_in(employees.iter().copied()));
            let removed = if employees.is_empty() { 0 } else { transaction.execute(&delete).await?.rows_affected() };
            resize(&transaction, project, -i64::try_from(removed).unwrap_or(i64::MAX), now).await?;
            transaction.commit().await?;
            Ok(removed)
        }
        .boxed()
    })
    .await
}

/// Locks employees of the organization, so that they exist until the transaction ends. Ids of others are refused by their
/// index in `field`.
pub(in crate::directory) async fn lock_employees(
    scope: &Scope,
    transaction: &Transaction,
    organization: OrganizationId,
    field: &str,
    employees: impl Iterator<Item = Key<EmployeeId>>,
) -> Result<BTreeSet<EmployeeId>> {
    let is_own = |key: &Key<EmployeeId>| key.organization == organization && scope.sees(organization);
    let asked: Vec<_> = employees.map(|key| Some(key).filter(is_own).map(|key| key.id)).collect();
    let wanted: BTreeSet<_> = asked.iter().flatten().copied().collect();
    let mut found = BTreeSet::new();
    if !wanted.is_empty() {
        let mut lock = Query::select();
        lock.column(employee::Column::Id)
            .from(employee::Entity)
            .and_where(Expr::col(employee::Column::OrganizationId).eq(organization))
            .and_where(Expr::col(employee::Column::Id).is_in(wanted.iter().copied()))
            .order_by(employee::Column::Id, Order::Asc)
            .lock(LockType::KeyShare);
        for row in transaction.query_all(&lock).await? {
            found.insert(row.try_get_by_index::<EmployeeId>(0)?);
        }
    }
    let is_missing = |id: &Option<EmployeeId>| id.is_none_or(|id| !found.contains(&id));
    let missing = asked.iter().enumerate().filter(|(_, id)| is_missing(id));
    let problem = |(index, _)| {
        Problem::new(ProblemKind::NotFound, format!("{field}.{index}"), "is not an employee of the organization")
    };
    Result::from(Problems(missing.map(problem).collect()))?;
    Ok(found)
}

/// Inserts locked employees into a team, each in the role that was given first. Returns the number of new members.
pub(in crate::directory) async fn insert(
    scope: &Scope,
    transaction: &Transaction,
    project: Key<ProjectId>,
    members: &[NewMember],
    employees: &BTreeSet<EmployeeId>,
    now: Timestamp,
) -> Result<u64> {
    if employees.is_empty() || !scope.sees(project.organization) {
        return Ok(0);
    }
    let mut roles = BTreeMap::new();
    for member in members {
        roles.entry(member.employee.id).or_insert(member.role.as_str());
    }
    let mut insert = Query::insert();
    insert.into_table(table::Entity).columns([
        table::Column::OrganizationId,
        table::Column::ProjectId,
        table::Column::EmployeeId,
        table::Column::Role,
        table::Column::JoinedAt,
    ]);
    for employee in employees {
        let role = roles.get(employee).copied().unwrap_or(ROLE);
        insert.values_panic([
            project.organization.into(),
            project.id.into(),
            (*employee).into(),
            role.into(),
            now.into(),
        ]);
    }
    insert.on_conflict(
        OnConflict::columns([table::Column::OrganizationId, table::Column::ProjectId, table::Column::EmployeeId])
            .do_nothing()
            .to_owned(),
    );
    Ok(transaction.execute(&insert).await?.rows_affected())
}

fn key(id: Key<ProjectId>) -> Condition {
    Condition::all()
        .add(Expr::col(project::Column::OrganizationId).eq(id.organization))
        .add(Expr::col(project::Column::Id).eq(id.id))
}

/// Locks the project, so that its team is changed by one transaction at a time.
async fn lock_project(transaction: &Transaction, id: Key<ProjectId>) -> Result<()> {
    let mut lock = Query::select();
    lock.column(project::Column::Id).from(project::Entity).cond_where(key(id)).lock(LockType::NoKeyUpdate);
    transaction.query_one(&lock).await?.ok_or_else(|| absent("projectId"))?;
    Ok(())
}

/// Fields of a project that change with its team: columns and lists.
pub(in crate::directory) const TEAM_FIELDS: [&str; 2] = ["team", "team_size"];

/// Changes the team size and logs the change.
async fn resize(transaction: &Transaction, id: Key<ProjectId>, change: i64, now: Timestamp) -> Result<()> {
    if change == 0 {
        return Ok(());
    }
    let size = project::Column::TeamSize;
    let mut update = Query::update();
    update.table(project::Entity).value(size, Expr::col(size).add(change)).cond_where(key(id));
    transaction.execute(&update).await?;
    change_log::append(transaction, &[Change::updated(EntityKey::Project(id), TEAM_FIELDS)], now).await
}
