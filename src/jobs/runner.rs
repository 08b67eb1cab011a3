//! Runs background jobs: their periods, failures and shutdown. `schedule` lists the jobs; this file knows none of them.
//!
//! A failed pass is logged and retried after a delay that doubles with each failure, up to the job's period.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::future::{BoxFuture, FutureExt};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// The delay after the first failure of a periodic job.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The instances that do the work of a job, where several share a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// Each instance does work of its own.
    Each,
    /// One instance at a time, by a lock in the database. The others wait for it or skip the pass.
    One,
}

/// The time of the first pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstPass {
    /// At the start of the job.
    AtStart,
    /// One period after the start.
    AfterPeriod,
}

/// The treatment of a pass when the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// The running pass is dropped. The next start of the server resumes the work.
    Interrupt,
    /// The running pass finishes, and one more pass writes what was collected since.
    FinalPass,
}

/// The schedule of a periodic job.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The time between the end of a pass and the start of the next.
    pub period: Duration,
    /// The time of the first pass.
    pub first_pass: FirstPass,
    /// The treatment of a pass when the server stops.
    pub on_stop: OnStop,
    /// The effect of a failed pass, for the log.
    pub on_failure: &'static str,
}

/// A job, ready to be started.
pub struct Job {
    name: &'static str,
    instances: Instances,
    run: Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

impl Job {
    /// A job that repeats a pass over `state`.
    pub fn periodic<S: Send + 'static>(
        name: &'static str,
        instances: Instances,
        schedule: Schedule,
        state: S,
        pass: fn(&mut S) -> BoxFuture<'_, Result<()>>,
    ) -> Self {
        let run = move |stopping| repeat(name, schedule, state, pass, stopping).boxed();
        Self { name, instances, run: Box::new(run) }
    }

    /// A job that waits for events until the server stops.
    pub fn continuous<F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        instances: Instances,
        run: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Self {
        Self { name, instances, run: Box::new(|stopping| run(stopping).boxed()) }
    }

    /// Starts the job. It ends when `stopping` is cancelled.
    #[expect(clippy::disallowed_methods, reason = "the runner starts every background job")]
    pub fn start(self, stopping: &CancellationToken) -> RunningJob {
        let Self { name, instances, run } = self;
        tracing::debug!(job = name, ?instances, "background job started");
        RunningJob { name, task: tokio::spawn(run(stopping.clone())) }
    }
}

/// A job that was started.
pub struct RunningJob {
    name: &'static str,
    task: JoinHandle<()>,
}

impl RunningJob {
    /// Waits until the job has ended. Returns false if it did not end within `limit`.
    pub async fn ended(self, limit: Duration) -> bool {
        match timeout(limit, self.task).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(job = self.name, %error, "a background job had ended before the server stopped");
                true
            }
            Err(_) => {
                tracing::warn!(job = self.name, "a background job did not end in time");
                false
            }
        }
    }
}

async fn repeat<S: Send>(
    name: &'static str,
    schedule: Schedule,
    mut state: S,
    pass: fn(&mut S) -> BoxFuture<'_, Result<()>>,
    stopping: CancellationToken,
) {
    let Schedule { period, first_pass, on_stop, on_failure } = schedule;
    let mut failures = 0;
    let mut delay = match first_pass {
        FirstPass::AtStart => Duration::ZERO,
        FirstPass::AfterPeriod => period,
    };
    while stopping.run_until_cancelled(sleep(delay)).await.is_some() {
        let running = guarded(pass(&mut state));
        let result = match on_stop {
            OnStop::FinalPass => running.await,
            OnStop::Interrupt => match stopping.run_until_cancelled(running).await {
                Some(result) => result,
                None => return,
            },
        };
        delay = match result {
            Ok(()) => {
                failures = 0;
                period
            }
            Err(error) => {
                failures += 1;
                let delay = retry_delay(failures, period);
                let retry_ms = delay.as_millis();
                tracing::warn!(job = name, %error, failures, retry_ms, "background job failed: {on_failure}");
                delay
            }
        };
    }
    if on_stop == OnStop::FinalPass
        && let Err(error) = guarded(pass(&mut state)).await
    {
        tracing::warn!(job = name, %error, "the final pass of a background job failed: {on_failure}");
    }
}

/// Turns a panic into an error: a pass that panics must not end its job.
async fn guarded(pass: BoxFuture<'_, Result<()>>) -> Result<()> {
    let caught = AssertUnwindSafe(pass).catch_unwind().await;
    caught.unwrap_or_else(|_| Err(Error::internal("a pass of a background job panicked")))
}

/// The delay after this many consecutive failures.
fn retry_delay(failures: u32, period: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    RETRY_DELAY.saturating_mul(1 << doublings).min(period)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    const PERIOD: Duration = Duration::from_mins(1);

    fn schedule(first_pass: FirstPass, on_stop: OnStop) -> Schedule {
        Schedule { period: PERIOD, first_pass, on_stop, on_failure: "nothing happens" }
    }

    #[test]
    fn the_retry_delay_doubles_up_to_the_period() {
        let delays: Vec<u64> = (1..=8).map(|failures| retry_delay(failures, PERIOD).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry_delay(u32::MAX, Duration::from_millis(500)), Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_or_panicking_pass_is_retried_before_the_period_is_over() {
        let passes = Arc::new(AtomicU32::new(0));
        let job = Job::periodic(
            "test",
            Instances::Each,
            schedule(FirstPass::AtStart, OnStop::Interrupt),
            Arc::clone(&passes),
            |passes| {
                async {
                    match passes.fetch_add(1, Ordering::Relaxed) {
                        0 => Err(Error::internal("first")),
                        1 => panic!("second"),
                        _ => Ok(()),
                    }
                }
                .boxed()
            },
        );
        let stopping = CancellationToken::new();
        let running = job.start(&stopping);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(passes.load(Ordering::Relaxed), 3, "at once, after one second and after two more");
        sleep(PERIOD).await;
        assert_eq!(passes.load(Ordering::Relaxed), 4);
        stopping.cancel();
        assert!(running.ended(PERIOD).await);
    }

    #[tokio::test(start_paused = true)]
    async fn the_final_pass_runs_after_the_stop_and_others_do_not() {
        for (on_stop, expected) in [(OnStop::Interrupt, 1), (OnStop::FinalPass, 2)] {
            let passes = Arc::new(AtomicU32::new(0));
            let job = Job::periodic(
                "test",
                Instances::Each,
                schedule(FirstPass::AfterPeriod, on_stop),
                Arc::clone(&passes),
                |passes| {
                    async {
                        passes.fetch_add(1, Ordering::Relaxed);
                        Ok(())
                    }
                    .boxed()
                },
            );
            let stopping = CancellationToken::new();
            let running = job.start(&stopping);
            sleep(PERIOD + PERIOD / 2).await;
            stopping.cancel();
            assert!(running.ended(PERIOD).await);
            assert_eq!(passes.load(Ordering::Relaxed), expected, "{on_stop:?}");
        }
    }
}
