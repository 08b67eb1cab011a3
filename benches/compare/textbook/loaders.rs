//! A loader for each relation, and the fields that they answer.

use std::{collections::HashMap, hash::Hash};

use async_graphql::{ComplexObject, Context, Result};
use dataloader::{BatchFn, cached::Loader};
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};

use super::entity::{employee, organization, project, project_member};

/// The organization and the id within it: the primary key of employees and projects.
pub type Key = (i64, i64);

/// A batch of the library cannot fail as a whole, so each of its values is a result.
pub type Loaded<V> = Result<V, DbErr>;

fn for_each_key<K: Copy + Eq + Hash, V>(keys: &[K], found: Loaded<HashMap<K, V>>) -> HashMap<K, Loaded<V>> {
    match found {
        Ok(values) => values.into_iter().map(|(key, value)| (key, Ok(value))).collect(),
        Err(error) => keys.iter().map(|key| (*key, Err(error.clone()))).collect(),
    }
}

/// `(organization_id, id) IN (...)`
fn is_any_of<C: ColumnTrait>(columns: [C; 2], keys: &[Key]) -> Expr {
    sea_orm::ExprTrait::in_tuples(Expr::tuple(columns.map(ColumnTrait::into_expr)), keys.iter().copied())
}

pub struct OrganizationsById(DatabaseConnection);

impl BatchFn<i64, Loaded<organization::Model>> for OrganizationsById {
    async fn load(&mut self, keys: &[i64]) -> HashMap<i64, Loaded<organization::Model>> {
        let query = organization::Entity::find().filter(organization::Column::Id.is_in(keys.iter().copied()));
        let rows = query.all(&self.0).await;
        for_each_key(keys, rows.map(|rows| rows.into_iter().map(|row| (row.id, row)).collect()))
    }
}

pub struct ProjectsByKey(DatabaseConnection);

impl BatchFn<Key, Loaded<project::Model>> for ProjectsByKey {
    async fn load(&mut self, keys: &[Key]) -> HashMap<Key, Loaded<project::Model>> {
        let columns = [project::Column::OrganizationId, project::Column::Id];
        let rows = project::Entity::find().filter(is_any_of(columns, keys)).all(&self.0).await;
        for_each_key(keys, rows.map(|rows| rows.into_iter().map(|row| ((row.organization_id, row.id), row)).collect()))
    }
}

pub struct MembersByProject(DatabaseConnection);

impl BatchFn<Key, Loaded<Vec<employee::Model>>> for MembersByProject {
    async fn load(&mut self, keys: &[Key]) -> HashMap<Key, Loaded<Vec<employee::Model>>> {
        let columns = [project_member::Column::OrganizationId, project_member::Column::ProjectId];
        let query = project_member::Entity::find()
            .find_also_related(employee::Entity)
            .filter(is_any_of(columns, keys))
            .order_by_asc(employee::Column::Name)
            .order_by_asc(employee::Column::Id);
        let rows = query.all(&self.0).await;
        let members = rows.map(|rows| {
            let mut members: HashMap<Key, Vec<employee::Model>> = keys.iter().map(|key| (*key, Vec::new())).collect();
            for (member, employee) in rows {
                members.entry((member.organization_id, member.project_id)).or_default().extend(employee);
            }
            members
        });
        for_each_key(keys, members)
    }
}

/// The loaders of one request.
pub struct Loaders {
    pub organizations: Loader<i64, Loaded<organization::Model>, OrganizationsById>,
    pub projects: Loader<Key, Loaded<project::Model>, ProjectsByKey>,
    pub members: Loader<Key, Loaded<Vec<employee::Model>>, MembersByProject>,
}

impl Loaders {
    /// Empty loaders.
    pub fn new(database: &DatabaseConnection) -> Self {
        Self {
            organizations: Loader::new(OrganizationsById(database.clone())),
            projects: Loader::new(ProjectsByKey(database.clone())),
            members: Loader::new(MembersByProject(database.clone())),
        }
    }
}

#[ComplexObject]
impl employee::Model {
    async fn organization(&self, ctx: &Context<'_>) -> Result<organization::Model> {
        Ok(ctx.data::<Loaders>()?.organizations.try_load(self.organization_id).await??)
    }
}

#[ComplexObject]
impl project::Model {
    async fn organization(&self, ctx: &Context<'_>) -> Result<organization::Model> {
        Ok(ctx.data::<Loaders>()?.organizations.try_load(self.organization_id).await??)
    }

    async fn members(&self, ctx: &Context<'_>, first: usize) -> Result<Vec<employee::Model>> {
        let mut members = ctx.data::<Loaders>()?.members.try_load((self.organization_id, self.id)).await??;
        members.truncate(first);
        Ok(members)
    }
}
