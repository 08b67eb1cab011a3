//! Records that are lines. Empty lines are none.

use super::{Broken, Framing, Raw, Row, Step, Unreadable};

/// Lines, and how a row is read from one.
pub struct Lines<F> {
    read: F,
    /// The record in `raw` was handed out: the next byte begins another.
    is_handed_out: bool,
}

impl<F> Lines<F> {
    pub const fn new(read: F) -> Self {
        Self { read, is_handed_out: false }
    }
}

impl<F: FnMut(&[u8]) -> Result<Row, Unreadable> + Send> Framing for Lines<F> {
    fn feed(&mut self, piece: &[u8], raw: &mut Raw) -> Result<Step, Broken> {
        if std::mem::take(&mut self.is_handed_out) {
            raw.clear();
        }
        let mut taken = 0;
        while let Some(length) = piece[taken..].iter().position(|byte| *byte == b'\n') {
            raw.push(&piece[taken..taken + length]);
            taken += length + 1;
            if is_blank(raw) {
                raw.clear();
            } else {
                self.is_handed_out = true;
                return Ok(Step::Complete(taken));
            }
        }
        raw.push(&piece[taken..]);
        Ok(Step::More)
    }

    fn end(&mut self, raw: &mut Raw) -> Result<bool, Broken> {
        Ok(!self.is_handed_out && !is_blank(raw))
    }

    fn row(&mut self, raw: &Raw) -> Result<Row, Unreadable> {
        (self.read)(raw.bytes.trim_ascii())
    }
}

fn is_blank(raw: &Raw) -> bool {
    !raw.is_too_long && raw.bytes.trim_ascii().is_empty()
}
