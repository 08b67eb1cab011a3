//! The stored form of a sketch: encoding, and merging without decoding first.
//!
//! A version byte, then one byte per bin with values. Its upper bits are the gap (the number of empty bins before it: 0 to 2,
//! or 3 if a rest follows), its lower five bits the count (1 to 30, or 31 if a rest follows). The rests, first of the gap and
//! then of the count, are numbers in base 31, least significant digit first: one byte per digit with the digit plus 1, plus
//! 32 if another digit follows. All bytes are ASCII, and none is NUL or a space, so that SQLite, which has no arrays, lists
//! sketches as text.

use thiserror::Error;

use super::{BIN_MAX, Sketch, ZERO_BIN};

/// The current version; also the ASCII code for the start of text.
const TEXT: u8 = 2;
/// The previous version, which is still read: two variable-length numbers per bin, 7 bits a byte.
const PAIRS: u8 = 1;
/// The lower bits of a byte, which are never all zero.
const LOW_BITS: u32 = 5;
const LOW: u8 = (1 << LOW_BITS) - 1;
/// The smallest gap and the smallest count that do not fit into the byte of a bin.
const GAP_LIMIT: u8 = 3;
const COUNT_LIMIT: u8 = LOW;
/// The base of the digits of a rest.
const BASE: u64 = 31;
/// Marks a digit that is followed by another.
const MORE: u8 = 1 << LOW_BITS;

/// A stored sketch that cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SketchError {
    /// The first byte is a version that this server does not know.
    #[error("sketch format {0} is not known to this version")]
    Version(u8),
    /// The bytes end early, or contain an impossible bin.
    #[error("the stored sketch is damaged")]
    Damaged,
}

impl Sketch {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3 + self.counts.len());
        bytes.push(TEXT);
        let mut next = ZERO_BIN;
        for (offset, &count) in (0_i16..).zip(&self.counts) {
            if count > 0 {
                let bin = self.first_bin + offset;
                let (gap, rest_of_gap) = split(u64::from(bin.abs_diff(next)), GAP_LIMIT);
                let (count, rest_of_count) = split(count, COUNT_LIMIT);
                bytes.push(gap << LOW_BITS | count);
                for rest in [rest_of_gap, rest_of_count].into_iter().flatten() {
                    put_digits(&mut bytes, rest);
                }
                next = bin + 1;
            }
        }
        bytes
    }

    /// Merges a stored sketch without decoding it first.
    ///
    /// # Errors
    /// [`SketchError`]; the bins before the damage have been merged by then.
    pub fn merge_encoded(&mut self, bytes: &[u8]) -> Result<(), SketchError> {
        let (&version, mut bytes) = bytes.split_first().ok_or(SketchError::Damaged)?;
        // Bins are counted from the lowest here.
        let mut next = 0_usize;
        match version {
            TEXT => loop {
                (next, bytes) = self.merge_short(next, bytes);
                if bytes.is_empty() {
                    break;
                }
                let (gap, count) = take_bin(&mut bytes)?;
                let bin = next.saturating_add(gap);
                self.add(bin, count)?;
                next = bin + 1;
            },
            PAIRS => {
                while !bytes.is_empty() {
                    next = next.saturating_add(usize::try_from(take_varint(&mut bytes)?).unwrap_or(usize::MAX));
                    self.add(next, take_varint(&mut bytes)?)?;
                }
            }
            unknown => return Err(SketchError::Version(unknown)),
        }
        Ok(())
    }

    /// Merges bins while they take at most two bytes and lie in the known range; `next` is the bin after the last one. Nearly
    /// all bins of a sketch do, and merging is most of the CPU time of an answer with percentiles.
    fn merge_short<'a>(&mut self, mut next: usize, mut bytes: &'a [u8]) -> (usize, &'a [u8]) {
        let first = usize::from(self.first_bin.abs_diff(ZERO_BIN));
        let mut added = 0_u64;
        while let Some((gap, count, rest)) = short_bin(bytes) {
            let bin = next + gap;
            // A bin below the range wraps around to an index above it.
            let Some(known) = self.counts.get_mut(bin.wrapping_sub(first)) else { break };
            *known = known.saturating_add(count);
            added += count;
            (next, bytes) = (bin + 1, rest);
        }
        self.total = self.total.saturating_add(added);
        (next, bytes)
    }

    /// Adds to a bin, counted from the lowest possible one.
    fn add(&mut self, bin: usize, count: u64) -> Result<(), SketchError> {
        let bin = i16::try_from(bin).ok().and_then(|bin| ZERO_BIN.checked_add(bin)).filter(|bin| *bin <= BIN_MAX);
        self.record(bin.ok_or(SketchError::Damaged)?, count);
        Ok(())
    }
}

/// A number below `limit`, or `limit` and the rest.
fn split(number: u64, limit: u8) -> (u8, Option<u64>) {
    match u8::try_from(number) {
        Ok(small) if small < limit => (small, None),
        _ => (limit, Some(number - u64::from(limit))),
    }
}

