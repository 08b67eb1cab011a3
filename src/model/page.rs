//! Keyset pagination: a page is a size, a direction and a position to start after, not an offset.

use std::sync::Arc;

use thiserror::Error;

use super::{
    filter::Filter,
    order::{ListPosition, OrderBy},
};

/// Invalid arguments of a connection.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PageError {
    /// Arguments for both directions.
    #[error("use either first/after or last/before, not both")]
    BothEnds {
        /// The one of `last` and `before` that was given.
        argument: &'static str,
    },
    /// A size out of range.
    #[error("must be between 1 and {size_max}, got {size}")]
    Size {
        /// `first` or `last`.
        argument: &'static str,
        /// The size asked for.
        size: i32,
        /// The maximum size.
        size_max: u32,
    },
}

impl PageError {
    /// The name of the invalid argument.
    pub const fn argument(&self) -> &'static str {
        match self {
            Self::BothEnds { argument } | Self::Size { argument, .. } => argument,
        }
    }
}

/// The direction in which a page is counted.
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
    /// The maximum number of rows, at least 1.
    pub size: u32,
    /// The direction.
    pub direction: Direction,
    /// The position after which the page begins.
    pub beyond: Option<ListPosition>,
    /// The number of rows to skip first. The database reads them one by one, so this is for small tables only.
    pub skip: u64,
}

/// A request for a page of the rows that match a filter, in an order. `C` is a condition, `F` a field to sort by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListRequest<C, F> {
    /// The filter; `None` matches all rows.
    pub filter: Option<Arc<Filter<C>>>,
    /// The sort keys; an empty list means the default order.
    pub order: Vec<OrderBy<F>>,
    /// The page.
    pub page: PageRequest,
}

/// A page of rows.
#[derive(Clone, Debug)]
pub struct Page<Row> {
    /// The rows, in list order in both directions.
    pub rows: Vec<Row>,
    /// True when rows follow the last one. Exact for a forward page; for a backward page it is true when `before` was given.
    pub has_next: bool,
    /// True when rows precede the first one. Exact for a backward page; for a forward page it is true when `after` was given.
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
        (first, after): (Option<i32>, Option<ListPosition>),
        (last, before): (Option<i32>, Option<ListPosition>),
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

    /// The first `size` rows after `skip` rows.
    pub const fn from_start(skip: u64, size: u32) -> Self {
        Self { size, direction: Direction::Forward, beyond: None, skip }
    }

    /// Makes a page in list order of the rows of a statement that read one row more than asked for, in reading direction.
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
    fn arguments_for_both_directions_are_refused_by_name() {
        let row = || Some(ListPosition { values: Vec::new(), id: 1 });
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
