//! The pages of the database that a report reads: those of its answer, whatever was measured before its window and beside its
//! project, in data of three shapes and with the plans that prepared statements keep.

use perfgraph::{
    clock::Clock,
    ingest::Candidate,
    jobs::{breakdowns, compaction, partitions},
    model::{
        Key, MetricType, ProjectId, Scope, TimeRange, Timestamp,
        order::Sort,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{
        Buckets, GroupBy, Groups, Parent, Projects, Question, Series, Slowest, Statistic, StatisticsNeeded, groups,
        series, slowest,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::ConnectionTrait;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    harness::{TestDatabase, cluster::Cluster},
    ingest::batches::{ACME, ACME_SECOND, GLOBEX, Rig, candidate, submission},
};

/// The end of the data: a whole hour, which is over.
const UNTIL: Timestamp = crate::ingest::batches::NOW.floor(HOUR_MICROS);
/// Days of data at first; windows are as long at most.
const DAYS: i64 = 7;
/// Days of data in the end.
const DAYS_GROWN: i64 = 35;
const PART: usize = 2_000;
/// More than any of these reports needs.
const PAGES_MAX: i64 = 200;
/// Indexes are deeper in larger tables: two pages for each of three tables on eight days.
const DEEPER: i64 = 48;

/// How a project is measured.
#[derive(Clone, Copy)]
struct Traffic {
    project: Key<ProjectId>,
    /// The time between two measurements.
    every: i64,
    endpoints: usize,
}

const fn traffic(project: Key<ProjectId>, every: i64, endpoints: usize) -> Traffic {
    Traffic { project, every, endpoints }
}

/// A shape of the data: the project that is asked about, and the others at first and in the end.
struct Shape {
    name: &'static str,
    asked: Traffic,
    others: &'static [Traffic],
    grown: &'static [Traffic],
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "dense",
        asked: traffic(ACME, 30_000_000, 4),
        others: &[traffic(GLOBEX, 5 * MINUTE_MICROS, 4)],
        grown: &[traffic(ACME_SECOND, 30_000_000, 4)],
    },
    Shape {
        name: "sparse",
        asked: traffic(ACME, 2 * MINUTE_MICROS, 80),
        others: &[traffic(GLOBEX, 10 * MINUTE_MICROS, 80)],
        grown: &[traffic(ACME_SECOND, 2 * MINUTE_MICROS, 80)],
    },
    Shape {
        name: "skewed",
        asked: traffic(ACME, 30 * MINUTE_MICROS, 10),
        others: &[traffic(GLOBEX, HOUR_MICROS, 4)],
        grown: &[traffic(ACME_SECOND, 20_000_000, 40)],
    },
];

/// The measurements of some days before others.
fn rows(traffic: Traffic, days: std::ops::Range<i64>) -> Vec<Candidate> {
    let mut rng = StdRng::seed_from_u64(41);
    let (from, to) = (UNTIL.plus_micros(-days.end * DAY_MICROS), UNTIL.plus_micros(-days.start * DAY_MICROS));
    let count = (to.as_micros() - from.as_micros()) / traffic.every;
    let mut row = |number: i64| Candidate {
        kind: MetricType::ApiResponse,
        endpoint: format!("/e/{}", endpoint(rng.random_range(0..traffic.endpoints))),
        value: f64::from(rng.random_range(1..1_000_000)) / 1_000.0,
        status: Some([200, 200, 200, 404, 500][rng.random_range(0..5)]),
        timestamp: Some(from.plus_micros(number * traffic.every)),
        release: Some(format!("1.{}", number * traffic.every / (2 * DAY_MICROS))),
        ..candidate(1.0)
    };
    (0..count).map(&mut row).collect()
}

/// Letters, because ids in paths are replaced.
fn endpoint(number: usize) -> String {
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 20).unwrap());
    format!("{}{}", letter(number / 20), letter(number))
}

async fn fill(database: &TestDatabase, rig: &Rig, all: impl IntoIterator<Item = (Traffic, std::ops::Range<i64>)>) {
    for (traffic, days) in all {
        let range = TimeRange::new(UNTIL.plus_micros(-days.end * DAY_MICROS), UNTIL).unwrap();
        partitions::ensure_range(&database.database, range).await.unwrap();
        for part in rows(traffic, days).chunks(PART) {
            rig.submit(submission(traffic.project, part.to_vec())).await.unwrap();
        }
    }
    compaction::round(&database.database, UNTIL).await.unwrap();
    breakdowns::pass(&database.database, &Clock::fixed(UNTIL.plus_micros(HOUR_MICROS))).await.unwrap();
    database.writer().execute_unprepared("ANALYZE").await.unwrap();
}

