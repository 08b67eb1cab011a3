//! What a change does with a field: a client can leave it out, send null, or send a value, and each means something else.

/// What becomes of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Assignment<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It becomes empty, where it can be.
    Clear,
    /// It becomes this.
    Set(T),
}
