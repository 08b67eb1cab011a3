//! Keyset paging: a page is asked for by size, direction and a row to start beyond, never by offset.

use std::sync::Arc;

use thiserror::Error;

use super::{
    filter::Filter,
    order::{OrderBy, Position},
};

/// Why the arguments of a connection make no page.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PageError {
    /// Both ends at once.
    #[error("use either first/after or last/before, not both")]
    BothEnds {
        /// The one of `last` and `before` that was given.
        argument: &'static str,
    },
    /// A size that is not allowed.
    #[error("must be between 1 and {size_max}, got {size}")]
    Size {
        /// `first` or `last`.
        argument: &'static str,
        /// What was asked for.
        size: i32,
        /// What is allowed.
        size_max: u32,
    },
}

impl PageError {
    /// The argument to put right.
    pub const fn argument(&self) -> &'static str {
        match self {
            Self::BothEnds { argument } | Self::Size { argument, .. } => argument,
        }
    }
}

/// From which end a page is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `first` / `after`.
    Forward,
    /// `last` / `before`.
    Backward,
}

/// One page of an ordered list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest {
    /// How many rows, at least 1.
    pub size: u32,
    /// From which end.
    pub direction: Direction,
    /// The row to start beyond.
    pub beyond: Option<Position>,
    /// How many rows to pass over before that, one by one: only for small tables.
    pub skip: u64,
}

/// A page of the rows that pass a filter, in an order; `C` is what can be asked of a row, `F` what it can be ordered by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListRequest<C, F> {
    /// Which rows; without a filter, all.
    pub filter: Option<Arc<Filter<C>>>,
    /// By which keys; without any, in the default order of the rows.
    pub order: Vec<OrderBy<F>>,
    /// Which page of them.
    pub page: PageRequest,
}

/// One page as a room answers it.
#[derive(Clone, Debug)]
pub struct Page<Row> {
    /// The rows, in list order whatever the direction.
    pub rows: Vec<Row>,
    /// Whether there are rows after the last one. Counting forward this is known exactly; backward it is whether a
    /// `before` was given.
    pub has_next: bool,
    /// The same at the other end.
    pub has_previous: bool,
}

impl<Row> Default for Page<Row> {
    fn default() -> Self {
        Self { rows: Vec::new(), has_next: false, has_previous: false }
    }
}

impl PageRequest {
    /// From the four arguments of a Relay connection.
    ///
    /// # Errors
    /// [`PageError`] naming the argument: both ends at once, a size below 1 or above `size_max`.
    pub fn from_arguments(
        (first, after): (Option<i32>, Option<Position>),
        (last, before): (Option<i32>, Option<Position>),
        size_default: u32,
        size_max: u32,
    ) -> Result<Self, PageError> {
        let backward = last.is_some() || before.is_some();
        if backward && (first.is_some() || after.is_some()) {
            return Err(PageError::BothEnds { argument: if last.is_some() { "last" } else { "before" } });
        }
        let (name, size, direction, beyond) = if backward {
            ("last", last, Direction::Backward, before)
        } else {
            ("first", first, Direction::Forward, after)
        };
        let size = match size {
            None => size_default,
            Some(size) => u32::try_from(size)
                .ok()
                .filter(|size| (1..=size_max).contains(size))
                .ok_or(PageError::Size { argument: name, size, size_max })?,
        };
        Ok(Self { size, direction, beyond, skip: 0 })
    }

    /// The first so many rows, after so many others.
    pub const fn from_start(skip: u64, size: u32) -> Self {
        Self { size, direction: Direction::Forward, beyond: None, skip }
    }

    /// Cuts what a statement with one row too many answered (in reading direction) down to a page in list order.
    pub fn cut<Row>(&self, mut rows: Vec<Row>) -> Page<Row> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        match self.direction {
            Direction::Forward => Page { rows, has_next: more, has_previous: self.beyond.is_some() || self.skip > 0 },
            Direction::Backward => {
                rows.reverse();
                Page { rows, has_next: self.beyond.is_some() || self.skip > 0, has_previous: more }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ends_are_checked() {
        let ask = |first, last| PageRequest::from_arguments((first, None), (last, None), 20, 100);
        assert_eq!(ask(None, None).unwrap().size, 20);
        assert_eq!(ask(Some(100), None).unwrap().size, 100);
        for (first, last) in
            [(Some(0), None), (Some(-1), None), (Some(101), None), (None, Some(101)), (Some(1), Some(1))]
        {
            assert!(ask(first, last).is_err(), "{first:?} {last:?}");
        }
    }

    #[test]
    fn of_both_ends_one_that_was_given_is_named() {
        let row = || Some(Position { values: Vec::new(), id: 1 });
        let ask = |forward, backward| PageRequest::from_arguments(forward, backward, 20, 100).unwrap_err().argument();
        assert_eq!(ask((Some(1), None), (Some(1), None)), "last");
        assert_eq!(ask((None, row()), (Some(1), row())), "last");
        assert_eq!(ask((Some(1), None), (None, row())), "before");
        assert_eq!(ask((None, row()), (None, row())), "before");
    }

    #[test]
    fn a_page_knows_its_neighbours() {
        let forward = PageRequest { size: 2, direction: Direction::Forward, beyond: None, skip: 0 };
        let page = forward.cut(vec![1, 2, 3]);
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![1, 2], true, false));
        let backward = PageRequest { size: 2, direction: Direction::Backward, beyond: None, skip: 0 };
        let page = backward.cut(vec![9, 8, 7]);
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![8, 9], false, true));
    }
}