/// Reads a bin like [`take_bin`] if at most one digit follows; also returns the remaining bytes.
#[inline]
fn short_bin(bytes: &[u8]) -> Option<(usize, u64, &[u8])> {
    let (byte, rest) = bytes.split_first()?;
    let (gap, count) = (byte >> LOW_BITS, byte & LOW);
    let (gap, count, rest) = match (gap, count, rest) {
        (0..GAP_LIMIT, 0..COUNT_LIMIT, rest) => (gap, count, rest),
        (0..GAP_LIMIT, _, [digit @ 1..MORE, rest @ ..]) => (gap, COUNT_LIMIT + digit - 1, rest),
        (GAP_LIMIT, 0..COUNT_LIMIT, [digit @ 1..MORE, rest @ ..]) => (GAP_LIMIT + digit - 1, count, rest),
        _ => return None,
    };
    Some((usize::from(gap), u64::from(count), rest))
}

/// Reads a bin: its gap and its count.
fn take_bin(bytes: &mut &[u8]) -> Result<(usize, u64), SketchError> {
    let byte = take_byte(bytes)?;
    let mut whole = |short: u8, limit: u8| match short {
        short if short < limit => Ok(u64::from(short)),
        short if short == limit => Ok(take_digits(bytes)?.saturating_add(u64::from(limit))),
        _ => Err(SketchError::Damaged),
    };
    let gap = whole(byte >> LOW_BITS, GAP_LIMIT)?;
    let count = whole(byte & LOW, COUNT_LIMIT)?;
    Ok((usize::try_from(gap).unwrap_or(usize::MAX), count))
}

fn put_digits(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let digit = u8::try_from(number % BASE).unwrap_or_default() + 1;
        number /= BASE;
        if number == 0 {
            return bytes.push(digit);
        }
        bytes.push(digit | MORE);
    }
}

fn take_digits(bytes: &mut &[u8]) -> Result<u64, SketchError> {
    let (mut number, mut weight) = (0_u64, 1_u64);
    loop {
        let byte = take_byte(bytes)?;
        let digit = (byte & LOW).checked_sub(1).filter(|_| byte < 2 * MORE).ok_or(SketchError::Damaged)?;
        number = number.saturating_add(weight.saturating_mul(u64::from(digit)));
        if byte & MORE == 0 {
            return Ok(number);
        }
        weight = weight.saturating_mul(BASE);
    }
}

fn take_byte(bytes: &mut &[u8]) -> Result<u8, SketchError> {
    let (&byte, rest) = bytes.split_first().ok_or(SketchError::Damaged)?;
    *bytes = rest;
    Ok(byte)
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, SketchError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(SketchError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{BIN_MIN, tests::sketch},
        *,
    };

    #[test]
    fn large_gaps_and_counts_are_stored() {
        let mut sketch = Sketch::new();
        // Around the greatest of what fits into the byte of a bin, and into one more.
        let bins = [ZERO_BIN, BIN_MIN, BIN_MIN + 3, BIN_MIN + 7, BIN_MIN + 41, BIN_MIN + 76, 0, BIN_MAX];
        let counts = [30, 31, 61, 62, 31 + 31 * 31, 1, u64::MAX / 2, 127];
        for (bin, count) in bins.into_iter().zip(counts) {
            sketch.record(bin, count);
        }
        let bytes = sketch.encode();
        assert!(bytes.iter().all(|byte| byte.is_ascii() && ![0, b' '].contains(byte)), "{bytes:?}");
        let mut read = Sketch::new();
        read.merge_encoded(&bytes).unwrap();
        assert_eq!(read, sketch);
        // Into what has these bins already.
        read.merge_encoded(&bytes).unwrap();
        sketch.merge(&sketch.clone());
        assert_eq!(read, sketch);
    }

    #[test]
    fn sketches_of_the_previous_version_are_read() {
        let mut read = Sketch::new();
        // Two zeros, one value three bins above them, 300 values 200 bins further up.
        read.merge_encoded(&[PAIRS, 0, 2, 3, 1, 0xc8, 0x01, 0xac, 0x02]).unwrap();
        let bins: Vec<_> = read.bins().collect();
        assert_eq!(bins, [(ZERO_BIN, 2), (ZERO_BIN + 3, 1), (ZERO_BIN + 203, 300)]);
        assert_eq!(read.merge_encoded(&[PAIRS, 1]), Err(SketchError::Damaged));
    }

    #[test]
    fn invalid_bytes_are_reported_as_damage() {
        // No such gap, a digit of zero, a digit that is none, and a digit too few.
        for bytes in [&[TEXT, 0x81][..], &[TEXT, 0x61, MORE], &[TEXT, 0x61, 0x41], &[TEXT, 0x61]] {
            assert_eq!(Sketch::new().merge_encoded(bytes), Err(SketchError::Damaged), "{bytes:?}");
        }
    }

    #[test]
    fn unknown_formats_are_named() {
        assert_eq!(Sketch::new().merge_encoded(&[9]), Err(SketchError::Version(9)));
        assert_eq!(Sketch::new().merge_encoded(&[]), Err(SketchError::Damaged));
    }

    #[test]
    fn a_latency_minute_is_small() {
        let values: Vec<f64> = (0..30).map(|step| 20.0 * 1.1_f64.powi(step % 10)).collect();
        assert!(sketch(&values).encode().len() <= 24);
    }
}
