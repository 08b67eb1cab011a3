//! Renamed arguments and input fields: the deprecated spelling is still accepted, but never beside the new one.

use std::fmt::Display;

use crate::error::{Error, Result};

/// The value of an argument or input field that has a deprecated spelling. `path` precedes both names, such as
/// `filter.`; it is empty for arguments.
///
/// # Errors
/// [`Error::Input`] naming both spellings if both are given.
pub fn either<T>(
    path: impl Display,
    (new, value): (&str, Option<T>),
    (old, deprecated): (&str, Option<T>),
) -> Result<Option<T>> {
    if value.is_some() && deprecated.is_some() {
        return Err(both(path, new, old));
    }
    Ok(value.or(deprecated))
}

/// As [`either`], for an argument or input field that is required in one of its spellings.
///
/// # Errors
/// [`Error::Input`] if both are given, or neither.
pub fn required<T>(path: impl Display, new: (&str, Option<T>), old: (&str, Option<T>)) -> Result<T> {
    let name = new.0;
    either(&path, new, old)?.ok_or_else(|| missing(path, name))
}

/// The `input` of a mutation that also accepts deprecated loose arguments: their names, and whether each is given.
///
/// # Errors
/// [`Error::Input`] if `input` is given together with a loose argument, or if neither is complete.
pub fn input<I>(input: Option<I>, loose: &[(&str, bool)], gather: impl FnOnce() -> Option<I>) -> Result<I> {
    let Some(input) = input else { return gather().ok_or_else(|| missing("", "input")) };
    match loose.iter().find(|(_, is_given)| *is_given) {
        Some((old, _)) => Err(both("", "input", old)),
        None => Ok(input),
    }
}

fn both(path: impl Display, new: &str, old: &str) -> Error {
    let message = format!("is given together with `{old}`, its deprecated spelling; give `{new}` alone");
    Error::input(format!("{path}{new}"), message)
}

fn missing(path: impl Display, name: &str) -> Error {
    Error::input(format!("{path}{name}"), "is missing; it is required")
}
