//! What organizations, employees and projects have in common: rows by their keys, pages of lists, and counts.
//!
//! Every statement is narrowed to the scope; what lies outside of it is answered like what does not exist.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    ops::BitOr,
    sync::Arc,
};

use sea_orm::{
    ConnectionTrait, DbErr, QueryResult, TryGetable, Value,
    sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    filter::{self, Condition},
    narrow,
    order::OrderField,
    page::{self, LISTED},
};
use crate::{
    db::Session,
    error::Result,
    model::{
        Key, OrganizationId, Scope,
        filter::Filter,
        page::{ListRequest, Page},
    },
};

/// A table of the directory as it is read: which columns a row has, what identifies it, what its lists are narrowed and ordered by.
pub trait Noun: Sized + Send + Sync + 'static {
    /// The primary key.
    type Key: RowKey;
    /// Which fields of a row are to be read.
    type Fields: Copy + Default + BitOr<Output = Self::Fields> + Send + Sync;
    /// A condition of a filter.
    type Condition: Condition;
    /// A key of an order.
    type OrderField: OrderField<Row = Self, Fields = Self::Fields>;
    /// The table.
    const TABLE: &'static str;

    /// The primary key of this row.
    fn key(&self) -> Self::Key;

    /// Adds the columns of `fields`, of the listed table.
    fn select(select: &mut SelectStatement, fields: Self::Fields);

    /// Reads a row whose columns from `at` on are those of the key and then those of [`Noun::select`].
    fn read(row: &QueryResult, at: usize, fields: Self::Fields) -> Result<Self, DbErr>;
}

/// A page of rows that pass a filter, in an order.
pub type ListOf<N> = ListRequest<<N as Noun>::Condition, <N as Noun>::OrderField>;

/// A primary key as columns of the listed table.
pub trait RowKey: Copy + Ord + Hash + Send + Sync + 'static {
    /// The column that says whose row it is.
    const TENANT: &'static str;
    /// The columns of the key.
    const COLUMNS: &'static [&'static str];

    /// Reads the key from `at` on and moves behind it.
    fn read(row: &QueryResult, at: &mut usize) -> Result<Self, DbErr>;

    /// Whose row it is.
    fn organization(self) -> OrganizationId;

    /// The id that ends every order.
    fn number(self) -> i64;

    /// Holds for rows with one of these keys.
    fn among(keys: &[Self]) -> Cond;
}

fn next<T: TryGetable>(row: &QueryResult, at: &mut usize) -> Result<T, DbErr> {
    *at += 1;
    row.try_get_by_index(*at - 1)
}

impl RowKey for OrganizationId {
    const TENANT: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["id"];

    fn read(row: &QueryResult, at: &mut usize) -> Result<Self, DbErr> {
        next(row, at)
    }

    fn organization(self) -> OrganizationId {
        self
    }

    fn number(self) -> i64 {
        self.0
    }

    fn among(keys: &[Self]) -> Cond {
        Cond::all().add(Expr::col((LISTED, "id")).is_in(keys.iter().copied()))
    }
}

impl<Id> RowKey for Key<Id>
where
    Id: TryGetable + Into<Value> + Into<i64> + Copy + Ord + Hash + Send + Sync + 'static,
{
    const TENANT: &'static str = "organization_id";
    const COLUMNS: &'static [&'static str] = &["organization_id", "id"];

    fn read(row: &QueryResult, at: &mut usize) -> Result<Self, DbErr> {
        Ok(Self::new(next(row, at)?, next(row, at)?))
    }

    fn organization(self) -> OrganizationId {
        self.organization
    }

    fn number(self) -> i64 {
        self.id.into()
    }

    fn among(keys: &[Self]) -> Cond {
        Cond::all()
            .add(Expr::col((LISTED, "organization_id")).is_in(organizations_of(keys)))
            .add(Expr::col((LISTED, "id")).is_in(keys.iter().map(|key| key.id)))
    }
}

/// The organizations that keys name, each once.
pub(super) fn organizations_of<Id>(keys: &[Key<Id>]) -> BTreeSet<OrganizationId> {
    keys.iter().map(|key| key.organization).collect()
}

/// Adds the columns of a key and of `fields`.
pub(super) fn add_columns<N: Noun>(select: &mut SelectStatement, fields: N::Fields) {
    select.columns(N::Key::COLUMNS.iter().map(|column| (LISTED, *column)));
    N::select(select, fields);
}

/// Selects what the scope sees of a table, without columns.
pub(super) fn seen<N: Noun>(scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select.from_as(N::TABLE, LISTED);
    narrow(&mut select, scope, (LISTED, N::Key::TENANT));
    select
}

