//! Changes of employees. Creating and deleting changes the counter of the organization in the same transaction; deleting
//! also removes the employee from all teams.

use futures_util::FutureExt;
use sea_orm::{
    ConnectionTrait, Order, Value,
    sea_query::{Condition, DynIden, Expr, ExprTrait, IntoIden, LockType, OnConflict, Query},
};

use crate::{
    db::{Session, Transaction},
    directory::{
        change::{OptimisticLock, RowUpdate, assign, changed_columns, differences, differs, retried},
        change_log, check,
        employee::Employee,
        filter::{self, EmployeeFilter},
        reach::{self, Subject, absent, authorise},
        record::Record,
        team::TEAM_FIELDS,
    },
    entity::{employee as table, organization, project, project_member},
    error::{Error, Result},
    model::{
        Assignment, EmployeeId, Key, OrganizationId, ProblemKind, Problems, ProjectId, Role, Scope, Timestamp,
        VisibleOrganizations,
        change::{Change, EntityKey},
    },
};

/// The values of a new employee.
#[derive(Clone, Debug)]
pub struct NewEmployee {
    /// The id, from the caller's generator.
    pub id: EmployeeId,
    /// The full name.
    pub name: String,
    /// The e-mail address, unique in the organization.
    pub email: String,
    /// The department, free text.
    pub department: String,
    /// The yearly salary, if known.
    pub salary: Option<f64>,
}

/// The new values of an employee.
#[derive(Clone, Debug, Default)]
pub struct EmployeeChange {
    /// The full name.
    pub name: Assignment<String>,
    /// The e-mail address, unique in the organization.
    pub email: Assignment<String>,
    /// The department, free text.
    pub department: Assignment<String>,
    /// The yearly salary; null if it is no longer known.
    pub salary: Assignment<f64>,
    /// True while the person works there.
    pub is_active: Assignment<bool>,
    /// The state that the caller expects.
    pub lock: OptimisticLock,
}

/// Rows of one multi-row insert; with nine columns each they stay far below every parameter limit.
const INSERT_ROWS: usize = 500;

fn checked(problems: &mut Problems, new: &NewEmployee) -> NewEmployee {
    let name = check::name(problems, "name", &new.name);
    let email = check::email(problems, "email", &new.email);
    let department = check::name(problems, "department", &new.department);
    let salary = new.salary.map(|salary| check::salary(problems, "salary", salary));
    NewEmployee { id: new.id, name, email, department, salary }
}

fn email_is_taken() -> Error {
    Error::refused(
        ProblemKind::Taken,
        "email",
        "is the address of another employee of the organization; choose another",
    )
}

/// Creates employees of one organization in one transaction and changes its counter.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] for invalid values, taken addresses and unknown organizations.
pub async fn create(
    scope: &Scope,
    db: &Session,
    organization: OrganizationId,
    new: &[NewEmployee],
    now: Timestamp,
) -> Result<()> {
    authorise(scope, organization, Role::Admin, "organizationId")?;
    let mut problems = Problems::default();
    let new: Vec<_> = new.iter().map(|new| checked(&mut problems, new)).collect();
    Result::from(problems)?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            let added = i64::try_from(new.len()).unwrap_or(i64::MAX);
            if !count(&transaction, organization, added).await? {
                return Err(absent("organizationId"));
            }
            for chunk in new.chunks(INSERT_ROWS) {
                insert(&transaction, organization, chunk, now).await?;
            }
            let created = |new: &NewEmployee| Change::created(EntityKey::Employee(Key::new(organization, new.id)));
            let changes: Vec<_> = new.iter().map(created).chain(counted(organization, new.len())).collect();
            change_log::append(&transaction, &changes, now).await?;
            transaction.commit().await
        }
        .boxed()
    })
    .await
}

/// The change of an organization whose number of employees changes.
fn counted(organization: OrganizationId, people: usize) -> Option<Change> {
    (people > 0).then(|| Change::updated(EntityKey::Organization(organization), ["employee_count"]))
}

/// Changes the counter of an organization, which also locks it; `false` if it does not exist.
async fn count(transaction: &Transaction, organization: OrganizationId, change: i64) -> Result<bool> {
    let counter = organization::Column::EmployeeCount;
    let mut update = Query::update();
    update
        .table(organization::Entity)
        .value(counter, Expr::col(counter).add(change))
        .and_where(Expr::col(organization::Column::Id).eq(organization));
    Ok(transaction.execute(&update).await?.rows_affected() > 0)
}

