//! Relay paging: from the four arguments to a page request, and positions to opaque cursors.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    context::Limits,
    types::filter::nested::{self, Conditions},
};
use crate::{
    error::{Error, Result},
    model::page::{ListRequest, PageRequest, Position},
};

/// The arguments that every connection takes.
#[derive(Clone, Debug, Default)]
pub struct PageArguments {
    /// The first so many.
    pub first: Option<i32>,
    /// Only after this cursor.
    pub after: Option<String>,
    /// The last so many.
    pub last: Option<i32>,
    /// Only before this cursor.
    pub before: Option<String>,
}

impl PageArguments {
    /// The page that was asked for, of what passes the filter.
    ///
    /// # Errors
    /// [`Error::Input`] naming the argument that is out of bounds, contradicts another or is no cursor.
    pub fn list<I: Conditions>(self, filter: Option<I>, limits: &Limits) -> Result<Arc<ListRequest<I::Condition>>> {
        let filter = filter.map(|input| nested::filter(input, limits)).transpose()?.map(Arc::new);
        Ok(Arc::new(ListRequest { filter, page: self.request(limits)? }))
    }

    fn request(self, limits: &Limits) -> Result<PageRequest> {
        let after = self.after.map(|cursor| decode("after", &cursor)).transpose()?;
        let before = self.before.map(|cursor| decode("before", &cursor)).transpose()?;
        Ok(PageRequest::from_arguments(
            (self.first, after),
            (self.last, before),
            limits.page_size_default,
            limits.page_size_max,
        )?)
    }
}

/// Eight bytes of id, then the name that orders the list.
pub fn encode(position: &Position) -> String {
    let mut bytes = position.id.to_be_bytes().to_vec();
    bytes.extend(position.name.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(argument: &'static str, cursor: &str) -> Result<Position> {
    let refuse = || Error::input(argument, "is not a cursor of this list; use one from pageInfo or an edge unchanged");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refuse())?;
    let (id, name) = bytes.split_first_chunk().ok_or_else(refuse)?;
    let name = String::from_utf8(name.to_vec()).map_err(|_| refuse())?;
    // PostgreSQL cannot hold NUL in text, so no row can stand there.
    if name.contains('\0') {
        return Err(refuse());
    }
    Ok(Position { name, id: i64::from_be_bytes(*id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_nonsense_is_refused() {
        let position = Position { name: "Ünïcode".to_owned(), id: -5 };
        assert_eq!(decode("after", &encode(&position)).unwrap(), position);
        for wrong in ["", "AAAA", "!!", &encode(&Position { name: "a\0b".to_owned(), id: 1 })] {
            assert!(decode("after", wrong).is_err(), "{wrong}");
        }
    }
}
