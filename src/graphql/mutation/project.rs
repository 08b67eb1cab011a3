//! Mutations of projects and their members.

use async_graphql::{Context, ID, Object};

use super::arguments::{assignment, employees, lock, members};
use crate::{
    directory::{
        self,
        project::{self, NewProject, ProjectChange},
        team,
    },
    engine::spelling,
    error::Result,
    graphql::{
        context::{RequestContext, request},
        named::NameFields,
        node::NodeId,
        types::{
            change::{DeletePayload, ProjectPayload},
            input::{
                AddProjectMembersInput, ArchiveProjectInput, CreateProjectInput, DeleteProjectInput,
                RemoveProjectMembersInput, UpdateProjectInput,
            },
        },
    },
    model::{Assignment, Key, ProjectId},
};

/// Mutations of projects and their members.
#[derive(Default)]
pub struct ProjectMutation;

#[Object]
impl ProjectMutation {
    /// Creates a project with its first members, all or nothing. `NOT_FOUND` names each id that is not an employee of
    /// the organization. Requires the role `ADMIN`.
    async fn create_project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The values of the new project.")] input: CreateProjectInput,
    ) -> Result<ProjectPayload> {
        let request = request(context)?;
        ProjectPayload::new(request, create(request, input).await)
    }

    /// Changes a project. Omitted fields keep their values. An update that changes nothing leaves `updatedAt`
    /// unmodified. Requires the role `ADMIN`.
    async fn update_project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project to change and its new values.")] input: UpdateProjectInput,
    ) -> Result<ProjectPayload> {
        let request = request(context)?;
        ProjectPayload::new(request, update(request, input).await)
    }

    /// Archives a project: it stays readable and rejects new measurements. Other servers may accept measurements for up
    /// to 5 more seconds. Requires the role `ADMIN`.
    async fn archive_project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project to archive. Required, unless the deprecated `id` is given.")] input: Option<
            ArchiveProjectInput,
        >,
        #[graphql(desc = "The id of the project.", deprecation = "Use `input`.")] id: Option<ID>,
    ) -> Result<ProjectPayload> {
        let loose = [("id", id.is_some())];
        let input =
            spelling::input(input, &loose, || id.map(|id| ArchiveProjectInput { id: Some(id), project_slug: None }))?;
        let request = request(context)?;
        ProjectPayload::new(request, archive(request, input).await)
    }

    /// Deletes a project and its memberships. `CONFLICT` if it has measurements; archive it instead. Requires the role
    /// `ADMIN`.
    async fn delete_project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project to delete. Required, unless the deprecated `id` is given.")] input: Option<
            DeleteProjectInput,
        >,
        #[graphql(desc = "The id of the project.", deprecation = "Use `input`.")] id: Option<ID>,
    ) -> Result<DeletePayload> {
        let loose = [("id", id.is_some())];
        let input =
            spelling::input(input, &loose, || id.map(|id| DeleteProjectInput { id: Some(id), project_slug: None }))?;
        let request = request(context)?;
        DeletePayload::new(request, delete(request, input).await)
    }

    /// Adds employees to a project, all or nothing. Existing members keep their membership. `NOT_FOUND` names each id
    /// that is not an employee of the organization. Requires the role `ADMIN`.
    async fn add_project_members(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project and the employees to add. Required, unless the deprecated arguments are given.")]
        input: Option<AddProjectMembersInput>,
        #[graphql(desc = "The id of the project.", deprecation = "Use `input`.")] project_id: Option<ID>,
        #[graphql(
            desc = "Ids of employees of the project's organization. More than 1,000 are `TOO_LARGE`.",
            deprecation = "Use `input`."
        )]
        employee_ids: Option<Vec<ID>>,
    ) -> Result<ProjectPayload> {
        let loose = [("projectId", project_id.is_some()), ("employeeIds", employee_ids.is_some())];
        let gather = || {
            Some(AddProjectMembersInput {
                project_id: Some(project_id?),
                project_slug: None,
                employee_ids: employee_ids?,
            })
        };
        let input = spelling::input(input, &loose, gather)?;
        let request = request(context)?;
        ProjectPayload::new(request, add_members(request, input).await)
    }

    /// Removes employees from a project, all or nothing. Employees who are not members are ignored. `NOT_FOUND` names
    /// each id that is not an employee of the organization. Requires the role `ADMIN`.
    async fn remove_project_members(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "The project and the employees to remove. Required, unless the deprecated arguments are given."
        )]
        input: Option<RemoveProjectMembersInput>,
        #[graphql(desc = "The id of the project.", deprecation = "Use `input`.")] project_id: Option<ID>,
        #[graphql(
            desc = "Ids of employees of the project's organization. More than 1,000 are `TOO_LARGE`.",
            deprecation = "Use `input`."
        )]
        employee_ids: Option<Vec<ID>>,
    ) -> Result<ProjectPayload> {
        let loose = [("projectId", project_id.is_some()), ("employeeIds", employee_ids.is_some())];
        let gather = || {
            Some(RemoveProjectMembersInput {
                project_id: Some(project_id?),
                project_slug: None,
                employee_ids: employee_ids?,
            })
        };
        let input = spelling::input(input, &loose, gather)?;
        let request = request(context)?;
        ProjectPayload::new(request, remove_members(request, input).await)
    }
}

