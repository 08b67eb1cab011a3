//! What clients may ask of lists and measurements: inputs, and how they become values of the rooms.

pub mod directory;
pub mod metric;
pub mod nested;

use async_graphql::InputObject;

pub use directory::{EmployeeFilter, OrganizationFilter, ProjectFilter};
pub use metric::{MetricFilter, StreamFilter, question, stream};

use crate::model::filter::{self, Number};

/// Conditions on a text. Every one that is given must hold; upper and lower case differ.
#[derive(Clone, Debug, Default, InputObject)]
pub struct StringFilter {
    /// Is this.
    pub eq: Option<String>,
    /// Is not this.
    pub ne: Option<String>,
    /// Is one of these. Nothing is one of an empty list.
    #[graphql(name = "in")]
    pub one_of: Option<Vec<String>>,
    /// Begins with this.
    pub starts_with: Option<String>,
    /// Has this somewhere inside.
    pub contains: Option<String>,
}

/// Conditions on a whole number. Every one that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct IntFilter {
    /// Is this.
    pub eq: Option<i32>,
    /// Is one of these. Nothing is one of an empty list.
    #[graphql(name = "in")]
    pub one_of: Option<Vec<i32>>,
    /// Is greater.
    pub gt: Option<i32>,
    /// Is greater or equal.
    pub gte: Option<i32>,
    /// Is less.
    pub lt: Option<i32>,
    /// Is less or equal.
    pub lte: Option<i32>,
}

/// Conditions on a number. Every one that is given must hold; a number that is not known meets none of them.
#[derive(Clone, Copy, Debug, Default, InputObject)]
pub struct FloatFilter {
    /// Is this.
    pub eq: Option<f64>,
    /// Is greater.
    pub gt: Option<f64>,
    /// Is greater or equal.
    pub gte: Option<f64>,
    /// Is less.
    pub lt: Option<f64>,
    /// Is less or equal.
    pub lte: Option<f64>,
}

impl From<StringFilter> for filter::TextFilter {
    fn from(text: StringFilter) -> Self {
        Self { eq: text.eq, ne: text.ne, one_of: text.one_of, starts_with: text.starts_with, contains: text.contains }
    }
}

impl From<FloatFilter> for filter::NumberFilter {
    fn from(number: FloatFilter) -> Self {
        Self {
            eq: number.eq.map(Number),
            gt: number.gt.map(Number),
            gte: number.gte.map(Number),
            lt: number.lt.map(Number),
            lte: number.lte.map(Number),
        }
    }
}
