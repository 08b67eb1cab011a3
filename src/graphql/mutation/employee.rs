//! Mutations of employees.

use async_graphql::{Context, ID, MaybeUndefined, Object};

use super::arguments::{assignment, lock, named};
use crate::{
    directory::employee::{self, EmployeeChange, EmployeesChange, NewEmployee},
    engine::spelling,
    error::Result,
    graphql::{
        context::{RequestContext, request},
        named::NameFields,
        node::NodeId,
        types::{
            change::{BulkUpdatePayload, DeletePayload, EmployeePayload},
            filter::{EmployeeFilter, nested},
            input::{CreateEmployeeInput, DeleteEmployeeInput, UpdateEmployeeInput, UpdateEmployeesInput},
        },
    },
    model::{EmployeeId, Key},
};

/// Mutations of employees.
#[derive(Default)]
pub struct EmployeeMutation;

#[Object]
impl EmployeeMutation {
    /// Creates an employee. `TAKEN` if another employee of the organization has the e-mail address. Requires the role
    /// `ADMIN`.
    async fn create_employee(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The values of the new employee.")] input: CreateEmployeeInput,
    ) -> Result<EmployeePayload> {
        let request = request(context)?;
        EmployeePayload::new(request, create(request, input).await)
    }

    /// Changes an employee. Omitted fields keep their values. An update that changes nothing leaves `updatedAt`
    /// unmodified. Requires the role `ADMIN`.
    async fn update_employee(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The employee to change and its new values.")] input: UpdateEmployeeInput,
    ) -> Result<EmployeePayload> {
        let request = request(context)?;
        EmployeePayload::new(request, update(request, input).await)
    }

    /// Changes all employees that match a filter, in one transaction. `affected` counts only employees whose values
    /// differ. Requires the role `ADMIN`.
    async fn update_employees(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "The employees to change and their new values. Required, unless the deprecated `filter` is given."
        )]
        input: Option<UpdateEmployeesInput>,
        #[graphql(
            desc = "The employees to change. At least one condition must select employees; otherwise the result is \
                    `INVALID`. `not`, `ne`, and an empty `startsWith` or `contains` do not count, because they may \
                    match every employee. In an `or`, each filter needs such a condition.",
            deprecation = "Use `input`."
        )]
        filter: Option<EmployeeFilter>,
        #[graphql(
            desc = "True if the employees still work for the organization. Unchanged if omitted.",
            deprecation = "Use `input`."
        )]
        is_active: MaybeUndefined<bool>,
        #[graphql(
            desc = "New department: free text of 1 to 200 characters. Unchanged if omitted.",
            deprecation = "Use `input`."
        )]
        department: MaybeUndefined<String>,
    ) -> Result<BulkUpdatePayload> {
        let loose = [
            ("filter", filter.is_some()),
            ("isActive", !is_active.is_undefined()),
            ("department", !department.is_undefined()),
        ];
        let gather = || Some(UpdateEmployeesInput { filter: filter?, is_active, department });
        let UpdateEmployeesInput { filter, is_active, department } = spelling::input(input, &loose, gather)?;
        let request = request(context)?;
        let change = EmployeesChange { department: assignment(department), is_active: assignment(is_active) };
        BulkUpdatePayload::new(request, update_all(request, filter, change).await)
    }

    /// Deletes an employee and its project memberships. To keep the record, set `isActive` to false instead. Requires
    /// the role `ADMIN`.
    async fn delete_employee(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The employee to delete. Required, unless the deprecated `id` is given.")] input: Option<
            DeleteEmployeeInput,
        >,
        #[graphql(desc = "The id of the employee.", deprecation = "Use `input`.")] id: Option<ID>,
    ) -> Result<DeletePayload> {
        let DeleteEmployeeInput { id } =
            spelling::input(input, &[("id", id.is_some())], || id.map(|id| DeleteEmployeeInput { id }))?;
        let request = request(context)?;
        DeletePayload::new(request, delete(request, id).await)
    }
}

async fn create(request: &RequestContext, input: CreateEmployeeInput) -> Result<Key<EmployeeId>> {
    let (id, slug) = (input.organization_id, input.organization_slug);
    let organization = NameFields::ORGANIZATION.organization_to_change(request, id, slug).await?;
    let now = request.services.clock.now();
    let id = EmployeeId(request.services.ids.next(now)?);
    let CreateEmployeeInput { name, email, department, salary, .. } = input;
    let new = NewEmployee { id, name, email, department, salary };
    employee::create(request.scope(), &request.writer(), organization, &[new], now).await?;
    Ok(Key::new(organization, id))
}

async fn update(request: &RequestContext, input: UpdateEmployeeInput) -> Result<Key<EmployeeId>> {
    let id = named(NodeId::employee(&input.id), "id")?;
    let change = EmployeeChange {
        name: assignment(input.name),
        email: assignment(input.email),
        department: assignment(input.department),
        salary: assignment(input.salary),
        is_active: assignment(input.is_active),
        lock: lock(input.if_updated_at, input.if_version)?,
    };
    employee::update(request.scope(), &request.writer(), id, change, request.services.clock.now()).await?;
    Ok(id)
}

/// The id of the deleted employee.
async fn delete(request: &RequestContext, id: ID) -> Result<ID> {
    let key = named(NodeId::employee(&id), "id")?;
    employee::delete(request.scope(), &request.writer(), key, request.services.clock.now()).await?;
    Ok(id)
}

async fn update_all(request: &RequestContext, filter: EmployeeFilter, change: EmployeesChange) -> Result<u64> {
    let filter = nested::filter_of_change(request, filter).await?;
    employee::update_all(request.scope(), &request.writer(), &filter, change, request.services.clock.now()).await
}