async fn insert(
    transaction: &Transaction,
    organization: OrganizationId,
    new: &[NewEmployee],
    now: Timestamp,
) -> Result<()> {
    let mut insert = Query::insert();
    insert.into_table(table::Entity).columns([
        table::Column::OrganizationId,
        table::Column::Id,
        table::Column::Name,
        table::Column::Email,
        table::Column::Department,
        table::Column::Salary,
        table::Column::IsActive,
        table::Column::CreatedAt,
        table::Column::UpdatedAt,
    ]);
    for new in new {
        insert.values_panic([
            organization.into(),
            new.id.into(),
            new.name.as_str().into(),
            new.email.as_str().into(),
            new.department.as_str().into(),
            new.salary.into(),
            true.into(),
            now.into(),
            now.into(),
        ]);
    }
    insert.on_conflict(
        OnConflict::columns([table::Column::OrganizationId, table::Column::Email]).do_nothing().to_owned(),
    );
    let inserted = transaction.execute(&insert).await?.rows_affected();
    if usize::try_from(inserted).is_ok_and(|inserted| inserted == new.len()) { Ok(()) } else { Err(email_is_taken()) }
}

fn key(key: Key<EmployeeId>) -> Condition {
    Condition::all()
        .add(Expr::col(table::Column::OrganizationId).eq(key.organization))
        .add(Expr::col(table::Column::Id).eq(key.id))
}

/// Changes an employee. An update that changes nothing leaves the row unmodified.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] for invalid values, taken addresses, unknown employees and
/// lost optimistic locks.
pub async fn update(
    scope: &Scope,
    db: &Session,
    id: Key<EmployeeId>,
    change: EmployeeChange,
    now: Timestamp,
) -> Result<()> {
    authorise(scope, id.organization, Role::Admin, "id")?;
    let mut problems = Problems::default();
    let name = check::required(&mut problems, "name", change.name);
    let name = name.map(|name| check::name(&mut problems, "name", &name));
    let email = check::required(&mut problems, "email", change.email);
    let email = email.map(|email| check::email(&mut problems, "email", &email));
    let department = check::required(&mut problems, "department", change.department);
    let department = department.map(|department| check::name(&mut problems, "department", &department));
    let is_active = check::required(&mut problems, "isActive", change.is_active);
    let salary = match change.salary {
        Assignment::Keep => None,
        Assignment::Clear => Some(None),
        Assignment::Set(salary) => Some(Some(check::salary(&mut problems, "salary", salary))),
    };
    Result::from(problems)?;
    let mut values = Vec::new();
    values.extend(name.map(|name| (table::Column::Name.into_iden(), name.into())));
    values.extend(email.map(|email| (table::Column::Email.into_iden(), email.into())));
    values.extend(department.map(|department| (table::Column::Department.into_iden(), department.into())));
    values.extend(salary.map(|salary| (table::Column::Salary.into_iden(), salary.into())));
    values.extend(is_active.map(|is_active| (table::Column::IsActive.into_iden(), is_active.into())));
    let entity = EntityKey::Employee(id);
    let (table, lock) = (table::Entity.into(), change.lock);
    let update = RowUpdate { table, entity, key: key(id), values, lock };
    match update.run(scope, db, now).await {
        // The address is the only unique column here.
        Err(Error::Conflict(_)) => Err(email_is_taken()),
        other => other,
    }
}

/// The new values of many employees.
#[derive(Clone, Debug, Default)]
pub struct EmployeesChange {
    /// The department, free text.
    pub department: Assignment<String>,
    /// True while they work there.
    pub is_active: Assignment<bool>,
}

/// Changes all employees that match a filter, in one statement, and logs the changed columns of each. Returns the number
/// of changed employees; those who have the values already do not count.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] for invalid values, if there is nothing to change, and for a
/// filter that could match everybody.
pub async fn update_all(
    scope: &Scope,
    db: &Session,
    filter: &EmployeeFilter,
    change: EmployeesChange,
    now: Timestamp,
) -> Result<u64> {
    reach::to_role(scope, Role::Admin).require(Subject::Field("filter"))?;
    let mut problems = Problems::default();
    if !filter::is_selective(filter) {
        problems.invalid(
            "filter",
            "could match every employee; add a condition that selects employees instead of excluding them",
        );
    }
    if (&change.department, &change.is_active) == (&Assignment::Keep, &Assignment::Keep) {
        problems.invalid("isActive", "changes nothing; set isActive or department");
    }
    let department = check::required(&mut problems, "department", change.department);
    let department = department.map(|department| check::name(&mut problems, "department", &department));
    let is_active = check::required(&mut problems, "isActive", change.is_active);
    Result::from(problems)?;
    let mut values = Vec::new();
    values.extend(department.map(|department| (table::Column::Department.into_iden(), department.into())));
    values.extend(is_active.map(|is_active| (table::Column::IsActive.into_iden(), is_active.into())));
    let mut rows = filter::condition(scope, filter, Employee::TABLE)?;
    if let VisibleOrganizations::Organization(own) = scope.organizations() {
        rows = Condition::all().add(rows).add(Expr::col(table::Column::OrganizationId).eq(own));
    }
    let differs = values.iter().map(differs).fold(Condition::any(), Condition::add);
    let rows = Condition::all().add(rows).add(differs);
    retried(|| update_rows(db, &rows, &values, now).boxed()).await
}

