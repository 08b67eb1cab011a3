//! No circle of `use` between more than three files of a room: such files can only be read together.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    finding::{Finding, assert_found, assert_kept},
    resolve::{Need, Resolver},
    source::{self, Source},
};

const FILES_MAX: usize = 3;

/// Rooms that still have a circle, with the number of files in their largest. The numbers only go down.
const KNOWN_CIRCLES: &[(&str, usize)] = &[("config", 19), ("graphql", 22)];

struct Circle<'a> {
    room: &'a str,
    files: BTreeSet<&'a str>,
    needs: Vec<Need<'a>>,
}

impl Circle<'_> {
    /// The circle as the lines that make it: one line for each pair of files.
    fn describe(&self) -> String {
        let mut pairs = BTreeMap::new();
        for need in &self.needs {
            pairs.entry((need.from.path.as_str(), need.to.path.as_str())).or_insert(need.line);
        }
        let lines = pairs.iter().map(|((from, to), line)| format!("\n      {from}:{line} -> {to}"));
        lines.collect()
    }
}

fn circles<'a>(sources: &[&'a Source]) -> Vec<Circle<'a>> {
    let resolver = Resolver::new(sources.iter().copied());
    let is_inside = |need: &Need<'_>| need.from.module.first() == need.to.module.first();
    let needs: Vec<Need<'a>> = sources.iter().flat_map(|source| resolver.needs(source)).filter(is_inside).collect();
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for need in &needs {
        next.entry(&need.from.path).or_default().insert(&need.to.path);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|start| (*start, reach(start, &next))).collect();
    let mut found: Vec<Circle<'a>> = Vec::new();
    for (start, reach) in &reached {
        if found.iter().any(|circle| circle.files.contains(start)) {
            continue;
        }
        let leads_back = |file: &&&str| reached.get(**file).is_some_and(|back| back.contains(start));
        let files: BTreeSet<&str> = reach.iter().filter(leads_back).copied().collect();
        if files.len() > FILES_MAX {
            let is_part =
                |need: &&Need<'_>| files.contains(need.from.path.as_str()) && files.contains(need.to.path.as_str());
            let needs: Vec<Need<'a>> = needs.iter().filter(is_part).copied().collect();
            let room = needs.first().map_or("", |need| need.from.module[0].as_str());
            found.push(Circle { room, files, needs });
        }
    }
    found
}

fn reach<'a>(start: &str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = vec![start];
    while let Some(file) = open.pop() {
        for to in next.get(file).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(to);
            }
        }
    }
    reached
}

fn check(sources: &[&Source], known: &[(&str, usize)]) -> Vec<Finding> {
    let circles = circles(sources);
    let known_size = |room: &str| known.iter().find(|(name, _)| *name == room).map_or(FILES_MAX, |(_, size)| *size);
    let mut found = Vec::new();
    for circle in circles.iter().filter(|circle| circle.files.len() > known_size(circle.room)) {
        let rule = format!(
            "a circle of {} files in `{}`, at most {}:{}\n     ",
            circle.files.len(),
            circle.room,
            known_size(circle.room),
            circle.describe()
        );
        let first = circle.needs.first().map_or(("", 1), |need| (need.from.path.as_str(), need.line));
        let fix = "move what several of them need into a file of its own, below them";
        found.push(Finding::new(first.0, first.1, rule, fix));
    }
    for (room, size) in known {
        let largest = circles.iter().filter(|circle| circle.room == *room).map(|circle| circle.files.len()).max();
        if largest.unwrap_or(0) < *size {
            let rule = format!("KNOWN_CIRCLES says {size} for `{room}`, its largest circle has {largest:?} files");
            found.push(Finding::new("tests/it/tidy/circles.rs", 1, rule, "lower the number or remove the entry"));
        }
    }
    found
}

#[test]
fn no_circle_has_more_than_three_files() {
    assert_kept(check(&source::product().collect::<Vec<_>>(), KNOWN_CIRCLES));
}

mod planted {
    use super::*;

    fn room(last: &str) -> Vec<Source> {
        vec![
            Source::new("src/live.rs", "mod a; mod b; mod c; mod d; pub use a::A; pub use d::D;"),
            Source::new("src/live/a.rs", "\nuse super::b::B; pub struct A;"),
            Source::new("src/live/b.rs", "use super::c::C; pub struct B;"),
            Source::new("src/live/c.rs", "use super::D; pub struct C;"),
            Source::new("src/live/d.rs", last),
        ]
    }

    fn found(sources: &[Source], known: &[(&str, usize)]) -> Vec<Finding> {
        check(&sources.iter().collect::<Vec<_>>(), known)
    }

    #[test]
    fn a_circle() {
        let circle = room("use super::A; pub struct D;");
        assert_found(&found(&circle, &[]), 2, "a circle of 4 files in `live`");
        assert_found(&found(&circle, &[]), 2, "src/live/d.rs:1 -> src/live/a.rs");
        assert_found(&found(&circle, &[("live", 5)]), 1, "says 5");
        assert_kept(found(&circle, &[("live", 4)]));
        assert_kept(found(&room("use super::b::B; pub struct D;"), &[]));
        assert_kept(found(&room("pub struct D; #[cfg(test)] mod tests { use crate::live::A; }"), &[]));
    }
}
