//! How often verdicts on releases are right, played with a printed seed; the benchmark plays many more.

use perfgraph::reports::Statistic;

use super::simulation::{Scene, Tally, play};

const RNG_SEED: u64 = 20_261_121;

#[expect(clippy::print_stdout, reason = "shown when the test fails, so that the run can be repeated")]
fn played(scene: &Scene, statistic: Statistic, replays: usize) -> Tally {
    let tally = play(scene, statistic, replays, RNG_SEED);
    println!("rng seed {RNG_SEED}, {statistic:?}, {scene:?}: {tally}");
    tally
}

/// A release that changes nothing hardly ever looks as if it did: neither by verdict nor by release.
#[test]
fn what_did_not_change_is_left_alone() {
    for statistic in [Statistic::P95, Statistic::P50] {
        let tally = played(&Scene::HOUR, statistic, 150);
        assert!(tally.untouched == 750 && tally.wrong_share() <= 0.01, "{tally}");
    }
}

/// One endpoint of five, slowed down by a quarter for an hour at twenty measurements a minute.
#[test]
fn a_quarter_slower_is_found() {
    let scene = Scene { slowed: 1, ..Scene::HOUR };
    for statistic in [Statistic::P95, Statistic::P50] {
        let tally = played(&scene, statistic, 150);
        assert!(tally.slowed == 150 && tally.found_share() >= 0.95 && tally.wrong_share() <= 0.01, "{tally}");
    }
}
