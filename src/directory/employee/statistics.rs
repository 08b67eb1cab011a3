//! Statistics of employees, computed by the database, also for many organizations in one statement.
//!
//! If departments are requested, the statement groups by them, and the totals are the sums of the groups.

use std::collections::HashMap;

use bitflags::bitflags;
use sea_orm::{
    ConnectionTrait, DbErr, Order, QueryResult,
    sea_query::{Expr, ExprTrait, SelectStatement},
};
use sqlx::{Decode, Postgres, Sqlite};

use super::Employee;
use crate::{
    db::{Session, column, sum::sum_text},
    directory::{
        filter::EmployeeFilter,
        keyset::LISTED,
        record::{keep, seen},
    },
    error::{Error, Result},
    model::{OrganizationId, Role, Scope, Sum},
};

bitflags! {
    /// A set of figures. The number of employees is always included.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct StatisticsFields: u8 {
        /// The number of active employees.
        const ACTIVE = 1;
        /// The sum of the known salaries and their number.
        const SALARIES = 1 << 1;
        /// The lowest salary.
        const LOWEST = 1 << 2;
        /// The highest salary.
        const HIGHEST = 1 << 3;
        /// All of these for each department.
        const DEPARTMENTS = 1 << 4;
    }
}

impl StatisticsFields {
    /// The figures that reveal salaries.
    pub const PAY: Self = Self::SALARIES.union(Self::LOWEST).union(Self::HIGHEST);
}

/// Figures of a set of employees. Those that were not requested are zero or `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EmployeeFigures {
    /// The number of employees.
    pub count: i64,
    /// The number of active employees.
    pub active: i64,
    /// The number of known salaries.
    pub salaries: i64,
    /// The sum of the known salaries; `None` if none is known or the caller may not see salaries.
    pub sum: Option<Sum>,
    /// The lowest salary.
    pub lowest: Option<f64>,
    /// The highest salary.
    pub highest: Option<f64>,
}

impl EmployeeFigures {
    /// The average of the known salaries. Never beyond the lowest and the highest of them, if these were requested as well:
    /// the sum and the quotient are rounded.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 employees")]
    pub fn average(&self) -> Option<f64> {
        let average = self.sum.filter(|_| self.salaries > 0)?.value() / self.salaries as f64;
        let raised = self.lowest.map_or(average, |lowest| average.max(lowest));
        Some(self.highest.map_or(raised, |highest| raised.min(highest)))
    }

    fn add(&mut self, other: &Self) {
        fn either<T>(one: Option<T>, other: Option<T>, both: fn(T, T) -> T) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(both(one, other)),
                (one, other) => one.or(other),
            }
        }
        self.count += other.count;
        self.active += other.active;
        self.salaries += other.salaries;
        self.sum = either(self.sum, other.sum, |mut one, other| {
            one.merge(other);
            one
        });
        self.lowest = either(self.lowest, other.lowest, f64::min);
        self.highest = either(self.highest, other.highest, f64::max);
    }
}

/// Figures of employees and of each of their departments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmployeeStatistics {
    /// The figures of all.
    pub total: EmployeeFigures,
    /// The figures by department, sorted by name; empty unless requested.
    pub departments: Vec<(String, EmployeeFigures)>,
}

/// Computes statistics of all employees within the scope that match the filter. Departments are free text, so there could
/// be as many as employees; at most `departments_max` are allowed.
///
/// # Errors
/// [`Error::Limit`] for more departments; when the database cannot answer, or the role does not suffice for a column that
/// the filter compares.
pub async fn statistics(
    scope: &Scope,
    db: &Session,
    filter: Option<&EmployeeFilter>,
    fields: StatisticsFields,
    departments_max: usize,
) -> Result<EmployeeStatistics> {
    let mut select = seen::<Employee>(scope);
    keep(&mut select, scope, filter)?;
    let mut answer = EmployeeStatistics::default();
    for row in read(scope, db, (select, None), fields, departments_max).await? {
        answer.add(row?, departments_max)?;
    }
    Ok(answer)
}

/// Computes statistics for each of several organizations, in one statement. An organization without matching employees is
/// left out. The limit applies to each organization.
///
/// # Errors
/// As [`statistics`].
pub async fn statistics_by_organizations(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    filter: Option<&EmployeeFilter>,
    fields: StatisticsFields,
    departments_max: usize,
) -> Result<HashMap<OrganizationId, EmployeeStatistics>> {
    const TENANT: (&str, &str) = (LISTED, "organization_id");
    let mut select = seen::<Employee>(scope);
    keep(&mut select, scope, filter)?;
    select
        .and_where(Expr::col(TENANT).is_in(organizations.iter().copied()))
        .group_by_col(TENANT)
        .expr(Expr::col(TENANT));
    let mut answer: HashMap<OrganizationId, EmployeeStatistics> = HashMap::new();
    for row in read(scope, db, (select, Some(organizations.len())), fields, departments_max).await? {
        let row = row?;
        let organization = row.organization.ok_or_else(|| Error::internal("figures of no organization"))?;
        answer.entry(organization).or_default().add(row, departments_max)?;
    }
    Ok(answer)
}

