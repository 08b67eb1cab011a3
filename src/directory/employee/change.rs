//! Changes of employees. Whoever comes or goes changes the counter of the organization in the same transaction, and
//! whoever goes leaves their teams.

use futures_util::FutureExt;
use sea_orm::{
    ConnectionTrait, Order, Value,
    sea_query::{Condition, DynIden, Expr, ExprTrait, IntoIden, LockType, OnConflict, Query},
};

use crate::{
    db::{Session, Transaction},
    directory::{
        Employee, EmployeeFilter, Noun,
        change::{Update, assign, changed_columns, differences, differs, retried},
        check, filter, journal,
        reach::{self, Subject, absent, authorise},
        team::TEAM_FIELDS,
    },
    entity::{employee as table, organization, project, project_member},
    error::{Error, Result},
    model::{
        Assignment, EmployeeId, Key, OrganizationId, ProblemKind, Problems, ProjectId, Reach, Role, Scope, Timestamp,
        change::{Change, EntityKey},
    },
};

/// What a new employee is made of.
#[derive(Clone, Debug)]
pub struct NewEmployee {
    /// Made by the caller's generator.
    pub id: EmployeeId,
    /// The full name.
    pub name: String,
    /// Unique in the organization.
    pub email: String,
    /// Free text.
    pub department: String,
    /// Yearly, if known.
    pub salary: Option<f64>,
}

/// What is to become of an employee.
#[derive(Clone, Debug, Default)]
pub struct EmployeeChange {
    /// The full name.
    pub name: Assignment<String>,
    /// Unique in the organization.
    pub email: Assignment<String>,
    /// Free text.
    pub department: Assignment<String>,
    /// Yearly; cleared when it is not known any more.
    pub salary: Assignment<f64>,
    /// Whether the person still works there.
    pub is_active: Assignment<bool>,
    /// Only if the record was last changed then.
    pub if_updated_at: Option<Timestamp>,
}

/// Rows of one multi-row insert: nine columns each stay far below every parameter limit.
const INSERT_ROWS: usize = 500;

fn checked(problems: &mut Problems, new: &NewEmployee) -> NewEmployee {
    let name = check::name(problems, "name", &new.name);
    let email = check::email(problems, "email", &new.email);
    let department = check::name(problems, "department", &new.department);
    let salary = new.salary.map(|salary| check::salary(problems, "salary", salary));
    NewEmployee { id: new.id, name, email, department, salary }
}

fn email_is_taken() -> Error {
    Error::refused(ProblemKind::Taken, "email", "another employee of the organization has it")
}

/// Creates employees of one organization, all or none, and counts them in.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] for bad values, taken addresses and absent organizations.
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
            let changes: Vec<_> = new.iter().map(created).chain(staff(organization, new.len())).collect();
            journal::record(&transaction, &changes, now).await?;
            transaction.commit().await
        }
        .boxed()
    })
    .await
}

/// What is different about an organization when so many people come or go.
fn staff(organization: OrganizationId, people: usize) -> Option<Change> {
    (people > 0).then(|| Change::updated(EntityKey::Organization(organization), ["employee_count"]))
}

/// Changes the counter of an organization, which also locks it; `false` when there is none.
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

/// Changes an employee; a record that already is as it shall be stays untouched.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] for bad values, taken addresses, absent employees and lost locks.
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
    let (table, if_updated_at) = (table::Entity.into(), change.if_updated_at);
    let update = Update { table, entity, key: key(id), values, if_updated_at };
    match update.run(db, now).await {
        // The address is the only thing here that must be unique.
        Err(Error::Conflict(_)) => Err(email_is_taken()),
        other => other,
    }
}

/// What is to become of many employees.
#[derive(Clone, Debug, Default)]
pub struct EmployeesChange {
    /// Free text.
    pub department: Assignment<String>,
    /// Whether they still work there.
    pub is_active: Assignment<bool>,
}

/// Changes all employees that pass a filter, in one statement, and logs which columns of each. Answers how many were changed: who already is as they
/// shall be is not.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] for bad values, for nothing to change and for a filter that
/// does not say who.
pub async fn update_all(
    scope: &Scope,
    db: &Session,
    filter: &EmployeeFilter,
    change: EmployeesChange,
    now: Timestamp,
) -> Result<u64> {
    reach::to_role(scope, Role::Admin).require(Subject::Field("filter"))?;
    let mut problems = Problems::default();
    if !filter::says_who(filter) {
        problems
            .invalid("filter", "does not say who, so everybody might be changed; give a condition that is no denial");
    }
    if (&change.department, &change.is_active) == (&Assignment::Keep, &Assignment::Keep) {
        problems.invalid("isActive", "nothing is to be changed; give isActive or department");
    }
    let department = check::required(&mut problems, "department", change.department);
    let department = department.map(|department| check::name(&mut problems, "department", &department));
    let is_active = check::required(&mut problems, "isActive", change.is_active);
    Result::from(problems)?;
    let mut values = Vec::new();
    values.extend(department.map(|department| (table::Column::Department.into_iden(), department.into())));
    values.extend(is_active.map(|is_active| (table::Column::IsActive.into_iden(), is_active.into())));
    let mut rows = filter::condition(scope, filter, Employee::TABLE)?;
    if let Reach::Organization(own) = scope.reach() {
        rows = Condition::all().add(rows).add(Expr::col(table::Column::OrganizationId).eq(own));
    }
    let differs = values.iter().map(differs).fold(Condition::any(), Condition::add);
    let rows = Condition::all().add(rows).add(differs);
    retried(|| update_rows(db, &rows, &values, now).boxed()).await
}

/// Locks the rows in one order, then changes and logs just those.
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
    update.table(table::Entity).and_where(journal::among(transaction.get_database_backend(), &keys));
    assign(&mut update, values, now);
    let affected = transaction.execute(&update).await?.rows_affected();
    journal::record(&transaction, &changes, now).await?;
    transaction.commit().await?;
    Ok(affected)
}

/// Deletes an employee, who leaves all teams.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::Refused`] when there is none.
pub async fn delete(scope: &Scope, db: &Session, id: Key<EmployeeId>, now: Timestamp) -> Result<()> {
    authorise(scope, id.organization, Role::Admin, "id")?;
    retried(|| {
        async {
            let transaction = db.begin_write().await?;
            if !count(&transaction, id.organization, -1).await? {
                return Err(absent("id"));
            }
            // From here on nobody can put the person into a team.
            let mut lock = Query::select();
            lock.column(table::Column::Id).from(table::Entity).cond_where(key(id)).lock(LockType::Update);
            transaction.query_one(&lock).await?.ok_or_else(|| absent("id"))?;
            let teams = leave_teams(&transaction, id).await?;
            let mut delete = Query::delete();
            // Memberships go with the row.
            transaction.execute(delete.from_table(table::Entity).cond_where(key(id))).await?;
            let left = |team| Change::updated(EntityKey::Project(Key::new(id.organization, team)), TEAM_FIELDS);
            let mut changes = vec![Change::deleted(EntityKey::Employee(id))];
            changes.extend(teams.into_iter().map(left).chain(staff(id.organization, 1)));
            journal::record(&transaction, &changes, now).await?;
            transaction.commit().await
        }
        .boxed()
    })
    .await
}

/// Counts a person out of their teams. The projects are locked before their memberships are read once more: whoever took
/// the person out of a team in the meantime has counted already. Answers which projects were locked.
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
