//! Figures about employees, and which of them a selection needs.

use std::sync::Arc;

use async_graphql::{Context, Object, SelectionField, ServerResult};

use crate::{
    directory::employee::{EmployeeFigures, EmployeeStatistics, StatisticsFields},
    engine::rows::{Read, Row, Rows, Scalar, write_columns, write_list},
    graphql::scalars::Long,
};

/// Figures about employees.
pub struct EmployeeAggregate(pub Arc<EmployeeStatistics>);

/// Figures about employees. Salaries are null for callers below administrator, and where none is known.
#[Object]
impl EmployeeAggregate {
    /// How many there are.
    async fn count(&self) -> Long {
        Long(self.0.total.count)
    }

    /// How many of them still work there.
    async fn active_count(&self) -> Long {
        Long(self.0.total.active)
    }

    /// How many of them do not work there any more.
    async fn inactive_count(&self) -> Long {
        Long(self.0.total.count - self.0.total.active)
    }

    /// The average of the known salaries.
    async fn average_salary(&self) -> Option<f64> {
        self.0.total.average()
    }

    /// The lowest salary.
    async fn min_salary(&self) -> Option<f64> {
        self.0.total.lowest
    }

    /// The highest salary.
    async fn max_salary(&self) -> Option<f64> {
        self.0.total.highest
    }

    /// The sum of the known salaries.
    async fn sum_salary(&self) -> Option<f64> {
        self.0.total.sum
    }

    /// The departments, in the order of their names.
    async fn by_department(&self) -> Rows<DepartmentStats<'_>> {
        Rows(self.departments())
    }
}

impl EmployeeAggregate {
    fn departments(&self) -> Vec<DepartmentStats<'_>> {
        self.0.departments.iter().map(|(department, figures)| DepartmentStats { department, figures }).collect()
    }
}

/// Figures about the employees of a department.
pub struct DepartmentStats<'a> {
    department: &'a str,
    figures: &'a EmployeeFigures,
}

/// Figures about the employees of a department, of all organizations that were asked about together.
#[Object]
impl DepartmentStats<'_> {
    /// The department.
    async fn department(&self) -> &str {
        self.department
    }

    /// How many employees it has.
    async fn count(&self) -> Long {
        Long(self.figures.count)
    }

    /// The average of the known salaries; null for callers below administrator, and where none is known.
    async fn average_salary(&self) -> Option<f64> {
        self.figures.average()
    }
}

impl Row for EmployeeAggregate {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "count" => |one, _| Ok(Scalar::Whole(one.0.total.count)),
            "activeCount" => |one, _| Ok(Scalar::Whole(one.0.total.active)),
            "inactiveCount" => |one, _| Ok(Scalar::Whole(one.0.total.count - one.0.total.active)),
            "averageSalary" => |one, _| Ok(Scalar::number(one.0.total.average())),
            "minSalary" => |one, _| Ok(Scalar::number(one.0.total.lowest)),
            "maxSalary" => |one, _| Ok(Scalar::number(one.0.total.highest)),
            "sumSalary" => |one, _| Ok(Scalar::number(one.0.total.sum)),
            _ => return None,
        })
    }

    async fn follow(rows: &[Self], at: &[Context<'_>]) -> ServerResult<Option<Vec<String>>> {
        let write_departments = |(one, place): (&Self, &Context<'_>)| {
            let place = place.with_selection_set(&place.item.node.selection_set);
            write_columns(&one.departments(), &place).map(|texts| write_list(&texts))
        };
        Ok(match at.first().map(|place| place.item.node.name.node.as_str()) {
            Some("byDepartment") => rows.iter().zip(at).map(write_departments).collect(),
            _ => None,
        })
    }
}

impl Row for DepartmentStats<'_> {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "department" => |one, _| Ok(Scalar::Text(one.department)),
            "count" => |one, _| Ok(Scalar::Whole(one.figures.count)),
            "averageSalary" => |one, _| Ok(Scalar::number(one.figures.average())),
            _ => return None,
        })
    }
}

/// Which figures the children of a field need.
pub fn wants(field: SelectionField<'_>) -> StatisticsFields {
    field.selection_set().fold(StatisticsFields::default(), |wanted, child| {
        wanted
            | match child.name() {
                "activeCount" | "inactiveCount" => StatisticsFields::ACTIVE,
                "averageSalary" | "sumSalary" => StatisticsFields::SALARIES,
                "minSalary" => StatisticsFields::LOWEST,
                "maxSalary" => StatisticsFields::HIGHEST,
                "byDepartment" => StatisticsFields::DEPARTMENTS | (wants(child) & StatisticsFields::SALARIES),
                _ => StatisticsFields::default(),
            }
    })
}
