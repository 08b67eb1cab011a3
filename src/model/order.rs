//! The order of a list, and where a row stands in it.
//!
//! Every order ends in the id, in the direction of its last key: no two rows stand in the same place, and one direction
//! throughout stays one comparison. What is not known counts as less than everything that is.

use super::filter::Number;

/// Up or down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// The least first.
    #[default]
    Ascending,
    /// The greatest first.
    Descending,
}

impl Sort {
    /// The other way round.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// One key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderBy<Field> {
    /// By what.
    pub field: Field,
    /// Which way.
    pub sort: Sort,
}

/// What a row has for one key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortValue<Text = String> {
    /// It has none.
    Unknown,
    /// A text, ordered by its bytes.
    Text(Text),
    /// A whole number: a time, a code, a size.
    Integer(i64),
    /// A number.
    Number(Number),
}

/// Where a row stands in an ordered list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// What it has for each key of the order.
    pub values: Vec<SortValue>,
    /// Its id, which makes the order total.
    pub id: i64,
}
