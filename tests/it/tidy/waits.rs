//! Tests wait for a signal or a condition, not for a time: a fixed sleep is too short on a busy machine and too long on
//! every other.

use super::{
    finding::{Finding, assert_found, assert_kept, unneeded},
    source::{self, Source},
};

/// Files of tests that may sleep, each with the reason.
const TIMED_WAITS: &[(&str, &str)] = &[
    ("src/http/listener.rs", "a slow client on a paused clock"),
    ("src/jobs/runner.rs", "the period of a job on a paused clock"),
    ("tests/it/harness/wait.rs", "polls conditions, and waits where a duration is part of the test"),
];

fn sleeps(source: &Source) -> Vec<Finding> {
    let is_test_file = source.is_test_module;
    let paths = source.paths.iter().filter(|path| path.is_test || is_test_file);
    paths
        .filter(|path| {
            path.names.last().is_some_and(|name| matches!(name.as_str(), "sleep" | "sleep_until" | "interval"))
        })
        .map(|path| {
            let fix = "wait for a signal, wait for a condition by harness::wait, or use `wait::fixed` with a reason";
            Finding::new(&source.path, path.line, "a test sleeps for a fixed time", fix)
        })
        .collect()
}

#[test]
fn tests_do_not_sleep() {
    let is_timed = |source: &&Source| TIMED_WAITS.iter().any(|(path, _)| *path == source.path);
    assert_kept(source::sources().iter().filter(|source| !is_timed(source)).flat_map(sleeps));
    let sleeps_in =
        |path: &str| source::sources().iter().any(|source| source.path == path && !sleeps(source).is_empty());
    assert_kept(unneeded("TIMED_WAITS", TIMED_WAITS.iter().map(|(path, _)| *path), sleeps_in));
}

mod planted {
    use super::*;

    #[test]
    fn a_sleeping_test() {
        let check = |path, raw| sleeps(&Source::new(path, raw));
        assert_found(&check("tests/it/live.rs", "\nasync fn f() { tokio::time::sleep(x).await }"), 2, "sleeps");
        assert_found(&check("tests/it/live.rs", "fn f() { select! { () = sleep(x) => {} } }"), 1, "sleeps");
        assert_found(&check("tests/it/live.rs", "fn f() { std::thread::sleep(x) }"), 1, "sleeps");
        assert_found(&check("src/a.rs", "#[cfg(test)] mod tests { fn f() { sleep(x) } }"), 1, "sleeps");
        assert_kept(check("src/a.rs", "async fn f() { sleep(x).await }"));
        assert_kept(check("tests/it/live.rs", "fn f() { asleep(x); \"sleep(1)\" }"));
    }
}