/// A report about the asked project or about all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Report {
    /// 24 hours by type.
    Summary,
    /// Seven days by hour.
    Hours,
    /// 24 hours of an endpoint after the other, of all projects.
    Worst(Statistic),
    /// Seven days by status, by release.
    Groups(GroupBy),
}

const REPORTS: [Report; 6] = [
    Report::Summary,
    Report::Hours,
    Report::Worst(Statistic::Average),
    Report::Worst(Statistic::P95),
    Report::Groups(GroupBy::StatusCode),
    Report::Groups(GroupBy::Release),
];

impl Report {
    async fn ask(self, database: &TestDatabase) {
        let (scope, session, want) = (Scope::everything(), database.reader(), StatisticsNeeded::Percentiles);
        let over = |days: i64| Question {
            kinds: vec![MetricType::ApiResponse],
            projects: Projects::Keys(vec![ACME]),
            ..Question::over(TimeRange::new(UNTIL.plus_micros(-days * DAY_MICROS), UNTIL).unwrap())
        };
        let groups = async |question: Question, by: Vec<GroupBy>| {
            let (order, sort) = (Statistic::Count, Sort::Descending);
            let asked = Groups { by, having: vec![], order, sort, first: 100, groups_max: 10_000, want };
            let found = groups::by_parent(&scope, &session, &question, &[Parent::Question], &asked).await.unwrap();
            assert!(!found[&Parent::Question].is_empty());
            found[&Parent::Question].iter().map(|group| group.parent.clone()).collect::<Vec<_>>()
        };
        match self {
            Self::Summary => drop(groups(over(1), vec![GroupBy::Type]).await),
            Self::Hours => {
                let series_of = Series { buckets: Buckets::in_utc(HOUR_MICROS, 1_000), want };
                let found = series::by_parent(&scope, &session, &over(DAYS), &[Parent::Question], &series_of).await;
                assert!(!found.unwrap().is_empty());
            }
            Self::Worst(rank_by) => {
                let question = Question { projects: Projects::All, ..over(1) };
                let found = slowest::run(&scope, &session, &question, Slowest { rank_by, limit: 5, want }).await;
                assert_eq!(found.unwrap().len(), 5);
            }
            Self::Groups(by) => drop(groups(over(DAYS), vec![by]).await),
        }
    }
}

/// The pages that each report reads, in the plan that its prepared statement keeps.
async fn pages(database: &TestDatabase) -> Vec<(Report, i64)> {
    let mut direct = PgConnection::connect(&database.url).await.unwrap();
    let mut pages = Vec::new();
    for report in REPORTS {
        report.ask(database).await;
        direct.execute("SELECT pg_stat_statements_reset()").await.unwrap();
        report.ask(database).await;
        let read = "SELECT sum(shared_blks_hit + shared_blks_read)::bigint FROM pg_stat_statements WHERE query LIKE '%metric%'";
        pages.push((report, sqlx::query_scalar(read).fetch_one(&mut direct).await.unwrap()));
    }
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_reads_the_pages_of_its_answer_whatever_lies_before_and_beside_it() {
    let cluster = Cluster::counting_pages().await;
    for Shape { name, asked, others, grown } in SHAPES {
        let mut admin = PgConnection::connect(&cluster.url).await.unwrap();
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let database = TestDatabase::at(&cluster.url.replace("/postgres", &format!("/{name}"))).await;
        database.writer().execute_unprepared("CREATE EXTENSION pg_stat_statements").await.unwrap();
        let rig = Rig::new(&database).await;
        fill(&database, &rig, others.iter().chain([&asked]).map(|traffic| (*traffic, 0..DAYS))).await;
        let before = pages(&database).await;
        fill(&database, &rig, others.iter().chain([&asked]).map(|traffic| (*traffic, DAYS..DAYS_GROWN))).await;
        let with_history = pages(&database).await;
        fill(&database, &rig, grown.iter().map(|traffic| (*traffic, 0..DAYS_GROWN))).await;
        let with_neighbours = pages(&database).await;
        for (((report, first), (_, old)), (_, beside)) in before.into_iter().zip(with_history).zip(with_neighbours) {
            let all = format!("{name} {report:?}: {first} pages, with history {old}, with neighbours {beside}");
            assert!(first <= PAGES_MAX, "{all}");
            assert!(old <= first + first / 20 + 2, "{all}");
            // A ranking is about the neighbours too.
            assert!(matches!(report, Report::Worst(_)) || beside <= first + first / 20 + DEEPER, "{all}");
        }
        database.database.close().await;
    }
}
