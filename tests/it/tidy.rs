//! The house rules of ARCHITECTURE.md, each as a test: a rule without a test fades.
//! The tables say what holds; `tidy/rules.rs` says how it is checked, `tidy/source.rs` how files are read.
//! Every checker is also shown a planted breach, so that none of them can pass by finding nothing.

mod rules;
mod source;

use rules::{Call, EVERYTHING, Finding, Framework, Places, Room};
use source::Source;

/// Who may import whom, from the top of the house to its ground. A room that is missing here fails.
const ROOMS: &[Room] = &[
    // Start: builds the parts and hands them to each other.
    Room { name: "main", may_import: &["cli"] },
    Room { name: "cli", may_import: EVERYTHING },
    Room { name: "app", may_import: EVERYTHING },
    Room { name: "seed", may_import: EVERYTHING },
    // Protocol: translates and never decides. It passes the database handle on, so it may name that one type.
    Room {
        name: "http",
        may_import: &[
            "engine",
            "graphql",
            "auth",
            "ingest",
            "live",
            "jobs::self_monitoring",
            "db::Database",
            "model",
            "error",
            "clock",
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
            "db::Session",
            "db::Statement",
            "db::StatementLog",
            "model",
            "error",
            "clock",
            "config",
        ],
    },
    Room {
        // Executes a schema and knows no noun of it. Of the database it knows the log of statements.
        name: "engine",
        may_import: &["auth", "db::Statement", "model", "error", "clock", "config"],
    },
    // Rooms. The only arrows between them: auth -> directory; ingest -> live; ingest and live -> directory::reach, which
    // decides what a caller may do; and jobs -> directory, ingest and live, whose background work it schedules.
    Room { name: "auth", may_import: &["directory", "db::Session", "model", "error", "clock", "config"] },
    Room { name: "directory", may_import: &["entity", "db", "model", "error", "clock", "config"] },
    Room {
        name: "ingest",
        may_import: &["live", "directory::reach", "entity", "db", "model", "error", "clock", "config"],
    },
    Room { name: "reports", may_import: &["entity", "db", "model", "error", "clock", "config"] },
    Room {
        name: "jobs",
        may_import: &["directory", "ingest", "live", "db", "model", "error", "clock", "random", "config"],
    },
    Room {
        name: "live",
        may_import: &["directory::reach", "entity", "db", "model", "error", "clock", "random", "config"],
    },
    // Storage words.
    Room { name: "db", may_import: &["entity", "model", "error", "clock", "config"] },
    Room { name: "entity", may_import: &["model"] },
    // Ground: no framework, no database.
    Room { name: "config", may_import: &["model", "error"] },
    Room { name: "clock", may_import: &["model"] },
    Room { name: "random", may_import: &[] },
    Room { name: "error", may_import: &["model"] },
    Room { name: "model", may_import: &[] },
];

/// Ids and times may derive what an entity needs to hold them.
const NO_DATABASE: Places = Places::Never(
    &["src/http", "src/engine", "src/graphql", "src/auth", "src/model", "src/config", "src/clock", "src/error"],
    &["src/model/id", "src/model/timestamp"],
);

const FRAMEWORKS: &[Framework] = &[
    Framework {
        name: "async_graphql",
        places: Places::Only(&[
            "src/engine",
            "src/graphql",
            "src/http/graphql",
            "src/http/websocket",
            "src/http/streams",
            "src/http/request_body",
            "src/app",
        ]),
        fix: "return a model type and translate it in graphql/",
    },
    Framework {
        name: "async_graphql_axum",
        places: Places::Only(&["src/http/graphql", "src/http/websocket", "src/http/request_body"]),
        fix: "keep the protocol in http/",
    },
    Framework {
        name: "axum",
        places: Places::Only(&["src/http", "src/app", "src/cli"]),
        fix: "keep the protocol in http/; return error::Error and let http/ make a response of it",
    },
    Framework { name: "sea_orm", places: NO_DATABASE, fix: "ask a room; put conversions of its errors into db/" },
    Framework { name: "sqlx", places: NO_DATABASE, fix: "ask a room; put conversions of its errors into db/" },
    Framework {
        name: "dataloader",
        places: Places::Only(&["src/engine/loader"]),
        fix: "load through engine/loader, which alone knows the library",
    },
    Framework { name: "redis", places: Places::Only(&["src/live/bus/redis"]), fix: "tell others through live/bus" },
    Framework { name: "toml", places: Places::Only(&["src/config"]), fix: "read settings from config" },
];