impl EmployeeStatistics {
    fn add(&mut self, row: StatisticsRow, departments_max: usize) -> Result<()> {
        self.total.add(&row.figures);
        self.departments.extend(row.department.map(|department| (department, row.figures)));
        if self.departments.len() > departments_max {
            return Err(Error::Limit {
                what: "the number of departments",
                actual: u64::try_from(self.departments.len()).unwrap_or(u64::MAX),
                limit: u64::try_from(departments_max).unwrap_or(u64::MAX),
                advice: "narrow it by a filter, or leave out byDepartment",
            });
        }
        Ok(())
    }
}

struct StatisticsRow {
    organization: Option<OrganizationId>,
    department: Option<String>,
    figures: EmployeeFigures,
}

/// The columns of the figures in reading order. The number of employees is always included. `{sum}` is the sum of salaries.
const FIGURES: [(StatisticsFields, &str); 5] = [
    (StatisticsFields::empty(), "COUNT(*)"),
    (StatisticsFields::ACTIVE, "SUM(CASE WHEN is_active THEN 1 ELSE 0 END)"),
    (StatisticsFields::SALARIES, "COUNT(salary), {sum}"),
    (StatisticsFields::LOWEST, "MIN(salary)"),
    (StatisticsFields::HIGHEST, "MAX(salary)"),
];

/// Adds the figures to a statement, which is grouped by organization if their number is given, and reads its rows: all of
/// them, or enough to see that an organization has too many departments.
async fn read(
    scope: &Scope,
    db: &Session,
    (mut select, organizations): (SelectStatement, Option<usize>),
    wanted: StatisticsFields,
    departments_max: usize,
) -> Result<Vec<Result<StatisticsRow, DbErr>>> {
    const DEPARTMENT: (&str, &str) = (LISTED, "department");
    let shown = if scope.role() < Role::Admin { wanted - StatisticsFields::PAY } else { wanted };
    if shown.contains(StatisticsFields::DEPARTMENTS) {
        let rows_max = departments_max.saturating_mul(organizations.unwrap_or(1)).saturating_add(1);
        select.column(DEPARTMENT).group_by_col(DEPARTMENT).limit(u64::try_from(rows_max).unwrap_or(u64::MAX));
        if organizations.is_some() {
            select.order_by((LISTED, "organization_id"), Order::Asc);
        }
        select.order_by(DEPARTMENT, Order::Asc);
    }
    // As text, because it is the same for every call, and an expression tree would be rendered each time.
    let figures = FIGURES.iter().filter(|(field, _)| shown.contains(*field)).map(|(_, sql)| *sql);
    let figures = figures.collect::<Vec<_>>().join(", ");
    select.expr(Expr::cust(figures.replace("{sum}", &sum_text(db.get_database_backend(), "salary"))));
    let rows = db.query_all(&select).await?;
    Ok(rows.iter().map(|row| StatisticsRow::read(row, organizations.is_some(), shown)).collect())
}

impl StatisticsRow {
    fn read(row: &QueryResult, by_organization: bool, shown: StatisticsFields) -> Result<Self, DbErr> {
        let mut columns = ColumnReader { row, at: 0 };
        let organization = by_organization.then(|| columns.next()).transpose()?.map(OrganizationId);
        let department = shown.contains(StatisticsFields::DEPARTMENTS).then(|| columns.next()).transpose()?;
        let mut figures = EmployeeFigures { count: columns.next()?, ..EmployeeFigures::default() };
        if shown.contains(StatisticsFields::ACTIVE) {
            figures.active = columns.next::<Option<i64>>()?.unwrap_or(0);
        }
        if shown.contains(StatisticsFields::SALARIES) {
            figures.salaries = columns.next()?;
            figures.sum = columns.next::<Option<f64>>()?.map(Sum::of);
        }
        if shown.contains(StatisticsFields::LOWEST) {
            figures.lowest = columns.next()?;
        }
        if shown.contains(StatisticsFields::HIGHEST) {
            figures.highest = columns.next()?;
        }
        Ok(Self { organization, department, figures })
    }
}

/// Reads the columns of a row one after the other.
struct ColumnReader<'a> {
    row: &'a QueryResult,
    at: usize,
}

impl<'a> ColumnReader<'a> {
    fn next<T: Decode<'a, Postgres> + Decode<'a, Sqlite>>(&mut self) -> Result<T, DbErr> {
        self.at += 1;
        column(self.row, self.at - 1)
    }
}
