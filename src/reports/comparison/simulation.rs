//! Simulated measurements of releases with and without a slowdown. The benchmark `verdicts` compiles this file as well and
//! plays more replays.
//!
//! Latencies are lognormal. All endpoints of a server share the effect of a minute: a first-order autoregressive process
//! that scales all values of the minute, so that neither measurements nor minutes are independent.

use std::fmt;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Change, Minutes, Statistic, Tally, Verdict, WorstValue, judge};

/// The parameters of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Number of endpoints.
    pub endpoints: usize,
    /// Number of endpoints that the candidate slows down.
    pub slowed: usize,
    /// Factor of the slowdown: 1.25 is 25 %.
    pub factor: f64,
    /// Minutes of each release.
    pub minutes: i64,
    /// Measurements per endpoint and minute.
    pub per_minute: usize,
    /// The standard deviation of a measurement's logarithm; at 0.4 the 95th percentile is 1.9 times the median.
    pub spread: f64,
    /// The standard deviation of the logarithm of the minute effect.
    pub effect: f64,
    /// The correlation of the effects of neighbouring minutes, 0 to 1.
    pub inertia: f64,
    /// The share of measurements that time out after half a minute.
    pub timeouts: f64,
}

impl Scene {
    /// One hour of each release, five endpoints with twenty measurements a minute.
    pub const HOUR: Self = Self {
        endpoints: 5,
        slowed: 0,
        factor: 1.25,
        minutes: 60,
        per_minute: 20,
        spread: 0.4,
        effect: 0.05,
        inertia: 0.5,
        timeouts: 0.0,
    };
    /// The first twenty minutes of a busy endpoint, with strongly correlated minutes.
    pub const FIRST_MINUTES: Self =
        Self { endpoints: 1, minutes: 20, per_minute: 500, effect: 0.1, inertia: 0.8, ..Self::HOUR };
}

/// Counts of verdicts over many replays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Number of replays.
    pub replays: usize,
    /// Verdicts on endpoints without a slowdown.
    pub untouched: usize,
    /// False positives among them.
    pub wrong: usize,
    /// Replays with at least one false positive.
    pub replays_with_wrong: usize,
    /// Verdicts on endpoints with a slowdown.
    pub slowed: usize,
    /// True positives among them.
    pub found: usize,
}

impl Score {
    pub fn wrong_share(&self) -> f64 {
        share(self.wrong, self.untouched)
    }

    pub fn replays_with_wrong_share(&self) -> f64 {
        share(self.replays_with_wrong, self.replays)
    }

    pub fn found_share(&self) -> f64 {
        share(self.found, self.slowed)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a simulation")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} replays: {}/{} verdicts on the untouched wrong ({:.2} %), in {:.2} % of replays; {}/{} slowed found ({:.1} %)",
            self.replays,
            self.wrong,
            self.untouched,
            100.0 * self.wrong_share(),
            100.0 * self.replays_with_wrong_share(),
            self.found,
            self.slowed,
            100.0 * self.found_share(),
        )
    }
}

/// Plays a scene `replays` times and compares by `statistic`.
pub fn play(scene: &Scene, statistic: Statistic, replays: usize, rng_seed: u64) -> Score {
    let mut rng = StdRng::seed_from_u64(rng_seed);
    let mut score = Score { replays, ..Score::default() };
    for _ in 0..replays {
        let baseline = hour(&mut rng, scene, 1.0);
        let candidate = hour(&mut rng, scene, scene.factor);
        let wrong_before = score.wrong;
        for (endpoint, verdict) in verdicts(&baseline, &candidate, statistic).into_iter().enumerate() {
            if endpoint < scene.slowed {
                score.slowed += 1;
                score.found += usize::from(verdict == Verdict::Regressed);
            } else {
                score.untouched += 1;
                score.wrong += usize::from(matches!(verdict, Verdict::Regressed | Verdict::Improved));
            }
        }
        score.replays_with_wrong += usize::from(score.wrong > wrong_before);
    }
    score
}

/// The verdicts, by endpoint.
fn verdicts(baseline: &[Minutes], candidate: &[Minutes], statistic: Statistic) -> Vec<Verdict> {
    let sides = baseline.iter().zip(candidate);
    let changes: Vec<_> = sides.map(|(before, after)| judge::change(before, after, statistic)).collect();
    let known: Vec<_> = changes.iter().flatten().copied().collect();
    let mut q_values = judge::q_values_of(&known).into_iter();
    let verdict = |change: &Option<Change>| match (change, change.and_then(|_| q_values.next())) {
        (Some(change), Some(q_value)) => judge::verdict(change, q_value, WorstValue::Highest),
        _ => Verdict::InsufficientData,
    };
    changes.iter().map(verdict).collect()
}

/// The minutes of each endpoint.
fn hour(rng: &mut StdRng, scene: &Scene, factor: f64) -> Vec<Minutes> {
    let mut effect = scene.effect * normal(rng);
    let mut endpoints = vec![Minutes::new(); scene.endpoints];
    for at in 0..scene.minutes {
        effect = scene.inertia * effect + (1.0 - scene.inertia.powi(2)).sqrt() * scene.effect * normal(rng);
        for (number, minutes) in endpoints.iter_mut().enumerate() {
            let factor = if number < scene.slowed { factor } else { 1.0 };
            let mut minute = Tally::default();
            for _ in 0..scene.per_minute {
                let is_timeout = scene.timeouts > 0.0 && rng.random_range(0.0..1.0) < scene.timeouts;
                let value =
                    if is_timeout { 30_000.0 } else { 80.0 * factor * (effect + scene.spread * normal(rng)).exp() };
                minute.add(value, 200);
            }
            minutes.insert(at, minute);
        }
    }
    endpoints
}

/// A standard normal value (Box-Muller transform).
fn normal(rng: &mut StdRng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
    (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle).cos()
}
