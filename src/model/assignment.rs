//! The assignment of a field in a change: omitted, null and a value have different meanings.

/// The new state of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Assignment<T> {
    /// The field is unchanged.
    #[default]
    Keep,
    /// The field becomes null, if it can be null.
    Clear,
    /// The field gets this value.
    Set(T),
}
