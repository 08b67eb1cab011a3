//! What lists of the directory can be ordered by, and who may ask it.

use std::{fmt::Debug, hash::Hash};

use super::{
    Employee, EmployeeFields, Organization, OrganizationFields, Project, ProjectFields, Release, ReleaseFields,
};
use crate::{
    error::{Error, Result},
    model::{
        Role, Scope,
        filter::Number,
        order::{OrderBy, Sort, SortValue},
    },
};

/// A key of an order.
pub trait OrderField: Copy + Debug + Eq + Hash + Send + Sync + 'static {
    /// What is ordered.
    type Row;
    /// Which fields of it are to be read.
    type Fields;
    /// Tells cursors apart from those of other nouns.
    const LIST: u8;
    /// Every key; cursors name them by their place here, so new ones come last.
    const ALL: &'static [Self];
    /// The order of a list that was asked for without one.
    const DEFAULT: &'static [OrderBy<Self>];

    /// The column that holds it.
    fn column(self) -> &'static str;

    /// What kind of values the column holds.
    fn kind(self) -> SortKind;

    /// What must be read to know where a row stands.
    fn fields(self) -> Self::Fields;

    /// What a row has for this key.
    ///
    /// # Errors
    /// When it was not read.
    fn value(self, row: &Self::Row) -> Result<SortValue<&str>>;

    /// Refuses callers who would learn what they may not see.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the scope's role does not reach.
    fn permit(self, _scope: &Scope) -> Result<()> {
        Ok(())
    }
}

/// What a column that can order holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKind {
    /// Texts.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers, or nothing.
    OptionalNumber,
}

/// The keys of an order: those that were asked for, or the default ones.
pub fn keys<F: OrderField>(order: &[OrderBy<F>]) -> &[OrderBy<F>] {
    if order.is_empty() { F::DEFAULT } else { order }
}

/// What organizations are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrganizationOrderField {
    /// The name.
    Name,
}

/// What employees can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EmployeeOrderField {
    /// The full name.
    Name,
    /// The address.
    Email,
    /// The department.
    Department,
    /// The yearly salary: only administrators may ask, since an order tells.
    Salary,
    /// When the record was created.
    CreatedAt,
}

/// What projects can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProjectOrderField {
    /// The name.
    Name,
    /// Active, paused, archived.
    Status,
    /// When the record was created.
    CreatedAt,
    /// How many people work on it.
    TeamSize,
}

/// What releases are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseOrderField {
    /// From when on it ran.
    DeployedAt,
}

impl OrderField for ReleaseOrderField {
    type Row = Release;
    type Fields = ReleaseFields;
    const LIST: u8 = b'r';
    const ALL: &'static [Self] = &[Self::DeployedAt];
    const DEFAULT: &'static [OrderBy<Self>] = &[OrderBy { field: Self::DeployedAt, sort: Sort::Descending }];

    fn column(self) -> &'static str {
        "deployed_at"
    }

    fn kind(self) -> SortKind {
        SortKind::Integer
    }

    fn fields(self) -> ReleaseFields {
        ReleaseFields::DEPLOYED_AT
    }

    fn value(self, row: &Release) -> Result<SortValue<&str>> {
        Ok(SortValue::Integer(row.deployed_at()?.as_micros()))
    }
}

impl OrderField for OrganizationOrderField {
    type Row = Organization;
    type Fields = OrganizationFields;
    const LIST: u8 = b'o';
    const ALL: &'static [Self] = &[Self::Name];
    const DEFAULT: &'static [OrderBy<Self>] = &[OrderBy { field: Self::Name, sort: Sort::Ascending }];

    fn column(self) -> &'static str {
        "name"
    }

    fn kind(self) -> SortKind {
        SortKind::Text
    }

    fn fields(self) -> OrganizationFields {
        OrganizationFields::NAME
    }

    fn value(self, row: &Organization) -> Result<SortValue<&str>> {
        Ok(SortValue::Text(row.name()?))
    }
}

impl OrderField for EmployeeOrderField {
    type Row = Employee;
    type Fields = EmployeeFields;
    const LIST: u8 = b'e';
    const ALL: &'static [Self] = &[Self::Name, Self::Email, Self::Department, Self::Salary, Self::CreatedAt];
    const DEFAULT: &'static [OrderBy<Self>] = &[OrderBy { field: Self::Name, sort: Sort::Ascending }];

    fn column(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "email",
            Self::Department => "department",
            Self::Salary => "salary",
            Self::CreatedAt => "created_at",
        }
    }

    fn kind(self) -> SortKind {
        match self {
            Self::Name | Self::Email | Self::Department => SortKind::Text,
            Self::Salary => SortKind::OptionalNumber,
            Self::CreatedAt => SortKind::Integer,
        }
    }

    fn fields(self) -> EmployeeFields {
        match self {
            Self::Name => EmployeeFields::NAME,
            Self::Email => EmployeeFields::EMAIL,
            Self::Department => EmployeeFields::DEPARTMENT,
            Self::Salary => EmployeeFields::SALARY,
            Self::CreatedAt => EmployeeFields::CREATED_AT,
        }
    }

    fn value(self, row: &Employee) -> Result<SortValue<&str>> {
        Ok(match self {
            Self::Name => SortValue::Text(row.name()?),
            Self::Email => SortValue::Text(row.email()?),
            Self::Department => SortValue::Text(row.department()?),
            Self::Salary => row.salary()?.map_or(SortValue::Unknown, |salary| SortValue::Number(Number(salary))),
            Self::CreatedAt => SortValue::Integer(row.created_at()?.as_micros()),
        })
    }

    fn permit(self, scope: &Scope) -> Result<()> {
        if self == Self::Salary && scope.role() < Role::Admin {
            return Err(Error::Forbidden("orderBy: only an administrator sees salaries".to_owned()));
        }
        Ok(())
    }
}

impl OrderField for ProjectOrderField {
    type Row = Project;
    type Fields = ProjectFields;
    const LIST: u8 = b'p';
    const ALL: &'static [Self] = &[Self::Name, Self::Status, Self::CreatedAt, Self::TeamSize];
    const DEFAULT: &'static [OrderBy<Self>] = &[OrderBy { field: Self::Name, sort: Sort::Ascending }];

    fn column(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Status => "status",
            Self::CreatedAt => "created_at",
            Self::TeamSize => "team_size",
        }
    }

    fn kind(self) -> SortKind {
        match self {
            Self::Name => SortKind::Text,
            Self::Status | Self::CreatedAt | Self::TeamSize => SortKind::Integer,
        }
    }

    fn fields(self) -> ProjectFields {
        match self {
            Self::Name => ProjectFields::NAME,
            Self::Status => ProjectFields::STATUS,
            Self::CreatedAt => ProjectFields::CREATED_AT,
            Self::TeamSize => ProjectFields::TEAM_SIZE,
        }
    }

    fn value(self, row: &Project) -> Result<SortValue<&str>> {
        Ok(match self {
            Self::Name => SortValue::Text(row.name()?),
            Self::Status => SortValue::Integer(i64::from(*row.status_code()?)),
            Self::CreatedAt => SortValue::Integer(row.created_at()?.as_micros()),
            Self::TeamSize => SortValue::Integer(*row.team_size()?),
        })
    }
}
