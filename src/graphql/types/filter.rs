//! Filters of lists and measurements: inputs, and their conversion to values of the rooms.

pub mod directory;
pub mod metric;
pub mod nested;

use async_graphql::InputObject;

pub use directory::{EmployeeFilter, OrganizationFilter, ProjectFilter};
pub use metric::{MetricFilter, StreamFilter, matches_nothing, question, stream};

use crate::{
    engine::directives,
    model::filter::{self, Number},
};

/// Conditions on a string, compared byte by byte. All given conditions must hold. `ieq`, `istartsWith` and `icontains`
/// ignore the case of the letters A to Z; all others are case-sensitive.
#[derive(Clone, Debug, Default, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct StringFilter {
    /// Equal to this value.
    pub eq: Option<String>,
    /// Not equal to this value.
    pub ne: Option<String>,
    /// Equal to one of these values. An empty list matches nothing.
    #[graphql(name = "in")]
    pub one_of: Option<Vec<String>>,
    /// Begins with this text.
    pub starts_with: Option<String>,
    /// Contains this text.
    pub contains: Option<String>,
    /// Equal to this value, ignoring the case of A to Z.
    #[graphql(name = "ieq")]
    pub equal_ignoring_case: Option<String>,
    /// Begins with this text, ignoring the case of A to Z.
    #[graphql(name = "istartsWith")]
    pub starts_with_ignoring_case: Option<String>,
    /// Contains this text, ignoring the case of A to Z.
    #[graphql(name = "icontains")]
    pub contains_ignoring_case: Option<String>,
}

/// Conditions on an integer. All given conditions must hold.
#[derive(Clone, Debug, Default, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct IntFilter {
    /// Equal to this value.
    pub eq: Option<i32>,
    /// Equal to one of these values. An empty list matches nothing.
    #[graphql(name = "in")]
    pub one_of: Option<Vec<i32>>,
    /// Greater than this value.
    pub gt: Option<i32>,
    /// Greater than or equal to this value.
    pub gte: Option<i32>,
    /// Less than this value.
    pub lt: Option<i32>,
    /// Less than or equal to this value.
    pub lte: Option<i32>,
}

/// Conditions on a number. All given conditions must hold. A null number meets none of them.
#[derive(Clone, Copy, Debug, Default, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct FloatFilter {
    /// Equal to this value.
    pub eq: Option<f64>,
    /// Greater than this value.
    pub gt: Option<f64>,
    /// Greater than or equal to this value.
    pub gte: Option<f64>,
    /// Less than this value.
    pub lt: Option<f64>,
    /// Less than or equal to this value.
    pub lte: Option<f64>,
}

impl From<StringFilter> for filter::TextFilter {
    fn from(text: StringFilter) -> Self {
        Self {
            eq: text.eq,
            ne: text.ne,
            one_of: text.one_of,
            starts_with: text.starts_with,
            contains: text.contains,
            equal_ignoring_case: text.equal_ignoring_case,
            starts_with_ignoring_case: text.starts_with_ignoring_case,
            contains_ignoring_case: text.contains_ignoring_case,
        }
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
