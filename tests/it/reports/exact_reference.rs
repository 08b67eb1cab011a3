//! Percentiles and means of a thousand samples, random and nasty, against exact arithmetic on both databases: from single
//! measurements, from rollups, estimated and exact.

use std::collections::HashMap;

use futures_util::future::join;
use perfgraph::{
    app::Core,
    clock::Clock,
    db::StatementLog,
    ingest::Candidate,
    jobs::compaction,
    model::{MetricType, Scope, TimeRange, timestamp::MINUTE_MICROS},
    reports::{GroupBy, GroupKey, Groups, Question, StatisticsNeeded, Stats, groups},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{Parent, RELATIVE_ERROR, SEED};
use crate::{
    harness::{Server, TestDatabase, World, builders::ingest, server::NOW},
    on_both_databases,
};

const SAMPLES: usize = 1_000;
/// Percentiles in thousandths of a percent, so that ranks are whole numbers.
const PERCENTILES: [usize; 12] =
    [0, 100, 5_000, 25_000, 50_000, 75_000, 90_000, 95_000, 99_000, 99_900, 99_999, 100_000];
/// Rows of one submission.
const ROWS: usize = 5_000;

/// The samples: one of every size up to 200, the rest small.
fn samples() -> Vec<Vec<f64>> {
    let mut rng = StdRng::seed_from_u64(SEED);
    (0..SAMPLES)
        .map(|number| {
            let size = if number < 200 { number + 1 } else { rng.random_range(1..=25) };
            sample(&mut rng, number % 11, size)
        })
        .collect()
}

fn sample(rng: &mut StdRng, shape: usize, size: usize) -> Vec<f64> {
    let once: f64 = rng.random_range(0.0..1_000.0);
    let value = |rng: &mut StdRng, place: usize| match shape {
        // All equal, in decimals that binary fractions do not hold.
        0 => (once * 100.0).round() / 100.0,
        1 => [0.1, 1.81, 33.3][size % 3],
        // Two extremes, and one slow measurement among fast ones.
        2 => [0.0, 1e12][place % 2],
        3 => {
            if place == 0 {
                1_000.0
            } else {
                1.0
            }
        }
        // Denormals, zeros among values, the largest values.
        4 => f64::from_bits(rng.random_range(0..1_000)),
        5 => {
            if rng.random_range(0..3) == 0 {
                once
            } else {
                0.0
            }
        }
        6 => 1e12 - rng.random_range(0.0..1e3),
        // A heavy tail: the largest is beyond all others together.
        7 => (1.0 / (1.0 - rng.random_range(0.0..1.0_f64))).powi(3).min(1e12),
        // Latencies, and values of all magnitudes.
        8 => rng.random_range(0.0..500.0),
        9 => 10_f64.powf(rng.random_range(-5.0..12.0)),
        _ => f64::from(rng.random_range(0..40_u32)),
    };
    (0..size).map(|place| value(rng, place)).collect()
}

/// Endpoints in letters, because numbers in paths are templates.
fn endpoint(number: usize) -> String {
    let letter =
        |at: usize| char::from(b'a' + u8::try_from(number / 26_usize.pow(u32::try_from(at).unwrap()) % 26).unwrap());
    format!("sample {}{}{}", letter(2), letter(1), letter(0))
}

/// The exact sum, rounded once (Shewchuk, "Adaptive precision floating-point arithmetic", 1997).
fn exact_sum(values: &[f64]) -> f64 {
    let mut parts: Vec<f64> = Vec::new();
    for &value in values {
        let (mut value, mut kept) = (value, 0);
        for at in 0..parts.len() {
            let (large, small) = if value.abs() < parts[at].abs() { (parts[at], value) } else { (value, parts[at]) };
            let high = large + small;
            let low = small - (high - large);
            if low != 0.0 {
                parts[kept] = low;
                kept += 1;
            }
            value = high;
        }
        parts.truncate(kept);
        parts.push(value);
    }
    // The parts do not overlap and ascend. Of a tie the next part decides.
    let Some(mut high) = parts.pop() else { return 0.0 };
    while let Some(part) = parts.pop() {
        let before = high;
        high += part;
        let low = part - (high - before);
        if low != 0.0 {
            let beyond = parts.last().copied().unwrap_or(0.0);
            let doubled = 2.0 * low;
            if low * beyond > 0.0 && (high + doubled) - high == doubled {
                high += doubled;
            }
            break;
        }
    }
    high
}

#[test]
fn the_reference_is_exact() {
    for (values, sum) in [
        (&[0.1; 10][..], 1.0),
        (&[1e12, 1e-12, 1e12], 2e12),
        (&[1e16, 1.0, 1e-300], 10_000_000_000_000_002.0),
        (&[1e16, 1.0], 1e16),
        (&[], 0.0),
    ] {
        assert_eq!(exact_sum(values), sum, "{values:?}");
    }
}

fn assert_figures(stats: &Stats, values: &[f64], is_of_rows: bool, hint: &str) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (count, min, max) = (values.len(), sorted[0], sorted[values.len() - 1]);
    assert_eq!(
        (stats.tally.count, stats.tally.min(), stats.tally.max()),
        (count as u64, Some(min), Some(max)),
        "{hint}"
    );
    let (sum, mean) = (stats.tally.sum.value(), stats.average().unwrap());
    assert!(min <= mean && mean <= max, "{hint}: mean {mean} of {min} to {max}");
    let exact = exact_sum(values);
    let exact_mean = (exact / super::float(count)).clamp(min, max);
    if is_of_rows {
        assert_eq!(
            (sum.to_bits(), mean.to_bits()),
            (exact.to_bits(), exact_mean.to_bits()),
            "{hint}: {sum} {mean} {values:?}"
        );
    } else {
        // Each rollup row, and each bin of single measurements, has a sum that is rounded.
        assert!((sum - exact).abs() <= 4.0 * f64::EPSILON * exact, "{hint}: {sum} is not {exact}");
        assert!((mean - exact_mean).abs() <= 4.0 * f64::EPSILON * exact_mean, "{hint}: {mean} is not {exact_mean}");
    }
    if stats.tally.distribution.is_none() {
        return;
    }
    for p in PERCENTILES {
        let truth = sorted[(p * count).div_ceil(100_000).max(1) - 1];
        let told = stats.percentile(super::float(p) / 1_000.0).unwrap();
        let text = format!("{hint}: p{p} of {count} is {truth}, not {told:?}");
        assert!(told.lower <= truth && truth <= told.upper, "{text}");
        assert!(
            min <= told.lower && told.lower <= told.value && told.value <= told.upper && told.upper <= max,
            "{text}"
        );
        // Smaller values count as zero.
        assert!((told.value - truth).abs() <= truth * RELATIVE_ERROR * (1.0 + 1e-12) || truth < 8e-7, "{text}");
        if stats.accuracy.is_exact || [0, 100_000].contains(&p) {
            assert_eq!([told.lower, told.value, told.upper].map(f64::to_bits), [truth.to_bits(); 3], "{text}");
        }
    }
    assert!(stats.deviation().unwrap() <= (max - min) / 2.0 * (1.0 + 1e-12), "{hint}");
}

