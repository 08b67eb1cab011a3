//! The columns that a selection needs. Other columns are not read from the database.

use async_graphql::SelectionField;

use crate::directory::{EmployeeFields, OrganizationFields, ProjectFields, ReleaseFields};

/// A set of columns, built from the field names in a selection.
pub trait FieldSet: Copy + Default + std::ops::BitOr<Output = Self> {
    /// The columns that a field needs; empty for ids and relations.
    fn of(name: &str) -> Self;
}

impl FieldSet for OrganizationFields {
    fn of(name: &str) -> Self {
        match name {
            "name" => Self::NAME,
            "slug" => Self::SLUG,
            "isActive" => Self::IS_ACTIVE,
            "employeeCount" => Self::EMPLOYEE_COUNT,
            "createdAt" => Self::CREATED_AT,
            "updatedAt" | "version" => Self::UPDATED_AT,
            _ => Self::empty(),
        }
    }
}

impl FieldSet for EmployeeFields {
    fn of(name: &str) -> Self {
        match name {
            "name" => Self::NAME,
            "email" => Self::EMAIL,
            "department" => Self::DEPARTMENT,
            "salary" => Self::SALARY,
            "isActive" => Self::IS_ACTIVE,
            "createdAt" => Self::CREATED_AT,
            "updatedAt" | "version" => Self::UPDATED_AT,
            _ => Self::empty(),
        }
    }
}

impl FieldSet for ProjectFields {
    fn of(name: &str) -> Self {
        match name {
            "name" => Self::NAME,
            "slug" => Self::SLUG,
            "status" => Self::STATUS,
            "memberCount" | "teamSize" => Self::TEAM_SIZE,
            "createdAt" => Self::CREATED_AT,
            "updatedAt" | "version" => Self::UPDATED_AT,
            _ => Self::empty(),
        }
    }
}

impl FieldSet for ReleaseFields {
    fn of(name: &str) -> Self {
        match name {
            "project" => Self::PROJECT,
            "version" => Self::VERSION,
            "deployedAt" => Self::DEPLOYED_AT,
            "commit" => Self::COMMIT,
            "author" => Self::AUTHOR,
            _ => Self::empty(),
        }
    }
}

/// The columns that the child fields of an object need.
pub fn of_object<F: FieldSet>(field: SelectionField<'_>) -> F {
    field.selection_set().fold(F::default(), |fields, child| fields | F::of(child.name()))
}

/// The columns that a connection needs: those of its nodes, and those of the order if cursors are selected. `None` if no
/// selected field needs a row, as with the total.
pub fn of_connection<F: FieldSet>(field: SelectionField<'_>, order: F) -> Option<F> {
    field.selection_set().fold(None, |fields: Option<F>, child| {
        let more = match child.name() {
            "nodes" => of_object(child),
            "edges" => of_edge(child, order),
            "pageInfo" => of_page_info(child, order),
            _ => return fields,
        };
        Some(fields.unwrap_or_default() | more)
    })
}

fn of_edge<F: FieldSet>(field: SelectionField<'_>, order: F) -> F {
    field.selection_set().fold(F::default(), |fields, child| {
        fields
            | match child.name() {
                "node" => of_object(child),
                "cursor" => order,
                _ => F::default(),
            }
    })
}

fn of_page_info<F: FieldSet>(field: SelectionField<'_>, order: F) -> F {
    let needs_cursor = field.selection_set().any(|child| matches!(child.name(), "startCursor" | "endCursor"));
    if needs_cursor { order } else { F::default() }
}

/// Returns true if a child field of this name is selected.
pub fn has(field: SelectionField<'_>, name: &str) -> bool {
    field.selection_set().any(|child| child.name() == name)
}
