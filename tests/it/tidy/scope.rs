//! The functions of a room take the caller's `Scope` first: a room answers nobody whose rights it does not know.

use super::{
    finding::{Finding, assert_found, assert_kept},
    reader::{Argument, Function},
    source::{self, Source},
};

const ROOMS: &[&str] = &["src/directory", "src/ingest", "src/live", "src/reports"];

/// Types of an argument through which a function reads or writes.
const STORES: &[&str] = &["Database", "Session", "Transaction"];

/// Functions without a scope, by their reason: a file and its functions.
struct Exception {
    reason: &'static str,
    functions: &'static [(&'static str, &'static [&'static str])],
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "a step inside of the room, on keys and statements that its entrance narrowed by the scope",
        functions: &[
            ("src/directory/change.rs", &["retried"]),
            ("src/directory/change_log.rs", &["append"]),
            ("src/directory/page.rs", &["one", "many", "count", "counts"]),
            ("src/directory/slug.rs", &["insert"]),
            ("src/reports/gather.rs", &["by_group", "by_path"]),
        ],
    },
    Exception {
        reason: "a step of ingest on rows that `accept` or `bulk` admitted by the scope",
        functions: &[
            ("src/ingest/batch.rs", &["put"]),
            ("src/ingest/bulk.rs", &["row", "store", "finish"]),
            ("src/ingest/endpoint.rs", &["resolve"]),
            ("src/ingest/endpoint/store.rs", &["look_up"]),
            ("src/ingest/endpoint/store/postgres.rs", &["begin"]),
            ("src/ingest/endpoint/store/sqlite.rs", &["begin"]),
            ("src/ingest/publish_order.rs", &["acquire"]),
            ("src/ingest/write.rs", &["group"]),
            ("src/ingest/write/postgres.rs", &["begin"]),
            ("src/ingest/write/sqlite.rs", &["begin"]),
        ],
    },
    Exception {
        reason: "reads a body, no stored data",
        functions: &[("src/ingest/formats.rs", &["next", "count_rest"])],
    },
    Exception {
        reason: "background work for all organizations, which no caller waits for",
        functions: &[
            ("src/ingest.rs", &["write_status"]),
            ("src/ingest/batch.rs", &["run"]),
            ("src/ingest/status.rs", &["write"]),
            ("src/ingest/status/store.rs", &["add"]),
            ("src/live/changes/page.rs", &["last_of_all"]),
            ("src/live/changes/relay.rs", &["run"]),
            ("src/live/changes/removal.rs", &["remove_before"]),
            ("src/live/cursors.rs", &["load"]),
            ("src/live/follower.rs", &["begin", "run"]),
            ("src/live/publisher.rs", &["wait_for_missing", "outgoing"]),
            ("src/live/replay.rs", &["last_commits", "committed"]),
            ("src/live/window/runner.rs", &["run"]),
            ("src/live/window/snapshot.rs", &["read"]),
        ],
    },
    Exception {
        reason: "the rollups of a commit, whose jobs were accepted with a scope",
        functions: &[("src/ingest/grain.rs", &["resolve"]), ("src/ingest/grain/store.rs", &["decide"])],
    },
    Exception {
        reason: "the next event of a stream that was opened with the scope",
        functions: &[("src/live/replay.rs", &["next"]), ("src/live/tail.rs", &["next"])],
    },
];

/// A function that others may call, and that awaits something or is given a way to the database. A constructor that
/// awaits nothing only keeps what it is given.
fn is_asked(function: &Function) -> bool {
    if function.word.name == "new" && !function.is_async {
        return false;
    }
    let takes_store = |argument: &Argument| argument.type_names.iter().any(|name| STORES.contains(&name.as_str()));
    function.is_public && (function.is_async || function.arguments.iter().any(takes_store))
}

fn takes_scope_first(function: &Function) -> bool {
    function
        .arguments
        .first()
        .is_some_and(|first| first.is_reference && first.type_names.last().is_some_and(|name| name == "Scope"))
}

