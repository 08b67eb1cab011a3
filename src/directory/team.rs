//! Teams: which employees work on which project. Owners of an endpoint are the team of its project.
//!
//! Here they are changed; `membership` reads them. The size of a team is a counter of its project, which changes by the rows that really came or went.

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
        journal,
        reach::{absent, authorise},
    },
    entity::{employee, project, project_member as table},
    error::Result,
    model::{
        EmployeeId, Key, OrganizationId, Problem, ProblemKind, Problems, ProjectId, Role, Scope, Timestamp,
        change::{Change, EntityKey},
    },
};

/// What people do in a project unless somebody says otherwise.
pub const ROLE: &str = "Member";

/// Somebody who joins a team.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// Who; `None` where the caller's id is no employee's at all.
    pub employee: Option<Key<EmployeeId>>,
    /// What the person does in the project.
    pub role: String,
}

/// Adds people to a project's team, all or none; who is in it already stays as they are. Answers how many were added.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden) below admin,
/// [`Error::Refused`](crate::error::Error::Refused) when the project or somebody is absent.
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
            let employees = hold(&transaction, project.organization, "employeeIds", employees).await?;
            lock(&transaction, project).await?;
            let added = insert(&transaction, project, members, &employees, now).await?;
            resize(&transaction, project, i64::try_from(added).unwrap_or(i64::MAX), now).await?;
            transaction.commit().await?;
            Ok(added)
        }
        .boxed()
    })
    .await
}

/// Takes people out of a project's team, all or none; who is not in it stays out. Answers how many were taken out.
///
/// # Errors
/// As [`add`].
pub async fn remove(
    scope: &Scope,
    db: &Session,
    project: Key<ProjectId>,
    members: &[Option<Key<EmployeeId>>],
    now: Timestamp,
) -> Result<u64> {
    authorise(scope, project.organization, Role::Admin, "projectId")?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            let employees = hold(&transaction, project.organization, "employeeIds", members.iter().copied()).await?;
            lock(&transaction, project).await?;
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

/// Makes sure that these are employees of the organization and stay until the transaction ends. Refuses by position in
/// `field` whoever is not.
pub(in crate::directory) async fn hold(
    transaction: &Transaction,
    organization: OrganizationId,
    field: &str,
    employees: impl Iterator<Item = Option<Key<EmployeeId>>>,
) -> Result<BTreeSet<EmployeeId>> {
    let own = |key: Option<Key<EmployeeId>>| key.filter(|key| key.organization == organization).map(|key| key.id);
    let asked: Vec<_> = employees.map(own).collect();
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
        Problem::new(ProblemKind::NotFound, format!("{field}.{index}"), "names no employee of the organization")
    };
    Result::from(Problems(missing.map(problem).collect()))?;
    Ok(found)
}

/// Puts held employees into a team, each in the role that was first given. Answers how many are new in it.
pub(in crate::directory) async fn insert(
    transaction: &Transaction,
    project: Key<ProjectId>,
    members: &[NewMember],
    employees: &BTreeSet<EmployeeId>,
    now: Timestamp,
) -> Result<u64> {
    if employees.is_empty() {
        return Ok(0);
    }
    let mut roles = BTreeMap::new();
    for member in members {
        roles.entry(member.employee.map(|key| key.id)).or_insert(member.role.as_str());
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
        let role = roles.get(&Some(*employee)).copied().unwrap_or(ROLE);
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

/// One change of a team at a time.
async fn lock(transaction: &Transaction, id: Key<ProjectId>) -> Result<()> {
    let mut lock = Query::select();
    lock.column(project::Column::Id).from(project::Entity).cond_where(key(id)).lock(LockType::NoKeyUpdate);
    transaction.query_one(&lock).await?.ok_or_else(|| absent("projectId"))?;
    Ok(())
}

/// What is different about a project when people come or go, as columns and lists are called.
pub(in crate::directory) const TEAM_FIELDS: [&str; 2] = ["team", "team_size"];

/// Counts and logs who came or went.
async fn resize(transaction: &Transaction, id: Key<ProjectId>, change: i64, now: Timestamp) -> Result<()> {
    if change == 0 {
        return Ok(());
    }
    let size = project::Column::TeamSize;
    let mut update = Query::update();
    update.table(project::Entity).value(size, Expr::col(size).add(change)).cond_where(key(id));
    transaction.execute(&update).await?;
    journal::record(transaction, &[Change::updated(EntityKey::Project(id), TEAM_FIELDS)], now).await
}
