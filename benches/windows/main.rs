//! The cost of a committed measurement while windows are watched: nanoseconds of one core per measurement, for batches
//! of one and of a hundred, with one and with 1,000 watched keys. The aim is at most 1,000.
//!
//! `cargo bench --bench windows`

#![expect(clippy::disallowed_methods, reason = "a program of its own: it measures time")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(clippy::expect_used, reason = "what it asks is sound, or it has nothing to measure")]

use std::{sync::Arc, time::Instant};

use perfgraph::{
    config,
    live::{
        CommittedBatch, Filter,
        window::{GroupKey, WindowGroups, WindowQuery, WindowRegistry, WindowRequest, WindowSnapshot, WindowUpdate},
    },
    model::{
        Key, Labels, Measurement, MetricType, OrganizationId, ProjectId, Role, Scope, Timestamp,
        timestamp::SECOND_MICROS,
    },
};
use tokio::sync::watch::Receiver;

const ORGANIZATION: OrganizationId = OrganizationId(1);
const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);
/// Endpoints of one project are watched one by one: the hardest case to find who watches.
const PROJECT: Key<ProjectId> = Key::new(ORGANIZATION, ProjectId(1));
const MEASUREMENTS: usize = 400_000;
/// Measurements in a second, which is also how often every window moves on and is read.
const RATE: usize = 20_000;

fn main() {
    println!("{:>8} {:>8} {:>16} {:>16}", "keys", "batch", "counting, ns", "with ticks, ns");
    for keys in [1, 1_000] {
        for size in [1, 100] {
            let (counting, total) = run(keys, size);
            println!("{keys:>8} {size:>8} {counting:>16.0} {total:>16.0}");
        }
    }
}

fn path(number: usize) -> String {
    format!("GET /route/{number}")
}

fn watched(keys: usize) -> (WindowRegistry, Vec<Receiver<WindowUpdate>>) {
    let settings = config::Live { window_cells_max: 10_000_000, ..config::Live::default() };
    let mut registry = WindowRegistry::new(&settings);
    let scope = Scope::organization(ORGANIZATION, Role::Viewer);
    let watch = |number| {
        let filter = Filter { projects: vec![PROJECT], endpoints: vec![path(number)], ..Filter::default() };
        let request = WindowRequest {
            filter,
            length: 60 * SECOND_MICROS,
            every: SECOND_MICROS,
            group_by: vec![GroupKey::Endpoint],
            after: None,
        };
        let query = WindowQuery::new(&scope, request, &settings).expect("a valid window");
        let (seen, request) = registry.subscribe(query, START).expect("room for every key");
        if let Some(request) = request {
            let nothing = WindowSnapshot { sequence: 0, groups: WindowGroups::default() };
            registry.load(request, Ok(nothing), START);
        }
        seen
    };
    let seen = (0..keys).map(watch).collect();
    (registry, seen)
}

/// Nanoseconds per measurement for counting alone, and with the ticks of the time that passes.
fn run(keys: usize, size: usize) -> (f64, f64) {
    let (mut registry, _seen) = watched(keys);
    let mut made = 0;
    let (mut counting, mut ticking) = (0, 0);
    let mut sequence = 0;
    while made < MEASUREMENTS {
        let second = i64::try_from(made / RATE).expect("few seconds");
        let now = START.plus_micros(second * SECOND_MICROS);
        let batches: Vec<_> = (0..RATE / size)
            .map(|_| {
                sequence += 1;
                let measurements = (0..size).map(|_| measurement(&mut made, keys, now)).collect();
                Arc::new(CommittedBatch {
                    organization: ORGANIZATION,
                    project: PROJECT,
                    sequence,
                    first_id: sequence * 1_000,
                    received_at: now,
                    measurements,
                })
            })
            .collect();
        let start = Instant::now();
        for batch in &batches {
            let gaps = registry.apply(batch, now);
            assert!(gaps.is_empty(), "no batch is missing");
        }
        counting += start.elapsed().as_nanos();
        let start = Instant::now();
        registry.tick(now.plus_micros(SECOND_MICROS));
        ticking += start.elapsed().as_nanos();
    }
    let each = |nanoseconds: u128| {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let each = nanoseconds as f64 / made as f64;
        each
    };
    (each(counting), each(counting + ticking))
}

/// Latencies of all sizes, spread over the watched endpoints.
fn measurement(made: &mut usize, keys: usize, now: Timestamp) -> Measurement {
    *made += 1;
    let scattered = made.wrapping_mul(2_654_435_761) >> 7;
    let value = f64::from(u32::try_from(scattered % 100_000).unwrap_or(0)) / 100.0 + 0.1;
    let jitter = i64::try_from(scattered % 900_000).unwrap_or(0);
    Measurement {
        kind: MetricType::ApiResponse,
        value,
        endpoint: path(scattered % keys),
        status: 200,
        timestamp: now.plus_micros(jitter),
        name: String::new(),
        release: String::new(),
        labels: Labels::None,
    }
}
