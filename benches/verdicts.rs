//! Counts false and true verdicts on releases: the simulation of the tests, with enough replays to resolve one in a thousand.
//!
//! `make simulate REPLAYS=2000 RNG_SEED=1`; no database, a minute or two. Fails when a scene passes its bound: at most 1 % of
//! verdicts on unchanged endpoints are false, and at least 95 % of slowdowns by a quarter are found.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a program that prints its results and takes its size from the environment"
)]

#[path = "../src/reports/comparison/simulation.rs"]
mod simulation;

use perfgraph::{
    model::Tally,
    reports::{
        Statistic,
        comparison::{Change, Minutes, Verdict, judge},
        statistic::WorstValue,
    },
};
use simulation::{Scene, play};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map_or(default, |text| text.parse().expect("a whole number"))
}

fn main() {
    let replays = usize::try_from(number("REPLAYS", 2_000)).expect("not that many");
    let rng_seed = number("RNG_SEED", 1);
    let hour = Scene::HOUR;
    let rough = Scene { effect: 0.1, inertia: 0.8, ..hour };
    let scenes = [
        ("nothing changed", hour),
        ("nothing changed, heavier tails", Scene { spread: 0.5, ..hour }),
        ("nothing changed, strong and correlated minute effects", rough),
        ("nothing changed, the same, one endpoint", Scene { endpoints: 1, ..rough }),
        ("nothing changed, one in 500 times out", Scene { timeouts: 0.002, ..hour }),
        ("nothing changed, twenty minutes", Scene { minutes: 20, ..hour }),
        ("nothing changed, twenty busy, minutes with strong and correlated effects", Scene::FIRST_MINUTES),
        ("one of five a quarter slower", Scene { slowed: 1, ..hour }),
        ("three of five a quarter slower", Scene { slowed: 3, ..hour }),
        ("one of five a quarter slower, heavier tails", Scene { slowed: 1, spread: 0.5, ..hour }),
        ("one of ten a quarter slower", Scene { slowed: 1, endpoints: 10, ..hour }),
    ];
    println!("rng seed {rng_seed}");
    let mut failed = 0;
    for (name, scene) in scenes {
        for statistic in [Statistic::P50, Statistic::P95, Statistic::Average] {
            let score = play(&scene, statistic, replays, rng_seed);
            println!("{name}, {statistic:?}: {score}");
            // Heavier tails and more endpoints lower the share that is found; the bound is that of one or three of five.
            let is_bounded = scene.slowed > 0 && scene.endpoints == 5 && scene.spread <= hour.spread;
            let is_found = !is_bounded || score.found_share() >= 0.95;
            if score.wrong_share() > 0.01 || !is_found {
                println!("  out of bounds");
                failed += 1;
            }
        }
    }
    assert!(failed == 0, "{failed} results are out of bounds");
}
