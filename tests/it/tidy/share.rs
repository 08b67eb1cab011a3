//! No room holds more than its share of the code.

use std::collections::BTreeMap;

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{self, Source},
};

/// The largest room's share of the lines outside of tests, in percent.
const PERCENT_MAX: usize = 18;

fn lines_by_room<'a>(sources: &[&'a Source]) -> BTreeMap<&'a str, usize> {
    let mut lines = BTreeMap::new();
    for source in sources {
        let room = source.module.first().map_or("lib", String::as_str);
        *lines.entry(room).or_default() += source.lines();
    }
    lines
}

fn check(sources: &[&Source], percent_max: usize) -> Vec<Finding> {
    let lines = lines_by_room(sources);
    let total: usize = lines.values().sum();
    let large = lines.iter().filter(|(_, lines)| *lines * 100 > total * percent_max);
    large
        .map(|(room, lines)| {
            let rule = format!("`{room}` has {lines} of {total} lines, at most {percent_max} %");
            Finding::new(&format!("src/{room}"), 1, rule, "make two rooms of it, each with a vocabulary of its own")
        })
        .collect()
}

#[test]
fn no_room_is_too_large() {
    let sources: Vec<_> = source::product().collect();
    let lines = lines_by_room(&sources);
    let total: usize = lines.values().sum();
    for (room, lines) in &lines {
        println!("{room:<12}{lines:>7}{:>6}.{} %", lines * 100 / total, lines * 1000 / total % 10);
    }
    println!("{:<12}{total:>7}", "all");
    assert_kept(check(&sources, PERCENT_MAX));
}

mod planted {
    use super::*;

    #[test]
    fn a_room_that_is_too_large() {
        let sources: Vec<Source> = (0..10).map(|room| Source::new(&format!("src/room{room}.rs"), "\n")).collect();
        let large = Source::new("src/room0/more.rs", "\n\n\n\n#[cfg(test)]\nmod tests {}\n\n");
        let small: Vec<&Source> = sources.iter().collect();
        let all: Vec<&Source> = small.iter().copied().chain([&large]).collect();
        assert_found(&check(&all, 18), 1, "`room0` has 6 of 15 lines");
        assert_kept(check(&small, 18));
    }
}