/// Locks the rows in one order, then changes and logs exactly those.
async fn update_rows(db: &Session, rows: &Condition, values: &[(DynIden, Value)], now: Timestamp) -> Result<u64> {
    let transaction = db.begin_write().await?;
    let mut lock = Query::select();
    lock.columns([table::Column::OrganizationId, table::Column::Id])
        .exprs(differences(values))
        .from(table::Entity)
        .cond_where(rows.clone())
        .order_by(table::Column::OrganizationId, Order::Asc)
        .order_by(table::Column::Id, Order::Asc)
        .lock(LockType::NoKeyUpdate);
    let (mut keys, mut changes) = (Vec::new(), Vec::new());
    for row in transaction.query_all(&lock).await? {
        let key = Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        keys.push(key);
        changes.push(Change::updated(EntityKey::Employee(key), changed_columns(values, &row, 2)?));
    }
    if keys.is_empty() {
        return Ok(0);
    }
    let mut update = Query::update();
    update.table(table::Entity).and_where(change_log::among(transaction.get_database_backend(), &keys));
    assign(&mut update, values, now);
    let affected = transaction.execute(&update).await?.rows_affected();
    change_log::append(&transaction, &changes, now).await?;
    transaction.commit().await?;
    Ok(affected)
}

/// Deletes an employee, who also leaves all teams.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] when the employee is unknown.
pub async fn delete(scope: &Scope, db: &Session, id: Key<EmployeeId>, now: Timestamp) -> Result<()> {
    authorise(scope, id.organization, Role::Admin, "id")?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            if !count(&transaction, id.organization, -1).await? {
                return Err(absent("id"));
            }
            // From here on the employee cannot be added to a team.
            let mut lock = Query::select();
            lock.column(table::Column::Id).from(table::Entity).cond_where(key(id)).lock(LockType::Update);
            transaction.query_one(&lock).await?.ok_or_else(|| absent("id"))?;
            let teams = leave_teams(&transaction, id).await?;
            let mut delete = Query::delete();
            // Memberships are deleted with the row.
            transaction.execute(delete.from_table(table::Entity).cond_where(key(id))).await?;
            let left = |team| Change::updated(EntityKey::Project(Key::new(id.organization, team)), TEAM_FIELDS);
            let mut changes = vec![Change::deleted(EntityKey::Employee(id))];
            changes.extend(teams.into_iter().map(left).chain(counted(id.organization, 1)));
            change_log::append(&transaction, &changes, now).await?;
            transaction.commit().await
        }
        .boxed()
    })
    .await
}

/// Decrements the size of an employee's teams. The projects are locked before the memberships are read again: a
/// transaction that removed the employee in the meantime has changed the size already. Returns the locked projects.
async fn leave_teams(transaction: &Transaction, id: Key<EmployeeId>) -> Result<Vec<ProjectId>> {
    let teams = || {
        let mut teams = Query::select();
        teams
            .column(project_member::Column::ProjectId)
            .from(project_member::Entity)
            .and_where(Expr::col(project_member::Column::OrganizationId).eq(id.organization))
            .and_where(Expr::col(project_member::Column::EmployeeId).eq(id.id));
        teams
    };
    let mine = || {
        Condition::all()
            .add(Expr::col(project::Column::OrganizationId).eq(id.organization))
            .add(Expr::col(project::Column::Id).in_subquery(teams()))
    };
    let mut lock = Query::select();
    lock.column(project::Column::Id)
        .from(project::Entity)
        .cond_where(mine())
        .order_by(project::Column::Id, sea_orm::Order::Asc)
        .lock(LockType::NoKeyUpdate);
    let locked = transaction.query_all(&lock).await?;
    let teams = locked.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<ProjectId>, _>>()?;
    if teams.is_empty() {
        return Ok(teams);
    }
    let size = project::Column::TeamSize;
    let mut update = Query::update();
    update.table(project::Entity).value(size, Expr::col(size).sub(1)).cond_where(mine());
    transaction.execute(&update).await?;
    Ok(teams)
}
