//! The list of all background jobs: name, period, and the instances that do the work.

use std::time::Duration;

use futures_util::FutureExt;

use super::{
    breakdowns, compaction,
    demo_traffic::DemoTraffic,
    partitions::{self, Days},
    retention::Retention,
    rollup_choice,
    runner::{
        FirstPass::{AfterPeriod, AtStart},
        Instances::{Each, One},
        Job,
        OnStop::{FinalPass, Interrupt},
        Schedule,
    },
    self_monitoring::OwnMetrics,
    statistics,
};
use crate::{
    clock::Clock,
    config::Config,
    db::{Database, file::idle_log::IdleLog, lease::Renewal},
    ingest::{Batcher, Ingest},
    live::{Follower, changes, window},
    model::Timestamp,
};

/// The parts of the server that jobs work with.
pub struct Parts {
    /// The database.
    pub database: Database,
    /// The clock.
    pub clock: Clock,
    /// Reads commits of other instances.
    pub follower: Follower,
    /// Announces changes of the directory.
    pub changes: changes::ChangeRelay,
    /// Computes live windows.
    pub windows: window::WindowRunner,
    /// The write path, for the counters of what arrived.
    pub ingest: Ingest,
    /// The server's own metrics; `None` if `self_monitoring.enabled` is false.
    pub own_metrics: Option<OwnMetrics>,
    /// Demo traffic; `None` unless it is wanted and there are sample projects.
    pub demo: Option<DemoTraffic>,
}

/// Commits what callers submit. It belongs to the write path, not to the server: it ends when the queue is closed and empty,
/// after all other jobs.
pub fn write_path(batcher: Batcher) -> Job {
    Job::continuous("ingest commits", Each, |_| batcher.run())
}

/// Keeps the node of this instance, without which it writes nothing. It belongs to the write path too: it ends after the last
/// commit.
pub fn node_lease(renewal: Renewal) -> Job {
    Job::continuous("node lease", Each, |stopping| renewal.run(stopping))
}

/// Creates partitions ahead of time.
pub fn partitions(database: Database, clock: Clock, days: Days) -> Job {
    Job::periodic(
        "partitions",
        One,
        Schedule {
            period: Duration::from_hours(1),
            first_pass: AfterPeriod,
            on_stop: Interrupt,
            on_failure: "no partitions are created ahead, and rows go to the default partition",
        },
        (database, clock, days),
        |(database, clock, days)| partitions::ensure(database, clock, *days).boxed(),
    )
}

/// Looks after the SQLite file while nobody writes: whether it is still there, and whether its log can be written back.
fn watch_file(database: Database) -> Job {
    Job::periodic(
        "database file",
        Each,
        Schedule {
            period: Duration::from_secs(1),
            first_pass: AfterPeriod,
            on_stop: Interrupt,
            on_failure: "a copy of the database file without its log lacks the latest writes",
        },
        (database, IdleLog::default()),
        |(database, idle)| {
            async {
                database.look_after_file().await;
                database.write_back_if_idle(idle).await
            }
            .boxed()
        },
    )
}

/// Keeps the plans of PostgreSQL right while tables grow.
fn statistics(database: Database) -> Job {
    Job::periodic(
        "statistics",
        Each,
        Schedule {
            period: Duration::from_secs(10),
            first_pass: AfterPeriod,
            on_stop: Interrupt,
            on_failure: "reports of tables that grew are slow until autovacuum has looked at them",
        },
        database,
        |database| statistics::pass(database).boxed(),
    )
}

/// Keeps the sample projects moving. On several instances each second is stored once, by its key.
fn demo_traffic(demo: DemoTraffic) -> Job {
    Job::periodic(
        "demo traffic",
        Each,
        Schedule {
            period: Duration::from_secs(1),
            first_pass: AtStart,
            on_stop: Interrupt,
            on_failure: "live views of the sample projects do not move",
        },
        demo,
        |demo| demo.pass().boxed(),
    )
}

/// The jobs of a server. They end when the server stops, after the last request was answered.
pub fn jobs(config: &Config, parts: Parts) -> Vec<Job> {
    let Parts { database, clock, follower, changes, windows, ingest, own_metrics, demo } = parts;
    let of_backend = match database.file() {
        Some(_) => watch_file(database.clone()),
        None => statistics(database.clone()),
    };
    let mut jobs = vec![
        partitions(database.clone(), clock.clone(), Days::from(config)),
        Job::periodic(
            "compaction",
            One,
            Schedule {
                period: config.compaction.interval,
                first_pass: AfterPeriod,
                on_stop: Interrupt,
                on_failure: "rollup parts are not merged, queries read them one by one",
            },
            (database.clone(), clock.clone(), config.compaction.delay, Timestamp::from_micros(i64::MIN)),
            |(database, clock, delay, last)| compaction::pass(database, clock, *delay, last).boxed(),
        ),
        // Instances exclude each other by series and day.
        Job::periodic(
            "breakdowns",
            Each,
            Schedule {
                period: Duration::from_mins(1),
                first_pass: AfterPeriod,
                on_stop: Interrupt,
                on_failure: "questions about status, release and name are answered from single measurements",
            },
            (database.clone(), clock.clone()),
            |(database, clock)| breakdowns::pass(database, clock).boxed(),
        ),
        // Instances that count the same day come to the same choice.
        Job::periodic(
            "rollup choice",
            Each,
            Schedule {
                period: Duration::from_mins(10),
                first_pass: AfterPeriod,
                on_stop: Interrupt,
                on_failure: "series that became dense or sparse keep the rollups of earlier days",
            },
            (database.clone(), clock.clone(), config.ingest.rollup_rows_max()),
            |(database, clock, rows_max)| rollup_choice::pass(database, clock, *rows_max).boxed(),
        ),
        // Every instance reads the bounds of retention; the removal is idempotent, so no lock is needed.
        Job::periodic(
            "retention",
            Each,
            Schedule {
                period: Duration::from_secs(15),
                first_pass: AtStart,
                on_stop: Interrupt,
                on_failure: "data older than its retention is not removed",
            },
            (Retention::new(database, config.retention.clone()), clock),
            |(retention, clock)| retention.pass(clock).boxed(),
        ),
        // The last counters are written when the queue is closed.
        Job::periodic(
            "ingest status",
            Each,
            Schedule {
                period: Duration::from_secs(1),
                first_pass: AfterPeriod,
                on_stop: FinalPass,
                on_failure: "the counters of Project.ingestStatus are written later",
            },
            ingest,
            |ingest| ingest.write_status().boxed(),
        ),
        Job::continuous("follower", Each, |stopping| follower.run(stopping)),
        Job::continuous("changes", Each, |stopping| changes.run(stopping)),
        Job::continuous("live windows", Each, |stopping| windows.run(stopping)),
    ];
    jobs.push(of_backend);
    jobs.extend(demo.map(demo_traffic));
    jobs.extend(own_metrics.map(|own_metrics| {
        Job::periodic(
            "self-monitoring",
            Each,
            Schedule {
                period: config.self_monitoring.flush_interval,
                first_pass: AfterPeriod,
                on_stop: FinalPass,
                on_failure: "some of the server's own metrics are lost",
            },
            own_metrics,
            |own_metrics| own_metrics.flush().boxed(),
        )
    }));
    jobs
}
