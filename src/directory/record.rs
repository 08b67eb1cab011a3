//! Records of the directory, read by key, as pages of lists, and counted.
//!
//! Every statement is narrowed to the scope; a row outside of it is reported like one that does not exist.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    ops::BitOr,
    sync::Arc,
};

use bitflags::Flags;
use sea_orm::{
    ConnectionTrait, DbErr, QueryResult, TryGetable, Value,
    sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    filter::{self, Condition},
    keyset::LISTED,
    lookup,
    order::OrderField,
    page,
    reach::narrow,
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

/// A row of a table of the directory: its columns and key, and the conditions and sort keys of its lists.
pub trait Record: Sized + Send + Sync + 'static {
    /// The primary key.
    type Key: RecordKey;
    /// A set of columns to read.
    type Fields: Flags<Bits = u16> + Copy + Default + BitOr<Output = Self::Fields> + Send + Sync;
    /// A condition of a filter.
    type Condition: Condition;
    /// A sort key of a list.
    type OrderField: OrderField<Row = Self, Fields = Self::Fields>;
    /// The table.
    const TABLE: &'static str;

    /// The primary key of this row.
    fn key(&self) -> Self::Key;

    /// Adds the columns of `fields`, of the listed table.
    fn select(select: &mut SelectStatement, fields: Self::Fields);

    /// Reads a row whose columns from `at` on are those of the key and then those of [`Record::select`].
    fn read(row: &QueryResult, at: usize, fields: Self::Fields) -> Result<Self, DbErr>;
}

/// A request for a page of records that match a filter, in an order.
pub type ListOf<R> = ListRequest<<R as Record>::Condition, <R as Record>::OrderField>;

/// A primary key as columns of the listed table.
pub trait RecordKey: Copy + Ord + Hash + Send + Sync + 'static {
    /// The column of the organization.
    const TENANT: &'static str;
    /// The columns of the key.
    const COLUMNS: &'static [&'static str];

    /// Reads the key from `at` on and moves `at` past it.
    fn read(row: &QueryResult, at: &mut usize) -> Result<Self, DbErr>;

    /// The organization that the row belongs to.
    fn organization(self) -> OrganizationId;

    /// The id, the last sort key of every order.
    fn number(self) -> i64;

    /// The values of the columns of the key.
    fn values(self) -> Vec<Value>;

    /// The condition for rows with one of these keys.
    fn among(keys: &[Self]) -> Cond;
}

fn next<T: TryGetable>(row: &QueryResult, at: &mut usize) -> Result<T, DbErr> {
    *at += 1;
    row.try_get_by_index(*at - 1)
}

impl RecordKey for OrganizationId {
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

    fn values(self) -> Vec<Value> {
        vec![self.into()]
    }

    fn among(keys: &[Self]) -> Cond {
        Cond::all().add(Expr::col((LISTED, "id")).is_in(keys.iter().copied()))
    }
}

impl<Id> RecordKey for Key<Id>
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

    fn values(self) -> Vec<Value> {
        vec![self.organization.into(), self.id.into()]
    }

    fn among(keys: &[Self]) -> Cond {
        Cond::all()
            .add(Expr::col((LISTED, "organization_id")).is_in(organizations_of(keys)))
            .add(Expr::col((LISTED, "id")).is_in(keys.iter().map(|key| key.id)))
    }
}

/// The distinct organizations of these keys.
pub(super) fn organizations_of<Id>(keys: &[Key<Id>]) -> BTreeSet<OrganizationId> {
    keys.iter().map(|key| key.organization).collect()
}

/// Adds the columns of a key and of `fields`.
pub(super) fn add_columns<R: Record>(select: &mut SelectStatement, fields: R::Fields) {
    select.columns(R::Key::COLUMNS.iter().map(|column| (LISTED, *column)));
    R::select(select, fields);
}

/// Selects the rows of a table within the scope, without columns.
pub(super) fn seen<R: Record>(scope: &Scope) -> SelectStatement {
    seen_in(scope, R::TABLE, R::Key::TENANT)
}

fn seen_in(scope: &Scope, table: &'static str, tenant: &'static str) -> SelectStatement {
    let mut select = Query::select();
    select.from_as(table, LISTED);
    narrow(&mut select, scope, (LISTED, tenant));
    select
}

