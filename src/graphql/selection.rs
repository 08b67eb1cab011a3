//! Which columns a selection needs: only what was asked for is read from the database.

use async_graphql::SelectionField;

use crate::directory::{EmployeeFields, OrganizationFields, ProjectFields, ReleaseFields};

/// A set of fields that can be filled by the names in a selection.
pub trait FieldSet: Copy + Default + std::ops::BitOr<Output = Self> {
    /// What a field of this name needs; nothing where it needs no column (ids, relations).
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
            "updatedAt" => Self::UPDATED_AT,
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
            "updatedAt" => Self::UPDATED_AT,
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
            "updatedAt" => Self::UPDATED_AT,
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

/// The columns that the children of an object's field need.
pub fn of_object<F: FieldSet>(field: SelectionField<'_>) -> F {
    field.selection_set().fold(F::default(), |fields, child| fields | F::of(child.name()))
}

/// The columns that a connection's field needs: its nodes', and those of the order where cursors are asked for. `None`
/// when it asks for nothing that takes a row, such as the total alone.
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

/// Whether a child of this name was selected.
pub fn has(field: SelectionField<'_>, name: &str) -> bool {
    field.selection_set().any(|child| child.name() == name)
}
