//! Time, environment, randomness, tasks, tables and scopes each come from one place.

use super::{
    finding::{Finding, assert_found, assert_kept},
    reader::NamePath,
    source::{self, Source},
};

/// Functions and methods that only some modules may call.
struct Call {
    /// The last two names of a path; `find*` stands for all that begin so.
    functions: &'static [(&'static str, &'static str)],
    methods: &'static [&'static str],
    only_in: &'static [&'static str],
    fix: &'static str,
}

const CALLS: &[Call] = &[
    Call {
        functions: &[("SystemTime", "now"), ("Instant", "now"), ("Timestamp", "now"), ("Zoned", "now"), ("Utc", "now")],
        methods: &[],
        only_in: &["src/clock"],
        fix: "take a Clock, which tests can stop",
    },
    Call {
        functions: &[("env", "var*"), ("env", "set_var"), ("env", "remove_var")],
        methods: &[],
        only_in: &["src/config"],
        fix: "add a setting to config and take it as an argument",
    },
    Call {
        functions: &[
            ("rand", "rng"),
            ("rand", "random*"),
            ("rand", "thread_rng"),
            ("rngs", "OsRng"),
            ("rngs", "SysRng"),
            ("rngs", "ThreadRng"),
            ("StdRng", "from_os_rng"),
            ("StdRng", "from_rng"),
        ],
        methods: &[],
        only_in: &["src/random"],
        fix: "take a source of random numbers, which tests can repeat",
    },
    Call {
        functions: &[
            ("tokio", "spawn"),
            ("task", "spawn*"),
            ("thread", "spawn"),
            ("thread", "scope"),
            ("Builder", "spawn"),
            ("Handle", "spawn*"),
            ("JoinSet", "spawn*"),
            ("TaskTracker", "spawn*"),
        ],
        methods: &["spawn", "spawn_blocking", "spawn_local", "spawn_on"],
        // A shared subscription outlives each of its watchers, a connection the loop that accepts it, a WebSocket the request
        // that opened it, the log all of them, and a statement is cancelled after the request that sent it.
        only_in: &[
            "src/app",
            "src/jobs",
            "src/engine/watch/hub",
            "src/http/listener",
            "src/http/websocket",
            "src/cli/log_queue",
            "src/db/recovery",
        ],
        fix: "offer an async `run` and let app.rs spawn it, which also waits for it at the end",
    },
    Call {
        functions: &[("Entity", "find*")],
        methods: &[],
        only_in: &["src/directory", "src/live"],
        fix: "ask the room that owns the table",
    },
    Call {
        functions: &[("Scope", "everything"), ("Scope", "organization")],
        methods: &[],
        only_in: &["src/auth"],
        fix: "take the Scope that the caller was given; only auth makes one",
    },
];

fn is_called(path: &NamePath, owner: &str, name: &str) -> bool {
    let matches = |given: &str| name.strip_suffix('*').map_or(given == name, |start| given.starts_with(start));
    path.names.windows(2).any(|pair| pair[0] == owner && matches(&pair[1]))
}

fn calls(source: &Source, rules: &[Call]) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| !source.is_within_any(rule.only_in)) {
        let mut add = |name: &str, line| {
            let rule_text = format!("`{name}` is named here, but only {} may", rule.only_in.join(", "));
            found.push(Finding::new(&source.path, line, rule_text, rule.fix));
        };
        for path in source.names() {
            if rule.functions.iter().any(|(owner, name)| is_called(path, owner, name)) {
                add(&path.names.join("::"), path.line);
            }
        }
        for method in source.methods.iter().filter(|method| !method.is_test && !source.is_test_module) {
            if rule.methods.contains(&method.name.as_str()) {
                add(&format!(".{}()", method.name), method.line);
            }
        }
    }
    found
}

