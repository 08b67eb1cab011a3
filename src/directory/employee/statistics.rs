//! Figures about employees: counted and summed by the database, also of many organizations at once, in one statement.
//!
//! Where departments are wanted the statement groups by them, and the totals are the sums of the groups.

use std::collections::HashMap;

use bitflags::bitflags;
use sea_orm::{
    ConnectionTrait, DbErr, Order, QueryResult,
    sea_query::{Expr, ExprTrait, SelectStatement},
};
use sqlx::{Decode, Postgres, Sqlite};

use super::Employee;
use crate::{
    db::{Session, column},
    directory::{
        filter::EmployeeFilter,
        noun::{keep, seen},
        page::LISTED,
    },
    error::{Error, Result},
    model::{OrganizationId, Role, Scope},
};

bitflags! {
    /// Which figures are wanted. People are always counted.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct StatisticsFields: u8 {
        /// How many still work there.
        const ACTIVE = 1;
        /// The sum of the salaries, and how many are known.
        const SALARIES = 1 << 1;
        /// The lowest salary.
        const LOWEST = 1 << 2;
        /// The highest salary.
        const HIGHEST = 1 << 3;
        /// The same for each department.
        const DEPARTMENTS = 1 << 4;
    }
}

impl StatisticsFields {
    /// What shows salaries.
    const PAY: Self = Self::SALARIES.union(Self::LOWEST).union(Self::HIGHEST);
}

/// Figures about some employees. What was not asked for is zero or absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// How many there are.
    pub count: i64,
    /// How many of them still work there.
    pub active: i64,
    /// How many salaries are known.
    pub salaries: i64,
    /// Their sum; `None` when none is known, or the caller may not see salaries.
    pub sum: Option<f64>,
    /// The lowest.
    pub lowest: Option<f64>,
    /// The highest.
    pub highest: Option<f64>,
}

impl Figures {
    /// The average of the known salaries.
    #[expect(clippy::cast_precision_loss, reason = "nobody employs 2^53 people")]
    pub fn average(&self) -> Option<f64> {
        self.sum.filter(|_| self.salaries > 0).map(|sum| sum / self.salaries as f64)
    }

    fn add(&mut self, other: &Self) {
        let either = |one: Option<f64>, other: Option<f64>, both: fn(f64, f64) -> f64| match (one, other) {
            (Some(one), Some(other)) => Some(both(one, other)),
            (one, other) => one.or(other),
        };
        self.count += other.count;
        self.active += other.active;
        self.salaries += other.salaries;
        self.sum = either(self.sum, other.sum, |one, other| one + other);
        self.lowest = either(self.lowest, other.lowest, f64::min);
        self.highest = either(self.highest, other.highest, f64::max);
    }
}

/// Figures about employees, and about each of their departments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// About all.
    pub total: Figures,
    /// By department, in its order; empty unless asked for.
    pub departments: Vec<(String, Figures)>,
}

/// Figures about everybody whom the scope sees and who passes the filter. Departments are free text, so there could be as
/// many as employees: not more than `departments_max` are told apart.
///
/// # Errors
/// [`Error::Limit`] above that many departments; when the database cannot answer, or the scope does not reach what the
/// filter asks about.
pub async fn statistics(
    scope: &Scope,
    db: &Session,
    filter: Option<&EmployeeFilter>,
    fields: StatisticsFields,
    departments_max: usize,
) -> Result<Statistics> {
    let mut select = seen::<Employee>(scope);
    keep(&mut select, scope, filter)?;
    let mut answer = Statistics::default();
    for row in read(scope, db, (select, None), fields, departments_max).await? {
        answer.add(row?, departments_max)?;
    }
    Ok(answer)
}

/// The same for each of several organizations, in one statement; who has no such employee is not in the answer. The limit
/// is that of each.
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
) -> Result<HashMap<OrganizationId, Statistics>> {
    const TENANT: (&str, &str) = (LISTED, "organization_id");
    let mut select = seen::<Employee>(scope);
    keep(&mut select, scope, filter)?;
    select
        .and_where(Expr::col(TENANT).is_in(organizations.iter().copied()))
        .group_by_col(TENANT)
        .expr(Expr::col(TENANT));
    let mut answer: HashMap<OrganizationId, Statistics> = HashMap::new();
    for row in read(scope, db, (select, Some(organizations.len())), fields, departments_max).await? {
        let row = row?;
        let organization = row.organization.ok_or_else(|| Error::internal("figures of no organization"))?;
        answer.entry(organization).or_default().add(row, departments_max)?;
    }
    Ok(answer)
}

impl Statistics {
    fn add(&mut self, row: Row, departments_max: usize) -> Result<()> {
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

struct Row {
    organization: Option<OrganizationId>,
    department: Option<String>,
    figures: Figures,
}

/// The columns of the figures, in the order in which they are read. People are always counted.
const FIGURES: [(StatisticsFields, &str); 5] = [
    (StatisticsFields::empty(), "COUNT(*)"),
    (StatisticsFields::ACTIVE, "SUM(CASE WHEN is_active THEN 1 ELSE 0 END)"),
    (StatisticsFields::SALARIES, "COUNT(salary), SUM(salary)"),
    (StatisticsFields::LOWEST, "MIN(salary)"),
    (StatisticsFields::HIGHEST, "MAX(salary)"),
];

/// Adds the figures to a statement, which selects the organization already if it is grouped by so many, and reads its rows:
/// all of them, or so many that one organization has more departments than it may.
async fn read(
    scope: &Scope,
    db: &Session,
    (mut select, organizations): (SelectStatement, Option<usize>),
    wanted: StatisticsFields,
    departments_max: usize,
) -> Result<Vec<Result<Row, DbErr>>> {
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
    // As text: these are the same for every question, and an expression tree is taken apart again for each.
    let figures = FIGURES.iter().filter(|(field, _)| shown.contains(*field)).map(|(_, sql)| *sql);
    select.expr(Expr::cust(figures.collect::<Vec<_>>().join(", ")));
    let rows = db.query_all(&select).await?;
    Ok(rows.iter().map(|row| Row::read(row, organizations.is_some(), shown)).collect())
}

impl Row {
    fn read(row: &QueryResult, by_organization: bool, shown: StatisticsFields) -> Result<Self, DbErr> {
        let mut columns = Columns { row, at: 0 };
        let organization = by_organization.then(|| columns.next()).transpose()?.map(OrganizationId);
        let department = shown.contains(StatisticsFields::DEPARTMENTS).then(|| columns.next()).transpose()?;
        let mut figures = Figures { count: columns.next()?, ..Figures::default() };
        if shown.contains(StatisticsFields::ACTIVE) {
            figures.active = columns.next::<Option<i64>>()?.unwrap_or(0);
        }
        if shown.contains(StatisticsFields::SALARIES) {
            figures.salaries = columns.next()?;
            figures.sum = columns.next()?;
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

/// The columns of a row, one after the other.
struct Columns<'a> {
    row: &'a QueryResult,
    at: usize,
}

impl<'a> Columns<'a> {
    fn next<T: Decode<'a, Postgres> + Decode<'a, Sqlite>>(&mut self) -> Result<T, DbErr> {
        self.at += 1;
        column(self.row, self.at - 1)
    }
}