fn seen_rows<N: Noun>(scope: &Scope, fields: N::Fields) -> SelectStatement {
    let mut select = seen::<N>(scope);
    add_columns::<N>(&mut select, fields);
    select
}

/// Keeps the rows that pass the filter.
///
/// # Errors
/// When the scope does not reach what the filter asks about.
pub(super) fn keep<C: Condition>(
    select: &mut SelectStatement,
    scope: &Scope,
    filter: Option<&Filter<C>>,
) -> Result<()> {
    if let Some(filter) = filter {
        select.cond_where(filter::condition(scope, filter, LISTED)?);
    }
    Ok(())
}

/// Keeps the rows of a list, if the scope may ask for its order, too.
///
/// # Errors
/// When the scope does not reach what the filter or the order tells.
pub(super) fn choose<N: Noun>(select: &mut SelectStatement, scope: &Scope, list: &ListOf<N>) -> Result<()> {
    for key in &list.order {
        key.field.permit(scope)?;
    }
    keep(select, scope, list.filter.as_deref())
}

/// The rows with these keys; what is not there or not seen is not in the answer.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_ids<N: Noun>(
    scope: &Scope,
    db: &Session,
    keys: &[N::Key],
    fields: N::Fields,
) -> Result<HashMap<N::Key, N>> {
    let rows = all_where::<N>(scope, db, N::Key::among(keys), fields).await?;
    Ok(rows.into_iter().map(|row| (row.key(), row)).collect())
}

/// The rows, among those that the scope sees, that meet a condition which only so many can meet as are named in it.
pub(super) async fn all_where<N: Noun>(
    scope: &Scope,
    db: &Session,
    condition: Cond,
    fields: N::Fields,
) -> Result<Vec<N>> {
    let mut select = seen_rows::<N>(scope, fields);
    select.cond_where(condition);
    let rows = db.query_all(&select).await?;
    Ok(rows.iter().map(|row| N::read(row, 0, fields)).collect::<Result<_, DbErr>>()?)
}

/// The row, if there is one, that meets a condition which is unique among what the scope sees.
pub(super) async fn by_unique<N: Noun>(
    scope: &Scope,
    db: &Session,
    condition: Cond,
    fields: N::Fields,
) -> Result<Option<N>> {
    Ok(all_where(scope, db, condition, fields).await?.pop())
}

/// One page of everything that the scope sees.
///
/// # Errors
/// When the database cannot answer, or the scope does not reach what the filter asks about.
pub async fn list<N: Noun>(scope: &Scope, db: &Session, list: &ListOf<N>, fields: N::Fields) -> Result<Page<Arc<N>>> {
    let mut select = seen_rows::<N>(scope, fields);
    choose::<N>(&mut select, scope, list)?;
    page::one(db, select, list, |row| N::read(row, 0, fields).map(Arc::new)).await
}

/// How many rows pass the filter, among those that the scope sees.
///
/// # Errors
/// As [`list`].
pub async fn count<N: Noun>(scope: &Scope, db: &Session, filter: Option<&Filter<N::Condition>>) -> Result<u64> {
    let mut select = seen::<N>(scope);
    select.expr(Expr::cust("COUNT(*)"));
    keep(&mut select, scope, filter)?;
    page::count(db, &select).await
}

/// The same page of the rows of several organizations, in one statement.
///
/// # Errors
/// As [`list`].
pub async fn by_organizations<N: Noun>(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    list: &ListOf<N>,
    fields: N::Fields,
) -> Result<HashMap<OrganizationId, Page<Arc<N>>>> {
    let mut select = seen_rows::<N>(scope, fields);
    select.and_where(Expr::col((LISTED, N::Key::TENANT)).is_in(organizations.iter().copied()));
    choose::<N>(&mut select, scope, list)?;
    page::many(db, organizations, select, (LISTED, N::Key::TENANT), list, |row| {
        N::read(row, 0, fields).map(|row| (row.key().organization(), Arc::new(row)))
    })
    .await
}

/// How many rows of each of several organizations pass the filter, in one statement.
///
/// # Errors
/// As [`list`].
pub async fn counts_by_organizations<N: Noun>(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    filter: Option<&Filter<N::Condition>>,
) -> Result<HashMap<OrganizationId, u64>> {
    let mut select = seen::<N>(scope);
    select
        .column((LISTED, N::Key::TENANT))
        .expr(Expr::cust("COUNT(*)"))
        .and_where(Expr::col((LISTED, N::Key::TENANT)).is_in(organizations.iter().copied()))
        .group_by_col((LISTED, N::Key::TENANT));
    keep(&mut select, scope, filter)?;
    page::counts(db, &select, 1, |row| row.try_get_by_index(0)).await
}
