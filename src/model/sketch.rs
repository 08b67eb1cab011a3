//! A mergeable quantile sketch with a guaranteed relative error of 1 %.
//!
//! `DDSketch` (Masson, Rim, Lee: "`DDSketch`: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees",
//! VLDB 2019). Own code because the bin number is also a column of every raw row: both databases group by the very
//! integers that a sketch holds, and the stored form is five to ten times smaller than what sketch crates serialise.

use thiserror::Error;

/// The guaranteed relative error of every quantile: 1 %.
pub const RELATIVE_ERROR: f64 = 0.01;

/// The largest value that can be recorded; far above any latency (31 years in milliseconds) or percentage.
pub const VALUE_MAX: f64 = 1e12;

/// (1 + a) / (1 - a) for a = 1 %: the ratio of two neighbouring bin boundaries.
const GAMMA: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);
const BIN_MIN: i16 = -700;
/// Values below `GAMMA^-701` (8e-7, less than a nanosecond in milliseconds) count as zero.
const ZERO_BIN: i16 = BIN_MIN - 1;
const BIN_MAX: i16 = 1_400;
/// How sketches are stored: see [`Sketch::encode`].
const FORMAT_VERSION: u8 = 2;
/// How they were before. What was written so is still read.
const FORMAT_OF_PAIRS: u8 = 1;
/// The low bits of every byte but the first, of which never all are zero.
const LOW_BITS: u32 = 5;
const LOW: u8 = (1 << LOW_BITS) - 1;
/// Gaps and counts from here on do not fit into the byte of a bin.
const GAP_LIMIT: u8 = 3;
const COUNT_LIMIT: u8 = LOW;
/// Of the digits that gaps and counts go on with.
const BASE: u64 = 31;
/// Says of a digit that another follows.
const MORE: u8 = 1 << LOW_BITS;

/// The bin of a value that passed validation (finite, not negative, at most [`VALUE_MAX`]).
pub fn bin_of(value: f64) -> i16 {
    if value <= 0.0 {
        return ZERO_BIN;
    }
    let bin = (value.ln() / GAMMA.ln()).ceil();
    // The clamp keeps the number inside i16, so the cast cannot wrap.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of bins just before")]
    let bin = bin.clamp(f64::from(ZERO_BIN), f64::from(BIN_MAX)) as i16;
    bin
}

/// How far apart two neighbouring bins are, as a logarithm: bin `n` ends at `n` times this.
pub fn bin_width() -> f64 {
    GAMMA.ln()
}

/// An estimated quantile and the interval that surely holds the true one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// Within [`RELATIVE_ERROR`] of the true value.
    pub value: f64,
    /// The true value is not below.
    pub lower: f64,
    /// The true value is not above.
    pub upper: f64,
}

/// Why a stored sketch cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SketchError {
    /// The first byte names a format that this version does not know.
    #[error("sketch format {0} is not known to this version")]
    Version(u8),
    /// The bytes end early, or name a bin that cannot be.
    #[error("the stored sketch is damaged")]
    Damaged,
}

/// Counts per bin, over the window of bins seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// The bin of `counts[0]`; meaningless while `counts` is empty.
    first_bin: i16,
    counts: Vec<u64>,
    total: u64,
}

impl Sketch {
    /// Nothing recorded yet.
    pub const fn new() -> Self {
        Self { first_bin: 0, counts: Vec::new(), total: 0 }
    }

    /// Holds one value of each of these bins: made at once, it need not grow.
    pub fn of(bins: impl Iterator<Item = i16> + Clone) -> Self {
        let mut sketch = Self::new();
        if let (Some(lowest), Some(highest)) = (bins.clone().min(), bins.clone().max()) {
            let first_bin = lowest.clamp(ZERO_BIN, BIN_MAX);
            let last_bin = highest.clamp(ZERO_BIN, BIN_MAX);
            sketch.counts = vec![0; usize::from(last_bin.abs_diff(first_bin)) + 1];
            sketch.first_bin = first_bin;
        }
        for bin in bins {
            sketch.record(bin, 1);
        }
        sketch
    }