fn without_scope(source: &Source) -> impl Iterator<Item = &Function> {
    let functions = source.functions.iter().filter(|function| !function.word.is_test && !source.is_test_module);
    functions.filter(|function| is_asked(function) && !takes_scope_first(function))
}

fn scope_first(source: &Source, exceptions: &[Exception]) -> Vec<Finding> {
    let is_excepted = |name: &str| {
        let mut files = exceptions.iter().flat_map(|exception| exception.functions);
        files.any(|(path, names)| *path == source.path && names.contains(&name))
    };
    without_scope(source)
        .filter(|function| !is_excepted(&function.word.name))
        .map(|function| {
            let rule = format!("`{}` does not take `&Scope` first", function.word.name);
            let fix = "take `scope: &Scope` as the first argument and filter by its organization";
            Finding::new(&source.path, function.word.line, rule, fix)
        })
        .collect()
}

fn unneeded(sources: &[&Source], exceptions: &[Exception]) -> Vec<Finding> {
    let mut found = Vec::new();
    for exception in exceptions {
        for (path, names) in exception.functions {
            for name in *names {
                let mut of_file = sources.iter().filter(|source| source.path == *path);
                if !of_file.any(|source| without_scope(source).any(|function| function.word.name == *name)) {
                    let rule = format!("`{name}` is excepted ({}) without need", exception.reason);
                    found.push(Finding::new(path, 1, rule, "remove it from EXCEPTIONS in tests/it/tidy/scope.rs"));
                }
            }
        }
    }
    found
}

#[test]
fn room_functions_take_the_scope_first() {
    let rooms: Vec<_> = source::product().filter(|source| source.is_within_any(ROOMS)).collect();
    assert_kept(rooms.iter().flat_map(|source| scope_first(source, EXCEPTIONS)));
    assert_kept(unneeded(&rooms, EXCEPTIONS));
}

mod planted {
    use super::*;

    const PATH: &str = "src/directory/project.rs";

    #[test]
    fn a_room_function_without_scope() {
        let exceptions = [Exception { reason: "makes the scope", functions: &[(PATH, &["by_hash"])] }];
        let check = |raw| scope_first(&Source::new(PATH, raw), &exceptions);
        assert_found(&check("\npub async fn list(db: &Db, scope: &Scope) {}"), 2, "`list`");
        assert_found(&check("pub(crate) async fn list() {}"), 1, "`list`");
        assert_found(&check("pub(super) async fn list() {}"), 1, "`list`");
        assert_found(&check("pub async fn list(scope: Scope) {}"), 1, "`list`");
        assert_found(&check("pub async fn list<F: Fn(&Scope)>(f: F) {}"), 1, "`list`");
        assert_found(&check("pub fn list(db: &Session) {}"), 1, "`list`");
        assert_found(&check("impl A { pub fn list(&self, run: impl Fn(&mut Transaction)) {} }"), 1, "`list`");
        assert_kept(check("pub async fn list<'a, T: Into<Id>>(scope: &'a auth::Scope, db: &Db) {}"));
        assert_kept(check("impl A { pub async fn list(&self, scope: &Scope) {} }"));
        assert_kept(check("pub async fn by_hash(db: &Db) {} async fn rows(db: &Db) {} pub fn plan(x: X) {}"));
        assert_found(&check("impl A { pub async fn new(db: Database) -> Self {} }"), 1, "`new`");
        assert_kept(check("impl A { pub fn new(db: Database) -> Self {} }"));
        assert_kept(check("#[cfg(test)] mod tests { pub async fn list() {} }"));
    }

    #[test]
    fn an_exception_without_need() {
        let exceptions = || [Exception { reason: "works for all", functions: &[(PATH, &["run"])] }];
        let keeps = Source::new(PATH, "pub async fn run(scope: &Scope) {}");
        assert_found(&unneeded(&[&keeps], &exceptions()), 1, "works for all");
        assert_kept(unneeded(&[&Source::new(PATH, "pub async fn run() {}")], &exceptions()));
    }
}
