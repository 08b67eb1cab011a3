//! Imports between rooms follow the table and point down.

use super::{
    finding::{Finding, assert_found, assert_kept},
    resolve::Resolver,
    source::{self, Source},
};

/// A room (a module at the root of the crate, or a crate of the workspace) and what it may import: `"model"` is the
/// whole room, `"db::Database"` one name of it.
struct Room {
    name: &'static str,
    may_import: &'static [&'static str],
}

/// Stands for every room below.
const EVERYTHING: &[&str] = &["*"];

/// The rooms from the top of the house to its ground. A room imports only rooms that stand below it, which is why there
/// is no circle between rooms. A room that is missing here fails.
const ROOMS: &[Room] = &[
    // Start: builds the parts and hands them to each other.
    Room { name: "main", may_import: &["cli"] },
    Room { name: "cli", may_import: EVERYTHING },
    Room { name: "seed", may_import: EVERYTHING },
    Room { name: "app", may_import: EVERYTHING },
    // Protocol: translates and never decides. It passes the database handle on, so it may name that one type.
    Room {
        name: "http",
        may_import: &[
            "engine",
            "graphql",
            "auth",
            "ingest",
            "live",
            // Old rows need partitions.
            "jobs::partitions",
            "jobs::self_monitoring",
            "db::Database",
            "model",
            "error",
            "clock",
            "random",
            "config",
        ],
    },
    Room {
        name: "graphql",
        may_import: &[
            "engine",
            "auth",
            "directory",
            "ingest",
            "reports",
            "live",
            "db::Database",
            "db::IdGenerator",
            "db::Session",
            "db::Statement",
            "db::StatementLog",
            "model",
            "error",
            "clock",
            "config",
        ],
    },
    // Executes a schema and knows no noun of it. Of the database it knows the log of statements.
    Room { name: "engine", may_import: &["auth", "db::Statement", "model", "error", "clock", "config"] },
    // Rooms. `jobs` schedules the background work of the others and records the server's own metrics like any client.
    // Rooms that write or push ask `directory::reach` whether the caller may.
    Room {
        name: "jobs",
        may_import: &["directory", "ingest", "live", "db", "sample", "model", "error", "clock", "random", "config"],
    },
    Room { name: "auth", may_import: &["directory", "db::Session", "model", "error", "clock", "config"] },
    Room {
        name: "ingest",
        may_import: &["live", "directory::reach", "entity", "db", "model", "error", "clock", "config"],
    },
    Room {
        name: "live",
        may_import: &["directory::reach", "entity", "db", "model", "error", "clock", "random", "config"],
    },
    Room { name: "reports", may_import: &["entity", "db", "model", "error", "clock", "config"] },
    Room { name: "directory", may_import: &["entity", "db", "model", "error", "clock", "config"] },
    // Storage words.
    Room { name: "db", may_import: &["entity", "model", "error", "clock", "config"] },
    Room { name: "entity", may_import: &["model"] },
    // Ground: no framework, no database.
    Room { name: "sample", may_import: &["model", "error"] },
    Room { name: "config", may_import: &["model", "error"] },
    Room { name: "clock", may_import: &["model"] },
    Room { name: "random", may_import: &[] },
    Room { name: "error", may_import: &["model"] },
    Room { name: "model", may_import: &[] },
];

fn imports(source: &Source, rooms: &[Room]) -> Vec<Finding> {
    let Some(own) = source.module.first() else { return Vec::new() };
    let Some(room) = rooms.iter().find(|room| room.name == *own) else {
        let fix = format!(
            "decide what `{own}` may import and add it to ROOMS in tests/it/tidy/arrows.rs and to ARCHITECTURE.md"
        );
        return vec![Finding::new(&source.path, 1, format!("`{own}` is a room without a place in ROOMS"), fix)];
    };
    if room.may_import == EVERYTHING {
        return Vec::new();
    }
    let mut found = Vec::new();
    for path in source.names() {
        let Some(resolved) = source.resolved(path) else { continue };
        let Some(target) = resolved.first() else { continue };
        // A name at the root of the crate that is no room is a macro or a re-export.
        if target == own || !rooms.iter().any(|room| room.name == target) {
            continue;
        }
        let item = resolved.get(1).map(|second| format!("{target}::{second}")).unwrap_or_default();
        if !room.may_import.iter().any(|allowed| *allowed == target || *allowed == item) {
            let named = if item.is_empty() { target } else { &item };
            let allowed =
                if room.may_import.is_empty() { "nothing of this crate".into() } else { room.may_import.join(", ") };
            found.push(Finding::new(
                &source.path,
                path.line,
                format!("`{own}` may not import `{named}`"),
                format!("it may import {allowed}; let the caller hand the value in, or move the code"),
            ));
        }
    }
    found
}

