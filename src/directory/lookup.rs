//! Rows read by one key. The text of such a statement depends on few things, so it is built once and not for each request.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use bitflags::Flags;
use sea_orm::{
    ConnectionTrait, DbBackend, Value, Values,
    sea_query::{Expr, ExprTrait},
};

use super::{
    keyset::LISTED,
    record::{self, Record},
};
use crate::{
    db::{BoundStatement, Session},
    error::Result,
    model::{Scope, VisibleOrganizations},
};

/// Maximum number of texts that are kept. Each set of columns that clients ask for makes another one.
const TEXTS_MAX: usize = 1_000;

/// The parts of a statement that decide its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    table: &'static str,
    by: &'static [&'static str],
    fields: u16,
    is_narrowed: bool,
    is_postgres: bool,
}

static TEXTS: LazyLock<RwLock<HashMap<Shape, Arc<str>>>> = LazyLock::new(RwLock::default);

/// Reads the record within the scope whose columns `by` have these values, which only one record can have.
pub(super) async fn one<R: Record>(
    scope: &Scope,
    db: &Session,
    by: &'static [&'static str],
    key: Vec<Value>,
    fields: R::Fields,
) -> Result<Option<R>> {
    let query = query::<R>(scope, db.get_database_backend(), by, key, fields);
    let rows = db.all(query).await?;
    Ok(rows.first().map(|row| R::read(row, 0, fields)).transpose()?)
}

fn query<R: Record>(
    scope: &Scope,
    backend: DbBackend,
    by: &'static [&'static str],
    key: Vec<Value>,
    fields: R::Fields,
) -> BoundStatement {
    let own = match scope.organizations() {
        VisibleOrganizations::Everything => None,
        VisibleOrganizations::Organization(own) => Some(own.into()),
    };
    let is_postgres = backend == DbBackend::Postgres;
    let shape = Shape { table: R::TABLE, by, fields: fields.bits(), is_narrowed: own.is_some(), is_postgres };
    let known = TEXTS.read().unwrap_or_else(PoisonError::into_inner).get(&shape).cloned();
    let sql = known.unwrap_or_else(|| remember(shape, build::<R>(scope, backend, by, &key, fields)));
    // In the order of the text: the scope comes first.
    BoundStatement { sql, values: Values(own.into_iter().chain(key).collect()) }
}

fn build<R: Record>(
    scope: &Scope,
    backend: DbBackend,
    by: &'static [&'static str],
    key: &[Value],
    fields: R::Fields,
) -> BoundStatement {
    let mut select = record::seen_rows::<R>(scope, fields);
    for (column, value) in by.iter().zip(key) {
        // As for several keys, so that both look alike.
        select.and_where(Expr::col((LISTED, *column)).is_in([value.clone()]));
    }
    backend.build(&select).into()
}

fn remember(shape: Shape, built: BoundStatement) -> Arc<str> {
    let mut texts = TEXTS.write().unwrap_or_else(PoisonError::into_inner);
    if texts.len() < TEXTS_MAX {
        texts.insert(shape, Arc::clone(&built.sql));
    }
    built.sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        directory::{Employee, Organization, Project, Release, record::RecordKey},
        model::{EmployeeId, Key, OrganizationId, ProjectId, ReleaseId, Role},
    };

    fn assert_built_once<R: Record>(by: &'static [&'static str], key: &[Value]) {
        let narrow = Scope::organization(OrganizationId(7), Role::Viewer);
        for (scope, backend) in [Scope::everything(), narrow]
            .into_iter()
            .flat_map(|scope| [DbBackend::Sqlite, DbBackend::Postgres].map(|backend| (scope, backend)))
        {
            for fields in [R::Fields::default(), R::Fields::all()] {
                let built = build::<R>(&scope, backend, by, key, fields);
                let [first, second] = [(); 2].map(|()| query::<R>(&scope, backend, by, key.to_vec(), fields));
                assert_eq!((&*first.sql, first.values), (&*built.sql, built.values));
                assert!(Arc::ptr_eq(&first.sql, &second.sql), "{}", first.sql);
            }
        }
    }

    fn assert_built_once_by_key<R: Record>(key: R::Key) {
        assert_built_once::<R>(R::Key::COLUMNS, &key.values());
    }

    #[test]
    fn a_kept_text_is_the_one_that_would_be_built_with_its_values_in_order() {
        let organization = OrganizationId(3);
        assert_built_once_by_key::<Organization>(organization);
        assert_built_once_by_key::<Employee>(Key::new(organization, EmployeeId(1)));
        assert_built_once_by_key::<Project>(Key::new(organization, ProjectId(1)));
        assert_built_once_by_key::<Release>(Key::new(organization, ReleaseId(1)));
        assert_built_once::<Organization>(&["slug"], &["acme".into()]);
        assert_built_once::<Project>(&["organization_id", "slug"], &[organization.into(), "shop".into()]);
    }
}