    /// How many values were recorded.
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// Whether nothing was recorded.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Adds `count` values of one bin, as [`bin_of`] or the `bin` column names it.
    pub fn record(&mut self, bin: i16, count: u64) {
        if count == 0 {
            return;
        }
        let bin = bin.clamp(ZERO_BIN, BIN_MAX);
        let index = self.index_for(bin);
        // A damaged blob may hold any count; it must not bring the server down.
        self.counts[index] = self.counts[index].saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// Takes `count` values of one bin out again. What was never recorded cannot be taken out.
    pub fn remove(&mut self, bin: i16, count: u64) {
        let Ok(index) = usize::try_from(i32::from(bin.clamp(ZERO_BIN, BIN_MAX)) - i32::from(self.first_bin)) else {
            return;
        };
        let Some(recorded) = self.counts.get_mut(index) else { return };
        let count = count.min(*recorded);
        *recorded -= count;
        self.total -= count;
        // What lies empty at the ends would be walked through by every quantile.
        while self.counts.last() == Some(&0) {
            self.counts.pop();
        }
        let empty = self.counts.iter().take_while(|count| **count == 0).count();
        self.counts.drain(..empty);
        // At most the number of bins there are.
        self.first_bin = self.first_bin.saturating_add(i16::try_from(empty).unwrap_or(i16::MAX));
    }

    /// Adds everything that another sketch holds. Loses nothing, in any order.
    pub fn merge(&mut self, other: &Self) {
        for (offset, count) in (0_i16..).zip(&other.counts) {
            self.record(other.first_bin + offset, *count);
        }
    }

    /// Adds a stored sketch without building it first.
    ///
    /// # Errors
    /// [`SketchError`]; what was read up to the damage has been added by then.
    pub fn merge_encoded(&mut self, bytes: &[u8]) -> Result<(), SketchError> {
        let (&version, mut bytes) = bytes.split_first().ok_or(SketchError::Damaged)?;
        // Bins are counted from the lowest here.
        let mut next = 0_usize;
        match version {
            FORMAT_VERSION => loop {
                (next, bytes) = self.merge_short(next, bytes);
                if bytes.is_empty() {
                    break;
                }
                let (gap, count) = take_bin(&mut bytes)?;
                let bin = next.saturating_add(gap);
                self.add(bin, count)?;
                next = bin + 1;
            },
            FORMAT_OF_PAIRS => {
                while !bytes.is_empty() {
                    next = next.saturating_add(usize::try_from(take_varint(&mut bytes)?).unwrap_or(usize::MAX));
                    self.add(next, take_varint(&mut bytes)?)?;
                }
            }
            unknown => return Err(SketchError::Version(unknown)),
        }
        Ok(())
    }

    /// Adds the bins that follow as long as they are short and among those seen so far; `next` is where one without a gap
    /// would be. That is nearly all of a sketch, and merging is most of what an answer with percentiles costs here.
    fn merge_short<'a>(&mut self, mut next: usize, mut bytes: &'a [u8]) -> (usize, &'a [u8]) {
        let first = usize::from(self.first_bin.abs_diff(ZERO_BIN));
        let mut added = 0_u64;
        while let Some((gap, count, rest)) = short_bin(bytes) {
            let bin = next + gap;
            // What lies before the first is far behind the last.
            let Some(known) = self.counts.get_mut(bin.wrapping_sub(first)) else { break };
            *known = known.saturating_add(count);
            added += count;
            (next, bytes) = (bin + 1, rest);
        }
        self.total = self.total.saturating_add(added);
        (next, bytes)
    }

    /// Adds to a bin, counted from the lowest there can be.
    fn add(&mut self, bin: usize, count: u64) -> Result<(), SketchError> {
        let bin = i16::try_from(bin).ok().and_then(|bin| ZERO_BIN.checked_add(bin)).filter(|bin| *bin <= BIN_MAX);
        self.record(bin.ok_or(SketchError::Damaged)?, count);
        Ok(())
    }

    /// The bins that hold values, with their counts.
    pub fn bins(&self) -> impl Iterator<Item = (i16, u64)> {
        (self.first_bin..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// The stored form: a version byte, then for every used bin a byte with how many empty ones lie before it (0 to 2; 3 when
    /// the rest follows) times 32, and its count (1 to 30; 31 when the rest follows). What follows, first of the gap and then
    /// of the count, are digits to the base of 31 from the least on: one byte each with the digit plus 1, and 32 where
    /// another follows.
    ///
    /// All bytes are ASCII, and none is NUL or a space: SQLite can list sketches as they are.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3 + self.counts.len());
        bytes.push(FORMAT_VERSION);
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

    /// The quantile `q` in 0..=1 (the value of rank `floor(q * (count - 1))`), or `None` when nothing was recorded.
    pub fn quantile(&self, q: f64) -> Option<Quantile> {
        if self.total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among up to 2^53 values; q is clamped, so the product is neither negative nor too large"
        )]
        let rank = (q.clamp(0.0, 1.0) * (self.total - 1) as f64) as u64;
        let mut seen = 0_u64;
        for (offset, count) in (0_i16..).zip(&self.counts) {
            seen = seen.saturating_add(*count);
            if seen > rank {
                return Some(Self::of_bin(self.first_bin + offset));
            }
        }
        None
    }

    /// The bins in use from low to high: the number of each, what is known of its values, and how many they are.
    pub fn bounded_bins(&self) -> impl Iterator<Item = (i16, Quantile, u64)> {
        let used = (0_i16..).zip(&self.counts).filter(|(_, count)| **count > 0);
        used.map(|(offset, count)| {
            let bin = self.first_bin + offset;
            (bin, Self::of_bin(bin), *count)
        })
    }

    /// The upper bound of the bin that lies so many bins above another.
    pub fn upper_bound(bin: i16, above: usize) -> f64 {
        let above = i16::try_from(above).unwrap_or(i16::MAX);
        Self::of_bin(bin.saturating_add(above).min(BIN_MAX)).upper
    }