const CALLS: &[Call] = &[
    Call {
        functions: &[("SystemTime", "now"), ("Instant", "now"), ("Timestamp", "now"), ("Zoned", "now"), ("Utc", "now")],
        only_in: &["src/clock"],
        fix: "take a Clock, which tests can stop",
    },
    Call {
        functions: &[("env", "var*"), ("env", "set_var"), ("env", "remove_var")],
        only_in: &["src/config"],
        fix: "add a setting to config and take it as an argument",
    },
    Call {
        functions: &[("tokio", "spawn"), ("task", "spawn"), ("thread", "spawn")],
        // A loader's batch must outlive the caller that happened to start it, or its siblings lose their answer.
        only_in: &["src/app", "src/jobs", "src/engine/loader"],
        fix: "offer an async `run` and let app.rs spawn it, which also waits for it at the end",
    },
    Call {
        functions: &[("Entity", "find*")],
        only_in: &["src/directory", "src/ingest", "src/reports", "src/live", "src/jobs"],
        fix: "ask the room that owns the table",
    },
    Call {
        functions: &[("Scope", "everything"), ("Scope", "organization")],
        only_in: &["src/auth"],
        fix: "take the Scope that the caller was given; only auth makes one",
    },
];

/// Files that may be longer than `LINES_MAX`, each with the reason.
const LONGER_FILES: &[(&str, &str)] = &[];
const LINES_MAX: usize = 400;

/// Room functions that cannot have a Scope, each with the reason (they run before one exists).
const WITHOUT_SCOPE: &[(&str, &str)] = &[];

/// Spelled in halves, or this file would be its own finding.
const MACHINE_ROOTS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

const CODE: &[&str] = &["src/", "tests/", "benches/", "migrations/"];

#[track_caller]
fn assert_kept(found: &[Finding]) {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "\n{} house rule(s) broken:\n  {}\n", found.len(), lines.join("\n  "));
}

/// The planted breach must be found once, on the line where it stands.
#[track_caller]
fn assert_found(found: &[Finding], line: usize, part: &str) {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 1, "expected one finding, got {lines:?}");
    assert_eq!(found[0].line, line, "{lines:?}");
    assert!(lines[0].contains(part), "{lines:?} does not say {part:?}");
}

fn each(folders: &[&str], check: impl Fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    let sources = source::sources(folders);
    assert!(!sources.is_empty(), "found no Rust file below {folders:?}");
    sources.iter().flat_map(check).collect()
}

#[test]
fn rooms_import_only_along_the_arrows() {
    assert_kept(&each(&["src/"], |source| rules::imports(source, ROOMS)));
}

#[test]
fn frameworks_stay_in_their_rooms() {
    assert_kept(&each(&["src/"], |source| rules::frameworks(source, FRAMEWORKS)));
}

#[test]
fn time_environment_tasks_tables_and_scopes_come_from_one_place() {
    assert_kept(&each(&["src/"], |source| rules::calls(source, CALLS)));
}

#[test]
fn nothing_is_unfinished_or_ignored() {
    assert_kept(&each(CODE, rules::unfinished));
}

#[test]
fn every_file_has_a_head() {
    assert_kept(&each(&["src/"], rules::head));
}

#[test]
fn files_stay_short() {
    let mut found = each(&["src/"], |source| rules::length(source, LINES_MAX, LONGER_FILES));
    found.extend(rules::stale_exceptions(&source::sources(&["src/"]), LINES_MAX, LONGER_FILES));
    assert_kept(&found);
}

#[test]
fn room_functions_take_the_scope_first() {
    assert_kept(&each(&["src/"], |source| {
        let is_asked = source.is_within_any(&["src/directory", "src/reports"]) && !source.is_test_module();
        if is_asked { rules::scope_first(source, WITHOUT_SCOPE) } else { Vec::new() }
    }));
}

#[test]
fn reports_write_nothing() {
    assert_kept(&each(
        &["src/"],
        |source| {
            if source.is_within("src/reports") { rules::writes(source) } else { Vec::new() }
        },
    ));
}

#[test]
fn nothing_is_called_a_drawer() {
    let files = source::repository_files();
    let ours = files.iter().filter(|path| CODE.iter().any(|folder| path.starts_with(folder)));
    assert_kept(&ours.flat_map(|path| rules::drawers(path)).collect::<Vec<_>>());
}

