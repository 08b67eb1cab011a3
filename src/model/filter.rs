//! Conditions on rows, as plain values: a tree of "all", "any" and "not" over what can be asked of a noun.
//!
//! What the conditions of a noun are stands in the room that owns its table; how they become SQL, too.

/// A tree of conditions; `C` is a single one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter<C> {
    /// Every one of these holds: of none, always.
    All(Vec<Self>),
    /// At least one of these holds: of none, never.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// This holds.
    Is(C),
}

impl<C> Filter<C> {
    /// Lets no row pass.
    pub const fn nothing() -> Self {
        Self::Any(Vec::new())
    }
}

/// Conditions on a text, compared byte by byte: upper and lower case differ. Every one that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TextFilter {
    /// Is this.
    pub eq: Option<String>,
    /// Is not this.
    pub ne: Option<String>,
    /// Is one of these; an empty list matches nothing.
    pub one_of: Option<Vec<String>>,
    /// Begins with this.
    pub starts_with: Option<String>,
    /// Has this somewhere inside.
    pub contains: Option<String>,
}

impl TextFilter {
    /// Every text that is compared with.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let single = [&self.eq, &self.ne, &self.starts_with, &self.contains].into_iter().flatten();
        single.chain(self.one_of.iter().flatten()).map(String::as_str)
    }

    /// The same on texts that are kept in lower case.
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        Self {
            eq: lower(&self.eq),
            ne: lower(&self.ne),
            one_of: self.one_of.as_ref().map(|texts| texts.iter().map(|text| text.to_lowercase()).collect()),
            starts_with: lower(&self.starts_with),
            contains: lower(&self.contains),
        }
    }
}

/// Conditions on a number. Every one that is given must hold; a number that is not known meets none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NumberFilter {
    /// Is this.
    pub eq: Option<Number>,
    /// Is greater.
    pub gt: Option<Number>,
    /// Is greater or equal.
    pub gte: Option<Number>,
    /// Is less.
    pub lt: Option<Number>,
    /// Is less or equal.
    pub lte: Option<Number>,
}

impl NumberFilter {
    /// Whether a number meets every condition.
    pub fn accepts(&self, number: f64) -> bool {
        let holds =
            |bound: Option<Number>, is_met: fn(&f64, &f64) -> bool| bound.is_none_or(|bound| is_met(&number, &bound.0));
        holds(self.eq, f64::eq)
            && holds(self.gt, f64::gt)
            && holds(self.gte, f64::ge)
            && holds(self.lt, f64::lt)
            && holds(self.lte, f64::le)
    }

    /// Every number that is compared with.
    pub fn numbers(&self) -> impl Iterator<Item = Number> {
        [self.eq, self.gt, self.gte, self.lt, self.lte].into_iter().flatten()
    }
}

/// A number as it was given: told apart bit by bit, so that it can be part of a key.
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
