//! What hangs on how values are distributed, besides percentiles: within its bounds of brute force, and equal to it where
//! single values are known.

use perfgraph::{
    model::{
        Sketch,
        sketch::{RELATIVE_ERROR, bin_of},
    },
    reports::{Distribution, HistogramBar, Question, Stats},
};

use super::{fixture::Event, float};

/// Bounds of bins are powers: the last bits are nobody's.
const SLACK: f64 = 1e-9;
const BARS_MAX: usize = 200;

pub fn assert_matches(distribution: &Distribution, stats: &Stats, events: &[&Event], question: &Question) {
    let mut values: Vec<f64> = events.iter().map(|event| event.value).collect();
    values.sort_by(f64::total_cmp);
    if let Distribution::Sketch(sketch) = distribution {
        assert_eq!(question.exact, None);
        let mut bins = Sketch::new();
        for value in &values {
            bins.record(bin_of(*value), 1);
        }
        assert_eq!(sketch.encode(), bins.encode(), "{question:?}");
    } else {
        assert!(question.exact.is_some(), "{question:?}");
        assert_eq!(distribution, &Distribution::Values(values.clone()), "{question:?}");
    }
    assert_histogram(&distribution.histogram(1 + events.len() % BARS_MAX), &values, 1 + events.len() % BARS_MAX);
    assert_deviation(stats, &values, question);
    for threshold in [1.0, 250.0] {
        assert_apdex(stats, threshold, &values, question);
    }
}

/// Ranges side by side that hold every value once.
pub fn assert_histogram(bars: &[HistogramBar], values: &[f64], bars_max: usize) {
    assert!(bars.len() <= bars_max, "{} of {bars_max}", bars.len());
    assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), values.len() as u64);
    let after_zeros = usize::from(bars.first().is_some_and(|bar| bar.from == 0.0));
    for pair in bars.get(after_zeros..).unwrap_or_default().windows(2) {
        assert!((pair[0].to - pair[1].from).abs() <= pair[0].to * SLACK, "{pair:?}");
    }
    for bar in bars {
        let within = |slack: f64| {
            let is_inside = |value: &&f64| {
                **value == 0.0 && bar.from == 0.0
                    || bar.from * (1.0 - slack) < **value && **value <= bar.to * (1.0 + slack)
            };
            values.iter().filter(is_inside).count() as u64
        };
        assert!((within(-SLACK)..=within(SLACK)).contains(&bar.count), "{bar:?} has {}", within(0.0));
    }
}

fn assert_deviation(stats: &Stats, values: &[f64], question: &Question) {
    let count = float(values.len());
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let square = values.iter().map(|value| value * value).sum::<f64>() / count;
    let Some(told) = stats.deviation() else {
        assert_eq!(values.len(), 0, "{question:?}");
        return;
    };
    let bound =
        if question.exact.is_some() { 1e-9 * square.sqrt() } else { square.sqrt() * RELATIVE_ERROR * 1.02 + 1e-6 };
    assert!((told - variance.sqrt()).abs() <= bound, "{told} {} {question:?}", variance.sqrt());
}

fn assert_apdex(stats: &Stats, threshold: f64, values: &[f64], question: &Question) {
    let score = |value: &f64| match value {
        value if *value <= threshold => 1.0,
        value if *value <= 4.0 * threshold => 0.5,
        _ => 0.0,
    };
    let Some(told) = stats.apdex(threshold) else {
        assert_eq!(values.len(), 0, "{question:?}");
        return;
    };
    let exact = values.iter().map(score).sum::<f64>() / float(values.len());
    let near = |left: f64, right: f64| (left - right).abs() < 1e-12;
    assert!(told.lower <= exact + 1e-12 && exact <= told.upper + 1e-12, "{told:?} {exact} {question:?}");
    if question.exact.is_some() {
        assert!(near(told.lower, exact) && near(told.value, exact) && near(told.upper, exact), "{told:?} {exact}");
    }
}