    fn of_bin(bin: i16) -> Quantile {
        if bin == ZERO_BIN {
            return Quantile { value: 0.0, lower: 0.0, upper: GAMMA.powi(i32::from(ZERO_BIN)) };
        }
        let upper = GAMMA.powi(i32::from(bin));
        Quantile { value: 2.0 * upper / (GAMMA + 1.0), lower: upper / GAMMA, upper }
    }

    fn index_for(&mut self, bin: i16) -> usize {
        if self.counts.is_empty() {
            self.first_bin = bin;
        }
        if bin < self.first_bin {
            let missing = usize::from(self.first_bin.abs_diff(bin));
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first_bin = bin;
        }
        let index = usize::from(bin.abs_diff(self.first_bin));
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        index
    }
}

/// A number as far as it fits below `limit`; `limit` and the rest where it does not.
fn split(number: u64, limit: u8) -> (u8, Option<u64>) {
    match u8::try_from(number) {
        Ok(small) if small < limit => (small, None),
        _ => (limit, Some(number - u64::from(limit))),
    }
}

/// Reads a bin as [`take_bin`] where not more than one digit follows, and answers what is left.
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

/// Reads how many empty bins lie before the next one, and its count.
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
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::new();
        for value in values {
            sketch.record(bin_of(*value), 1);
        }
        sketch
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            3 => (-6.0..12.0_f64).prop_map(|exponent| 10_f64.powf(exponent)),
            1 => Just(0.0),
            // Exact powers of the bin ratio sit on a boundary, where rounding is most likely to err.
            1 => (-690..1_380_i32).prop_map(|power| GAMMA.powi(power)),
        ]
    }

    proptest! {
        #[test]
        fn every_quantile_is_within_one_percent(mut values in vec(value(), 1..400), q in 0.0..=1.0_f64) {
            let estimate = sketch(&values).quantile(q).unwrap();
            values.sort_by(f64::total_cmp);
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
            let exact = values[(q * (values.len() - 1) as f64) as usize];
            let slack = exact * 1e-9 + 1e-12;
            prop_assert!((estimate.value - exact).abs() <= exact * RELATIVE_ERROR + slack, "{estimate:?} for {exact}");
            prop_assert!(estimate.lower <= exact + slack && exact <= estimate.upper + slack);
        }

        #[test]
        fn merging_in_any_order_equals_recording_all(a in vec(value(), 0..100), b in vec(value(), 0..100)) {
            let mut ab = sketch(&a);
            ab.merge(&sketch(&b));
            let mut ba = sketch(&b);
            ba.merge_encoded(&sketch(&a).encode()).unwrap();
            let whole = sketch(&[a, b].concat());
            prop_assert_eq!(ab.encode(), whole.encode());
            prop_assert_eq!(ba.encode(), whole.encode());
            prop_assert_eq!(ab.count(), whole.count());
        }

        #[test]
        fn what_is_taken_out_leaves_the_rest(a in vec(value(), 0..100), b in vec(value(), 0..100)) {
            let mut both = sketch(&[a.clone(), b.clone()].concat());
            for value in &b {
                both.remove(bin_of(*value), 1);
            }
            prop_assert_eq!(both.encode(), sketch(&a).encode());
            prop_assert_eq!(both.quantile(0.95), sketch(&a).quantile(0.95));
            both.remove(3, 1_000);
            prop_assert!(both.count() <= u64::try_from(a.len()).unwrap());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Sketch::new().merge_encoded(&bytes);
        }
    }

    #[test]
    fn an_empty_sketch_has_no_quantile_and_zeros_count() {
        assert_eq!(Sketch::new().quantile(0.5), None);
        assert_eq!(sketch(&[0.0, -0.0, 1e-300]).quantile(0.5).map(|quantile| quantile.value), Some(0.0));
    }

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
    fn sketches_of_the_format_before_are_read() {
        let mut read = Sketch::new();
        // Two zeros, one value three bins above them, 300 values 200 bins further up.
        read.merge_encoded(&[FORMAT_OF_PAIRS, 0, 2, 3, 1, 0xc8, 0x01, 0xac, 0x02]).unwrap();
        let bins: Vec<_> = read.bins().collect();
        assert_eq!(bins, [(ZERO_BIN, 2), (ZERO_BIN + 3, 1), (ZERO_BIN + 203, 300)]);
        assert_eq!(read.merge_encoded(&[FORMAT_OF_PAIRS, 1]), Err(SketchError::Damaged));
    }

    #[test]
    fn bytes_that_no_sketch_has_are_damage() {
        // No such gap, a digit of zero, a digit that is none, and a digit too few.
        for bytes in [
            &[FORMAT_VERSION, 0x81][..],
            &[FORMAT_VERSION, 0x61, MORE],
            &[FORMAT_VERSION, 0x61, 0x41],
            &[FORMAT_VERSION, 0x61],
        ] {
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
