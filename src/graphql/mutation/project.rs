//! Changes of projects and their teams.

use async_graphql::{Context, ID, Object};

use super::{assignment, employees, members, named};
use crate::{
    directory::{
        self,
        project::{self, NewProject, ProjectChange},
        team,
    },
    error::Result,
    graphql::{
        context::{RequestContext, request},
        node::NodeId,
        types::{
            change::{DeletePayload, ProjectPayload},
            input::{CreateProjectInput, UpdateProjectInput},
        },
    },
    model::{Assignment, Key, ProjectId},
};

/// Changes of projects and their teams.
#[derive(Default)]
pub struct ProjectMutation;

#[Object]
impl ProjectMutation {
    /// Creates a project with its first team, all or nothing. For administrators.
    async fn create_project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What it is made of.")] input: CreateProjectInput,
    ) -> Result<ProjectPayload> {
        let request = request(context)?;
        ProjectPayload::new(request, create(request, input).await)
    }

    /// Changes a project. For administrators. What is left out stays; what already is as it shall be stays untouched,
    /// `updatedAt` included.
    async fn update_project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which one, and what is to become of it.")] input: UpdateProjectInput,
    ) -> Result<ProjectPayload> {
        let request = request(context)?;
        ProjectPayload::new(request, update(request, input).await)
    }

    /// Keeps a project for reading; it takes no metrics any more. For administrators. This instance refuses metrics at
    /// once, others within five seconds.
    async fn archive_project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project's id.")] id: ID,
    ) -> Result<ProjectPayload> {
        let request = request(context)?;
        ProjectPayload::new(request, archive(request, &id).await)
    }

    /// Deletes a project without metrics, with its team. For administrators. One with metrics can be archived.
    async fn delete_project(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project's id.")] id: ID,
    ) -> Result<DeletePayload> {
        let request = request(context)?;
        let deleted = delete(request, &id).await;
        DeletePayload::new(request, deleted, id)
    }

    /// Adds people to a project's team, all or none; who is in it already stays as they are. For administrators.
    async fn add_project_members(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project's id.")] project_id: ID,
        #[graphql(desc = "Employees of the same organization, at most 1,000 by default.")] employee_ids: Vec<ID>,
    ) -> Result<ProjectPayload> {
        let request = request(context)?;
        ProjectPayload::new(request, add_members(request, &project_id, &employee_ids).await)
    }

    /// Takes people out of a project's team, all or none; who is not in it stays out. For administrators.
    async fn remove_project_members(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The project's id.")] project_id: ID,
        #[graphql(desc = "Employees of the same organization, at most 1,000 by default.")] employee_ids: Vec<ID>,
    ) -> Result<ProjectPayload> {
        let request = request(context)?;
        ProjectPayload::new(request, remove_members(request, &project_id, &employee_ids).await)
    }
}

async fn create(request: &RequestContext, input: CreateProjectInput) -> Result<Key<ProjectId>> {
    let organization = named(NodeId::organization(&input.organization_id), "organizationId")?;
    let members = members(employees(request, "memberIds", &input.member_ids.unwrap_or_default())?);
    let now = request.services.clock.now();
    let id = ProjectId(request.services.ids.next(now));
    // Null means what is left out means.
    let status = input.status.map_or(directory::ProjectStatus::Active, Into::into);
    let new = NewProject { id, slug: input.slug, name: input.name, status, members };
    project::create(request.scope(), &request.writer(), organization, new, now).await
}

async fn update(request: &RequestContext, input: UpdateProjectInput) -> Result<Key<ProjectId>> {
    let id = named(NodeId::project(&input.id), "id")?;
    let status = match assignment(input.status) {
        Assignment::Set(status) => Assignment::Set(status.into()),
        Assignment::Clear => Assignment::Clear,
        Assignment::Keep => Assignment::Keep,
    };
    let if_updated_at = input.if_updated_at.map(|time| time.0);
    let change = ProjectChange { name: assignment(input.name), status, if_updated_at };
    project::update(request.scope(), &request.writer(), id, change, request.services.clock.now()).await?;
    request.services.ingest.forget(request.scope(), id).await;
    Ok(id)
}

async fn archive(request: &RequestContext, id: &ID) -> Result<Key<ProjectId>> {
    let id = named(NodeId::project(id), "id")?;
    project::archive(request.scope(), &request.writer(), id, request.services.clock.now()).await?;
    request.services.ingest.forget(request.scope(), id).await;
    Ok(id)
}

async fn delete(request: &RequestContext, id: &ID) -> Result<()> {
    let id = named(NodeId::project(id), "id")?;
    project::delete(request.scope(), &request.writer(), id, request.services.clock.now()).await?;
    request.services.ingest.forget(request.scope(), id).await;
    Ok(())
}

async fn add_members(request: &RequestContext, project: &ID, ids: &[ID]) -> Result<Key<ProjectId>> {
    let project = named(NodeId::project(project), "projectId")?;
    let members = members(employees(request, "employeeIds", ids)?);
    team::add(request.scope(), &request.writer(), project, &members, request.services.clock.now()).await?;
    Ok(project)
}

async fn remove_members(request: &RequestContext, project: &ID, ids: &[ID]) -> Result<Key<ProjectId>> {
    let project = named(NodeId::project(project), "projectId")?;
    let members = employees(request, "employeeIds", ids)?;
    team::remove(request.scope(), &request.writer(), project, &members, request.services.clock.now()).await?;
    Ok(project)
}