pub(super) fn seen_rows<R: Record>(scope: &Scope, fields: R::Fields) -> SelectStatement {
    let mut select = seen::<R>(scope);
    add_columns::<R>(&mut select, fields);
    select
}

/// Restricts a statement to rows that match the filter.
///
/// # Errors
/// The role does not suffice for a column that the filter compares.
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

/// Restricts a statement to the rows of a list.
///
/// # Errors
/// The role does not suffice for a column that the filter or the order reveals.
pub(super) fn choose<R: Record>(select: &mut SelectStatement, scope: &Scope, list: &ListOf<R>) -> Result<()> {
    for key in &list.order {
        key.field.permit(scope)?;
    }
    keep(select, scope, list.filter.as_deref())
}

/// Reads the records with these keys in one statement; missing ones are left out.
///
/// # Errors
/// The database fails.
pub async fn by_ids<R: Record>(
    scope: &Scope,
    db: &Session,
    keys: &[R::Key],
    fields: R::Fields,
) -> Result<HashMap<R::Key, R>> {
    let rows = match keys {
        [key] => Vec::from_iter(lookup::one::<R>(scope, db, R::Key::COLUMNS, key.values(), fields).await?),
        _ => all_where::<R>(scope, db, R::Key::among(keys), fields).await?,
    };
    Ok(rows.into_iter().map(|row| (row.key(), row)).collect())
}

/// Reads all records within the scope that meet a condition. The condition bounds their number.
pub(super) async fn all_where<R: Record>(
    scope: &Scope,
    db: &Session,
    condition: Cond,
    fields: R::Fields,
) -> Result<Vec<R>> {
    let mut select = seen_rows::<R>(scope, fields);
    select.cond_where(condition);
    let rows = db.query_all(&select).await?;
    Ok(rows.iter().map(|row| R::read(row, 0, fields)).collect::<Result<_, DbErr>>()?)
}

/// Reads one page of all records within the scope.
///
/// # Errors
/// The database fails, or the role does not suffice for a column that the filter or the order reveals.
pub async fn list<R: Record>(scope: &Scope, db: &Session, list: &ListOf<R>, fields: R::Fields) -> Result<Page<Arc<R>>> {
    let mut select = seen_rows::<R>(scope, fields);
    choose::<R>(&mut select, scope, list)?;
    page::one(db, select, list, |row| R::read(row, 0, fields).map(Arc::new)).await
}

/// Counts the records within the scope that match the filter.
///
/// # Errors
/// As [`list`].
pub async fn count<R: Record>(scope: &Scope, db: &Session, filter: Option<&Filter<R::Condition>>) -> Result<u64> {
    let mut select = seen::<R>(scope);
    select.expr(Expr::cust("COUNT(*)"));
    keep(&mut select, scope, filter)?;
    page::count(db, &select).await
}

/// Reads the same page of the records of several organizations, in one statement.
///
/// # Errors
/// As [`list`].
pub async fn by_organizations<R: Record>(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    list: &ListOf<R>,
    fields: R::Fields,
) -> Result<HashMap<OrganizationId, Page<Arc<R>>>> {
    let mut select = seen_rows::<R>(scope, fields);
    select.and_where(Expr::col((LISTED, R::Key::TENANT)).is_in(organizations.iter().copied()));
    choose::<R>(&mut select, scope, list)?;
    page::many(db, organizations, select, (LISTED, R::Key::TENANT), list, |row| {
        R::read(row, 0, fields).map(|row| (row.key().organization(), Arc::new(row)))
    })
    .await
}

/// Counts the records of each of several organizations that match the filter, in one statement.
///
/// # Errors
/// As [`list`].
pub async fn counts_by_organizations<R: Record>(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    filter: Option<&Filter<R::Condition>>,
) -> Result<HashMap<OrganizationId, u64>> {
    let tenant = (LISTED, R::Key::TENANT);
    let mut select = seen::<R>(scope);
    select
        .column(tenant)
        .expr(Expr::cust("COUNT(*)"))
        .and_where(Expr::col(tenant).is_in(organizations.iter().copied()))
        .group_by_col(tenant);
    keep(&mut select, scope, filter)?;
    page::counts(db, &select, 1, |row| row.try_get_by_index(0)).await
}
