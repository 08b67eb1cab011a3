//! Waiting in tests: for a condition, with a deadline. This is the only file that sleeps; a test below checks that.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::process::PATIENCE;

/// Waits until the condition holds.
///
/// # Panics
/// After [`PATIENCE`], with what was waited for.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    until_some(what, async || holds().await.then_some(())).await;
}

/// Waits until there is a value.
///
/// # Panics
/// After [`PATIENCE`], with what was waited for.
pub async fn until_some<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(value) = look().await {
                return value;
            }
            step().await;
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited for {PATIENCE:?} in vain: {what}"))
}

/// The pause between two looks, for loops that also do something in each turn.
pub async fn step() {
    sleep(Duration::from_millis(5)).await;
}

/// A pause whose length is part of what is tested. The reason says why nothing can be waited for instead.
pub async fn fixed(length: Duration, reason: &str) {
    assert!(!reason.is_empty());
    sleep(length).await;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::harness::server::repository;

    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    fn sleeps(source: &str) -> usize {
        // Spelled in halves, or this file would be a finding of other checks.
        [concat!("sle", "ep("), concat!("inter", "val(")]
            .iter()
            .flat_map(|call| source.match_indices(call))
            // A name that only ends so, such as the function of PostgreSQL, is another function.
            .filter(|(place, _)| {
                !source[..*place].ends_with(|character: char| character.is_alphanumeric() || character == '_')
            })
            .count()
    }

    #[test]
    fn no_other_test_sleeps() {
        let found: Vec<_> = files(&repository("tests/it"))
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .filter(|path| !path.ends_with("harness/wait.rs") && !path.display().to_string().contains("tidy"))
            .filter(|path| sleeps(&std::fs::read_to_string(path).unwrap()) > 0)
            .collect();
        assert!(found.is_empty(), "wait for a condition by harness::wait instead of sleeping: {found:?}");
        assert_eq!(sleeps(concat!("tokio::time::sle", "ep(x); pg_sle", "ep(2)")), 1);
    }
}