#[test]
fn nothing_points_at_one_machine() {
    let files = source::repository_files();
    let found = files.iter().flat_map(|path| rules::machine_paths(path, &source::text(path), MACHINE_ROOTS));
    assert_kept(&found.collect::<Vec<_>>());
}

#[test]
fn the_map_is_short_and_complete() {
    let files = source::repository_files();
    let mut folders: Vec<String> = files
        .iter()
        .filter_map(|path| path.strip_prefix("src/")?.split_once('/'))
        .map(|(folder, _)| folder.to_owned())
        .collect();
    folders.dedup();
    assert_kept(&rules::map("ARCHITECTURE.md", &source::text("ARCHITECTURE.md"), 150, &folders));
    assert!(files.iter().any(|path| path == "CHANGELOG.md"), "CHANGELOG.md is missing: users read there what changed");
}

/// Each checker against a text that breaks its rule, and against the nearest text that keeps it.
mod planted {
    use super::*;

    fn at(path: &str, raw: &str) -> Source {
        Source::new(path, raw)
    }

    #[test]
    fn a_sideways_import() {
        let check = |path, raw| rules::imports(&at(path, raw), ROOMS);
        assert_found(
            &check("src/reports/slowest.rs", "\nuse crate::{db::Session, ingest::batch};"),
            2,
            "ingest::batch",
        );
        assert_found(&check("src/graphql/types/project.rs", "fn f(_: crate::entity::project::Model) {}"), 1, "entity");
        assert_found(&check("src/live.rs", "use super::directory;"), 1, "directory");
        assert_found(&check("src/live/filter.rs", "use crate::directory::{project, reach};"), 1, "directory::project");
        assert_found(&check("src/http/health.rs", "use crate::db::{Database, pool};"), 1, "db::pool");
        assert_found(&check("src/model/id.rs", "use crate::error::Error;"), 1, "nothing of this crate");
        assert_kept(&check(
            "src/ingest/write.rs",
            "// crate::reports\nuse crate::{live::Publisher, entity, db::Session};",
        ));
        assert_kept(&check("src/live/bus.rs", "#[cfg(test)]\nmod tests { use crate::directory; }"));
    }

    #[test]
    fn a_room_that_nobody_placed() {
        assert_found(&rules::imports(&at("src/billing/invoice.rs", ""), ROOMS), 1, "billing");
    }

    #[test]
    fn a_framework_in_the_wrong_room() {
        let check = |path, raw| rules::frameworks(&at(path, raw), FRAMEWORKS);
        assert_found(&check("src/reports/slowest.rs", "use async_graphql::SimpleObject;"), 1, "async_graphql");
        assert_found(&check("src/error.rs", "impl ::axum::response::IntoResponse for X {}"), 1, "axum");
        assert_found(&check("src/graphql/query.rs", "#[derive(sea_orm::FromQueryResult)]"), 1, "sea_orm");
        assert_found(&check("src/auth/scope.rs", "\n\nuse {sqlx::Row};"), 3, "sqlx");
        assert_found(&check("src/model/sketch.rs", "use sea_orm::Value;"), 1, "sea_orm");
        assert_found(&check("src/graphql/query.rs", "use dataloader::cached::Loader;"), 1, "dataloader");
        assert_found(&check("src/cli/serve.rs", "use toml::Table;"), 1, "toml");
        assert_kept(&check("src/engine/loader.rs", "use dataloader::cached::Loader; use async_graphql::ID;"));
        assert_kept(&check("src/model/id.rs", "#[derive(sea_orm::DeriveValueType)] struct Id(i64);"));
        assert_kept(&check("src/http/router.rs", "use axum::Router; let axum = 1;"));
    }

    #[test]
    fn a_call_past_the_one_place() {
        let check = |path, raw| rules::calls(&at(path, raw), CALLS);
        assert_found(&check("src/ingest/batch.rs", "let now = std::time::Instant::now();"), 1, "Clock");
        assert_found(&check("src/db/pool.rs", "use jiff::Timestamp;\nlet t = Timestamp::now();"), 2, "Timestamp::now");
        assert_found(&check("src/cli.rs", "std::env::var_os(\"X\")"), 1, "config");
        assert_found(&check("src/live/bus.rs", "use tokio::task;\ntask::spawn(run());"), 2, "task::spawn");
        assert_found(&check("src/graphql/query.rs", "project::Entity::find_by_id(1)"), 1, "find_by_id");
        assert_found(&check("src/http/graphql.rs", "let s = model::Scope::everything();"), 1, "only src/auth");
        assert_kept(&check("src/clock.rs", "Instant::now()"));
        assert_kept(&check("src/jobs/compaction.rs", "tokio::spawn(x); metric::Entity::find()"));
        assert_kept(&check("src/http/websocket.rs", "#[cfg(test)] mod tests { fn f() { tokio::spawn(x); } }"));
        assert_kept(&check("src/http/websocket.rs", "env!(\"CARGO_PKG_VERSION\"); \"tokio::spawn\""));
    }

