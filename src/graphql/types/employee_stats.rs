//! Statistics of employees, and those that a selection needs.

use std::sync::Arc;

use async_graphql::{Context, Description, Object, SelectionField, ServerResult};

use crate::{
    directory::employee::{EmployeeFigures, EmployeeStatistics, StatisticsFields},
    engine::rows::{Read, Row, Rows, Scalar, write_columns, write_list},
    graphql::{scalars::Long, sizes},
    model::Sum,
};

/// Aggregate statistics of employees. Salary statistics are null for callers below the role `ADMIN`, and if no salary
/// is known.
#[derive(Description)]
pub struct EmployeeAggregate(pub Arc<EmployeeStatistics>);

#[Object(use_type_description)]
impl EmployeeAggregate {
    /// Number of employees.
    async fn count(&self) -> Long {
        Long(self.0.total.count)
    }

    /// Number of employees who still work for their organization.
    async fn active_count(&self) -> Long {
        Long(self.0.total.active)
    }

    /// Number of employees who no longer work for their organization.
    async fn inactive_count(&self) -> Long {
        Long(self.0.total.count - self.0.total.active)
    }

    /// Average of the known salaries. Null if none is known, and for callers below the role `ADMIN`.
    async fn average_salary(&self) -> Option<f64> {
        self.0.total.average()
    }

    /// Lowest known salary. Null if none is known, and for callers below the role `ADMIN`.
    async fn min_salary(&self) -> Option<f64> {
        self.0.total.lowest
    }

    /// Highest known salary. Null if none is known, and for callers below the role `ADMIN`.
    async fn max_salary(&self) -> Option<f64> {
        self.0.total.highest
    }

    /// Sum of the known salaries. Null if none is known, and for callers below the role `ADMIN`.
    async fn sum_salary(&self) -> Option<f64> {
        self.0.total.sum.map(Sum::value)
    }

    /// Statistics per department, ordered by department. More than 1,000 departments are an error.
    #[graphql(directive = sizes::Assumed::apply(20))]
    async fn by_department(&self) -> Rows<DepartmentStats<'_>> {
        Rows(self.departments())
    }
}

impl EmployeeAggregate {
    fn departments(&self) -> Vec<DepartmentStats<'_>> {
        self.0.departments.iter().map(|(department, figures)| DepartmentStats { department, figures }).collect()
    }
}

/// Statistics of the employees of a department. `Query.employeeStats` combines departments of the same name in several
/// organizations.
#[derive(Description)]
pub struct DepartmentStats<'a> {
    department: &'a str,
    figures: &'a EmployeeFigures,
}

#[Object(use_type_description)]
impl DepartmentStats<'_> {
    /// Name of the department.
    async fn department(&self) -> &str {
        self.department
    }

    /// Number of employees in the department.
    async fn count(&self) -> Long {
        Long(self.figures.count)
    }

    /// Number of active employees in the department.
    async fn active_count(&self) -> Long {
        Long(self.figures.active)
    }

    /// Number of inactive employees in the department.
    async fn inactive_count(&self) -> Long {
        Long(self.figures.count - self.figures.active)
    }

    /// Average of the known salaries. Null if none is known, and for callers below the role `ADMIN`.
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
            "sumSalary" => |one, _| Ok(Scalar::number(one.0.total.sum.map(Sum::value))),
            _ => return None,
        })
    }

    async fn follow(rows: &[&Self], at: &[Context<'_>]) -> ServerResult<Option<Vec<String>>> {
        let write_departments = |(one, place): (&&Self, &Context<'_>)| {
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
            "activeCount" => |one, _| Ok(Scalar::Whole(one.figures.active)),
            "inactiveCount" => |one, _| Ok(Scalar::Whole(one.figures.count - one.figures.active)),
            "averageSalary" => |one, _| Ok(Scalar::number(one.figures.average())),
            _ => return None,
        })
    }
}

/// The statistics that the children of a field need.
pub fn wants(field: SelectionField<'_>) -> StatisticsFields {
    field.selection_set().fold(StatisticsFields::default(), |wanted, child| {
        wanted
            | match child.name() {
                "activeCount" | "inactiveCount" => StatisticsFields::ACTIVE,
                // No average passes the extremes.
                "averageSalary" => StatisticsFields::PAY,
                "sumSalary" => StatisticsFields::SALARIES,
                "minSalary" => StatisticsFields::LOWEST,
                "maxSalary" => StatisticsFields::HIGHEST,
                "byDepartment" => {
                    StatisticsFields::DEPARTMENTS | (wants(child) & (StatisticsFields::PAY | StatisticsFields::ACTIVE))
                }
                _ => StatisticsFields::default(),
            }
    })
}
