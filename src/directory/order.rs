//! Sort keys of the directory's lists.

use std::{fmt::Debug, hash::Hash};

use crate::{
    error::Result,
    model::{
        Scope,
        order::{OrderBy, SortValue},
    },
};

/// A sort key of a list.
pub trait OrderField: Copy + Debug + Eq + Hash + Send + Sync + 'static {
    /// The rows of the list.
    type Row;
    /// The set of their columns.
    type Fields;
    /// Distinguishes cursors of this list from those of others.
    const LIST: u8;
    /// All sort keys. Cursors name a key by its index here, so new keys are appended.
    const ALL: &'static [Self];
    /// The order of a list that was requested without one.
    const DEFAULT: &'static [OrderBy<Self>];

    /// The column of the key.
    fn column(self) -> &'static str;

    /// The type of the column's values.
    fn kind(self) -> SortKind;

    /// The columns that determine the position of a row.
    fn fields(self) -> Self::Fields;

    /// The value of a row for this key.
    ///
    /// # Errors
    /// The column was not read.
    fn value(self, row: &Self::Row) -> Result<SortValue<&str>>;

    /// Refuses callers to whom the order would reveal a hidden column.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::error::Error::Forbidden) when the role does not suffice.
    fn permit(self, _scope: &Scope) -> Result<()> {
        Ok(())
    }
}

/// The type of a column that lists are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKind {
    /// Texts.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers or null.
    OptionalNumber,
}

/// The requested sort keys, or the default order.
pub fn keys<F: OrderField>(order: &[OrderBy<F>]) -> &[OrderBy<F>] {
    if order.is_empty() { F::DEFAULT } else { order }
}