async fn create(request: &RequestContext, input: CreateProjectInput) -> Result<Key<ProjectId>> {
    let (id, slug) = (input.organization_id, input.organization_slug);
    let organization = NameFields::ORGANIZATION.organization_to_change(request, id, slug).await?;
    let members = members(employees(request, "memberIds", &input.member_ids.unwrap_or_default())?);
    let now = request.services.clock.now();
    let id = ProjectId(request.services.ids.next(now)?);
    // Null has the same meaning as an omitted status.
    let status = input.status.map_or(directory::ProjectStatus::Active, Into::into);
    let new = NewProject { id, slug: input.slug, name: input.name, status, members };
    project::create(request.scope(), &request.writer(), organization, new, now).await
}

async fn update(request: &RequestContext, input: UpdateProjectInput) -> Result<Key<ProjectId>> {
    let id = NameFields::CHANGED_PROJECT.project_to_change(request, input.id, input.project_slug).await?;
    let status = match assignment(input.status) {
        Assignment::Set(status) => Assignment::Set(status.into()),
        Assignment::Clear => Assignment::Clear,
        Assignment::Keep => Assignment::Keep,
    };
    let change =
        ProjectChange { name: assignment(input.name), status, lock: lock(input.if_updated_at, input.if_version)? };
    project::update(request.scope(), &request.writer(), id, change, request.services.clock.now()).await?;
    request.services.ingest.forget(request.scope(), id);
    Ok(id)
}

async fn archive(request: &RequestContext, input: ArchiveProjectInput) -> Result<Key<ProjectId>> {
    let id = NameFields::CHANGED_PROJECT.project_to_change(request, input.id, input.project_slug).await?;
    project::archive(request.scope(), &request.writer(), id, request.services.clock.now()).await?;
    request.services.ingest.forget(request.scope(), id);
    Ok(id)
}

/// The id of the deleted project.
async fn delete(request: &RequestContext, input: DeleteProjectInput) -> Result<ID> {
    let id = NameFields::CHANGED_PROJECT.project_to_change(request, input.id, input.project_slug).await?;
    project::delete(request.scope(), &request.writer(), id, request.services.clock.now()).await?;
    request.services.ingest.forget(request.scope(), id);
    Ok(NodeId::Project(id).encode())
}

async fn add_members(request: &RequestContext, input: AddProjectMembersInput) -> Result<Key<ProjectId>> {
    let project = NameFields::PROJECT.project_to_change(request, input.project_id, input.project_slug).await?;
    let members = members(employees(request, "employeeIds", &input.employee_ids)?);
    team::add(request.scope(), &request.writer(), project, &members, request.services.clock.now()).await?;
    Ok(project)
}

async fn remove_members(request: &RequestContext, input: RemoveProjectMembersInput) -> Result<Key<ProjectId>> {
    let project = NameFields::PROJECT.project_to_change(request, input.project_id, input.project_slug).await?;
    let members = employees(request, "employeeIds", &input.employee_ids)?;
    team::remove(request.scope(), &request.writer(), project, &members, request.services.clock.now()).await?;
    Ok(project)
}
