//! No circle of `use` between more than three files of a room: such files can only be read together. Object types of
//! the schema are the one exception.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    finding::{Finding, assert_found, assert_kept, unneeded},
    resolve::{Need, Resolver},
    source::{self, Source},
};

const FILES_MAX: usize = 3;

/// The object types of the schema that lead to each other: a project has an organization, which has projects.
///
/// A field names the type of its value, so these files import each other as the schema does. No file below them could
/// hold a part of that. They may form one circle with each other and with nothing else: every other file is free of
/// circles.
const OBJECT_TYPES: &[&str] = &[
    "src/graphql/types/columns.rs",
    "src/graphql/types/employee.rs",
    "src/graphql/types/endpoint.rs",
    "src/graphql/types/groups.rs",
    "src/graphql/types/measurements.rs",
    "src/graphql/types/metric.rs",
    "src/graphql/types/organization.rs",
    "src/graphql/types/project.rs",
    "src/graphql/types/release.rs",
    "src/graphql/types/reports.rs",
    "src/graphql/types/team.rs",
];

/// The code that declares an object type.
const DECLARATIONS: &[&str] = &["#[Object", "SimpleObject", "connection::connection! {"];

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

fn check(sources: &[&Source], object_types: &[&str]) -> Vec<Finding> {
    let circles = circles(sources);
    let mut found = Vec::new();
    for circle in circles.iter().filter(|circle| circle.files.iter().any(|file| !object_types.contains(file))) {
        let (length, room) = (circle.files.len(), circle.room);
        let rule = format!("a circle of {length} files in `{room}`, at most {FILES_MAX}:{}\n     ", circle.describe());
        let first = circle.needs.first().map_or(("", 1), |need| (need.from.path.as_str(), need.line));
        let fix = "move what several of them need into a file of its own, below them";
        found.push(Finding::new(first.0, first.1, rule, fix));
    }
    let is_in_a_circle = |path: &str| circles.iter().any(|circle| circle.files.contains(path));
    found.extend(unneeded("OBJECT_TYPES", object_types.iter().copied(), is_in_a_circle));
    for source in sources.iter().filter(|source| object_types.contains(&source.path.as_str())) {
        if !DECLARATIONS.iter().any(|declaration| source.raw.contains(declaration)) {
            let rule = "is in OBJECT_TYPES and declares no object type";
            found.push(Finding::new(&source.path, 1, rule, "remove the entry, and the file from the circle"));
        }
    }
    found
}

#[test]
fn no_circle_has_more_than_three_files() {
    assert_kept(check(&source::product().collect::<Vec<_>>(), OBJECT_TYPES));
}

mod planted {
    use super::*;

    const FILES: [&str; 4] = ["src/live/a.rs", "src/live/b.rs", "src/live/c.rs", "src/live/d.rs"];

    fn room(last: &str) -> Vec<Source> {
        vec![
            Source::new("src/live.rs", "mod a; mod b; mod c; mod d; pub use a::A; pub use d::D;"),
            Source::new("src/live/a.rs", "\nuse super::b::B; #[derive(SimpleObject)] pub struct A;"),
            Source::new("src/live/b.rs", "use super::c::C; #[derive(SimpleObject)] pub struct B;"),
            Source::new("src/live/c.rs", "use super::D; #[derive(SimpleObject)] pub struct C;"),
            Source::new("src/live/d.rs", last),
        ]
    }

    fn found(sources: &[Source], object_types: &[&str]) -> Vec<Finding> {
        check(&sources.iter().collect::<Vec<_>>(), object_types)
    }

    #[test]
    fn a_circle() {
        let circle = room("use super::A; pub struct D;");
        assert_found(&found(&circle, &[]), 2, "a circle of 4 files in `live`");
        assert_found(&found(&circle, &[]), 2, "src/live/d.rs:1 -> src/live/a.rs");
        assert_kept(found(&room("use super::b::B; pub struct D;"), &[]));
        assert_kept(found(&room("pub struct D; #[cfg(test)] mod tests { use crate::live::A; }"), &[]));
    }

    #[test]
    fn a_circle_of_object_types_and_another_file() {
        let circle = room("use super::A; #[derive(SimpleObject)] pub struct D;");
        assert_kept(found(&circle, &FILES));
        assert_found(&found(&circle, &FILES[..3]), 2, "a circle of 4 files in `live`");
    }

    #[test]
    fn an_object_type_that_is_none_or_is_in_no_circle() {
        assert_found(&found(&room("use super::A; pub struct D;"), &FILES), 1, "declares no object type");
        let open = room("#[derive(SimpleObject)] pub struct D;");
        assert_found(&found(&open, &FILES[3..]), 1, "is in OBJECT_TYPES without need");
    }
}