/// Stores every sample as an endpoint, over four minutes.
async fn store(core: &Core, world: &World, samples: &[Vec<f64>]) {
    for (project, samples) in world.projects.iter().zip(samples.chunks(SAMPLES / 2)) {
        let rows: Vec<_> = samples
            .iter()
            .enumerate()
            .flat_map(|(number, values)| values.iter().enumerate().map(move |(place, value)| (number, place, *value)))
            .map(|(number, place, value)| Candidate {
                kind: MetricType::Custom,
                value,
                endpoint: endpoint(number),
                status: None,
                timestamp: Some(NOW.plus_micros(-MINUTE_MICROS * (10 + i64::try_from(place % 4).unwrap()))),
                name: None,
                release: None,
                labels: Vec::new(),
            })
            .collect();
        for rows in rows.chunks(ROWS) {
            ingest(core, project.key, rows.to_vec()).await;
        }
    }
}

type Answers = HashMap<(usize, &'static str), Stats>;

/// Asks for every sample in every way, compares the answers with the exact ones, and returns them.
async fn asked(database: TestDatabase, samples: &[Vec<f64>]) -> Answers {
    let server = Server::fixed(database).await;
    let world = server.seed("organizations=1 projects=2").await;
    let core = server.app.core();
    store(core, &world, samples).await;
    let day = Question::over(TimeRange::last(1_440 * MINUTE_MICROS, NOW));
    let raw = Question { names: Some(vec![String::new()]), ..day.clone() };
    let exact = Question { exact: Some(100_000), ..day.clone() };
    let mut answers = Answers::new();
    for (question, want, is_of_rows, name) in [
        (&raw, StatisticsNeeded::Scalars, true, "scalars of measurements"),
        (&raw, StatisticsNeeded::Percentiles, false, "percentiles of measurements"),
        (&exact, StatisticsNeeded::Percentiles, true, "exact percentiles"),
        (&day, StatisticsNeeded::Scalars, false, "scalars of parts"),
        (&day, StatisticsNeeded::Percentiles, false, "percentiles of parts"),
        (&day, StatisticsNeeded::Scalars, false, "scalars of rollups"),
        (&day, StatisticsNeeded::Percentiles, false, "percentiles of rollups"),
    ] {
        if name == "scalars of rollups" {
            assert!(compaction::round(&core.database, NOW).await.unwrap() > 0);
        }
        let by = [GroupBy::Project, GroupBy::Endpoint];
        let all = Groups::largest(by, 10_000, 10_000, 10_000, want).unwrap();
        let session = core.database.reader(StatementLog::default());
        let found =
            groups::by_parent(&Scope::everything(), &session, question, &[Parent::Question], &all).await.unwrap();
        let mut by_key: HashMap<_, _> =
            found[&Parent::Question].iter().map(|group| (group.keys.clone(), Stats::clone(&group.stats))).collect();
        for (number, values) in samples.iter().enumerate() {
            let half = SAMPLES / 2;
            let project = GroupKey::Project(world.projects[number / half].key);
            let stats = by_key.remove(&vec![project, GroupKey::Endpoint(endpoint(number % half).into())]).unwrap();
            assert_figures(&stats, values, is_of_rows, &format!("sample {number}, {name}"));
            answers.insert((number, name), stats);
        }
        assert!(by_key.is_empty(), "{name}: {:?}", by_key.keys());
    }
    server.stop().await;
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_exact_and_equal_on_both_databases() {
    let samples = samples();
    let (sqlite, postgres) = (TestDatabase::sqlite().await, TestDatabase::postgres().await);
    let (sqlite, postgres) = join(Box::pin(asked(sqlite, &samples)), Box::pin(asked(postgres, &samples))).await;
    assert_eq!(sqlite.len(), 7 * SAMPLES);
    for (key, stats) in &sqlite {
        // Projects have other ids. Sums are compared to the last bit.
        assert_eq!((&stats.tally, stats.average()), (&postgres[key].tally, postgres[key].average()), "{key:?}");
    }
}

/// Ingests by REST: endpoint and values.
async fn send(server: &Server, world: &World, rows: &[(&str, &[f64])]) {
    let rows: Vec<_> = rows
        .iter()
        .flat_map(|(endpoint, values)| {
            values.iter().map(|value| {
                let at = NOW.plus_micros(-MINUTE_MICROS).to_string();
                json!({ "type": "API_RESPONSE", "endpoint": *endpoint, "value": *value, "timestamp": at })
            })
        })
        .collect();
    let path = format!("/ingest/v1/metrics?project={}", world.id("project", 1));
    let request = server.request(reqwest::Method::POST, &path).header("content-type", "application/json");
    let reply = crate::harness::server::send(request.body(json!(rows).to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

fn ten(slow: f64) -> Vec<f64> {
    let mut values = vec![1.0; 9];
    values.push(slow);
    values
}

on_both_databases! {
    async fn every_answer_takes_the_nearest_rank(database: TestDatabase) {
        let server = Server::start(database, Clock::fixed(NOW), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 projects=1").await;
        let numbers: Vec<f64> = (1..=150).map(f64::from).collect();
        let slow = ten(1_000.0);
        send(&server, &world, &[
            ("slow", &slow), ("steady", &[5.0; 10]), ("two", &[10.0, 1_000.0]), ("many", &numbers), ("equal", &[0.1; 3]),
        ]).await;
        let query = "query ($ids: [ID!]) {
            slowestEndpoints(first: 2, rankBy: P95, filter: { projectIds: $ids, endpoint: { in: [\"slow\", \"steady\"] } }) {
                endpoint value stats { percentile(p: 95) }
            }
            metricGroups(groupBy: [ENDPOINT], filter: { projectIds: $ids }) { keys { value } stats {
                average min max p0: percentile(p: 0) p100: percentile(p: 100) ps: percentiles(ps: [95]) { value lower upper }
            } }
            metricSeries(bucket: \"PT1H\", filter: { projectIds: $ids, endpoint: { eq: \"slow\" }, time: { last: \"PT1H\" } }) {
                stats { percentile(p: 95) }
            }
            exact: metricStats(filter: { projectIds: $ids, endpoint: { eq: \"many\" }, exact: true }) {
                p99: percentile(p: 99) p50: percentile(p: 50) p999: percentile(p: 99.9)
            }
            bounds: metricStats(filter: { projectIds: $ids, endpoint: { eq: \"two\" } }) {
                percentiles(ps: [50, 50.000000001]) { value lower upper }
            }
        }";
        let data = server.graphql(query, json!({ "ids": [world.id("project", 1)] })).await.data();
        let ranking = data["slowestEndpoints"].as_array().unwrap();
        assert_eq!(ranking[0]["endpoint"], "slow", "{data}");
        assert_eq!((ranking[0]["value"].as_f64(), ranking[0]["stats"]["percentile"].as_f64()), (Some(1_000.0), Some(1_000.0)));
        let group = |name: &str| {
            let nodes = data["metricGroups"].as_array().unwrap();
            nodes.iter().find(|node| node["keys"][0]["value"] == name).unwrap()["stats"].clone()
        };
        let exactly = |value: f64| json!([{ "value": value, "lower": value, "upper": value }]);
        assert_eq!(group("slow"), json!({
            "average": 100.9, "min": 1.0, "max": 1_000.0, "p0": 1.0, "p100": 1_000.0, "ps": exactly(1_000.0),
        }));
        assert_eq!(group("equal"), json!({
            "average": 0.1, "min": 0.1, "max": 0.1, "p0": 0.1, "p100": 0.1, "ps": exactly(0.1),
        }));
        let buckets: Vec<&Value> = data["metricSeries"].as_array().unwrap().iter().collect();
        assert!(buckets.iter().any(|bucket| bucket["stats"]["percentile"] == 1_000.0), "{data}");
        // Rank 149, 75 and 150 of 150.
        assert_eq!(data["exact"], json!({ "p99": 149.0, "p50": 75.0, "p999": 150.0 }));
        assert_eq!(data["bounds"]["percentiles"], json!([exactly(10.0)[0], exactly(1_000.0)[0]]));
    }
}
