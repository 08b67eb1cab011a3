//! Conditions on rows, as plain values: a tree of "all", "any" and "not" over single conditions.
//!
//! The room that owns a table defines its conditions and their SQL.

/// A tree of conditions; `C` is a single one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter<C> {
    /// All of these hold. An empty list always holds.
    All(Vec<Self>),
    /// At least one of these holds. An empty list never holds.
    Any(Vec<Self>),
    /// The condition does not hold.
    Not(Box<Self>),
    /// A single condition.
    Is(C),
}

/// Conditions on a text, compared byte by byte. All given conditions must hold. Those that ignore case fold the letters A to
/// Z only, because databases fold others differently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TextFilter {
    /// Equal to.
    pub eq: Option<String>,
    /// Not equal to.
    pub ne: Option<String>,
    /// One of these; an empty list matches nothing.
    pub one_of: Option<Vec<String>>,
    /// Begins with.
    pub starts_with: Option<String>,
    /// Contains.
    pub contains: Option<String>,
    /// Equal to, ignoring case.
    pub equal_ignoring_case: Option<String>,
    /// Begins with, ignoring case.
    pub starts_with_ignoring_case: Option<String>,
    /// Contains, ignoring case.
    pub contains_ignoring_case: Option<String>,
}

impl TextFilter {
    /// All texts in the conditions.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let exact = [&self.eq, &self.ne, &self.starts_with, &self.contains];
        let folded = [&self.equal_ignoring_case, &self.starts_with_ignoring_case, &self.contains_ignoring_case];
        exact.into_iter().chain(folded).flatten().chain(self.one_of.iter().flatten()).map(String::as_str)
    }

    /// The conditions in lower case, for a column that stores lower case.
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        Self {
            eq: lower(&self.eq),
            ne: lower(&self.ne),
            one_of: self.one_of.as_ref().map(|texts| texts.iter().map(|text| text.to_lowercase()).collect()),
            starts_with: lower(&self.starts_with),
            contains: lower(&self.contains),
            equal_ignoring_case: lower(&self.equal_ignoring_case),
            starts_with_ignoring_case: lower(&self.starts_with_ignoring_case),
            contains_ignoring_case: lower(&self.contains_ignoring_case),
        }
    }
}

/// Conditions on a number. All given conditions must hold; an unknown number meets no condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NumberFilter {
    /// Equal to.
    pub eq: Option<Number>,
    /// Greater than.
    pub gt: Option<Number>,
    /// Greater than or equal to.
    pub gte: Option<Number>,
    /// Less than.
    pub lt: Option<Number>,
    /// Less than or equal to.
    pub lte: Option<Number>,
}

impl NumberFilter {
    /// True when a number meets all conditions.
    pub fn accepts(&self, number: f64) -> bool {
        let holds =
            |bound: Option<Number>, is_met: fn(&f64, &f64) -> bool| bound.is_none_or(|bound| is_met(&number, &bound.0));
        holds(self.eq, f64::eq)
            && holds(self.gt, f64::gt)
            && holds(self.gte, f64::ge)
            && holds(self.lt, f64::lt)
            && holds(self.lte, f64::le)
    }

    /// All numbers in the conditions.
    pub fn numbers(&self) -> impl Iterator<Item = Number> {
        [self.eq, self.gt, self.gte, self.lt, self.lte].into_iter().flatten()
    }
}

/// A number that is compared by its bits, so that it can be part of a key.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
