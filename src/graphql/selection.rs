//! Which columns a selection needs: only what was asked for is read from the database.

use async_graphql::SelectionField;

use crate::directory::{EmployeeFields, OrganizationFields, ProjectFields};

/// A set of fields that can be filled by the names in a selection.
pub trait FieldSet: Copy + Default + std::ops::BitOr<Output = Self> {
    /// The column behind the list order: needed wherever a cursor is.
    const POSITION: Self;

    /// What a field of this name needs; nothing where it needs no column (ids, relations).
    fn of(name: &str) -> Self;
}

impl FieldSet for OrganizationFields {
    const POSITION: Self = Self::NAME;

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
    const POSITION: Self = Self::NAME;

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
    const POSITION: Self = Self::NAME;

    fn of(name: &str) -> Self {
        match name {
            "name" => Self::NAME,
            "slug" => Self::SLUG,
            "status" => Self::STATUS,
            "teamSize" => Self::TEAM_SIZE,
            "createdAt" => Self::CREATED_AT,
            "updatedAt" => Self::UPDATED_AT,
            _ => Self::empty(),
        }
    }
}

/// The columns that the children of an object's field need.
pub fn of_object<F: FieldSet>(field: SelectionField<'_>) -> F {
    field.selection_set().fold(F::default(), |fields, child| fields | F::of(child.name()))
}

/// The columns that a connection's field needs: its nodes', and the position where cursors are asked for.
pub fn of_connection<F: FieldSet>(field: SelectionField<'_>) -> F {
    field.selection_set().fold(F::default(), |fields, child| {
        fields
            | match child.name() {
                "nodes" => of_object(child),
                "edges" => of_edge(child),
                "pageInfo" => of_page_info(child),
                _ => F::default(),
            }
    })
}

fn of_edge<F: FieldSet>(field: SelectionField<'_>) -> F {
    field.selection_set().fold(F::default(), |fields, child| {
        fields
            | match child.name() {
                "node" => of_object(child),
                "cursor" => F::POSITION,
                _ => F::default(),
            }
    })
}

fn of_page_info<F: FieldSet>(field: SelectionField<'_>) -> F {
    let needs_cursor = field.selection_set().any(|child| matches!(child.name(), "startCursor" | "endCursor"));
    if needs_cursor { F::POSITION } else { F::default() }
}

/// Whether a child of this name was selected.
pub fn has(field: SelectionField<'_>, name: &str) -> bool {
    field.selection_set().any(|child| child.name() == name)
}
