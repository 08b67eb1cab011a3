//! How far sums over minutes may be off, when neighbouring minutes are alike.
//!
//! Minutes are joined to batches, and the spread of the batches' sums tells the spread of the whole: what links
//! neighbours is inside of a batch then (Schmeiser, "Batch size effects in the analysis of simulation output",
//! Operations Research 30, 1982: ten to thirty batches serve). Where neighbouring batches are still alike, they are
//! joined, too (Fishman, "Grouping observations in digital simulation", Management Science 24, 1978).

/// With fewer batches the spread is hardly known.
pub const BATCHES_MIN: usize = 10;
const BATCHES_MAX: usize = 30;
/// Minutes of a batch, where there are enough minutes.
const MINUTES: usize = 3;

/// The variances of two sums, and how well they are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spreads {
    /// The variance of each sum.
    pub variances: [f64; 2],
    /// One less than there were batches, of each.
    pub degrees: [f64; 2],
}

/// The spreads of two sums of deviations, which are in order of time and add up to nothing. `None` where there are too
/// few minutes. Both sides decide together how long batches are: alone, each knows too little of its own.
pub fn spreads(deviations: [&[f64]; 2]) -> Option<Spreads> {
    if deviations.iter().any(|side| side.len() < 2 * BATCHES_MIN) {
        return None;
    }
    let mut batches = deviations.map(|side| (side.len() / MINUTES).clamp(BATCHES_MIN, BATCHES_MAX));
    loop {
        let sides = [0, 1].map(|side| sums(deviations[side], batches[side]));
        let likeness = f64::midpoint(likeness(&sides[0]), likeness(&sides[1]));
        let is_loose = likeness <= float(batches[0] + batches[1]).sqrt().recip();
        if is_loose || batches.iter().any(|count| *count < 2 * BATCHES_MIN) {
            let degrees = batches.map(|count| float(count) - 1.0);
            let variance = |side: usize| {
                let squares: f64 = sides[side].iter().map(|sum| sum * sum).sum();
                squares * (degrees[side] + 1.0) / degrees[side]
            };
            return Some(Spreads { variances: [variance(0), variance(1)], degrees });
        }
        batches = batches.map(|count| count / 2);
    }
}

/// Sums over so many stretches of (nearly) the same length.
fn sums(deviations: &[f64], batches: usize) -> Vec<f64> {
    let bound = |batch: usize| batch * deviations.len() / batches;
    (0..batches).map(|batch| deviations[bound(batch)..bound(batch + 1)].iter().sum()).collect()
}

/// The correlation of neighbours.
fn likeness(sums: &[f64]) -> f64 {
    let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
    let neighbours: f64 = sums.iter().zip(&sums[1..]).map(|(one, next)| one * next).sum();
    if squares > 0.0 { neighbours / squares } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "minutes of a day or so")]
const fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "whole numbers")]
mod tests {
    use super::*;

    #[test]
    fn neighbours_that_are_alike_widen_the_spread() {
        let alternating: Vec<f64> = (0..60).map(|minute| if minute % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let slow: Vec<f64> = (0..60).map(|minute| if minute % 30 < 15 { 1.0 } else { -1.0 }).collect();
        let of = |side: &[f64]| spreads([side, side]);
        let (alternating, slow) = (of(&alternating).unwrap(), of(&slow).unwrap());
        assert!(slow.variances[0] > 5.0 * alternating.variances[0], "{slow:?} {alternating:?}");
        assert_eq!((alternating.degrees, slow.degrees), ([19.0, 19.0], [9.0, 9.0]));
        assert_eq!(of(&[0.0; 19]), None);
        assert_eq!(of(&[0.0; 20]).unwrap().variances, [0.0, 0.0]);
    }

    #[test]
    fn stretches_cover_every_minute_once() {
        for length in 20..200 {
            let sums = sums(&vec![1.0; length], 13.min(length));
            assert!((sums.iter().sum::<f64>() - float(length)).abs() < 1e-9);
        }
    }
}
