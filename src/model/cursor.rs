//! Where a stream of metrics stands: the commit sequence of an organization and the row inside that commit.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;

use super::OrganizationId;

/// A position in an organization's stream of committed metrics. Order of cursors is order of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamCursor {
    /// Whose stream.
    pub organization: OrganizationId,
    /// The commit, counted per organization without gaps.
    pub sequence: i64,
    /// The row inside the commit, from zero.
    pub ordinal: u32,
}

/// The text is not a cursor that this server made.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a cursor of a metric stream; use one exactly as the server sent it")]
pub struct CursorError;

const BYTES: usize = 20;

impl fmt::Display for StreamCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend(self.organization.0.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.ordinal.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for StreamCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes: [u8; BYTES] =
            URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?.try_into().map_err(|_| CursorError)?;
        let number = |range: std::ops::Range<usize>| {
            bytes.get(range).and_then(|part| part.try_into().ok()).map(i64::from_be_bytes).ok_or(CursorError)
        };
        let ordinal = bytes.get(16..20).and_then(|part| part.try_into().ok()).map(u32::from_be_bytes);
        Ok(Self {
            organization: OrganizationId(number(0..8)?),
            sequence: number(8..16)?,
            ordinal: ordinal.ok_or(CursorError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_nonsense_is_refused() {
        let cursor = StreamCursor { organization: OrganizationId(7), sequence: i64::MAX, ordinal: 9_999 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "abc", "!!!", &"A".repeat(28)] {
            assert_eq!(wrong.parse::<StreamCursor>(), Err(CursorError));
        }
    }
}
