//! The order of a list, and the position of a row in it.
//!
//! Every order ends with the id, in the direction of its last key: positions are unique, and an order with one direction
//! stays one comparison. An unknown value sorts below every known one.

use super::filter::Number;

/// The direction of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// From low to high.
    #[default]
    Ascending,
    /// From high to low.
    Descending,
}

impl Sort {
    /// The opposite direction.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// A sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderBy<Field> {
    /// The field.
    pub field: Field,
    /// The direction.
    pub sort: Sort,
}

/// The value of a row for a sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortValue<Text = String> {
    /// No value.
    Unknown,
    /// A text, ordered by its bytes.
    Text(Text),
    /// A whole number: a time, a code, a size.
    Integer(i64),
    /// A number.
    Number(Number),
}

/// The position of a row in an ordered list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListPosition {
    /// The values for the sort keys.
    pub values: Vec<SortValue>,
    /// The id, which makes the order total.
    pub id: i64,
}