    #[test]
    fn unfinished_work() {
        let check = |raw| rules::unfinished(&at("src/a.rs", raw));
        assert_found(&check("\nfn f() { todo!() }"), 2, "todo!");
        assert_found(&check("unimplemented!(\"x\")"), 1, "unimplemented!");
        assert_found(&check("dbg!(x)"), 1, "dbg!");
        assert_found(&check("#[test]\n#[ignore = \"slow\"]\nfn f() {}"), 2, "ignore");
        assert_kept(&check("// todo!()\nlet todo = \"dbg!\"; if !dbg != x {}"));
    }

    #[test]
    fn a_file_without_head() {
        assert_found(&rules::head(&at("src/a.rs", "use x;\n//! late")), 1, "head");
        assert_kept(&rules::head(&at("src/a.rs", "//! What lives here.\n")));
    }

    #[test]
    fn a_long_file() {
        let long = at("src/a.rs", "x\nx\nx\n#[cfg(test)]\nmod tests {}\n");
        assert_found(&rules::length(&long, 2, &[]), 3, "3 lines");
        assert_kept(&rules::length(&long, 3, &[]));
        assert_kept(&rules::length(&long, 2, &[("src/a.rs", "one table")]));
        assert_found(&rules::stale_exceptions(&[long], 3, &[("src/a.rs", "one table")]), 1, "without need");
    }

    #[test]
    fn a_room_function_without_scope() {
        let check = |raw| rules::scope_first(&at("src/directory/project.rs", raw), &[("by_hash", "makes the scope")]);
        assert_found(&check("\npub async fn list(db: &Db, scope: &Scope) {}"), 2, "`list`");
        assert_found(&check("pub(crate) async fn list() {}"), 1, "`list`");
        assert_found(&check("pub async fn list(scope: Scope) {}"), 1, "`list`");
        assert_found(&check("pub async fn list<F: Fn(&Scope)>(f: F) {}"), 1, "`list`");
        assert_kept(&check("pub async fn list<'a, T: Into<Id>>(scope: &'a auth::Scope, db: &Db) {}"));
        assert_kept(&check("pub async fn list(&self, scope: &Scope) {}"));
        assert_kept(&check("pub async fn by_hash(db: &Db) {} async fn rows(db: &Db) {} pub fn plan(x: X) {}"));
    }

    #[test]
    fn a_report_that_writes() {
        let check = |raw| rules::writes(&at("src/reports/a.rs", raw));
        assert_found(&check("\nuse crate::entity::project::ActiveModel;"), 2, "ActiveModel");
        assert_found(&check("db.run(\"DELETE FROM metric_event\")"), 1, "DELETE FROM");
        assert_kept(&check("map.insert(1, 2); \"SELECT updated_at FROM x\""));
    }

    #[test]
    fn a_drawer() {
        assert_found(&rules::drawers("src/http/utils.rs"), 1, "utils");
        assert_found(&rules::drawers("tests/it/common/x.rs"), 1, "common");
        assert_found(&rules::drawers("src/live/bus_manager.rs"), 1, "bus_manager");
        assert_kept(&rules::drawers("src/live/commonplace.rs"));
    }

    #[test]
    fn a_machine_path() {
        let check = |text: &str| rules::machine_paths("README.md", text, MACHINE_ROOTS);
        assert_found(&check(concat!("\ncd /wo", "rk/x")), 2, "one machine");
        assert_found(&check(concat!("\"/ro", "ot/x\"")), 1, "one machine");
        assert_kept(&check(concat!("see docs/wo", "rk/x and /network/x")));
    }

    #[test]
    fn an_incomplete_map() {
        let folders = ["live".to_owned()];
        assert_found(&rules::map("A.md", "auth/", 150, &folders), 1, "live/");
        assert_found(&rules::map("A.md", "live/\n\n", 2, &folders), 2, "under 2");
        assert_kept(&rules::map("A.md", "live/\n", 2, &folders));
    }
}
