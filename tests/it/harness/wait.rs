//! Waits for conditions in tests, with a deadline. Only this file of the tests sleeps, as `tidy::waits` checks.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::process::PATIENCE;

/// Longer than any test takes on a busy machine. A test that waits for what never comes must fail, not hold up the others.
const TEST_PATIENCE: Duration = Duration::from_mins(5);

/// Runs a test to its end.
///
/// # Panics
/// After [`TEST_PATIENCE`].
pub async fn in_time(test: impl Future<Output = ()>) {
    timeout(TEST_PATIENCE, test).await.unwrap_or_else(|_| panic!("the test still runs after {TEST_PATIENCE:?}"));
}

/// Waits until the condition holds.
///
/// # Panics
/// After [`PATIENCE`]; the message names the condition.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    until_some(what, async || holds().await.then_some(())).await;
}

/// Waits until there is a value.
///
/// # Panics
/// After [`PATIENCE`]; the message names the condition.
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

/// The pause between two checks, for loops that also act in each turn.
pub async fn step() {
    sleep(Duration::from_millis(5)).await;
}

/// A pause whose length is part of the test. The reason says why there is no condition to wait for.
pub async fn fixed(length: Duration, reason: &str) {
    assert!(!reason.is_empty());
    sleep(length).await;
}