/// Uses of a room that stands above, also by rooms that may import everything below them.
fn upwards(sources: &[&Source], rooms: &[Room]) -> Vec<Finding> {
    let level = |name: &String| rooms.iter().position(|room| room.name == *name);
    let resolver = Resolver::new(sources.iter().copied());
    let mut found = Vec::new();
    for need in sources.iter().flat_map(|source| resolver.needs(source)) {
        let (Some(from), Some(to)) = (need.from.module.first(), need.to.module.first()) else { continue };
        if from != to && level(to) < level(from) {
            let rule = format!("`{from}` uses `{to}` ({}), which stands above it in ROOMS", need.to.path);
            let fix = "move what both need down, or hand it in from above";
            found.push(Finding::new(&need.from.path, need.line, rule, fix));
        }
    }
    found
}

#[test]
fn rooms_import_only_along_the_arrows() {
    assert_kept(source::product().flat_map(|source| imports(source, ROOMS)));
}

#[test]
fn arrows_point_down() {
    assert_kept(upwards(&source::product().collect::<Vec<_>>(), ROOMS));
    for (index, room) in ROOMS.iter().enumerate() {
        for target in room.may_import.iter().filter(|_| room.may_import != EVERYTHING) {
            let target = target.split("::").next().unwrap();
            let is_below = ROOMS[index + 1..].iter().any(|below| below.name == target);
            assert!(is_below, "ROOMS lets `{}` import {target:?}, which does not stand below it", room.name);
        }
    }
}

mod planted {
    use super::*;

    #[test]
    fn a_sideways_import() {
        let check = |path, raw| imports(&Source::new(path, raw), ROOMS);
        assert_found(
            &check("src/reports/slowest.rs", "\nuse crate::{db::Session, ingest::batch};"),
            2,
            "ingest::batch",
        );
        assert_found(&check("src/graphql/types/project.rs", "fn f(_: crate::entity::project::Model) {}"), 1, "entity");
        assert_found(&check("src/live.rs", "use super::directory;"), 1, "directory");
        assert_found(&check("src/live/filter.rs", "use crate::directory::{project, reach};"), 1, "directory::project");
        assert_found(&check("src/live/bus.rs", "fn f() { assert!(crate::directory::f()) }"), 1, "directory");
        assert_found(&check("src/http/health.rs", "use crate::db::{Database, pool};"), 1, "db::pool");
        assert_found(&check("src/model/id.rs", "use crate::error::Error;"), 1, "nothing of this crate");
        assert_kept(check(
            "src/ingest/write.rs",
            "// crate::reports\nuse crate::{live::Publisher, entity, db::Session};",
        ));
        assert_kept(check("src/live/bus.rs", "#[cfg(test)]\nmod tests { use crate::directory; }"));
    }

    #[test]
    fn a_room_without_a_place() {
        assert_found(&imports(&Source::new("src/billing/invoice.rs", ""), ROOMS), 1, "billing");
        assert_found(&imports(&Source::new("crates/billing/src/lib.rs", ""), ROOMS), 1, "billing");
    }

    #[test]
    fn an_arrow_up() {
        let seed = Source::new("src/seed.rs", "pub struct Size;");
        let app = Source::new("src/app.rs", "\nuse crate::seed::Size;\npub struct App;");
        assert_found(&upwards(&[&seed, &app], ROOMS), 2, "`app` uses `seed`");
        let seed = Source::new("src/seed.rs", "use crate::app::App;\npub struct Size;");
        let app = Source::new("src/app.rs", "pub struct App;");
        assert_kept(upwards(&[&seed, &app], ROOMS));
    }
}