/// Modules in `only_in` that call none of the functions any more.
fn unneeded(sources: &[&Source], rules: &[Call]) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules {
        for place in rule.only_in {
            let calls_it = |source: &&Source| {
                let mut paths = source.paths.iter().chain(source.imports.iter().map(|import| &import.path));
                paths.any(|path| rule.functions.iter().any(|(owner, name)| is_called(path, owner, name)))
                    || source.methods.iter().any(|method| rule.methods.contains(&method.name.as_str()))
            };
            if !sources.iter().filter(|source| source.is_within(place)).any(calls_it) {
                let rule = format!("{place} may call {:?} and does not", rule.functions[0]);
                found.push(Finding::new("tests/it/tidy/calls.rs", 1, rule, "remove it from `only_in`"));
            }
        }
    }
    found
}

#[test]
fn time_environment_randomness_tasks_tables_and_scopes_come_from_one_place() {
    let sources: Vec<_> = source::product().collect();
    assert_kept(sources.iter().flat_map(|source| calls(source, CALLS)));
    assert_kept(unneeded(&sources, CALLS));
}

mod planted {
    use super::*;

    #[test]
    fn a_call_past_the_one_place() {
        let check = |path, body: &str| calls(&Source::new(path, &format!("fn f() {{ {body} }}")), CALLS);
        let used = |path, raw| calls(&Source::new(path, raw), CALLS);
        assert_found(&check("src/ingest/batch.rs", "let now = std::time::Instant::now();"), 1, "Clock");
        assert_found(&used("src/db/pool.rs", "use jiff::Timestamp;\nfn f() { Timestamp::now() }"), 2, "Timestamp::now");
        assert_found(&check("src/cli.rs", "std::env::var_os(\"X\")"), 1, "config");
        assert_found(&check("src/live/cursor.rs", "let n: u64 = rand::random();"), 1, "rand::random");
        assert_found(&check("src/live/bus.rs", "info!(\"{}\", rand::rng().next())"), 1, "rand::rng");
        assert_found(&check("src/graphql/query.rs", "project::Entity::find_by_id(1)"), 1, "find_by_id");
        assert_found(&check("src/http/graphql.rs", "let s = model::Scope::everything();"), 1, "only src/auth");
        assert_kept(check("src/clock.rs", "Instant::now()"));
        assert_kept(check("src/random.rs", "rand::rng()"));
        assert_kept(check("src/directory/noun.rs", "metric::Entity::find()"));
        assert_kept(check("src/jobs/compaction.rs", "tokio::spawn(x)"));
        assert_kept(check("src/http/websocket.rs", "env!(\"CARGO_PKG_VERSION\"); \"tokio::spawn\""));
    }

    #[test]
    fn a_task_past_the_one_place() {
        let check = |body: &str| calls(&Source::new("src/live/bus.rs", &format!("fn f() {{ {body} }}")), CALLS);
        let used = |raw| calls(&Source::new("src/live/bus.rs", raw), CALLS);
        assert_found(&used("use tokio::task;\nfn f() { task::spawn(run()); }"), 2, "task::spawn");
        assert_found(&check("tokio::task::spawn_blocking(run)"), 1, "spawn_blocking");
        assert_found(&check("self.tasks.spawn(run())"), 1, ".spawn()");
        assert_found(&check("select!(() = tracker.spawn(run()) => {})"), 1, ".spawn()");
        assert_found(&check("std::thread::spawn(run)"), 1, "thread::spawn");
        assert_kept(used("#[cfg(test)] mod tests { fn f() { tokio::spawn(x); } }"));
        assert_kept(check("self.spawned(run()); spawn"));
    }

    #[test]
    fn a_place_that_calls_nothing() {
        let rule = || [Call { functions: &[("Instant", "now")], methods: &[], only_in: &["src/clock"], fix: "" }];
        let clock = Source::new("src/clock.rs", "fn f() {}");
        assert_found(&unneeded(&[&clock], &rule()), 1, "src/clock");
        let clock = Source::new("src/clock.rs", "fn f() { Instant::now() }");
        assert_kept(unneeded(&[&clock], &rule()));
    }
}
