//! How often verdicts on releases are right: the simulation of the tests, played often enough to tell one in a thousand.
//!
//! `REPLAYS=2000 RNG_SEED=1 cargo bench --bench verdicts`; no database, a minute or two.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a program that prints what it finds, and is told by its environment how long to look"
)]

#[path = "../src/reports/comparison/simulation.rs"]
mod simulation;

use perfgraph::{
    model::Tally,
    reports::{
        Statistic,
        comparison::{Change, Minutes, Verdict, judge},
        statistic::Worst,
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
    let rough = Scene { weather: 0.1, inertia: 0.8, ..hour };
    let scenes = [
        ("nothing changed", hour),
        ("nothing changed, heavier tails", Scene { spread: 0.5, ..hour }),
        ("nothing changed, rough and sluggish weather", rough),
        ("nothing changed, the same, one endpoint", Scene { endpoints: 1, ..rough }),
        ("nothing changed, one in 500 times out", Scene { timeouts: 0.002, ..hour }),
        ("nothing changed, twenty minutes", Scene { minutes: 20, ..hour }),
        ("nothing changed, twenty busy, rough and sluggish minutes", Scene::FIRST_MINUTES),
        ("one of five a quarter slower", Scene { slowed: 1, ..hour }),
        ("three of five a quarter slower", Scene { slowed: 3, ..hour }),
        ("one of five a quarter slower, heavier tails", Scene { slowed: 1, spread: 0.5, ..hour }),
        ("one of ten a quarter slower", Scene { slowed: 1, endpoints: 10, ..hour }),
    ];
    println!("rng seed {rng_seed}");
    for (name, scene) in scenes {
        for statistic in [Statistic::P50, Statistic::P95, Statistic::Average] {
            println!("{name}, {statistic:?}: {}", play(&scene, statistic, replays, rng_seed));
        }
    }
}
